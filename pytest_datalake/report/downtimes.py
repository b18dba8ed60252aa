"""The downtimes that sites declared: those that a run fell into, with what it found, and those to come."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.matrix.downtimes import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_datalake.report.rows import DowntimeRow, TestRow


@dataclass(frozen=True, slots=True, kw_only=True)
class DowntimeLine:
    """One downtime and the tests that fell into it.

    Attributes:
        downtime: as it was declared.
        holds: it had begun when the run did; else it is still to come.
        count: tests that fell into it.
        failing: those of them that failed.
        web: its reference is an address that a browser may open.
    """

    downtime: DowntimeRow
    holds: bool
    count: int
    failing: int
    web: bool


def downtimes(tests: Iterable[TestRow], declared: Sequence[DowntimeRow], at: str) -> tuple[DowntimeLine, ...]:
    """The downtimes of a run, the earliest first.

    Args:
        tests: of the run.
        declared: what it knew of.
        at: ISO time of its start.
    """
    found: dict[DowntimeRow, list[TestRow]] = defaultdict(list)
    for row in tests:
        if row.downtime is not None:
            found[row.downtime].append(row)
    held = set(holding(declared, at))
    lines = [
        DowntimeLine(
            downtime=one,
            holds=one in held or bool(found[one]),
            count=len(found[one]),
            failing=sum(row.outcome == "downtime" for row in found[one]),
            web=one.reference.startswith(("https://", "http://")),
        )
        for one in dict.fromkeys((*declared, *found))
    ]
    return tuple(sorted(lines, key=lambda line: (not line.holds, line.downtime.start, line.downtime.where)))


def holding(declared: Iterable[DowntimeRow], at: str) -> tuple[DowntimeRow, ...]:
    """Those that had begun at an ISO time, and had not ended."""
    now = moment(at)
    return tuple(
        one
        for one in declared
        if now is not None
        and (start := moment(one.start)) is not None
        and (end := moment(one.end)) is not None
        and start <= now < end
    )
