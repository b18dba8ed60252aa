"""The known issues that a run met, and what became of each: expected, about to expire, expired, or fixed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

from pytest_datalake.report.reasons import one_line
from pytest_datalake.report.rows import KnownIssueRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_datalake.report.rows import TestRow

IssueState = Literal["expired", "fixed", "expires soon", "expected"]

_ORDER: tuple[IssueState, ...] = ("expired", "fixed", "expires soon", "expected")
_SOON = 30
_PLACES_SHOWN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIssueLine:
    """One entry of the matrix and the tests that it was applied to.

    Attributes:
        issue: the entry.
        state: what became of it; one that fails in some places and is fixed in others is `fixed`.
        failing: tests that failed as it says.
        fixed: tests that it says would fail, and that passed.
        where: some of them, in words.
        web: its reference is an address that a browser may open.
    """

    issue: KnownIssueRow
    state: IssueState
    failing: int
    fixed: int
    where: str
    web: bool


def known_issues(tests: Iterable[TestRow], at: str) -> tuple[KnownIssueLine, ...]:
    """The known issues behind some tests, what needs a hand first.

    Args:
        tests: of one run.
        at: ISO time of the run.
    """
    found: dict[KnownIssueRow, list[TestRow]] = defaultdict(list)
    for row in tests:
        if row.outcome in {"known-issue", "fixed"} or (row.outcome == "failed" and row.known_issue):
            found[row.known_issue or KnownIssueRow(reason=one_line(row.reason))].append(row)
    lines = [_line(issue, rows, at[:10]) for issue, rows in found.items()]
    return tuple(sorted(lines, key=lambda line: (_ORDER.index(line.state), -line.failing, line.issue.reason)))


def _line(issue: KnownIssueRow, rows: list[TestRow], today: str) -> KnownIssueLine:
    fixed = sum(row.outcome == "fixed" for row in rows)
    places = sorted({place(row) for row in rows})
    more = f" and {len(places) - _PLACES_SHOWN} more" if len(places) > _PLACES_SHOWN else ""
    return KnownIssueLine(
        issue=issue,
        state=_state(issue, any(row.outcome == "failed" for row in rows), fixed, today),
        failing=len(rows) - fixed,
        fixed=fixed,
        where="; ".join(places[:_PLACES_SHOWN]) + more,
        web=issue.reference.startswith(("https://", "http://")),
    )


def _state(issue: KnownIssueRow, failed: bool, fixed: int, today: str) -> IssueState:  # noqa: FBT001  # private
    if failed:
        return "expired"
    if fixed:
        return "fixed"
    try:
        left = (date.fromisoformat(issue.until) - date.fromisoformat(today)).days
    except ValueError:
        return "expected"
    return "expires soon" if left <= _SOON else "expected"


def place(row: TestRow) -> str:
    """Where a test was, in words."""
    at = f"{row.source} → {row.destination}" if row.link else row.cell or row.rse or row.site or "whole lake"
    return f"{at} by {row.auth}" if row.auth else at
