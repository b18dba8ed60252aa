"""Requests over HTTPS just as they are written, for what client libraries would put right or hide.

gfal2 normalises paths, looks before it leaps and tells of a refusal in words of its own; whether a door keeps
to a profile is seen in the very request and in the status of its answer.
"""

from __future__ import annotations

import base64
import http.client
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pytest_datalake.drivers.failures import failure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_datalake.drivers.api import Credential, Environment
    from pytest_datalake.drivers.wire import Message

LONGEST_BODY = 1 << 20
"""Bytes of an answer that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request.

    Attributes:
        target: path and query as they go over the wire (RFC 9112, 3.2).
        headers: besides ``Host`` and ``Content-Length``.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def to_message(self) -> Message:
        """Plain JSON."""
        return {
            "method": self.method,
            "target": self.target,
            "headers": [list(header) for header in self.headers],
            "body": base64.b64encode(self.body).decode(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back.

    Attributes:
        headers: by name in lower case; the last of several counts.
        connection: number of the connection that it came over; a door may close one.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    connection: int

    @classmethod
    def from_message(cls, message: Message) -> Answer:
        """What ``exchange`` gave."""
        return cls(**{**message, "body": base64.b64decode(message["body"])})


def exchange(
    url: str, requests: Iterable[Message], credential: Credential, environment: Environment, *, budget: float
) -> list[Message]:
    """Send requests one after the other over one connection, and return the answers as plain JSON.

    Raises ``StorageError`` where there is no answer: no connection, refused in the TLS handshake, or closed
    instead of answering.
    """
    parts = urlsplit(url)
    deadline = time.monotonic() + budget
    connection = http.client.HTTPSConnection(
        parts.hostname or "", parts.port, timeout=budget, context=_context(credential, environment)
    )
    answers: list[Message] = []
    connections = 0
    try:
        for request in requests:
            if connection.sock is None:
                connection.timeout = max(deadline - time.monotonic(), 0.01)
                connection.connect()
                connections += 1
            connection.sock.settimeout(max(deadline - time.monotonic(), 0.01))
            answers.append(_one(connection, request) | {"connection": connections})
    except (OSError, http.client.HTTPException) as error:
        number = f" (request {len(answers) + 1})" if answers else ""
        raise failure(
            "exchange", url, code=getattr(error, "errno", None) or 0, text=f"{_said(error)}{number}"
        ) from None
    finally:
        connection.close()
    return answers


def _one(connection: http.client.HTTPSConnection, request: Message) -> Message:
    body = base64.b64decode(request["body"])
    connection.putrequest(request["method"], request["target"], skip_accept_encoding=True)
    for name, value in request["headers"]:
        connection.putheader(name, value)
    if body or request["method"] == "PUT":
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body or None)
    response = connection.getresponse()
    return {
        "status": response.status,
        "headers": {name.lower(): value for name, value in response.getheaders()},
        "body": base64.b64encode(response.read(LONGEST_BODY)).decode(),
    }


def _context(credential: Credential, environment: Environment) -> ssl.SSLContext:
    context = ssl.create_default_context(
        cafile=environment.ca_file or None, capath=None if environment.ca_file else environment.ca_directory
    )
    if credential.proxy:
        context.load_cert_chain(credential.proxy)
    return context


def _said(error: Exception) -> str:
    if isinstance(error, http.client.RemoteDisconnected | ssl.SSLEOFError | BrokenPipeError):
        return "unexpected eof: the connection was closed without an answer"
    return str(error) or type(error).__name__
