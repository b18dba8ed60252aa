"""Tokens that the processes of one run share, so that each is fetched once and means one login."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class SharedTokens:
    """A private directory of tokens, one file (0600) for each.

    Args:
        directory: only we may enter it; whoever owns the run removes it at the end.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(
        self, key: tuple[str, ...], fetch: Callable[[], tuple[str, float]], usable: Callable[[float], bool]
    ) -> tuple[str, float]:
        """A token and when it expires, in seconds since the epoch.

        Args:
            key: what the token is for.
            fetch: gets a new one; called by one process at a time.
            usable: whether a token that expires then may still be handed out.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / hashlib.sha256("\n".join(key).encode()).hexdigest()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            kept = file.read()
            if kept:
                token, expires_at = json.loads(kept)
                if usable(expires_at):
                    return str(token), float(expires_at)
            token, expires_at = fetch()
            file.seek(0)
            file.truncate()
            json.dump([token, expires_at], file)
            return token, expires_at
