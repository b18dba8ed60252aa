"""One identity at one endpoint: a place to put, read and remove files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.capabilities.content import Content
    from pytest_datalake.drivers.api import Algorithm, Credential, FileStat
    from pytest_datalake.drivers.pool import Pool
    from pytest_datalake.matrix.model import Auth, Endpoint

SMALL_CALL = 60.0
"""Seconds that an operation on a small file may take by default; a loaded machine needs some of it."""

BYTES_PER_SECOND = 2_000_000
"""The slowest door that is still called working: 2 MB/s on top of a small call's budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """An endpoint seen by one identity; names are relative to ``directory`` unless they begin with "/".

    Every method raises ``StorageError`` when the lake refuses or fails.

    Attributes:
        directory: absolute path in the lake's namespace where this test may work.
        small_call: seconds that an operation on a small file may take.
    """

    pool: Pool
    endpoint: Endpoint
    auth: Auth
    identity: str
    credential: Credential
    directory: str
    small_call: float = SMALL_CALL

    def budget(self, size: int = 0) -> float:
        """Seconds that an operation on ``size`` bytes may take."""
        return self.small_call + size / BYTES_PER_SECOND

    def path(self, name: str = "") -> str:
        """The absolute path of a name in the lake's namespace."""
        if name.startswith("/"):
            return name
        return f"{self.directory}/{name}" if name else self.directory

    def url(self, name: str = "") -> str:
        """The address of a name, as one would type it."""
        return self.endpoint.url(self.path(name))

    def put(
        self, content: Content, name: str, *, overwrite: bool = False, checksum: str = "", once: str = ""
    ) -> None:
        """Upload; ``once`` lets all workers share the first upload under that key."""
        self.pool.put(
            self.endpoint,
            self.path(name),
            self.credential,
            local=content.path,
            overwrite=overwrite,
            checksum=checksum,
            once=once,
            budget=self.budget(content.size),
        )

    def get(self, name: str, local: Path, *, size: int = 0) -> Path:
        """Download to a local path and return it; ``size`` only sets the budget."""
        self.pool.get(self.endpoint, self.path(name), self.credential, local=local, budget=self.budget(size))
        return local

    def read(self, name: str, *, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``."""
        return self.pool.read(
            self.endpoint,
            self.path(name),
            self.credential,
            offset=offset,
            length=length,
            budget=self.budget(),
        )

    def stat(self, name: str = "") -> FileStat:
        """Facts about a file or directory."""
        return self.pool.stat(self.endpoint, self.path(name), self.credential, budget=self.budget())

    def list(self, name: str = "") -> list[str]:
        """Names in a directory, sorted."""
        return self.pool.list(self.endpoint, self.path(name), self.credential, budget=self.budget())

    def mkdir(self, name: str = "") -> None:
        """Make a directory and its parents."""
        self.pool.mkdir(self.endpoint, self.path(name), self.credential, budget=self.budget())

    def rename(self, name: str, new_name: str) -> None:
        """Rename within the endpoint."""
        self.pool.rename(
            self.endpoint,
            self.path(name),
            self.credential,
            new_path=self.path(new_name),
            budget=self.budget(),
        )

    def remove(self, name: str) -> None:
        """Remove a file."""
        self.pool.remove(self.endpoint, self.path(name), self.credential, budget=self.budget())

    def rmdir(self, name: str = "") -> None:
        """Remove an empty directory."""
        self.pool.rmdir(self.endpoint, self.path(name), self.credential, budget=self.budget())

    def checksum(self, name: str, algorithm: Algorithm | None = None, *, size: int = 0) -> str:
        """The server's checksum; by default of the algorithm that the RSE declares."""
        return self.pool.checksum(
            self.endpoint,
            self.path(name),
            self.credential,
            algorithm=algorithm or self.algorithm,
            budget=self.budget(size),
        )

    @property
    def algorithm(self) -> Algorithm:
        """The checksum that the RSE declares: adler32 where it can, md5 otherwise."""
        return "adler32" if "adler32" in self.endpoint.supports else "md5"

    def exists(self, name: str) -> bool:
        """Whether a stat finds it. Raises ``StorageError`` for any answer but yes and "not found"."""
        from pytest_datalake.errors import StorageError

        try:
            self.stat(name)
        except StorageError as error:
            if error.kind == "not-found":
                return False
            raise
        return True
