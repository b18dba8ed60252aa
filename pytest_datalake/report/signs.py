"""How outcomes are shown: by a sign, a class of the style, and words. Light to load."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_datalake.report.rows import Outcome, TestRow

GLYPHS: dict[Outcome, str] = {
    "passed": "✓",
    "failed": "✗",
    "error": "!",
    "known-issue": "K",
    "downtime": "D",
    "fixed": "↑",
    "not-run": "\N{EN DASH}",
}
LETTERS: dict[Outcome, str] = {
    "passed": "p",
    "failed": "f",
    "error": "e",
    "known-issue": "k",
    "downtime": "d",
    "fixed": "x",
    "not-run": "n",
}
MEANINGS: dict[Outcome, str] = {
    "passed": "passed",
    "failed": "failed: an answer, or the bytes, were wrong",
    "error": "error: the test engine or its environment failed",
    "known-issue": "known issue: failed as the matrix says",
    "downtime": "downtime: failed while the site had announced it; does not count",
    "fixed": "fixed: a known issue that no longer fails",
    "not-run": "planned, but without a result",
}


def met(tests: Iterable[TestRow]) -> list[Outcome]:
    """The outcomes that a legend explains: a pass, and what else there is in some tests."""
    found = {"passed", *(row.outcome for row in tests)}
    return [outcome for outcome in GLYPHS if outcome in found]
