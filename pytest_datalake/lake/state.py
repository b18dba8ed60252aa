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
        """Make the directory fit for a lake: 0711 for root, whose daemons drop to other accounts, else 0700.

        Raises:
            UsageError: it cannot be made or written, belongs to somebody else, has too long a path, or cannot
                be reached by daemons.
        """
        if len(str(self.path)) > _LONGEST:
            raise UsageError(
                f"the state directory's path is too long for the daemons' unix sockets "
                f"({len(str(self.path))} > {_LONGEST} characters): {self.path}\n"
                "choose a shorter one with --state-dir"
            )
        self.make()
        if os.geteuid() == 0:
            self.path.chmod(0o711)
            self._demand_reachable()
        else:
            self.path.chmod(0o700)

    def make(self) -> None:
        """Make the directory, for its owner alone, where there is none.

        Raises:
            UsageError: it cannot be made or written, or belongs to somebody else.
        """
        try:
            while not self._is_made():
                pass
        except OSError as error:
            raise UsageError(
                f"the state directory {self.path} cannot be written: {error.strerror}; "
                "choose another with --state-dir"
            ) from None

    def _is_made(self) -> bool:
        """Make the directory; False where somebody who leaves has removed it at once."""
        with contextlib.suppress(FileExistsError):
            self.path.mkdir(mode=0o700, parents=True)
        try:
            found = self.path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                raise UsageError(
                    f"the state directory {self.path} belongs to uid {found.st_uid} or is no directory; "
                    "choose another with --state-dir"
                )
            self._up_lock.touch(mode=0o600)
        except FileNotFoundError:
            return False
        return True

    def _demand_reachable(self) -> None:
        for parent in self.path.parents:
            if not parent.stat().st_mode & stat.S_IXOTH:
                raise UsageError(
                    f"the daemons run under accounts of their own and cannot pass {parent} to reach "
                    f"{self.path}; choose another place with --state-dir, below /var/tmp for instance"
                )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others from putting up or taking down a lake here; waits for its turn.

        Makes the directory where there is none; where nothing is in it in the end, nothing stays of it.

        Raises:
            UsageError: it cannot be made or written, or belongs to somebody else.
        """
        while (lock := self._take_lock()) is None:
            pass
        try:
            yield
        finally:
            self._leave()
            os.close(lock)

    def _take_lock(self) -> int | None:
        """The lock's descriptor; None where the lock was removed while we waited for it."""
        self.make()
        try:
            lock = os.open(self._up_lock, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(lock), self._up_lock.stat()):
                return lock
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)
        return None

    def is_alive(self) -> bool:
        """Whether a keeper lives here."""
        try:
            with self._life_lock.open() as lock:
                # Shared, so that two who ask at once do not take each other for a keeper.
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (FileNotFoundError, NotADirectoryError):
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

    def wait_for_end(self) -> None:
        """Until no keeper lives here any more."""
        os.close(self.hold_for_life())

    def wipe(self) -> None:
        """Remove everything but the locks."""
        for entry in self._contents():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def _leave(self) -> None:
        """Remove the directory where nothing but the locks is in it."""
        if self.path.is_dir() and not self._contents():
            self._life_lock.unlink(missing_ok=True)
            self._up_lock.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # somebody who waits for the lock may be here already
                self.path.rmdir()

    def _contents(self) -> list[Path]:
        return [entry for entry in self.path.iterdir() if entry not in (self._up_lock, self._life_lock)]


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
