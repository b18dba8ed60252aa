"""Files and executables of the daemons, owned by the account that the daemon runs as."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_datalake.errors import UsageError

if TYPE_CHECKING:
    from pytest_datalake.lake.daemons.api import Account

RESOURCES = Path(__file__).parent / "resources"
"""Files that are copied to an RSE: the package itself may lie where its account cannot read."""


def make_directory(path: Path, account: Account, *, mode: int = 0o700) -> Path:
    """Make a directory of the account, with that mode whatever the umask; its parent must be there."""
    path.mkdir(mode=mode, exist_ok=True)
    path.chmod(mode)
    _give(path, account)
    return path


def write_file(path: Path, content: str, account: Account | None, *, mode: int = 0o600) -> Path:
    """Write a file of the account, or of the caller; it has its mode before it has its content."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(content)
    path.chmod(mode)
    if account is not None:
        _give(path, account)
    return path


def place_resource(name: str, directory: Path, account: Account) -> Path:
    """Copy a resource into a directory of the account."""
    return write_file(directory / name, (RESOURCES / name).read_text(encoding="utf-8"), account)


def need(program: str, package: str) -> str:
    """Absolute path of an executable or library.

    Raises:
        UsageError: it is missing; names the Debian package that has it.
    """
    found = program if Path(program).exists() else shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None or not Path(found).is_absolute():
        raise UsageError(f"{program} is missing: install the Debian package {package}")
    return found


def _give(path: Path, account: Account) -> None:
    if account.drop:
        os.chown(path, account.uid, account.gid)
