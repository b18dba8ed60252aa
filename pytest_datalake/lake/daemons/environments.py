"""Environments of services that stand apart from the project's own (``install/environment.sh``)."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_datalake.errors import UsageError

_INSTALL = Path(__file__).parent.parent / "install"


def environment(name: str) -> Path:
    """The directory of a service's environment; its interpreter is ``bin/python`` in it.

    Raises:
        UsageError: it is missing or out of date; says how it is built.
    """
    requirements = (_INSTALL / f"{name}-requirements.txt").read_text(encoding="utf-8")
    first = next(line for line in requirements.splitlines() if not line.startswith("#"))
    version = first.partition("==")[2]
    base = Path("/var/lib") if os.geteuid() == 0 else Path.home() / ".local" / "share"
    directory = base / "pytest-datalake" / f"{name}-{version}"
    built_from = directory / "requirements.txt"
    if not built_from.is_file() or built_from.read_text(encoding="utf-8") != requirements:
        raise UsageError(
            f"the environment of {name} is missing or out of date: {directory}\n"
            f"build it with: sh {_INSTALL / 'environment.sh'} {name}"
        )
    return directory
