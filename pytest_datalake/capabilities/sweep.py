"""Removing what a run left: every directory root that the ledger knows, and its names in Rucio."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pytest_datalake.errors import DatalakeError, StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_datalake.capabilities.access import Storage
    from pytest_datalake.clients.rucio import Rucio

_AT_ONCE = 16
_NAMES_AT_ONCE = 1000


def sweep(roots: Sequence[Storage]) -> list[list[str]]:
    """Remove the directories of these storages with all that is in them.

    Returns:
        For each root, one line for each thing that could not be removed: its address and why.
    """
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as threads:
        return list(threads.map(_remove_root, roots))


def sweep_catalogue(rucio: Rucio, scope: str, directory: str) -> list[str]:
    """Let all names of a scope below a directory expire; Rucio ends their rules and deletes their replicas.

    Args:
        rucio: as somebody who owns the scope.
        scope: of the names.
        directory: that the names begin with.

    Returns:
        One line that says what Rucio refused; none when all is well.
    """
    try:
        names = rucio.names(scope, f"{directory.strip('/')}/*")
        for batch in range(0, len(names), _NAMES_AT_ONCE):
            rucio.forget([(scope, name) for name in names[batch : batch + _NAMES_AT_ONCE]])
    except DatalakeError as error:
        return [f"{scope}:{directory.strip('/')}/* in Rucio: {error}"]
    return []


def _remove_root(storage: Storage) -> list[str]:
    try:
        names = storage.list()
    except StorageError as error:
        return [] if error.kind == "not-found" else [f"{storage.url()}: {error}"]
    left = [line for name in names for line in _remove(storage, name)]
    if not left and "mkdir" in storage.endpoint.supports:
        left = _remove_directory(storage, "")
    return left


def _remove(storage: Storage, name: str) -> list[str]:
    try:
        storage.remove(name)
    except StorageError as error:
        if error.kind == "not-found":
            return []
        return _remove_tree(storage, name, error)
    return []


def _remove_tree(storage: Storage, name: str, why_not_as_file: StorageError) -> list[str]:
    try:
        below = storage.list(name)
    except StorageError as error:
        if error.kind == "not-found":  # another door of the same RSE is swept at the same time
            return []
        return [f"{storage.url(name)}: {why_not_as_file}; as a directory: {error}"]
    left = [line for child in below for line in _remove(storage, f"{name}/{child}")]
    return left or _remove_directory(storage, name)


def _remove_directory(storage: Storage, name: str) -> list[str]:
    try:
        storage.rmdir(name)
    except StorageError as error:
        return [] if error.kind == "not-found" else [f"{storage.url(name)}: {error}"]
    return []
