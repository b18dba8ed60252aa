"""From root to the account that a service of ours runs as."""

from __future__ import annotations

import os


def drop_privileges(uid: int | None, gid: int | None) -> None:
    """Become that account; for good, and with no other groups. None: stay who we are."""
    if uid is not None and gid is not None:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
