"""The state directory: one directory holds one lake.

Two locks (flock(2)) tell who is who: ``up.lock`` is held while a lake is being put up or taken down,
``lake.lock`` by the keeper for as long as it lives. Locks die with their process: nothing looks alive that
is not.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_datalake.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST = 70
"""XRootD makes a socket ``rse/<RSE>/admin/.xrootd/admin`` below; its path has 107 bytes at most (unix(7))."""


def default_for(matrix_path: str | Path) -> Path:
    """The directory of this user's lake for that matrix file; the same for every process that asks.

    root's lies in /var/tmp, where daemons that drop to another account can reach it wherever the clone lies.
    """
    identity = f"{os.getuid()}:{Path(matrix_path).resolve()}"
    name = hashlib.sha256(identity.encode()).hexdigest()[:8]
    if os.geteuid() == 0:
        return Path(f"/var/tmp/pytest-datalake-{name}")  # noqa: S108  # ownership is checked before use
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "pytest-datalake" / name


class StateDirectory:
    """Paths, locks and records of one lake."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.plan = self.path / "plan.json"
        self.record = self.path / "keeper.json"
        self.description = self.path / "lake.json"
        self.matrix = self.path / "site_matrix.yaml"
        self.keeper_log = self.path / "keeper.log"
        self._up_lock = self.path / "up.lock"
        self._life_lock = self.path / "lake.lock"

    def prepare(self) -> None:
        """Make the directory: 0711 for root, whose daemons drop to other accounts, 0700 for others.

        Raises:
            UsageError: it cannot be made or written, belongs to somebody else, or its path is too long.
        """
        if len(str(self.path)) > _LONGEST:
            raise UsageError(
                f"the state directory's path is too long for the daemons' unix sockets "
                f"({len(str(self.path))} > {_LONGEST} characters): {self.path}\n"
                "choose a shorter one with --state-dir"
            )
        root = os.geteuid() == 0
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = self.path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                raise UsageError(
                    f"the state directory {self.path} belongs to uid {found.st_uid} or is no directory; "
                    "choose another with --state-dir"
                )
            self.path.chmod(0o711 if root else 0o700)
            self._up_lock.touch(mode=0o600)
        except OSError as error:
            raise UsageError(
                f"the state directory {self.path} cannot be written: {error.strerror}; "
                "choose another with --state-dir"
            ) from None
        if root:
            self._demand_reachable()

    def _demand_reachable(self) -> None:
        for parent in self.path.parents:
            if not parent.stat().st_mode & stat.S_IXOTH:
                raise UsageError(
                    f"the daemons run under accounts of their own and cannot pass {parent} to reach "
                    f"{self.path}; choose another place with --state-dir, below /var/tmp for instance"
                )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from putting up or taking down a lake here; waits for its turn."""
        with self._up_lock.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def is_alive(self) -> bool:
        """Whether a keeper lives here."""
        try:
            with self._life_lock.open("a") as lock:
                # Shared, so that two who ask at once do not take each other for a keeper.
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        except OSError as error:
            raise UsageError(f"the state directory {self.path} cannot be read: {error.strerror}") from None
        return False

    def hold_for_life(self) -> int:
        """Take the keeper's lock; the descriptor must stay open."""
        descriptor = os.open(self._life_lock, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # may wait for one who is just asking is_alive
        return descriptor

    def wipe(self) -> None:
        """Remove everything but the locks."""
        for entry in self.path.iterdir():
            if entry in (self._up_lock, self._life_lock):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def write_private(path: Path, content: str | bytes) -> None:
    """Write a file of mode 0600 at one stroke: a reader sees the old content or the new one."""
    data = content.encode() if isinstance(content, str) else content
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
    fresh.replace(path)


def write_json(path: Path, value: object) -> None:
    """Write a private JSON file at one stroke."""
    write_private(path, json.dumps(value, indent=1))


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; an absent file is an empty one."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return dict(content)
