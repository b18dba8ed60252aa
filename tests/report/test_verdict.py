"""The accounts add up, and nothing that is not green is called green."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_datalake.report.reading import merge
from pytest_datalake.report.rows import OUTCOMES, EndRow, KnownIssueRow, MatrixReference, RunRow, TestRow
from pytest_datalake.report.verdict import Verdict, judge

if TYPE_CHECKING:
    from pytest_datalake.report.rows import Outcome, Row

END = EndRow(run_id="r", finished="2026-11-22T03:00:00+00:00")


def made(nodeid: str, outcome: Outcome = "passed", **fields: object) -> TestRow:
    row = TestRow(run_id="r", nodeid=nodeid, outcome=outcome, capability="access", cell="A.davs", auth="x509")
    return replace(row, **fields)  # type: ignore[arg-type]


def link(number: int, outcome: Outcome = "passed", **fields: object) -> TestRow:
    ends = {"capability": "transfer", "cell": "", "source": f"S{number}.davs", "destination": "D.davs"}
    return made(**{"nodeid": f"link{number}", "outcome": outcome, **ends, **fields})  # type: ignore[arg-type]


def verdict_of(*tests: TestRow, end: EndRow | None = END, **run: object) -> Verdict:
    planned = dict(Counter(row.capability for row in tests))
    first = replace(RunRow(run_id="r", started="2026-11-22T02:00:00", planned=planned), **run)  # type: ignore[arg-type]
    rows: list[Row] = [first, *tests]
    return judge(merge([*rows, end] if end else rows))


def test_the_lines_of_a_green_run() -> None:
    tests = [
        *(link(number, "known-issue" if number < 2 else "passed") for number in range(294)),
        *(made(f"t{number}", "known-issue" if number < 2 else "passed") for number in range(1810)),
    ]
    verdict = verdict_of(*tests)
    assert verdict.lines == (
        "TRANSFER MATRIX GREEN 292/294 links, 2 known issues, 0 new failures",
        "DATA LAKE GREEN 2100/2104 tests, 4 known issues, 0 new failures",
    )
    assert (verdict.word, verdict.exit_code) == ("GREEN", 0)


def test_crashes_of_servers_are_named_and_excuse_nothing() -> None:
    crash = "COMO-A/xrootd crashed at 2026-11-22T02:30:00+00:00: killed by SIGSEGV"
    end = replace(END, crashes=(crash,))
    green, red = verdict_of(made("t"), end=end), verdict_of(made("t", "failed"), end=end)
    assert green.lines == (crash, "DATA LAKE GREEN 1/1 tests, 0 known issues, 0 new failures")
    assert (green.word, red.word) == ("GREEN", "RED")
    assert red.to_json()["crashes"] == (crash,)


@pytest.mark.parametrize(
    ("outcome", "word", "exit_code"),
    [
        ("passed", "GREEN", 0),
        ("known-issue", "GREEN", 0),
        ("failed", "RED", 1),
        ("fixed", "RED", 1),
        ("error", "INCOMPLETE", 3),
        ("not-run", "INCOMPLETE", 3),
    ],
)
def test_one_other_result_decides(outcome: Outcome, word: str, exit_code: int) -> None:
    verdict = verdict_of(made("a"), link(1, outcome))
    assert (verdict.word, verdict.matrix_word, verdict.exit_code) == (word, word, exit_code)


def test_red_names_the_worst_before_the_two_lines() -> None:
    failing = [link(number, "failed", reason=f"HTTP 403 for /f{number}") for number in range(8)]
    passing = [link(number, nodeid=f"other{number}", destination="E.davs") for number in range(8)]
    verdict = verdict_of(*failing, *passing)
    assert verdict.lines[0].startswith("D refuses access: 8 tests")
    assert len(verdict.lines) == 3
    many = [made(f"t{n}", "failed", test=f"t{n}", cell=f"E{n}.davs", reason="no") for n in range(9)]
    more = [made(f"p{n}-{m}", cell=f"E{n}.davs", test="other") for n in range(9) for m in range(30)]
    assert len(verdict_of(*many, *more).lines) == 5 + 1


def test_without_a_planned_link_there_is_no_matrix_line() -> None:
    verdict = verdict_of(made("a"), link(1, streamed=True))
    assert verdict.links is None
    assert verdict.lines == ("DATA LAKE GREEN 2/2 tests, 0 known issues, 0 new failures",)


def test_a_link_is_as_good_as_its_worst_test() -> None:
    verdict = verdict_of(
        link(1), link(1, "failed", nodeid="second", capability="authorisation"), link(2), link(2, nodeid="b")
    )
    assert verdict.links is not None
    assert (verdict.links.passed, verdict.links.failed, verdict.links.planned) == (1, 1, 2)


def test_planned_links_without_any_row_are_not_run() -> None:
    verdict = verdict_of(link(1), planned={"transfer": 3}, links=3)
    assert verdict.links is not None
    assert verdict.links.not_run == 2
    assert verdict.matrix_word == "INCOMPLETE"


def test_a_killed_run_is_incomplete() -> None:
    verdict = verdict_of(made("a"), end=None)
    assert (verdict.word, verdict.exit_code) == ("INCOMPLETE", 3)
    assert "killed" in verdict.reasons[0]


def test_an_interrupted_run_ends_with_two() -> None:
    verdict = verdict_of(made("a"), made("b", "failed"), end=replace(END, interrupted=True))
    assert (verdict.word, verdict.exit_code) == ("RED", 2)
    assert verdict_of(made("a"), end=replace(END, exit_code=2)).exit_code == 2


def test_an_internal_error_of_pytest_is_never_green() -> None:
    verdict = verdict_of(made("a"), end=replace(END, exit_code=3))
    assert (verdict.word, verdict.exit_code) == ("INCOMPLETE", 3)
    assert (
        verdict_of(made("a"), end=replace(END, exit_code=3, reason="2 files left")).lines[0] == "2 files left"
    )


def test_nothing_selected() -> None:
    assert verdict_of(planned={}).exit_code == 5


def test_no_rows_at_all_is_incomplete() -> None:
    verdict = judge(merge([]))
    assert (verdict.word, verdict.exit_code) == ("INCOMPLETE", 3)


def test_results_without_a_plan_are_incomplete() -> None:
    verdict = judge(merge([made("a"), END]))
    assert verdict.word == "INCOMPLETE"


@pytest.mark.parametrize(("until", "word"), [("2026-11-22", "RED"), ("2026-11-23", "GREEN"), ("", "GREEN")])
def test_a_known_issue_is_red_from_its_date_on(until: str, word: str) -> None:
    issue = KnownIssueRow(reason="because", until=until)
    verdict = verdict_of(made("a", "known-issue", known_issue=issue))
    assert verdict.word == word


def test_a_failure_is_not_hidden_by_a_second_row_of_the_same_test() -> None:
    assert verdict_of(made("a", "failed"), made("a"), planned={"access": 1}).word == "RED"


def test_the_newest_of_several_runs_counts() -> None:
    old = RunRow(run_id="r", started="2026-01-01", planned={"access": 1})
    new = replace(old, run_id="s", started="2026-01-02")
    rows: list[Row] = [
        new, made("a", run_id="s"), replace(END, run_id="s"), old, made("a", "failed"), END
    ]  # fmt: skip
    assert judge(merge(rows)).word == "GREEN"


@pytest.mark.parametrize(("digest", "word"), [("same", "GREEN"), ("other", "INCOMPLETE")])
def test_a_lost_result_is_made_good_only_by_the_same_plan(digest: str, word: str) -> None:
    plan = {"access": 2}
    old = RunRow(run_id="r", started="1", planned=plan, matrix=MatrixReference(digest="same"))
    new = replace(old, run_id="s", started="2", matrix=MatrixReference(digest=digest))
    again: list[Row] = [made("a", run_id="s"), made("b", run_id="s"), replace(END, run_id="s")]
    assert judge(merge([old, made("a"), new, *again])).word == word


outcomes = st.sampled_from(OUTCOMES)
test_rows = st.builds(
    lambda number, capability, outcome, source, streamed: made(
        f"n{number}",
        outcome,
        capability=capability,
        source=source,
        destination="D.davs" if source else "",
        streamed=streamed,
    ),
    st.integers(0, 30),
    st.sampled_from(["access", "transfer", ""]),
    outcomes,
    st.sampled_from(["", "A.davs", "B.davs"]),
    st.booleans(),
)


@given(
    tests=st.lists(test_rows, max_size=30),
    planned=st.dictionaries(st.sampled_from(["access", "transfer", "qos", ""]), st.integers(0, 20)),
    links=st.integers(0, 6),
    ended=st.booleans(),
    exit_code=st.integers(0, 5),
)
def test_the_accounts_always_add_up(
    tests: list[TestRow], planned: dict[str, int], links: int, *, ended: bool, exit_code: int
) -> None:
    end = replace(END, exit_code=exit_code) if ended else None
    verdict = verdict_of(*tests, planned=planned, links=links, end=end)
    for counts in [
        verdict.tests,
        *verdict.capabilities.values(),
        *([verdict.links] if verdict.links else []),
    ]:
        numbers = asdict(counts)
        assert numbers.pop("planned") == sum(numbers.values())
    assert verdict.tests.planned >= len({row.nodeid for row in tests})
    for name, count in planned.items():
        if count:
            assert verdict.capabilities[name].planned >= count
    assert (verdict.exit_code == 0) == (verdict.word == "GREEN")
    if verdict.word == "GREEN":
        assert ended
        excused = verdict.tests.known_issues + verdict.tests.downtime
        assert verdict.tests.planned == verdict.tests.passed + excused
        assert verdict.matrix_word in {"GREEN", ""}


@given(tests=st.lists(test_rows, min_size=1, max_size=20, unique_by=lambda row: row.nodeid), data=st.data())
def test_never_green_with_a_missing_result(tests: list[TestRow], data: st.DataObject) -> None:
    lost = data.draw(st.sampled_from(tests))
    planned = dict(Counter(row.capability for row in tests))
    verdict = verdict_of(*(row for row in tests if row is not lost), planned=planned)
    assert verdict.word != "GREEN"
    assert verdict.exit_code != 0
    assert verdict.tests.planned == len(tests)


@given(tests=st.lists(test_rows, max_size=30, unique_by=lambda row: row.nodeid))
def test_every_bad_result_is_in_exactly_one_fault(tests: list[TestRow]) -> None:
    verdict = verdict_of(*tests)
    bad = verdict.tests.failed + verdict.tests.errors + verdict.tests.fixed + verdict.tests.not_run
    assert sum(fault.count for fault in verdict.faults) == bad
