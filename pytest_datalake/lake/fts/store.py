"""What the service must not forget, in one SQLite file.

The write-ahead log with ``synchronous=NORMAL`` keeps every commit through a SIGKILL of the service; only a
crash of the machine can lose the last ones. One connection and one lock: transactions are short.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pytest_datalake.lake.fts.model import TERMINAL, TERMINAL_JOB, File, Job

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

Row = TypeVar("Row", Job, File)

_FIRST_FILE_ID = 8_000_000_000
"""File ids of a real service do not fit into 32 bits either."""

_STILL_WAITING = (
    "job_state IN ('SUBMITTED', 'STAGING', 'ACTIVE') AND max_time_in_queue IS NOT NULL AND EXISTS"
    " (SELECT 1 FROM files WHERE files.job_id = jobs.job_id AND file_state IN"
    " ('SUBMITTED', 'STAGING', 'ON_HOLD', 'ON_HOLD_STAGING'))"
)

_TABLES = """
CREATE TABLE IF NOT EXISTS jobs ({job_columns}, PRIMARY KEY (job_id));
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (job_state, submit_time);
CREATE TABLE IF NOT EXISTS files ({file_columns}, PRIMARY KEY (file_id));
CREATE INDEX IF NOT EXISTS files_by_job ON files (job_id);
CREATE INDEX IF NOT EXISTS files_queued ON files (file_state, source_se, dest_se, priority DESC, file_id);
CREATE TABLE IF NOT EXISTS retries (file_id INTEGER, attempt INTEGER, datetime REAL, reason TEXT);
CREATE INDEX IF NOT EXISTS retries_by_file ON retries (file_id);
CREATE TABLE IF NOT EXISTS attempts (file_id INTEGER PRIMARY KEY, started REAL, cleared INTEGER);
CREATE TABLE IF NOT EXISTS delegations
    (id TEXT PRIMARY KEY, dn TEXT, attributes TEXT, expires REAL, proxy BLOB, pending_key BLOB, request BLOB);
