"""Status with hysteresis: one flake changes nothing, so that nobody is called out for it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_datalake.report.history.facts import Status

_ENOUGH = 2
_UNMISTAKABLE = 5
_WINDOW = 10
_FLIPS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one run saw of something.

    Attributes:
        started: ISO time of the run.
        passed: number of tests that passed.
        failed: number of tests that failed.
    """

    started: str
    passed: int
    failed: int

    @property
    def bad(self) -> bool:
        """Whether anything failed."""
        return self.failed > 0

    @property
    def weight(self) -> int:
        """How much it says: a run with many tests of one mind is worth two."""
        told = self.failed - self.passed if self.bad else self.passed
        return _ENOUGH if told >= _UNMISTAKABLE else 1


def judge(seen: Sequence[Seen]) -> tuple[Status, str]:
    """The status after these runs, oldest first, and the time of the run in which it began.

    It changes when runs in a row that say the same weigh enough: two runs, or one that is unmistakable. What
    goes to and fro is flaky until it has weighed enough twice over.
    """
    status: Status = "unknown"
    since = began = ""
    weight = 0
    flips: deque[int] = deque()  # in the window, by position
    for at, one in enumerate(seen):
        if at == 0 or one.bad != seen[at - 1].bad:
            began, weight = one.started, 0
            if at:
                flips.append(at)
        while flips and flips[0] <= at + 1 - _WINDOW:
            flips.popleft()
        weight += one.weight
        told: Status = "broken" if one.bad else "ok"
        start = began
        if len(flips) >= _FLIPS and weight < 2 * _ENOUGH:
            told, start = "flaky", seen[flips[0]].started
        if (told == "flaky" or weight >= _ENOUGH) and status != told:
            status, since = told, start
    return status, since
