"""From root to the account that a service of ours runs as."""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil


def drop_privileges(uid: int | None, gid: int | None) -> None:
    """Become that account; for good, and with no other groups. None: stay who we are."""
    if uid is not None and gid is not None:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def load_whole(*packages: str) -> None:
    """Load packages with all their modules, also those that they load late themselves.

    For a process that soon becomes an account that may not be able to read them.
    """
    for name in packages:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            with contextlib.suppress(ImportError):  # it needs something that is not installed
                importlib.import_module(module.name)
