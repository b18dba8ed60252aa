"""``history.sqlite``: the runs that were reported here, and how every test of theirs ended.

A run is written in one transaction and replaces an earlier record of itself, so that the file can always be
made again from results files, in any order, and two writers never mix. What is older than a year is dropped.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pytest_datalake.errors import UsageError
from pytest_datalake.report.history.status import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

FILE_NAME = "history.sqlite"
VERSION = 1
_PATIENCE = 60.0
"""Seconds to wait for another writer."""
_KEPT = timedelta(days=366)

_SCHEMA = (
    """CREATE TABLE run (
        id INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, started TEXT NOT NULL, finished TEXT NOT NULL,
        word TEXT NOT NULL, summary TEXT NOT NULL
    )""",
    "CREATE INDEX run_started ON run (started)",
    "CREATE TABLE test (id INTEGER PRIMARY KEY, nodeid TEXT NOT NULL UNIQUE)",
    """CREATE TABLE result (
        test INTEGER NOT NULL, run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE, outcome TEXT NOT NULL,
        PRIMARY KEY (test, run)
    ) WITHOUT ROWID""",
    "CREATE INDEX result_run ON result (run)",
    """CREATE TABLE share (
        run INTEGER NOT NULL REFERENCES run ON DELETE CASCADE, kind TEXT NOT NULL, name TEXT NOT NULL,
        passed INTEGER NOT NULL, failed INTEGER NOT NULL, PRIMARY KEY (run, kind, name)
    ) WITHOUT ROWID""",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRun:
    """One run.

    Attributes:
        run_id: the run.
        started: ISO time.
        finished: ISO time; empty where it was killed.
        word: `GREEN`, `RED` or `INCOMPLETE`.
        numbers: counts of tests and links.
        faults: sentence by key.
        outcomes: how its tests ended, by node id; left out where it is read.
        shares: numbers of passes and failures by kind (`site`, `link`) and name; left out where it is read.
    """

    run_id: str
    started: str = ""
    finished: str = ""
    word: str = ""
    numbers: dict[str, int] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    outcomes: Mapping[str, str] = field(default_factory=dict)
    shares: Mapping[tuple[str, str], tuple[int, int]] = field(default_factory=dict)


class Store:
    """One history file.

    Args:
        path: the file; made where there is none.

    Raises:
        UsageError: it cannot be opened, is no history, or is a newer version's; it is left as it is. All
            methods raise it too, where the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._failing():
            self._database = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        try:
            with self._failing():
                self._database.execute("PRAGMA foreign_keys = ON")
                self._prepare()
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def keep(self, runs: Sequence[KeptRun]) -> None:
        """Write runs, each in place of an earlier record of itself; all of them or none."""
        with self._failing(), self._transaction():
            for run in runs:
                self._keep(run)
            newest = self._database.execute("SELECT max(started) FROM run").fetchone()[0]
            with contextlib.suppress(ValueError):  # a time that is none makes nothing old
                oldest = datetime.fromisoformat(newest or "") - _KEPT
                self._database.execute("DELETE FROM run WHERE started < ?", (oldest.isoformat(),))

    def runs(self, *, until: str, most: int) -> list[KeptRun]:
        """The newest runs that started up to some time, oldest first."""
        with self._failing():
            found = self._database.execute(
                "SELECT run_id, started, finished, word, summary FROM run WHERE started <= ? "
                "ORDER BY started DESC, run_id DESC LIMIT ?",
                (until, most),
            ).fetchall()
        return [
            KeptRun(run_id=run_id, started=started, finished=finished, word=word, **json.loads(summary))
            for run_id, started, finished, word, summary in reversed(found)
        ]

    def outcomes(self, run_id: str) -> dict[str, str]:
        """How the tests of a run ended, by node id."""
        with self._failing():
            return dict(
                self._database.execute(
                    "SELECT nodeid, outcome FROM result JOIN test ON test.id = test "
                    "JOIN run ON run.id = run WHERE run_id = ?",
                    (run_id,),
                )
            )

    def past(self, nodeid: str, *, until: str, most: int) -> list[tuple[str, str]]:
        """Time and outcome of a test in its newest runs up to some time, oldest first."""
        with self._failing():
            found = self._database.execute(
                "SELECT started, outcome FROM result JOIN test ON test.id = test JOIN run ON run.id = run "
                "WHERE nodeid = ? AND started <= ? ORDER BY started DESC, run_id DESC LIMIT ?",
                (nodeid, until, most),
            ).fetchall()
        return found[::-1]

    def shares(self, kind: str, *, since: str, until: str) -> dict[str, list[Seen]]:
        """What the runs of some time saw of sites or links, by name, oldest first."""
        seen: dict[str, list[Seen]] = {}
        with self._failing():
            for name, started, passed, failed in self._database.execute(
                "SELECT name, started, passed, failed FROM share JOIN run ON run.id = run "
                "WHERE kind = ? AND started BETWEEN ? AND ? ORDER BY started, run_id",
                (kind, since, until),
            ):
                seen.setdefault(name, []).append(Seen(started=started, passed=passed, failed=failed))
        return seen

    def _prepare(self) -> None:
        if self._version() == 0:
            with self._transaction():
                if self._version() == 0:  # no other run was quicker
                    for statement in _SCHEMA:
                        self._database.execute(statement)
                    self._database.execute(f"PRAGMA user_version = {VERSION}")
        if self._version() > VERSION:
            raise UsageError(
                f"{self._path}: written in format {self._version()}, this version reads {VERSION}. "
                "Upgrade pytest-datalake, or name another directory with --report-dir."
            )

    def _version(self) -> int:
        return int(self._database.execute("PRAGMA user_version").fetchone()[0])

    def _keep(self, run: KeptRun) -> None:
        self._database.execute("DELETE FROM run WHERE run_id = ?", (run.run_id,))
        added = self._database.execute(
            "INSERT INTO run (run_id, started, finished, word, summary) VALUES (?, ?, ?, ?, ?)",
            (
                run.run_id,
                run.started,
                run.finished,
                run.word,
                json.dumps({"numbers": run.numbers, "faults": run.faults}),
            ),
        )
        number = added.lastrowid
        self._database.executemany(
            "INSERT OR IGNORE INTO test (nodeid) VALUES (?)", ((nodeid,) for nodeid in run.outcomes)
        )
        self._database.executemany(
            "INSERT INTO result SELECT id, ?, ? FROM test WHERE nodeid = ?",
            ((number, outcome, nodeid) for nodeid, outcome in run.outcomes.items()),
        )
        self._database.executemany(
            "INSERT INTO share VALUES (?, ?, ?, ?, ?)",
            ((number, *name, *counts) for name, counts in run.shares.items()),
        )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError, OverflowError) as error:
            raise UsageError(
                f"cannot use the history in {self._path}: {error}. It is left as it is; move it away to "
                "begin a new one, which `datalake report` fills again from the results files that you kept."
            ) from error
