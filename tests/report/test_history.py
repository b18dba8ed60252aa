"""Runs are kept, and what they say: since when, flaky or broken, availability."""

from __future__ import annotations

import multiprocessing
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_datalake.errors import UsageError
from pytest_datalake.report.history.record import update
from pytest_datalake.report.history.status import Seen, judge
from pytest_datalake.report.history.store import FILE_NAME, KeptRun, Store
from pytest_datalake.report.reading import each_run, merge
from pytest_datalake.report.rows import EndpointRow, EndRow, RunRow, TestRow
from pytest_datalake.report.verdict import judge as judge_results

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_datalake.report.history.facts import History
    from pytest_datalake.report.rows import Outcome, Row

FIRST = datetime(2026, 10, 1, 2, tzinfo=UTC)
SITES = ("A", "B", "C", "D", "E")


def night(number: int) -> str:
    return (FIRST + timedelta(days=number)).isoformat()


def rows_of(number: int, outcome: Callable[[str, str], Outcome]) -> list[Row]:
    """One copy over every link, by night."""
    tests = [
        TestRow(
            run_id=f"run{number}",
            nodeid=f"copy[{source}-{destination}]",
            test="copy",
            capability="transfer",
            outcome=outcome(source, destination),
            reason="HTTP 403" if outcome(source, destination) != "passed" else "",
            source=f"{source}.davs",
            destination=f"{destination}.davs",
            site=destination,
            auth="x509-voms",
        )
        for source in SITES
        for destination in SITES
        if source != destination
    ]
    run = RunRow(
        run_id=f"run{number}",
        started=night(number),
        planned={"transfer": len(tests)},
        endpoints=tuple(
            EndpointRow(id=f"{site}.davs", site=site, rse=site, protocol="davs") for site in SITES
        ),
    )
    return [run, *tests, EndRow(run_id=f"run{number}", finished=night(number))]


def report(directory: Path, rows: list[Row]) -> History:
    results = merge(rows)
    return update(directory, each_run(rows), results, judge_results(results).faults)


def nights(directory: Path, *failing: Callable[[str, str], bool]) -> History:
    """One run a night; the history after the last."""
    for number, fails in enumerate(failing):
        history = report(directory, rows_of(number, outcome_by(fails)))
    return history


def outcome_by(fails: Callable[[str, str], bool], bad: Outcome = "failed") -> Callable[[str, str], Outcome]:
    return lambda source, destination: bad if fails(source, destination) else "passed"


def nothing(_source: str, _destination: str) -> bool:
    return False


def into_b(_source: str, destination: str) -> bool:
    return destination == "B"


def one_link(source: str, destination: str) -> bool:
    return (source, destination) == ("A", "C")


def test_first_failure_last_success_and_state(tmp_path: Path) -> None:
    history = nights(tmp_path, nothing, into_b, into_b)
    past = history.tests["copy[A-B]"]
    assert (past.first_failure, past.last_success) == (night(1), night(0))
    assert (past.state, past.status, past.recent) == ("still", "broken", "pff")
    assert (past.runs, past.failures) == (3, 2)
    assert history.faults["destination:site:B"] == night(1)
    assert [run.word for run in history.runs] == ["GREEN", "RED", "RED"]
    assert history.runs[-1].faults == ("B refuses access as destination",)


def test_availability_counts_only_what_is_a_sites_own_fault(tmp_path: Path) -> None:
    history = nights(tmp_path, *[nothing] * 20, *[into_b] * 10)
    sites = {site.name: site for site in history.sites}
    assert sites["A"].days30 == sites["A"].days7 == 1
    assert sites["B"].days30 == pytest.approx((20 + 10 * 0.5) / 30)
    assert sites["B"].days7 == pytest.approx(0.5)
    links = {link.name: link for link in history.links}
    assert links["A.davs → B.davs"].days30 == pytest.approx(20 / 30)
    assert links["B.davs → A.davs"].days30 == 1
    assert len(sites["B"].days) == 30
    assert [day.availability for day in sites["B"].days[-11:]] == [1, *[0.5] * 10]


def test_one_flake_changes_no_status(tmp_path: Path) -> None:
    history = nights(tmp_path, nothing, nothing, one_link, nothing)
    assert {site.status for site in history.sites} == {"ok"}
    assert {link.status for link in history.links} == {"ok"}
    assert history.transitions == ()
    assert history.changes.fixed == ("copy[A-C]",)


def test_a_broken_site_is_told_once(tmp_path: Path) -> None:
    assert nights(tmp_path, nothing, into_b).transitions == ()
    again = report(tmp_path, rows_of(2, outcome_by(into_b)))
    assert again.transitions == ("B is broken since 2026-10-02 02:00 UTC",)
    third = report(tmp_path, rows_of(3, outcome_by(into_b)))
    assert third.transitions == ()


def test_changes_against_the_run_before(tmp_path: Path) -> None:
    history = nights(tmp_path, one_link, into_b)
    assert history.changes.against == night(0)
    assert history.changes.fixed == ("copy[A-C]",)
    assert history.changes.failing == tuple(f"copy[{site}-B]" for site in "ACDE")
    assert history.changes.still == ()


