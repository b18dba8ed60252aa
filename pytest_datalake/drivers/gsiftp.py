"""GridFTP (GFD.47): X.509 only; third-party copies are pushed by the source."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import gfal2

from pytest_datalake.drivers.address import door
from pytest_datalake.drivers.failures import failure, shown
from pytest_datalake.drivers.gfal import Context, GfalDriver, Parameters, family_of, new_context
from pytest_datalake.drivers.local_files import checksum_of
from pytest_datalake.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_datalake.drivers.api import Algorithm, Credential, Environment
    from pytest_datalake.matrix.model import Mode


class GsiftpDriver(GfalDriver):
    """GridFTP; sessions are kept open and reused, so a process is one identity.

    A login costs both sides a key pair, some half a second of a core. gfal2 reuses a session only as long as
    its context talks to one door and does not copy by its own rules: hence a context for each door, and what
    gfal2 would look up around a copy (does the destination exist, its parent, checksums) is looked up here,
    in those contexts. A third-party copy is one login then, where gfal2 left alone makes eight.
    """

    third_party: ClassVar[tuple[Mode, ...]] = ("push",)
    family: ClassVar[str] = "gsiftp"

    def __init__(self, credential: Credential, environment: Environment) -> None:
        super().__init__(credential, environment)
        self._contexts: dict[str, Context] = {}

    def put(self, local: str, url: str, *, overwrite: bool, checksum: str, budget: float) -> None:
        """Upload a local file, making parent directories."""
        if not _agree(checksum, lambda algorithm: checksum_of(Path(local), algorithm)):
            raise _checksum_failure("put", url, f"the local file's is not {checksum}")
        context = self._ready(url, budget)
        parameters = self._parameters(context, overwrite=overwrite, budget=budget)
        with self._reported("put", url):
            self._make_way("put", url, context, url, overwrite=overwrite)
            parameters.strict_copy = True
            context.filecopy(parameters, f"file://{local}", url)
        self._verify("put", url, context, url, checksum)

    def rename(self, url: str, new_url: str, *, budget: float) -> None:
        """Rename a file or directory within one endpoint."""
        try:
            super().rename(url, new_url, budget=budget)
        except StorageError as error:
            if "501 Invalid command arguments" not in str(error):
                raise
            # The client library sends RNTO also where RNFR was refused, and reports only the answer to that:
            # "bad sequence" in effect (RFC 959, 4.1.3). The old name says the real reason.
            with self._reported("rename", shown("rename", url, new_url)):
                self._ready(url, budget).stat(url)
            raise

    def read(self, url: str, *, offset: int, length: int, budget: float) -> bytes:
        """Up to ``length`` bytes from ``offset``, by a partial retrieval of just that range (GFD.20, ERET).

        A stream that is closed before its end is aborted, and the client library can die of that.
        """
        context = self._ready(url, budget)
        found = b""
        with self._reported("read", url):
            file = context.open(url, "r")
            while len(found) < length:
                piece: bytes = file.pread_bytes(offset + len(found), length - len(found))
                if not piece:
                    break
                found += piece
        return found

    def _context_of(self, url: str) -> Context:
        where = door(url)
        if where not in self._contexts:
            self._contexts[where] = new_context()
        return self._contexts[where]

    def _transfer(self, context: Context, parameters: Parameters, url: str, new_url: str) -> None:
        ours = context is self._contexts.get(door(url))  # not so for a copy with two identities
        if not ours or family_of(new_url) != self.family:
            super()._transfer(context, parameters, url, new_url)
            return
        where = shown("copy", url, new_url)
        _, algorithm, value = parameters.get_checksum()
        checksum = f"{algorithm.lower()}:{value}"
        there = self._ready(new_url, parameters.timeout)
        with self._reported("copy", where):
            if not _agree(checksum, lambda algorithm: context.checksum(url, algorithm.upper())):
                raise _checksum_failure("copy", where, f"the source's is not {checksum}")
            self._make_way("copy", where, there, new_url, overwrite=parameters.overwrite)
            parameters.strict_copy = True
            context.filecopy(parameters, url, new_url)
        self._verify("copy", where, there, new_url, checksum)

    def _make_way(self, operation: str, where: str, there: Context, new_url: str, *, overwrite: bool) -> None:
        """What gfal2 does before a copy, unless told to be strict."""
        try:
            there.stat(new_url)
        except gfal2.GError as error:
            if error.code != errno.ENOENT:
                raise
            there.mkdir_rec(new_url.rpartition("/")[0], 0o755)
            return
        if not overwrite:
            text = "the destination exists and overwrite is not enabled"
            raise failure(operation, where, code=errno.EEXIST, kind="exists", text=text)
        there.unlink(new_url)

    def _verify(self, operation: str, where: str, there: Context, new_url: str, checksum: str) -> None:
        with self._reported(operation, where):
            if not _agree(checksum, lambda algorithm: there.checksum(new_url, algorithm.upper())):
                there.unlink(new_url)
                raise _checksum_failure(operation, where, f"the destination's is not {checksum}")


def _agree(checksum: str, found: Callable[[Algorithm], str]) -> bool:
    """Whether ``<algorithm>:<value>`` is what is found; nothing expected is always found."""
    algorithm, _, value = checksum.partition(":")
    if not value:
        return True
    said = found("md5" if algorithm == "md5" else "adler32")
    return said.lower().lstrip("0") == value.lower().lstrip("0")


def _checksum_failure(operation: str, where: str, text: str) -> StorageError:
    return failure(operation, where, code=0, kind="checksum", text=f"checksum mismatch: {text}")
