"""Storage that exists in the broker's memory only: for tests of the plugin, and to see them go red.

The first label of an endpoint's host, up to a "-", says what is wrong with it: ``refuses`` connections,
``hangs``, ``flips`` a byte at rest, ``truncates`` what is copied to it, is ``open`` to anybody, ``streams``
instead of copying by third party, ``lies`` about checksums, is ``full``. Any other name is healthy.

A credential is the text ``experiment:<name>`` as token, access key, proxy or content of the proxy file; it
opens ``/<name>`` and no more.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_datalake.drivers import wire
from pytest_datalake.drivers.api import CopyFacts, FileStat
from pytest_datalake.drivers.failures import failure, shown
from pytest_datalake.errors import EngineError

if TYPE_CHECKING:
    from pytest_datalake.drivers.api import Credential
    from pytest_datalake.drivers.wire import Call, Message
    from pytest_datalake.errors import ErrorKind
    from pytest_datalake.matrix.model import Endpoint

_ERRNO: dict[ErrorKind, int] = {
    "not-found": errno.ENOENT,
    "denied": errno.EACCES,
    "exists": errno.EEXIST,
    "no-space": errno.ENOSPC,
    "unreachable": errno.ECONNREFUSED,
    "checksum": errno.EIO,
    "timeout": errno.ETIMEDOUT,
    "unsupported": errno.EOPNOTSUPP,
}


@dataclass(slots=True)
class File:
    """A file: what is read, and what the server remembers its checksums to be."""

    content: bytes
    modified: int
    checksums: dict[str, str] = field(default_factory=dict)


class Refused(Exception):  # noqa: N818  # becomes a StorageError where the address is known
    """A server's answer: kind and text."""

    def __init__(self, kind: ErrorKind, text: str) -> None:
        super().__init__(text)
        self.kind: ErrorKind = kind


class Server:
    """One endpoint's files, seen with one credential at a time; paths are of the lake's namespace."""

    def __init__(self, host: str) -> None:
        self.fault = host.partition(".")[0].partition("-")[0]
        self.files: dict[str, File] = {}
        self.directories: set[str] = {""}

    def authorise(self, credential: Credential, path: str) -> None:
        """Raises ``Refused`` unless the credential's experiment owns the path."""
        if self.fault == "open":
            return
        experiment = _experiment(credential)
        if not experiment:
            raise Refused("denied", "permission denied: no credential")
        above = not path.strip("/")
        if not above and path.split("/")[1] != experiment:
            raise Refused("denied", f"permission denied for experiment {experiment}")

    def write(self, path: str, content: bytes, *, overwrite: bool) -> None:
        """Store a file and make its parents."""
        if self.fault == "full":
            raise Refused("no-space", "no space left on device")
        if path in self.directories:
            raise Refused("exists", "is a directory")
        if path in self.files and not overwrite:
            raise Refused("exists", "file exists")
        self.make_directory(_parent(path))
        file = File(content, int(time.time()), _checksums(content))
        if self.fault == "flips" and content:
            file.content = bytes([content[0] ^ 1]) + content[1:]
        self.files[path] = file

    def file(self, path: str) -> File:
        """The file, or ``Refused``."""
        if path in self.directories:
            raise Refused("other", "is a directory")
        if path not in self.files:
            raise Refused("not-found", "no such file or directory")
        return self.files[path]

    def make_directory(self, path: str) -> None:
        """The directory and its parents."""
        while path not in self.directories:
            if path in self.files:
                raise Refused("other", "not a directory")
            self.directories.add(path)
            path = _parent(path)

    def names(self, path: str) -> list[str]:
        """Names in a directory."""
        if path in self.files:
            raise Refused("other", "not a directory")
        if path not in self.directories:
            raise Refused("not-found", "no such file or directory")
        entries = [*self.files, *(self.directories - {""})]
        return sorted(entry.rpartition("/")[2] for entry in entries if _parent(entry) == path)

    def checksum(self, path: str, algorithm: str) -> str:
        """What the server says."""
        known = self.file(path).checksums
        if algorithm not in known:
            raise Refused("unsupported", f"checksum {algorithm} not supported")
        return "0" * len(known[algorithm]) if self.fault == "lies" else known[algorithm]

    def move(self, path: str, new_path: str) -> None:
        """Rename a file, or a directory with what is in it."""
        if path in self.files:
            self.make_directory(_parent(new_path))
            self.files[new_path] = self.files.pop(path)
            return
        self.names(path)
        inside = f"{path}/"
        self.make_directory(new_path)
        self.directories = {_moved(one, path, new_path, inside) for one in self.directories}
        self.files = {_moved(one, path, new_path, inside): file for one, file in self.files.items()}

    def remove_directory(self, path: str) -> None:
        """Only an empty one."""
        if self.names(path):
            raise Refused("exists", "directory not empty")
        self.directories.discard(path)


