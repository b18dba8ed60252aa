"""Where we are going to write, written down before we do: it finds what a killed run left behind."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_datalake.drivers.api import Credential

_TABLE = """
CREATE TABLE IF NOT EXISTS intents (
    run_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    url TEXT NOT NULL,
    identity_json TEXT NOT NULL,
    created REAL NOT NULL,
    PRIMARY KEY (endpoint, url)
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A directory root that something was, or may have been, written below."""

    run_id: str
    endpoint: str
    url: str


class Ledger:
    """A sqlite file with one row for each directory root that something may have been written below."""

    def __init__(self, path: str) -> None:
        """Open or make the file; an empty path keeps it in memory. Raises ``EngineError``."""
        try:
            self._database = sqlite3.connect(path or ":memory:", isolation_level=None)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute(_TABLE)
        except sqlite3.Error as error:
            raise EngineError(f"cannot open the ledger {path}: {error}") from error
        self._known: set[tuple[str, str]] = set()

    def intend(self, run_id: str, endpoint: str, url: str, credential: Credential) -> None:
        """Have a row for a directory root before this returns; secrets are not written down."""
        if (endpoint, url) in self._known:
            return
        identity = {"kind": credential.kind, "proxy": credential.proxy, "access_key": credential.access_key}
        self._database.execute(
            "INSERT OR IGNORE INTO intents VALUES (?, ?, ?, ?, ?)",
            (run_id, endpoint, url, json.dumps(identity), time.time()),
        )
        self._known.add((endpoint, url))

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def read_intents(path: Path) -> list[Intent]:
    """All rows of a ledger file, the oldest first; none where there is no file. Raises ``EngineError``."""
    if not path.exists():
        return []
    try:
        with closing(sqlite3.connect(path)) as database:
            rows = database.execute("SELECT run_id, endpoint, url FROM intents ORDER BY created").fetchall()
    except sqlite3.Error as error:
        raise EngineError(f"cannot read the ledger {path}: {error}") from error
    return [Intent(run_id=run_id, endpoint=endpoint, url=url) for run_id, endpoint, url in rows]


def forget(path: Path, intents: Iterable[Intent]) -> None:
    """Remove the rows of what has been swept."""
    keys = [(intent.endpoint, intent.url) for intent in intents]
    if keys:
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.executemany("DELETE FROM intents WHERE endpoint = ? AND url = ?", keys)


def discard_empty(path: Path) -> None:
    """Remove a ledger file that has no rows; nobody may have it open. Raises ``EngineError``."""
    if path.exists() and not read_intents(path):
        path.unlink()
