"""From an absolute path of the lake's namespace to the address that a client library needs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from pytest_datalake.errors import StorageError

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Endpoint


def address(endpoint: Endpoint, path: str) -> str:
    """The percent-encoded address of a plain path (RFC 3986, 2.1); every protocol's library decodes it once.

    Raises ``StorageError`` (unsupported) for a name that the protocol cannot express.
    """
    if endpoint.protocol == "memory":
        return endpoint.url(path)
    if endpoint.protocol == "root" and "?" in path:
        raise StorageError(
            f"{endpoint.url(path)}: the xroot protocol takes what follows a '?' for options, even encoded",
            kind="unsupported",
            url=endpoint.url(path),
        )
    slash = "/" if endpoint.protocol == "root" else ""
    door = f"{endpoint.protocol}://{endpoint.host}:{endpoint.port}"
    return f"{door}{slash}{quote(endpoint.prefix, safe='/')}{quote(path, safe='/')}"


def scheme(url: str) -> str:
    """The protocol of an address."""
    return url.partition("://")[0]


def door(url: str) -> str:
    """Protocol, host and port of an address, with a final slash: what credentials are bound to."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/"
