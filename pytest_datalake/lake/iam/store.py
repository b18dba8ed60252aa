"""What the service must not forget, in one SQLite file.

The write-ahead log with ``synchronous=NORMAL`` keeps every commit through a SIGKILL of the service; only a
crash of the machine can lose the last ones. One connection and one lock: transactions are short.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)

_TABLES = """
CREATE TABLE IF NOT EXISTS accounts (
    uuid TEXT PRIMARY KEY, username TEXT NOT NULL UNIQUE COLLATE NOCASE, given_name TEXT NOT NULL,
    family_name TEXT NOT NULL, email TEXT NOT NULL UNIQUE COLLATE NOCASE, password_hash TEXT NOT NULL,
    active INTEGER NOT NULL DEFAULT 1, administrator INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL,
    ends REAL);
CREATE TABLE IF NOT EXISTS groups (
    uuid TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS members (
    account TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    "group" TEXT NOT NULL REFERENCES groups ON DELETE CASCADE, PRIMARY KEY (account, "group"));
CREATE TABLE IF NOT EXISTS managers (
    account TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    "group" TEXT NOT NULL REFERENCES groups ON DELETE CASCADE, PRIMARY KEY (account, "group"));
CREATE TABLE IF NOT EXISTS labels (
    owner TEXT NOT NULL, prefix TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (owner, prefix, name));
CREATE TABLE IF NOT EXISTS certificates (
    account TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE, subject TEXT NOT NULL, issuer TEXT NOT NULL,
    pem TEXT NOT NULL, PRIMARY KEY (subject, issuer));
CREATE TABLE IF NOT EXISTS institutional_identities (
    account TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE, issuer TEXT NOT NULL, subject TEXT NOT NULL,
    PRIMARY KEY (issuer, subject));
CREATE TABLE IF NOT EXISTS registrations (
    uuid TEXT PRIMARY KEY, status TEXT NOT NULL, username TEXT NOT NULL, given_name TEXT NOT NULL,
    family_name TEXT NOT NULL, email TEXT NOT NULL, notes TEXT NOT NULL, password_hash TEXT NOT NULL,
    issuer TEXT NOT NULL, subject TEXT NOT NULL, motivation TEXT NOT NULL, created REAL NOT NULL,
    updated REAL NOT NULL);
CREATE TABLE IF NOT EXISTS group_requests (
    uuid TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
    "group" TEXT NOT NULL REFERENCES groups ON DELETE CASCADE, status TEXT NOT NULL, notes TEXT NOT NULL,
    motivation TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL);
CREATE TABLE IF NOT EXISTS clients (
    client_id TEXT PRIMARY KEY, document TEXT NOT NULL, registration_hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS policies (
    id INTEGER PRIMARY KEY, rule TEXT NOT NULL, matching TEXT NOT NULL, scopes TEXT NOT NULL,
    account TEXT REFERENCES accounts ON DELETE CASCADE, "group" TEXT REFERENCES groups ON DELETE CASCADE,
    description TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS refresh_tokens (
    hash TEXT PRIMARY KEY, client_id TEXT NOT NULL REFERENCES clients ON DELETE CASCADE,
    account TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE, scopes TEXT NOT NULL, expires REAL NOT NULL,
    logged_in REAL NOT NULL);
CREATE TABLE IF NOT EXISTS codes (
    hash TEXT PRIMARY KEY, kind TEXT NOT NULL, client_id TEXT NOT NULL REFERENCES clients ON DELETE CASCADE,
    user_code TEXT UNIQUE, account TEXT REFERENCES accounts ON DELETE CASCADE, scopes TEXT NOT NULL,
    document TEXT NOT NULL, expires REAL NOT NULL);
CREATE TABLE IF NOT EXISTS revoked (jti TEXT PRIMARY KEY, expires REAL NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
    kid TEXT PRIMARY KEY, algorithm TEXT NOT NULL, pem TEXT NOT NULL, signs INTEGER NOT NULL,
    created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS audit (
    at REAL NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL);
"""


class Store:
    """Rows in, rows out; foreign keys are enforced. Safe for threads."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;" + _TABLES
        )

    def close(self) -> None:
        """End."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything in the block, or nothing; nobody else reads or writes meanwhile. Blocks may nest."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        """All rows of a query."""
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def row(self, statement: str, *values: object) -> sqlite3.Row | None:
        """The first row of a query, if there is one."""
        found = self.rows(statement, *values)
        return found[0] if found else None

    def run(self, statement: str, *values: object) -> int:
        """Change something; how many rows were touched. Raises ``sqlite3.IntegrityError``."""
        with self._lock:
            return self._connection.execute(statement, values).rowcount

    def audit(self, actor: str, action: str, subject: str) -> None:
        """Remember who did what to whom; ids and names only, never a secret."""
        self.run("INSERT INTO audit VALUES (?, ?, ?, ?)", time.time(), actor, action, subject)
        _log.info("%s %s %r", actor, action, subject)