class Lake:
    """All memory endpoints of a broker."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str, int], Server] = {}

    async def run(self, call: Call) -> Message:
        """Run a call. Raises ``StorageError``; one that hangs ends with its budget."""
        where = shown(call.verb, call.url, call.new_url)
        try:
            for endpoint in call.endpoints:
                await self._reach(endpoint, call.budget)
            return {"result": wire.result_to_json(self._perform(call))}
        except Refused as refused:
            raise failure(
                call.verb,
                where,
                code=_ERRNO.get(refused.kind, 0),
                kind=refused.kind,
                text=str(refused),
                secrets=call.secrets,
            ) from refused

    async def _reach(self, endpoint: Endpoint, budget: float) -> None:
        if endpoint.protocol != "memory":
            raise Refused("unsupported", "memory endpoints copy among themselves only")
        match self._server(endpoint).fault:
            case "refuses":
                raise Refused("unreachable", "connection refused")
            case "hangs":
                await asyncio.sleep(budget)
                raise Refused("timeout", f"no answer within {budget:g} s")

    def _server(self, endpoint: Endpoint) -> Server:
        return self._servers.setdefault((endpoint.host, endpoint.port), Server(endpoint.host))

    def _perform(self, call: Call) -> object:
        server, path, arguments = self._server(call.endpoint), call.path.rstrip("/"), call.arguments
        server.authorise(call.credential, path)
        result: object = None
        match call.verb:
            case "put":
                content = _local(arguments["local"])
                _compare("source", _checksums(content), arguments["checksum"])
                server.write(path, content, overwrite=arguments["overwrite"])
                _compare_stored(server, path, arguments["checksum"])
            case "get":
                Path(arguments["local"]).write_bytes(server.file(path).content)
            case "read":
                begin = arguments["offset"]
                result = server.file(path).content[begin : begin + arguments["length"]]
            case "stat":
                result = _stat(server, path)
            case "list":
                result = server.names(path)
            case "mkdir":
                server.make_directory(path)
            case "rename":
                server.authorise(call.credential, call.new_path)
                server.move(path, call.new_path)
            case "remove":
                server.file(path)
                del server.files[path]
            case "rmdir":
                server.remove_directory(path)
            case "checksum":
                result = server.checksum(path, arguments["algorithm"])
            case "copy":
                result = self._copy(call, server, path)
        return result

    def _copy(self, call: Call, server: Server, path: str) -> CopyFacts:
        started = time.monotonic()
        destination = self._server(call.new_endpoint or call.endpoint)
        destination.authorise(call.destination_credential or call.credential, call.new_path)
        content, checksum = server.file(path).content, call.arguments["checksum"]
        algorithm = checksum.partition(":")[0]
        if algorithm:
            _compare("source", {algorithm: server.checksum(path, algorithm)}, checksum)
        if destination.fault == "truncates":
            content = content[: len(content) // 2]
        destination.write(call.new_path, content, overwrite=call.arguments["overwrite"])
        _compare_stored(destination, call.new_path, checksum)
        streams = "streams" in {server.fault, destination.fault}
        return CopyFacts(
            mode="streamed" if streams else call.arguments["mode"], seconds=time.monotonic() - started
        )


def _stat(server: Server, path: str) -> FileStat:
    if path in server.directories:
        return FileStat(size=0, is_directory=True)
    file = server.file(path)
    return FileStat(size=len(file.content), is_directory=False, modified=file.modified)


def _compare(which: str, found: dict[str, str], expected: str) -> None:
    algorithm, _, value = expected.partition(":")
    if value and found.get(algorithm) != value:
        raise Refused("checksum", f"{which} checksum mismatch: {found.get(algorithm)} != {value}")


def _compare_stored(server: Server, path: str, expected: str) -> None:
    algorithm = expected.partition(":")[0]
    if algorithm:
        _compare("destination", {algorithm: server.checksum(path, algorithm)}, expected)


def _checksums(content: bytes) -> dict[str, str]:
    return {
        "adler32": f"{zlib.adler32(content):08x}",
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
    }


def _local(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise EngineError(f"cannot upload {path}: {error.strerror}") from error


def _experiment(credential: Credential) -> str:
    texts = [credential.token, credential.access_key, credential.proxy]
    if credential.proxy and not credential.proxy.startswith("experiment:"):
        proxy = Path(credential.proxy)
        texts.append(proxy.read_text(errors="replace") if proxy.is_file() else "")
    names = [text.removeprefix("experiment:").split()[0] for text in texts if text.startswith("experiment:")]
    return names[0] if names else ""


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _moved(path: str, old: str, new: str, inside: str) -> str:
    if path == old:
        return new
    return new + path[len(old) :] if path.startswith(inside) else path
