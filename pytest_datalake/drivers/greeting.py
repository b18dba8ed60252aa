"""What the servers behind doors call themselves: asked once, without any credential."""

from __future__ import annotations

import http.client
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_datalake.matrix.model import Endpoint

_PATIENCE = 3.0
_AT_ONCE = 32
_LONGEST = 120


def greetings(endpoints: Iterable[Endpoint]) -> dict[str, str]:
    """Name and version of the servers that tell them, by endpoint: ``{"COMO-A.davs": "XrootD/v5.5.3"}``."""
    asked = list(endpoints)
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as threads:
        told = zip(asked, threads.map(greeting, asked), strict=True)
        return {endpoint.id: said for endpoint, said in told if said}


def greeting(endpoint: Endpoint) -> str:
    """What the server says of itself; empty where it says nothing or does not answer within three seconds.

    Over HTTP that is the ``Server`` field of an answer to OPTIONS (RFC 9110, 10.2.4), over GridFTP the text
    of its first reply (RFC 959, 5.4). An xroot server tells its version only to those it knows.
    """
    ask = {"davs": _by_http, "s3s": _by_http, "gsiftp": _by_ftp}.get(endpoint.protocol)
    try:
        said = ask(endpoint) if ask else ""
    except (OSError, http.client.HTTPException):
        return ""
    return "".join(char for char in " ".join(said.split()) if char.isprintable())[:_LONGEST]


def _by_http(endpoint: Endpoint) -> str:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # a name is read, nothing is shown
    connection = http.client.HTTPSConnection(endpoint.host, endpoint.port, timeout=_PATIENCE, context=context)
    try:
        connection.request("OPTIONS", "/")
        return connection.getresponse().headers.get("Server", "")
    finally:
        connection.close()


def _by_ftp(endpoint: Endpoint) -> str:
    with socket.create_connection((endpoint.host, endpoint.port), timeout=_PATIENCE) as connection:
        reply = connection.recv(4 * _LONGEST).decode("latin-1")
    return reply[4:].partition("\r\n")[0] if reply.startswith("220") else ""
