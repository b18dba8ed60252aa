"""How many copies may run at the same time: in all, on a link, from and to a storage."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_datalake.lake.fts.config import Settings
    from pytest_datalake.lake.fts.model import File
    from pytest_datalake.lake.fts.store import Store


class Limits:
    """The limits as they stand: those of the configuration until somebody changed them."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store

    def storages(self) -> dict[str, dict[str, Any]]:
        """Settings of every storage that has any."""
        changed = {name: value["se_info"] for name, value in self._store.settings("se").items()}
        return {name: dict(value) for name, value in self._settings.storages.items()} | changed

    def room(self, running: Iterable[File], storages: Mapping[str, Mapping[str, Any]]) -> Room:
        """What is left, given the files that run."""
        links = {
            (value["source"], value["destination"]): int(value["max_active"])
            for value in self._store.settings("link").values()
        }
        room = Room(
            self._settings.workers, self._settings.link_limit, self._settings.storage_limit, links, storages
        )
        for file in running:
            room.count(file)
        return room


class Room:
    """What may still start."""

    def __init__(
        self,
        workers: int,
        link_limit: int,
        storage_limit: int,
        links: Mapping[tuple[str, str], int],
        storages: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._workers = workers
        self._link_limit = link_limit
        self._storage_limit = storage_limit
        self._links = links
        self._storages = storages
        self._on_link: Counter[tuple[str, str]] = Counter()
        self._from: Counter[str] = Counter()
        self._to: Counter[str] = Counter()
        self._all = 0

    @property
    def free(self) -> int:
        """Copies that may start on some link."""
        return max(self._workers - self._all, 0)

    def count(self, file: File, step: int = 1) -> None:
        """A file runs, or does not any more."""
        self._all += step
        self._on_link[file.source_se, file.dest_se] += step
        self._from[file.source_se] += step
        self._to[file.dest_se] += step

    def give_back(self, file: File) -> None:
        """The file does not start after all."""
        self.count(file, -1)

    def take(self, file: File) -> bool:
        """Count a file in, if it may start. Whoever forces a start only needs a worker."""
        if not self.free:
            return False
        source, destination = file.source_se, file.dest_se
        fits = (
            self._on_link[source, destination] < self._limit_of_link(source, destination)
            and self._from[source] < self._limit_of(source, "outbound_max_active")
            and self._to[destination] < self._limit_of(destination, "inbound_max_active")
        )
        if fits or file.file_state == "FORCE_START":
            self.count(file)
            return True
        return False

    def _limit_of_link(self, source: str, destination: str) -> int:
        """The most special limit counts."""
        for key in ((source, destination), (source, "*"), ("*", destination), ("*", "*")):
            if key in self._links:
                return self._links[key]
        return self._link_limit

    def _limit_of(self, storage: str, which: str) -> int:
        for name in (storage, "*"):
            value = self._storages.get(name, {}).get(which)
            if value is not None:
                return int(value)
        return self._storage_limit
