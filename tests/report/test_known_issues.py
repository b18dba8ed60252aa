"""Expected, expiring, expired and fixed known issues are told apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_datalake.report.coverage_change import Coverage, compare
from pytest_datalake.report.known_issues import known_issues
from pytest_datalake.report.rows import KnownIssueRow, Outcome, RunRow, TestRow

AT = "2026-11-22T02:00:00+00:00"
ISSUE = KnownIssueRow(reason="partial reads end early", reference="https://example.org/1", until="2027-06-01")
ROW = TestRow(run_id="r", nodeid="n", outcome="known-issue", cell="A.davs", auth="x509", known_issue=ISSUE)


@pytest.mark.parametrize(
    ("until", "outcomes", "state"),
    [
        ("2027-06-01", ["known-issue"], "expected"),
        ("", ["known-issue"], "expected"),
        ("2026-12-10", ["known-issue"], "expires soon"),
        ("2026-11-01", ["failed"], "expired"),
        ("2027-06-01", ["known-issue", "fixed"], "fixed"),
    ],
)
def test_state(until: str, outcomes: list[Outcome], state: str) -> None:
    issue = replace(ISSUE, until=until)
    rows = [replace(ROW, outcome=outcome, known_issue=issue) for outcome in outcomes]
    (line,) = known_issues(rows, AT)
    assert line.state == state
    assert line.failing + line.fixed == len(rows)


def test_what_needs_a_hand_comes_first() -> None:
    expired = replace(ISSUE, reason="old", until="2026-01-01")
    rows = [ROW, ROW, replace(ROW, outcome="failed", known_issue=expired)]
    assert [line.state for line in known_issues(rows, AT)] == ["expired", "expected"]


def test_only_addresses_of_the_web_are_links() -> None:
    for reference, web in (
        ("https://example.org/1", True),
        ("javascript:alert(1)", False),
        ("docs/x.md", False),
    ):
        (line,) = known_issues([replace(ROW, known_issue=replace(ISSUE, reference=reference))], AT)
        assert line.web is web


def test_a_plain_failure_is_none() -> None:
    assert known_issues([replace(ROW, outcome="failed", known_issue=None)], AT) == ()


def test_a_change_of_the_list_is_said() -> None:
    run = RunRow(run_id="r1", started=AT, known_issues=(ISSUE, replace(ISSUE, reason="old", where="site A")))
    later = replace(
        run,
        run_id="r2",
        known_issues=(replace(ISSUE, until="2028-01-01"), replace(ISSUE, reason="old", where="site *")),
    )
    assert compare(Coverage.of(run), Coverage.of(later)).lines == (
        "known issue new: old (site *; https://example.org/1)",
        "known issue gone: old (site A; https://example.org/1)",
        (
            "known issue: partial reads end early (everywhere; https://example.org/1): until 2028-01-01, "
            "before 2027-06-01"
        ),
    )
