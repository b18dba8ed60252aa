"""The HTTPS side."""

from __future__ import annotations

import logging
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

from pytest_datalake.lake.fts import NAME
from pytest_datalake.lake.fts.refusal import PHRASES, Refusal
from pytest_datalake.lake.fts.web import Answer
from pytest_datalake.lake.https import HttpsServer, shown_chain, tls_context

if TYPE_CHECKING:
    import ssl

    from pytest_datalake.lake.fts.config import Settings
    from pytest_datalake.lake.fts.service import Service

_log = logging.getLogger(__name__)

_PATIENCE = 60
"""Seconds that a silent peer may keep a thread."""

_MAX_BODY = 64 << 20


class FtsServer(HttpsServer):
    """Listens from the moment it is made; ``serve_forever`` answers."""

    service: Service

    def __init__(self, settings: Settings) -> None:
        tls = tls_context(settings.host_certificate, settings.host_key, settings.ca_file)
        super().__init__((settings.address, settings.port), _Handler, tls, patience=_PATIENCE)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write for head and body
    server: FtsServer
    connection: ssl.SSLSocket

    def _respond(self) -> None:
        answer = self._answer()
        content = answer.content()
        self.send_response(answer.status, PHRASES.get(answer.status))
        self.send_header("Content-Type", answer.media_type)
        self.send_header("Content-Length", str(len(content)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_DELETE = _respond  # noqa: N815  # the names are the standard library's

    def _answer(self) -> Answer:
        try:
            body = self._body()
        except Refusal as refusal:
            self.close_connection = True
            return Answer(body=refusal.body(), status=refusal.status)
        headers = {name.lower(): value for name, value in self.headers.items()}
        return self.server.service.answer(
            self.command, self.path, headers, body, shown_chain(self.connection)
        )

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal() or int(length) > _MAX_BODY:
            raise Refusal(413, f"a body of at most {_MAX_BODY} bytes, with a Content-Length, is needed")
        return self.rfile.read(int(length))

    def version_string(self) -> str:
        return NAME

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the parent's name)
        _log.debug(format, *args)
