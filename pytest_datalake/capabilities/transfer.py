"""Copy over a link and say what really arrived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.capabilities.content import Content, describe_file, first_difference

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.capabilities.access import Storage
    from pytest_datalake.drivers.api import CopyMode


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file that was put somewhere, and the local content it was made of."""

    storage: Storage
    path: str
    content: Content

    @property
    def checksum(self) -> str:
        """adler32 of the content, computed locally."""
        return self.content.adler32

    @property
    def size(self) -> int:
        """Bytes."""
        return self.content.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """What a copy left at the destination.

    Attributes:
        mode: "pull", "push" or "streamed", as the client library reported it; None: a service carried it.
        checksum: adler32 computed from the bytes read back, eight digits.
        server_checksum: what the destination says, by the algorithm it declares.
        size: bytes read back.
        difference: offset of the first byte that differs from the source; None: equal.
        seconds: wall time of the copy alone.
    """

    storage: Storage
    path: str
    mode: CopyMode | None
    checksum: str
    server_checksum: str
    size: int
    difference: int | None
    seconds: float


def copy(
    source: StoredFile,
    destination: Storage,
    name: str,
    *,
    mode: CopyMode,
    overwrite: bool = False,
    checksum: str | None = None,
) -> tuple[CopyMode, float]:
    """Copy, and return the mode that was used and the seconds it took. Raises ``StorageError``.

    Args:
        source: what to copy.
        destination: where to.
        name: relative to the destination's directory.
        mode: the only mode allowed.
        overwrite: replace what is there.
        checksum: expected "algorithm:value"; None: the true one, in an algorithm both ends know;
            empty: none.
    """
    if checksum is None:
        checksum = common_checksum(source, destination)
    facts = source.storage.pool.copy(
        source.storage.endpoint,
        source.path,
        source.storage.credential,
        new_endpoint=destination.endpoint,
        new_path=destination.path(name),
        destination_credential=destination.credential,
        mode=mode,
        overwrite=overwrite,
        checksum=checksum,
        size=source.size,
        budget=destination.budget(source.size),
    )
    return facts.mode, facts.seconds


def read_back(
    source: StoredFile, destination: Storage, name: str, *, mode: CopyMode | None, seconds: float, local: Path
) -> Arrived:
    """Read the whole destination and compare it with the source's content. Raises ``StorageError``."""
    try:
        destination.get(name, local, size=source.size)
        arrived = describe_file(local)
        difference = first_difference(source.content.path, local)
    finally:
        local.unlink(missing_ok=True)
    return Arrived(
        storage=destination,
        path=destination.path(name),
        mode=mode,
        checksum=arrived.adler32,
        server_checksum=destination.checksum(name, size=source.size),
        size=arrived.size,
        difference=difference,
        seconds=seconds,
    )


def common_checksum(source: StoredFile, destination: Storage) -> str:
    """The true checksum, in an algorithm that both ends know."""
    algorithm = source.storage.algorithm
    if algorithm != destination.algorithm:
        algorithm = "md5"
    return f"{algorithm}:{source.content.checksum(algorithm)}"
