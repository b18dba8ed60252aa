"""Running commands, timing them, and saying what came out."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).parents[2]


class BenchmarkError(Exception):
    """A benchmark could not be run: what was run, and what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """One run of a command. ``seconds`` of wall time; ``peak`` MiB of the started process alone."""

    seconds: float
    peak: float
    code: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        what: the thing that was measured.
        value: median, with its unit.
        compared: what it is compared with and how that did; may be empty.
        ratio: value over what it is compared with; may be empty.
        runs: how many, of each side.
    """

    what: str
    value: str
    compared: str
    ratio: str
    runs: int


def run(
    command: Sequence[str | Path],
    *,
    directory: Path,
    accepted: Sequence[int] = (0,),
) -> Ended:
    """Run a command to its end. Raises ``BenchmarkError`` for an exit code that is not accepted."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    log = directory / f".output-{os.getpid()}"
    with log.open("wb") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=directory,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    text = log.read_text(errors="replace")
    log.unlink()
    if process.returncode not in accepted:
        raise BenchmarkError(f"{command[0]} ... ended with {process.returncode}:\n{text[-3000:]}")
    return Ended(seconds=seconds, peak=used.ru_maxrss / 1024, code=process.returncode, output=text)


def alternately(runs: int, *sides: Callable[[], Ended]) -> list[list[Ended]]:
    """Run every side in turn, ``runs`` times, so that a slow minute hits all of them; one list a side."""
    taken: list[list[Ended]] = [[] for _ in sides]
    for _ in range(runs):
        for side, results in zip(sides, taken, strict=True):
            results.append(side())
    return taken


def median_seconds(runs: Sequence[Ended]) -> float:
    """Median wall time."""
    return statistics.median(one.seconds for one in runs)


def median_peak(runs: Sequence[Ended]) -> float:
    """Median of the largest resident memory, MiB."""
    return statistics.median(one.peak for one in runs)
