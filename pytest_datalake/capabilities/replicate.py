"""Files that Rucio knows: registered where they lie, brought elsewhere by rules, read where they arrived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.capabilities.transfer import Arrived, StoredFile, read_back
from pytest_datalake.clients.rucio import File
from pytest_datalake.errors import EngineError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_datalake.capabilities.access import Storage
    from pytest_datalake.capabilities.content import Content
    from pytest_datalake.clients.rucio import Did, Replica, Rucio
    from pytest_datalake.matrix.model import Endpoint

DAY = 86_400
"""Seconds after which a rule of ours ends by itself, should nobody end it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredFile:
    """A file on storage and its name in Rucio."""

    stored: StoredFile
    file: File

    @property
    def did(self) -> Did:
        """Scope and name."""
        return self.file.did

    @property
    def rse(self) -> str:
        """Where it was registered."""
        return self.stored.storage.endpoint.rse


def register(
    rucio: Rucio,
    storage: Storage,
    contents: dict[str, Content],
    *,
    scope: str,
    upload: bool = True,
    size: int | None = None,
) -> list[RegisteredFile]:
    """Put files where Rucio would, register all of them in one call, and protect them by a rule.

    Args:
        rucio: whoever may register in the scope.
        storage: where.
        contents: name in Rucio -> content.
        scope: of the names.
        upload: False registers files that are not there.
        size: what is registered instead of the true size, in bytes.

    Raises:
        StorageError: Rucio or the storage refuses.
    """
    rse = storage.endpoint.rse
    files = {
        name: File(
            scope=scope, name=name, size=content.size if size is None else size, adler32=content.adler32
        )
        for name, content in contents.items()
    }
    places = rucio.places(rse, [one.did for one in files.values()], storage.endpoint.protocol)
    found = []
    for name, content in contents.items():
        path = path_of(storage.endpoint, places[f"{scope}:{name}"])
        if upload:
            storage.put(
                content,
                path,
                checksum=f"{storage.algorithm}:{content.checksum(storage.algorithm)}",
            )
        found.append(
            RegisteredFile(stored=StoredFile(storage=storage, path=path, content=content), file=files[name])
        )
    rucio.add_files(rse, list(files.values()))
    if upload:
        rucio.add_rule([one.did for one in found], rse, lifetime=DAY)
    return found


def path_of(endpoint: Endpoint, address: str) -> str:
    """The path of an address in an endpoint's namespace.

    Raises:
        EngineError: Rucio keeps its files elsewhere: the matrix and Rucio disagree about the RSE.
    """
    top = endpoint.url("")
    if not address.startswith(f"{top}/"):
        raise EngineError(
            f"Rucio keeps files of {endpoint.rse} at {address}, and the matrix has the prefix {top}: "
            f"the prefix of {endpoint.id} must be that of Rucio's protocol"
        )
    return address.removeprefix(top)


def replica_at(rucio: Rucio, source: RegisteredFile, rse: str) -> Replica:
    """What the catalogue says of a file at an RSE.

    Raises:
        StorageError: it says nothing.
    """
    found = rucio.replicas([source.did]).get(source.did, {})
    if rse not in found:
        raise StorageError(
            f"the catalogue has no replica of {':'.join(source.did)} at {rse}, only at {', '.join(found)}",
            kind="not-found",
            operation="replicas",
            url=rucio.url,
        )
    return found[rse]


def read_replica(
    source: RegisteredFile, replica: Replica, destination: Storage, *, seconds: float, local: Path
) -> Arrived:
    """Read a replica where the catalogue says it is, and compare it with what was registered."""
    address = _address(replica.pfns, destination.endpoint)
    path = path_of(destination.endpoint, address)
    return read_back(source.stored, destination, path, mode=None, seconds=seconds, local=local)


def _address(pfns: Sequence[str], endpoint: Endpoint) -> str:
    """The one for this door; a catalogue names one for each, the most preferred first."""
    return next((one for one in pfns if one.startswith(f"{endpoint.protocol}://")), pfns[0])
