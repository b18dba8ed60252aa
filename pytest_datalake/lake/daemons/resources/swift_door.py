"""What stands before Swift's S3 API: only signed requests pass, and each leaves a line in the log.

Swift answers unsigned requests by its native API, which this door does not offer; object stores that speak S3
alone answer 403. The log has no query strings: presigned addresses carry their signature there.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from swift.common.utils import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_REFUSAL = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b"<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>"
)


def _access_key(environ: WSGIEnvironment) -> str:
    """The access key that a request names, in AWS signature version 2 or 4; empty: unsigned."""
    header: str = environ.get("HTTP_AUTHORIZATION", "")
    if header.startswith("AWS4-HMAC-SHA256 ") and "Credential=" in header:
        return header.split("Credential=", 1)[1].split("/", 1)[0]
    if header.startswith("AWS "):
        return header[len("AWS ") :].rpartition(":")[0]
    query = parse_qs(str(environ.get("QUERY_STRING", "")))
    if "X-Amz-Signature" in query:
        return query.get("X-Amz-Credential", [""])[0].split("/", 1)[0]
    return query.get("AWSAccessKeyId", [""])[0] if "Signature" in query else ""


class Door:
    """WSGI middleware (PEP 3333)."""

    def __init__(self, app: WSGIApplication, configuration: Mapping[str, str]) -> None:
        self._app = app
        self._logger = get_logger(configuration, log_route="door")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Let a signed request through."""
        started = time.monotonic()
        access_key = _access_key(environ)

        def logged(
            status: str,
            headers: list[tuple[str, str]],
            *rest: Any,  # noqa: ANN401  # exc_info, passed on
        ) -> Callable[[bytes], object]:
            sizes = {name.lower(): value for name, value in headers}
            self._logger.info(
                "%s %s %s %s %s in=%s out=%s %d ms",
                environ.get("REMOTE_ADDR", "-"),
                access_key or "-",
                environ["REQUEST_METHOD"],
                # PEP 3333 has the bytes of a path in latin-1
                environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "backslashreplace"),
                status.split(" ", 1)[0],
                environ.get("CONTENT_LENGTH") or "-",
                sizes.get("content-length", "-"),
                1000 * (time.monotonic() - started),
            )
            return start_response(status, headers, *rest)

        # the launcher makes the bucket by a request that no client can send: this is no header
        if access_key or environ.get("swift.authorize_override"):
            return self._app(environ, logged)
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(_REFUSAL)))]
        logged("403 Forbidden", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [_REFUSAL]


def filter_factory(
    global_conf: Mapping[str, str], **local_conf: str
) -> Callable[[WSGIApplication], WSGIApplication]:
    """The entry point of a Paste Deploy filter."""
    return lambda app: Door(app, {**global_conf, **local_conf})
