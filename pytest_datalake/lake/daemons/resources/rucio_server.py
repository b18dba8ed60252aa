"""Serves Rucio's REST interface: its own Flask application under gunicorn, which speaks TLS.

``python rucio_server.py SETTINGS`` where SETTINGS is a JSON file with ``bind``, ``certificate``, ``key`` and
``authority`` (PEM files). Clients may show a certificate or an RFC 3820 proxy: OpenSSL verifies it, and the
application finds the subject where Apache's mod_ssl would put it.
"""

from __future__ import annotations

import json
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rucio_start import fill_catalogue, wait_for_database  # isort: skip  # sets up logging

from gunicorn.app.base import BaseApplication
from rucio.db.sqla.session import get_engine
from rucio.web.rest.main import application as rucio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

_SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "userId": "UID",
}


def with_subject(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Rucio, told who the client is (RFC 2253): no header can say so, for headers are called HTTP_*."""
    connection = environ.get("gunicorn.socket")
    certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    if certificate:
        parts = [part for parts in reversed(certificate["subject"]) for part in parts]
        environ["SSL_CLIENT_VERIFY"] = "SUCCESS"
        environ["SSL_CLIENT_S_DN"] = ",".join(f"{_SHORT.get(name, name)}={value}" for name, value in parts)
    answer: Iterable[bytes] = rucio(environ, start_response)
    return answer


def _tls(_config: object, make_default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    context = make_default()
    context.verify_flags |= ssl.VerifyFlags.VERIFY_ALLOW_PROXY_CERTS
    return context


def _forget_connections(_server: object, _worker: object) -> None:
    """A worker must not speak on the database connections of the process that it was forked from."""
    get_engine().dispose(close=False)


class Server(BaseApplication):  # type: ignore[misc]  # mypy does not see gunicorn
    """Two processes that share what is loaded before they are forked."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Tell gunicorn."""
        for name, value in {
            "bind": self._settings["bind"],
            "certfile": self._settings["certificate"],
            "keyfile": self._settings["key"],
            "ca_certs": self._settings["authority"],
            "cert_reqs": ssl.CERT_OPTIONAL,
            "ssl_context": _tls,
            "worker_class": "gthread",
            "workers": 2,
            "threads": 16,
            "keepalive": 30,
            "preload_app": True,
            "post_fork": _forget_connections,
            "graceful_timeout": 2,
            "control_socket_disable": True,
            "accesslog": "-",
            # neither query strings nor headers: both can hold secrets
            "access_log_format": "%(t)s %(h)s %(m)s %(U)s %(s)s %(M)sms",
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
        """The application."""
        return with_subject


if __name__ == "__main__":
    wait_for_database()
    fill_catalogue()
    Server(json.loads(Path(sys.argv[1]).read_text())).run()
