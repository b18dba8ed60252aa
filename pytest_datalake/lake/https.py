"""The HTTPS side that our own services share: TLS in each connection's own thread, and who showed what."""

from __future__ import annotations

import logging
import socket
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger(__name__)

_DER = 2


class HttpsServer(ThreadingHTTPServer):
    """Listens from the moment it is made; ``serve_forever`` answers.

    A connection's own thread does the TLS handshake too, so that a peer who never finishes it delays nobody.

    Args:
        address: (host, port) to listen on; port 0: any free one.
        handler: answers the requests of one connection.
        tls: see ``tls_context``.
        patience: seconds that a silent peer may keep a thread.
    """

    daemon_threads = True
    request_queue_size = 512

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        tls: ssl.SSLContext,
        *,
        patience: float,
    ) -> None:
        self._tls = tls
        self._patience = patience
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind without asking the resolver for a name, which can take long and is of no use."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  (the parent's types)
        """Handshake and requests of one connection, in its own thread."""
        request.settimeout(self._patience)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as connection:
            connection.do_handshake()
            super().finish_request(connection, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002  (the parent's)
        """A peer that went away or spoke no TLS is not worth a traceback."""
        _log.debug("connection from %s ended early", client_address, exc_info=True)


def tls_context(certificate: str | Path, key: str | Path, ca_file: str | Path) -> ssl.SSLContext:
    """Asks for a certificate, takes proxies (RFC 3820), and does without.

    No tickets: the chain of a resumed session is not known.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(ca_file)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VerifyFlags.VERIFY_ALLOW_PROXY_CERTS
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    return context


def shown_chain(connection: ssl.SSLSocket) -> tuple[bytes, ...]:
    """The verified chain that the peer showed, in DER and leaf first; empty: it showed none."""
    if connection.getpeercert(binary_form=True) is None:
        return ()
    public = getattr(connection, "get_verified_chain", None)  # Python 3.13
    if public is not None:
        return tuple(public())
    inner: Any = connection._sslobj  # type: ignore[attr-defined]  # noqa: SLF001  # there is no other way before 3.13
    return tuple(certificate.public_bytes(_DER) for certificate in inner.get_verified_chain() or ())
