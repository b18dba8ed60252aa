"""What the broker refuses: paths outside our own areas, and more bytes or files than an RSE allows us."""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pytest_datalake.drivers import wire
from pytest_datalake.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_datalake.drivers.wire import Call
    from pytest_datalake.matrix.model import Endpoint, Limits


_READING = {"GET", "HEAD", "OPTIONS", "PROPFIND"}


class PathGuard:
    """Lets a call change nothing but what lies below the allowed prefixes."""

    def __init__(self, allowed: Iterable[str]) -> None:
        """Addresses as ``Endpoint.url`` writes them, each ending in "/". Raises ``EngineError``."""
        self._allowed = tuple(allowed)
        for prefix in self._allowed:
            if not prefix.endswith("/"):
                raise EngineError(f"path guard: {prefix!r} must end in '/'")

    def check(self, call: Call) -> None:
        """Raises ``EngineError`` where the call is refused."""
        for path in (call.path, call.new_path):
            _check_name(call.verb, path)
        if call.verb == "exchange":
            self._check_exchange(call)
        if call.verb == "rename":
            self._check_below(call.verb, call.url)
        if call.verb in {"rename", "copy"}:
            self._check_below(call.verb, call.new_url)
        elif call.verb in wire.CHANGING:
            self._check_below(call.verb, call.url)

    def _check_exchange(self, call: Call) -> None:
        """Whatever a request would change, however it spells it, lies below an allowed prefix."""
        if call.endpoint.protocol != "davs":
            raise EngineError(f"exchange {call.url}: only davs doors speak HTTP to us")
        for request in call.arguments["requests"]:
            if request["method"] in _READING:
                continue
            door = f"davs://{call.endpoint.host}:{call.endpoint.port}"
            named = [f"{door}{request['target']}"]
            named += [
                value for name, value in request["headers"] if name.lower() in {"source", "destination"}
            ]
            for url in named:
                self._check_below(request["method"], _plain(url))

    def root(self, endpoint: Endpoint, path: str) -> tuple[str, str] | None:
        """Address and name of the directory just below an allowed prefix that holds a path, or None."""
        url = endpoint.url(path)
        for prefix in self._allowed:
            if url.startswith(prefix):
                name = url[len(prefix) :].partition("/")[0]
                return (f"{prefix}{name}/", name)
        return None

    def _check_below(self, verb: str, url: str) -> None:
        if not any(url.startswith(prefix) and url != prefix for prefix in self._allowed):
            raise EngineError(
                f"{verb} {url}: refused by the path guard; this run may only change what lies below "
                f"{', '.join(self._allowed[:3]) or 'nothing'}{', ...' if len(self._allowed) > 3 else ''}"
            )


def _plain(url: str) -> str:
    """Where an address leads: decoded, without dot components (RFC 3986, 5.2.4), and as of a davs door."""
    parts = urlsplit(url)
    path = posixpath.normpath(unquote(parts.path)) if parts.path else ""
    return f"davs://{parts.netloc}{path}"


def _check_name(verb: str, path: str) -> None:
    if not path:
        return
    parts = path.rstrip("/").split("/")
    if not path.startswith("/") or "" in parts[1:] or not {".", ".."}.isdisjoint(parts):
        raise EngineError(
            f"{verb} {path!r}: refused by the path guard; paths are absolute, without '.' and '..'"
        )
    if any(ord(character) < 32 or ord(character) == 127 for character in path):
        raise EngineError(f"{verb} {path!r}: refused by the path guard; no control characters in names")


class WriteBudget:
    """Counts the bytes and files that a run writes at each RSE, and refuses what is too much."""

    def __init__(self, limits: Mapping[str, Limits]) -> None:
        self._limits = limits
        self.files: dict[str, int] = {}
        self.bytes: dict[str, int] = {}

    def charge(self, call: Call) -> None:
        """Count a call that writes a file. Raises ``EngineError`` when the RSE's budget does not hold it."""
        if call.verb == "put":
            rse, size = call.endpoint.rse, _size_of(call.arguments["local"])
        elif call.verb == "copy" and call.new_endpoint is not None:
            rse, size = call.new_endpoint.rse, int(call.arguments.get("size", 0))
        elif call.verb == "announce":
            rse, size = call.endpoint.rse, int(call.arguments["size"])
        elif call.verb == "exchange":
            puts = [one for one in call.arguments["requests"] if one["method"] in {"PUT", "COPY"}]
            rse, size = call.endpoint.rse, sum(len(one["body"]) * 3 // 4 for one in puts)
            if not puts:
                return
        else:
            return
        files, written = self.files.get(rse, 0) + 1, self.bytes.get(rse, 0) + size
        limits = self._limits.get(rse)
        if limits is not None:
            if limits.max_files is not None and files > limits.max_files:
                raise EngineError(
                    f"{call.verb} {call.new_url or call.url}: {rse} allows this run {limits.max_files} "
                    "files, and they are used up (limits.max_files in the matrix)"
                )
            if limits.max_bytes is not None and written > limits.max_bytes:
                raise EngineError(
                    f"{call.verb} {call.new_url or call.url}: {size} bytes more would exceed the "
                    f"{limits.max_bytes} bytes that {rse} allows this run (limits.max_bytes in the matrix)"
                )
        self.files[rse], self.bytes[rse] = files, written


def _size_of(local: str) -> int:
    try:
        return Path(local).stat().st_size
    except OSError as error:
        raise EngineError(f"cannot upload {local}: {error.strerror}") from error
