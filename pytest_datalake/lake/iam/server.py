"""The application, and its HTTPS side."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jinja2
from flask import Flask, jsonify, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import WSGIRequestHandler

from pytest_datalake.lake.https import HttpsServer, shown_chain, tls_context
from pytest_datalake.lake.iam import (
    NAME,
    admin_api,
    consent_pages,
    dashboard_pages,
    login_pages,
    oauth_api,
    request_api,
    scim_api,
    voms_api,
)
from pytest_datalake.lake.iam.refusal import ApiError, OAuthError
from pytest_datalake.lake.iam.sessions import page
from pytest_datalake.lake.iam.web import CHAIN, EXTENSION

if TYPE_CHECKING:
    import io
    import ssl

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment
    from flask import Response

    from pytest_datalake.lake.iam.config import Settings
    from pytest_datalake.lake.iam.service import Iam

_log = logging.getLogger(__name__)

_PATIENCE = 10
"""Seconds that a silent peer may keep a thread."""

_SECONDS_TO_CLOSE = 2
_MAX_BODY = 1 << 20
_PAGES = Path(__file__).with_name("pages")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"


def application(settings: Settings) -> Flask:
    """All interfaces; ``extensions["iam"]`` is yet to be given a service."""
    app = Flask(__name__, static_folder=None, template_folder=None)
    # The pages are read and compiled now: later the process may have become an account that cannot.
    pages = {one.name: one.read_text() for one in _PAGES.glob("*.html")}
    app.jinja_loader = jinja2.DictLoader(pages)
    for name in pages:
        app.jinja_env.get_template(name)
    app.config.update(
        SECRET_KEY=secrets.token_bytes(32),
        SESSION_COOKIE_NAME=f"iam-session-{urlsplit(settings.issuer).port}",  # cookies know no ports
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=_MAX_BODY,
    )
    for part in (oauth_api, request_api, scim_api, admin_api, voms_api):
        app.register_blueprint(part.api)
    for part in (login_pages, consent_pages, dashboard_pages):
        app.register_blueprint(part.pages)
    app.register_error_handler(OAuthError, _oauth_error)
    app.register_error_handler(ApiError, _api_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _fault)
    app.after_request(_careful)
    return app


def _oauth_error(error: OAuthError) -> Response:
    _log.info("refused for %r: %s (%s)", error.whom or "nobody known", error.error, error.description)
    response = jsonify(error=error.error, error_description=error.description)
    response.status_code = error.status
    if error.status == 401:
        scheme = "Bearer" if error.error == "invalid_token" else "Basic"
        response.headers["WWW-Authenticate"] = f'{scheme} realm="{NAME}"'
    return response


def _api_error(error: ApiError) -> Response | tuple[str, int]:
    _log.info("%s %s: %d %s", request.method, request.path, error.status, error.message)
    return _said(error.status, error.message)


def _http_error(error: HTTPException) -> Response | tuple[str, int]:
    return _said(error.code or 500, error.name)


def _fault(error: Exception) -> Response | tuple[str, int]:
    _log.error("%s %s", request.method, request.path, exc_info=error)
    return _said(500, "a fault of the service; see its log")


def _said(status: int, message: str) -> Response | tuple[str, int]:
    """An error as whoever asked can read it."""
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html":
        return page("said.html", "That did not work", said=message), status
    response = jsonify(error=message, detail=message, status=str(status))
    response.status_code = status
    return response


def _careful(response: Response) -> Response:
    if request.path != "/jwk" and not request.path.startswith("/.well-known/"):
        response.headers["Cache-Control"] = "no-store"  # RFC 6749, 5.1
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"  # with less, forms name no Origin
    return response


class IamServer(HttpsServer):
    """Listens from the moment it is made; ``serve_forever`` answers."""

    multithread = True
    multiprocess = False
    passthrough_errors = False

    def __init__(self, settings: Settings) -> None:
        self.ssl_context = tls_context(settings.host_certificate, settings.host_key, settings.ca_file)
        self.application = application(settings)
        self.app: WSGIApplication = self.application
        super().__init__((settings.address, settings.port), _Handler, self.ssl_context, patience=_PATIENCE)

    def serve(self, iam: Iam) -> None:
        """Answer with this service from now on."""
        self.application.extensions[EXTENSION] = iam

    def log(self, _kind: str, message: str, *args: Any) -> None:  # noqa: ANN401  # the library's signature
        """What the library has to say."""
        _log.debug(message, *args)


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = NAME
    server: IamServer  # type: ignore[assignment]  # the library has one of its own
    connection: ssl.SSLSocket
    rfile: io.BufferedReader

    def version_string(self) -> str:
        return NAME

    def handle_one_request(self) -> None:
        # VOMS 2 begins with a "0", by which GSI says that nothing is delegated. After a refusal it tries its
        # old protocol, which is XML, and would wait for an answer.
        if self.rfile.peek(1)[:1] == b"0":
            self.rfile.read(1)
            if self.rfile.peek(1)[:1] == b"<":
                self.close_connection = True
                return
        super().handle_one_request()

    def make_environ(self) -> WSGIEnvironment:
        return super().make_environ() | {CHAIN: shown_chain(self.connection)}

    def run_wsgi(self) -> None:
        super().run_wsgi()
        if self.path.startswith("/generate-ac"):
            # VOMS 2 takes an end without TLS's close_notify for a failure, and tries its old protocol.
            self.connection.settimeout(_SECONDS_TO_CLOSE)
            try:
                self.connection.unwrap()
            except (OSError, ValueError):
                _log.debug("the peer closed first")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the parent's name)
        _log.debug(format, *args)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002  (the parent's)
        # Without the query: authorization codes stand in it.
        _log.debug("%s %s %s", self.command, self.path.partition("?")[0], code)
