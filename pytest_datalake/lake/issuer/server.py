"""The issuer's HTTPS side: discovery (RFC 8414, OpenID Connect Discovery), public keys (RFC 7517), tokens."""

from __future__ import annotations

import base64
import json
import logging
import os
import socket
import ssl
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from pytest_datalake.credentials.signing import Signer, public_keys
from pytest_datalake.lake.issuer.config import NAME, Settings
from pytest_datalake.lake.issuer.scopes import STORAGE_ACTIONS
from pytest_datalake.lake.issuer.tokens import RefusedError, TokenEndpoint

_log = logging.getLogger(__name__)

_PATIENCE = 10
"""Seconds that a silent peer may keep a thread."""

_MAX_DRAINED = 1 << 20
_MAX_FORM = 64 * 1024
"""Bytes of a token request."""


class IssuerServer(ThreadingHTTPServer):
    """Listens from the moment it is made; ``serve_forever`` answers.

    A connection's own thread does the TLS handshake too, so that a peer who never finishes it delays nobody.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, settings: Settings) -> None:
        keys = Path(settings.signing_key).read_bytes()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(settings.host_certificate, settings.host_key)
        self.token_endpoint = TokenEndpoint(settings, Signer(keys))
        self.documents = _documents(settings, keys)
        super().__init__((settings.address, settings.port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking the resolver for a name, which can take long and is of no use."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  (the parent's types)
        """Handshake and requests of one connection, in its own thread."""
        request.settimeout(_PATIENCE)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False) as connection:
            connection.do_handshake()
            super().finish_request(connection, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002  (the parent's)
        """A peer that went away or spoke no TLS is not worth a traceback."""
        _log.debug("connection from %s ended early", client_address, exc_info=True)


def drop_privileges(settings: Settings) -> None:
    """Become the account that the settings name; for good, and with no other groups."""
    if settings.uid is not None and settings.gid is not None:
        os.setgroups([])
        os.setgid(settings.gid)
        os.setuid(settings.uid)


def _documents(settings: Settings, keys: bytes) -> dict[str, tuple[str, bytes]]:
    """Path -> (media type, body) of everything that never changes."""
    metadata = {
        "issuer": settings.issuer,
        "token_endpoint": f"{settings.issuer}token",
        "jwks_uri": f"{settings.issuer}jwk",
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "scopes_supported": ["openid", *STORAGE_ACTIONS, "wlcg.groups"],
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
    discovery = "application/json", json.dumps(metadata).encode()
    return {
        "/": ("text/plain; charset=utf-8", f"{NAME} of {settings.vo}\n".encode()),
        "/.well-known/openid-configuration": discovery,
        "/.well-known/oauth-authorization-server": discovery,
        "/jwk": ("application/json", json.dumps(public_keys(keys)).encode()),
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: IssuerServer

    def do_GET(self) -> None:
        document = self.server.documents.get(urlsplit(self.path).path)
        if document is None:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"nothing here\n")
        else:
            self._answer(HTTPStatus.OK, *document)

    do_HEAD = do_GET  # noqa: N815  (the name is the standard library's)

    def do_POST(self) -> None:
        client_id = "nobody known"
        try:
            form = self._form()
            if urlsplit(self.path).path != "/token":
                self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", b"nothing here\n")
                return
            client_id, secret = self._client(form)
            response, claims = self.server.token_endpoint.grant(form, client_id=client_id, secret=secret)
        except RefusedError as refusal:
            _log.info("refused for %r: %s (%s)", client_id, refusal.error, refusal.description)
            self._refuse(refusal)
            return
        _log.info(
            "token %s for %s: %s, audience %r", claims["jti"], claims["sub"], claims["scope"], claims["aud"]
        )
        self._answer(HTTPStatus.OK, "application/json", json.dumps(response).encode())

    def version_string(self) -> str:
        return NAME

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the parent's name)
        _log.debug(format, *args)

    def _form(self) -> dict[str, str]:
        """The form of a token request: each parameter at most once (RFC 6749, 3.2)."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MAX_FORM:
            self.close_connection = True
            if length.isdecimal():  # a client that is still sending would not see the refusal
                self.rfile.read(min(int(length), _MAX_DRAINED))
            raise RefusedError("invalid_request", f"a form of at most {_MAX_FORM} bytes is needed")
        body = self.rfile.read(int(length))
        if self.headers.get_content_type() != "application/x-www-form-urlencoded":
            raise RefusedError("invalid_request", "the form must be application/x-www-form-urlencoded")
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
        except ValueError as error:
            raise RefusedError("invalid_request", "the form is not UTF-8") from error
        form = dict(pairs)
        if len(form) != len(pairs):
            raise RefusedError("invalid_request", "a parameter is given twice")
        return form

    def _client(self, form: dict[str, str]) -> tuple[str, str]:
        """Client id and secret, from the header or from the form but not from both (RFC 6749, 2.3.1)."""
        header = self.headers.get("Authorization")
        if header is None:
            return form.get("client_id", ""), form.get("client_secret", "")
        if "client_secret" in form:
            raise RefusedError("invalid_request", "the client shows its secret twice")
        scheme, _, value = header.partition(" ")
        if scheme.lower() != "basic":
            raise RefusedError("invalid_client", "Basic client authentication is needed", 401)
        try:
            pair = base64.b64decode(value.strip(), validate=True).decode()
        except ValueError as error:
            raise RefusedError("invalid_client", "the Authorization header is not base64", 401) from error
        client_id, _, secret = pair.partition(":")
        return unquote_plus(client_id), unquote_plus(secret)

    def _refuse(self, refusal: RefusedError) -> None:
        body = {"error": refusal.error, "error_description": refusal.description}
        self._answer(HTTPStatus(refusal.status), "application/json", json.dumps(body).encode())

    def _answer(self, status: HTTPStatus, media_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        if self.command == "POST":
            self.send_header("Cache-Control", "no-store")  # RFC 6749, 5.1
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", f'Basic realm="{NAME}"')
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