def test_a_run_of_something_else_is_not_compared(tmp_path: Path) -> None:
    nights(tmp_path, nothing)
    other = RunRow(run_id="other", started=night(1), planned={"access": 1})
    rows: list[Row] = [other, TestRow(run_id="other", nodeid="x", capability="access", outcome="passed")]
    assert report(tmp_path, rows).changes.against == ""


def test_reporting_again_changes_nothing(tmp_path: Path) -> None:
    history = nights(tmp_path, nothing, into_b)
    again = report(tmp_path, rows_of(1, outcome_by(into_b)))
    assert again == history


def test_an_old_report_does_not_know_the_future(tmp_path: Path) -> None:
    nights(tmp_path, into_b, nothing, into_b)
    history = report(tmp_path, rows_of(0, outcome_by(into_b)))
    assert len(history.runs) == 1
    assert history.tests["copy[A-B]"].first_failure == night(0)


def test_made_again_from_results_files_in_any_order(tmp_path: Path) -> None:
    kept = nights(tmp_path, into_b, nothing, into_b)
    runs = [rows_of(number, outcome_by(fails)) for number, fails in enumerate([into_b, nothing, into_b])]
    rows = [row for run in (runs[2], runs[0], runs[1]) for row in run]
    other = tmp_path / "again"
    other.mkdir()
    made = report(other, rows)
    assert made.runs == kept.runs
    assert made.sites == kept.sites
    assert made.tests == kept.tests


def test_errors_and_known_issues_say_nothing_about_a_site(tmp_path: Path) -> None:
    outcomes: list[Outcome] = ["error", "known-issue", "not-run"]
    for number, other in enumerate(outcomes):
        history = report(tmp_path, rows_of(number, outcome_by(into_b, other)))
    assert {site.name: site.days30 for site in history.sites}["B"] == 1
    assert history.tests["copy[A-B]"].recent == "---"
    assert history.tests["copy[A-B]"].last_success == ""


def test_a_damaged_history_is_left_alone_and_told(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is no database, but somebody may want it back" * 100)
    before = (tmp_path / FILE_NAME).read_bytes()
    history = nights(tmp_path, nothing)
    assert "cannot use the history" in history.notes[0]
    assert "datalake report" in history.notes[0]
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_a_newer_history_is_left_alone(tmp_path: Path) -> None:
    nights(tmp_path, nothing)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(UsageError, match="Upgrade"):
        Store(tmp_path / FILE_NAME)


def test_a_failure_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    good = KeptRun(run_id="good", started=night(0), outcomes={"a": "passed"})
    bad = KeptRun(
        run_id="bad", started=night(1), outcomes={"a": "passed"}, shares={("site", "A"): (2**70, 0)}
    )
    with closing(Store(tmp_path / FILE_NAME)) as store:
        store.keep([good])
        with pytest.raises(UsageError, match="left as it is"):
            store.keep([replace(good, word="RED"), bad])
        assert [(run.run_id, run.word) for run in store.runs(until="9", most=9)] == [("good", "")]


def _keep(path: Path, number: int) -> None:
    for turn in range(5):
        with closing(Store(path)) as store:
            run = KeptRun(
                run_id=f"{number}-{turn}",
                started=night(turn),
                outcomes={f"test{name}": "passed" for name in range(500)},
            )
            store.keep([run])


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_keep, args=(path, number)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    with closing(Store(path)) as store:
        runs = store.runs(until="9", most=99)
        assert len(runs) == 15
        assert all(len(store.outcomes(run.run_id)) == 500 for run in runs)


def test_what_is_older_than_a_year_is_dropped(tmp_path: Path) -> None:
    with closing(Store(tmp_path / FILE_NAME)) as store:
        store.keep([KeptRun(run_id=str(day), started=night(day)) for day in (0, 100, 400)])
        assert [run.run_id for run in store.runs(until="9", most=9)] == ["100", "400"]


def seen(letters: str) -> list[Seen]:
    return [
        Seen(started=f"{number:03}", passed=letter == "p", failed=letter == "f")
        for number, letter in enumerate(letters)
    ]


@pytest.mark.parametrize(
    ("letters", "status", "since"),
    [
        ("", "unknown", ""),
        ("f", "unknown", ""),
        ("pp", "ok", "000"),
        ("ppf", "ok", "000"),
        ("ppff", "broken", "002"),
        ("ppffp", "broken", "002"),
        ("ppffpp", "ok", "004"),
        ("ppfpfp", "flaky", "002"),
        ("pfpfpppp", "ok", "004"),
        ("pfpfppppf", "flaky", "001"),
        ("pfpfppppppppppf", "ok", "004"),
    ],
)
def test_status_needs_evidence(letters: str, status: str, since: str) -> None:
    assert judge(seen(letters)) == (status, since)


def test_one_run_with_many_failures_is_unmistakable() -> None:
    assert judge([Seen(started="1", passed=0, failed=18)]) == ("broken", "1")
    assert judge([*seen("pp"), Seen(started="9", passed=1, failed=3)])[0] == "ok"


@given(st.text("pf", max_size=40))
def test_a_single_odd_run_never_decides(letters: str) -> None:
    for steady, odd in (("pppp", "f"), ("ffff", "p")):
        before, _ = judge(seen(letters + steady))
        assert judge(seen(letters + steady + odd))[0] in {before, "flaky"}