CREATE TABLE IF NOT EXISTS settings (kind TEXT, name TEXT, value TEXT, PRIMARY KEY (kind, name));
CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT, body TEXT);
"""


class _Table(Generic[Row]):
    """How rows of one dataclass are written and read."""

    def __init__(self, row: type[Row], key: str) -> None:
        self.row: type[Row] = row
        self.name = f"{row.__name__.lower()}s"
        self.columns = tuple(one.name for one in fields(row))
        # Annotations are texts here: what they say decides how a value is kept.
        self._json = frozenset(one.name for one in fields(row) if str(one.type).startswith("dict"))
        self._flags = frozenset(one.name for one in fields(row) if str(one.type).startswith("bool"))
        marks = ", ".join("?" for _ in self.columns)
        self.insert = f"INSERT INTO {self.name} ({', '.join(self.columns)}) VALUES ({marks})"  # noqa: S608  # our own names
        changed = ", ".join(f"{name} = ?" for name in self.columns)
        self.update = f"UPDATE {self.name} SET {changed} WHERE {key} = ?"  # noqa: S608  # our own names

    def values(self, row: Row) -> list[Any]:
        """A row as SQLite keeps it."""
        return [
            json.dumps(value) if name in self._json and value is not None else value
            for name, value in ((name, getattr(row, name)) for name in self.columns)
        ]

    def read(self, found: sqlite3.Row) -> Row:
        """A row as we know it."""
        values = dict(found)
        for name in self._json:
            values[name] = None if values[name] is None else json.loads(values[name])
        for name in self._flags:
            values[name] = None if values[name] is None else bool(values[name])
        return self.row(**values)


_JOBS = _Table(Job, "job_id")
_FILES = _Table(File, "file_id")


class DuplicateJobError(Exception):
    """A job of that id is there already."""


class Store:
    """Jobs, files and everything else, in one file."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(
            _TABLES.format(
                job_columns=", ".join(_JOBS.columns),
                file_columns=", ".join(
                    f"{name} INTEGER" if name == "file_id" else name for name in _FILES.columns
                ),
            )
        )
        last = self._connection.execute("SELECT max(file_id) FROM files").fetchone()[0]
        self._next_file_id = (last or _FIRST_FILE_ID) + 1

    def close(self) -> None:
        """Close the file; no other call may follow."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; transactions inside a transaction belong to it."""
        with self._lock:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._connection.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._connection.execute("COMMIT")

    def add(self, job: Job, files: Sequence[File]) -> None:
        """Store a job and its files, which get their ids. Raises ``DuplicateJobError``."""
        with self.transaction():
            try:
                self._connection.execute(_JOBS.insert, _JOBS.values(job))
            except sqlite3.IntegrityError as error:
                raise DuplicateJobError(job.job_id) from error
            for file in files:
                file.file_id = self._next_file_id
                self._next_file_id += 1
            self._connection.executemany(_FILES.insert, [_FILES.values(file) for file in files])

    def save_job(self, job: Job) -> None:
        """Write a job back."""
        self._write(_JOBS.update, [*_JOBS.values(job), job.job_id])

    def save_file(self, file: File) -> None:
        """Write a file back."""
        self._write(_FILES.update, [*_FILES.values(file), file.file_id])

    def job(self, job_id: str) -> Job | None:
        """The job of that id."""
        return next(iter(self.jobs([job_id])), None)

    def jobs(self, job_ids: Sequence[str]) -> list[Job]:
        """Those of the jobs that there are, in no special order."""
        return self._jobs(f"job_id IN ({_marks(job_ids)})", job_ids)

    def files(self, job_ids: Sequence[str]) -> list[File]:
        """All files of the jobs, by id."""
        return self._files(f"job_id IN ({_marks(job_ids)}) ORDER BY file_id", job_ids)

    def file(self, file_id: int) -> File | None:
        """The file of that id."""
        return next(iter(self._files("file_id = ?", [file_id])), None)

    def states(self, job_id: str) -> list[tuple[int, Any]]:
        """(file index, state) of a job's files."""
        found = self._read("SELECT file_index, file_state FROM files WHERE job_id = ?", [job_id])
        return [(row[0], row[1]) for row in found]

    def file_states(self, file_ids: Sequence[int]) -> dict[int, str]:
        """The states of some files."""
        condition = f"file_id IN ({_marks(file_ids)})"
        found = self._read(f"SELECT file_id, file_state FROM files WHERE {condition}", file_ids)  # noqa: S608  # marks
        return {row[0]: row[1] for row in found}

    def find_jobs(self, where: dict[str, Any], *, unfinished: bool, since: float, limit: int) -> list[Job]:
        """Jobs by columns (a list means any of its values); the newest first where there is a limit."""
        condition, values = _condition(where)
        if unfinished:
            condition += f" AND job_state NOT IN ({_marks(TERMINAL_JOB)})"
            values += sorted(TERMINAL_JOB)
        if since:
            condition += " AND (job_finished IS NULL OR job_finished >= ?)"
            values.append(since)
        order = " ORDER BY submit_time DESC LIMIT ?" if limit else ""
        return self._jobs(condition + order, [*values, limit] if limit else values)

    def find_files(self, where: dict[str, Any], *, unfinished: bool, since: float, limit: int) -> list[File]:
        """Files by columns, the newest first."""
        condition, values = _condition(where)
        if unfinished:
            condition += f" AND file_state NOT IN ({_marks(TERMINAL)})"
            values += sorted(TERMINAL)
        if since:
            condition += " AND (finish_time IS NULL OR finish_time >= ?)"
            values.append(since)
        return self._files(f"{condition} ORDER BY file_id DESC LIMIT ?", [*values, limit])

    def queued_links(self, states: Iterable[str], now: float) -> list[tuple[str, str]]:
        """Pairs of storages for which a file in one of these states may start."""
        states = sorted(states)
        return [
            (row[0], row[1])
            for row in self._read(
                f"SELECT DISTINCT source_se, dest_se FROM files WHERE file_state IN ({_marks(states)}) AND not_before <= ?",  # noqa: S608, E501  # marks only
                [*states, now],
            )
        ]

    def next_of_link(
        self, states: Iterable[str], source: str, destination: str, now: float, limit: int
    ) -> list[File]:
        """The files of a pair of storages that may start now: highest priority first, then oldest."""
        states = sorted(states)
        return self._files(
            f"file_state IN ({_marks(states)}) AND source_se = ? AND dest_se = ? AND not_before <= ?"
            " ORDER BY priority DESC, file_id LIMIT ?",
            [*states, source, destination, now, limit],
        )

    def in_states(self, states: Iterable[str]) -> list[File]:
        """All files in these states."""
        states = sorted(states)
        return self._files(f"file_state IN ({_marks(states)})", states)

    def earliest(self, now: float) -> float | None:
        """When the next waiting file may start or is out of time; None: none waits for a time."""
        row = self._read(
            "SELECT min(not_before) FROM files"
            " WHERE file_state IN ('SUBMITTED', 'STAGING') AND not_before > ?",
            [now],
        )[0]
        queue = self._read(f"SELECT min(max_time_in_queue) FROM jobs WHERE {_STILL_WAITING}", [])[0]  # noqa: S608  # our own condition
        return min((value for value in (row[0], queue[0]) if value is not None), default=None)

    def overdue(self, now: float) -> list[Job]:
        """Unfinished jobs that have waited for too long."""
        return self._jobs(f"{_STILL_WAITING} AND max_time_in_queue <= ?", [now])

    def queue_length(self, source: str, destination: str) -> int:
        """How many files wait for a pair of storages."""
        found = self._read(
            "SELECT count(*) FROM files WHERE file_state = 'SUBMITTED' AND source_se = ? AND dest_se = ?",
            [source, destination],
        )
        return int(found[0][0])

    def add_retry(self, file_id: int, attempt: int, moment: float, reason: str) -> None:
        """Remember an attempt that failed and is repeated."""
        self._write("INSERT INTO retries VALUES (?, ?, ?, ?)", [file_id, attempt, moment, reason])

    def retries(self, file_id: int) -> list[dict[str, Any]]:
        """The attempts at a file that failed and were repeated."""
        return [
            dict(row)
            for row in self._read("SELECT * FROM retries WHERE file_id = ? ORDER BY attempt", [file_id])
        ]

    def begin_attempt(self, file_id: int, now: float) -> None:
        """Note that an attempt begins; what an earlier one left behind is still known."""
        self._write("INSERT OR IGNORE INTO attempts VALUES (?, ?, 0)", [file_id, now])

    def clear_attempt(self, file_id: int) -> None:
        """Note that the destination is free: from now on, what lies there is ours."""
        self._write("UPDATE attempts SET cleared = 1 WHERE file_id = ?", [file_id])

    def end_attempt(self, file_id: int) -> None:
        """Note that the attempt left nothing behind that it should not have."""
        self._write("DELETE FROM attempts WHERE file_id = ?", [file_id])

    def left_behind(self, file_id: int) -> bool:
        """Whether an attempt that never ended may have left its destination."""
        found = self._read("SELECT cleared FROM attempts WHERE file_id = ?", [file_id])
        return bool(found and found[0][0])

    def delegation(self, delegation_id: str) -> dict[str, Any] | None:
        """The delegated credential of that id, and a request that was not answered yet."""
        found = self._read("SELECT * FROM delegations WHERE id = ?", [delegation_id])
        return dict(found[0]) if found else None

    def save_delegation(self, delegation_id: str, **values: Any) -> None:  # noqa: ANN401  # columns of the table
        """Change what is known of a delegation."""
        with self.transaction():
            self._connection.execute("INSERT OR IGNORE INTO delegations (id) VALUES (?)", [delegation_id])
            changed = ", ".join(f"{name} = ?" for name in values)
            self._connection.execute(
                f"UPDATE delegations SET {changed} WHERE id = ?",  # noqa: S608  # our own names
                [*values.values(), delegation_id],
            )

    def remove_delegation(self, delegation_id: str) -> bool:
        """Forget a delegation; whether there was one."""
        return self._write("DELETE FROM delegations WHERE id = ?", [delegation_id]) > 0

    def settings(self, kind: str) -> dict[str, dict[str, Any]]:
        """All settings of a kind (``se``, ``link``, ``ban-se``, ``ban-dn``, ...) by name."""
        found = self._read("SELECT name, value FROM settings WHERE kind = ? ORDER BY name", [kind])
        return {row[0]: json.loads(row[1]) for row in found}

    def save_setting(self, kind: str, name: str, value: dict[str, Any]) -> None:
        """Write a setting."""
        self._write("INSERT OR REPLACE INTO settings VALUES (?, ?, ?)", [kind, name, json.dumps(value)])

    def remove_setting(self, kind: str, name: str) -> bool:
        """Remove a setting; whether there was one."""
        return self._write("DELETE FROM settings WHERE kind = ? AND name = ?", [kind, name]) > 0

    def add_message(self, topic: str, body: dict[str, Any]) -> None:
        """Put a message into the outbox: in one transaction with what it tells of."""
        self._write("INSERT INTO messages (topic, body) VALUES (?, ?)", [topic, json.dumps(body)])

    def messages(self, limit: int) -> list[tuple[int, str, str]]:
        """The oldest messages of the outbox: (number, topic, body)."""
        return [
            tuple(row)
            for row in self._read("SELECT id, topic, body FROM messages ORDER BY id LIMIT ?", [limit])
        ]

    def sent(self, last: int) -> None:
        """Take messages out of the outbox, up to that number."""
        self._write("DELETE FROM messages WHERE id <= ?", [last])

    def _jobs(self, condition: str, values: Sequence[Any]) -> list[Job]:
        return [_JOBS.read(row) for row in self._read(f"SELECT * FROM jobs WHERE {condition}", values)]  # noqa: S608  # our own conditions

    def _files(self, condition: str, values: Sequence[Any]) -> list[File]:
        return [_FILES.read(row) for row in self._read(f"SELECT * FROM files WHERE {condition}", values)]  # noqa: S608  # our own conditions

    def _read(self, statement: str, values: Sequence[Any]) -> list[Any]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def _write(self, statement: str, values: Sequence[Any]) -> int:
        with self.transaction():
            return self._connection.execute(statement, values).rowcount


def _marks(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)


def _condition(where: dict[str, Any]) -> tuple[str, list[Any]]:
    """Our own column names with the values asked for."""
    parts, values = ["1"], []
    for name, value in where.items():
        if isinstance(value, list):
            parts.append(f"{name} IN ({_marks(value)})")
            values += value
        else:
            parts.append(f"{name} = ?")
            values.append(value)
    return " AND ".join(parts), values
