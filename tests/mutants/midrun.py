"""Something that happens to a lake while suites run against it."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .harness import SmallLake
    from .verdicts import Verdict

_SECONDS = 120


def run_while(lake: SmallLake, happens: Callable[[], None], *arguments: str, jobs: int = 1) -> Verdict:
    """Run suites, and have it happen as soon as the transfer manager has accepted so many jobs of theirs."""
    before = _accepted(lake.jobs)
    with ThreadPoolExecutor(max_workers=1) as threads:
        running = threads.submit(lake.run, *arguments)
        pause, deadline = threading.Event(), time.monotonic() + _SECONDS
        while _accepted(lake.jobs) < before + jobs:
            assert not running.done(), running.result().output
            assert time.monotonic() < deadline, "no job was submitted"
            pause.wait(0.05)
        happens()
        return running.result()


def _accepted(database: Path) -> int:
    """Jobs that the transfer manager has taken so far."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM jobs").fetchone()[0])
