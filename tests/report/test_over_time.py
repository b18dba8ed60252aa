"""What is said over time needs more than one run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pytest_datalake.report.history.facts import Availability, Day, History, RunSummary
from pytest_datalake.report.over_time import OverTime
from pytest_datalake.report.rows import EndpointRow

NOW = datetime(2026, 11, 28, 2, tzinfo=UTC)
ENDS = {f"{site}.davs": EndpointRow(id=f"{site}.davs", site=site) for site in ("A", "B", "C")}


def over(*shares: float | None, name: str = "A") -> Availability:
    """Availability day by day, today last."""
    days = tuple(
        Day(date=(NOW - timedelta(days=len(shares) - 1 - at)).date().isoformat(), availability=share)
        for at, share in enumerate(shares)
    )
    tested = [share for share in shares if share is not None]
    return Availability(name=name, days30=sum(tested) / len(tested), days=days)


def told(site: Availability, *links: Availability, runs: int = 3) -> OverTime:
    started = [(NOW - timedelta(days=runs - 1 - at)).isoformat() for at in range(runs)]
    history = History(runs=tuple(RunSummary(run_id=at, started=at) for at in started), links=links)
    return OverTime.of("A", history, site, ENDS)


def test_links_that_never_worked_do_not_come_and_go() -> None:
    comes = over(1.0, 0.0, 1.0, name="A.davs → B.davs")
    never = over(None, 0.0, 0.0, name="B.davs → A.davs")
    partly = over(0.5, 0.5, name="A.davs → C.davs")
    elsewhere = over(1.0, 0.0, name="B.davs → C.davs")
    found = told(over(1.0), comes, never, partly, elsewhere)
    assert (found.unsteady, found.never) == ((comes,), (never,))


def test_nothing_is_said_after_one_run() -> None:
    found = told(over(0.9), over(0.0, name="A.davs → B.davs"), runs=1)
    assert (found.runs, found.unsteady, found.never) == (1, (), ())


def test_today_is_no_day_without_a_fault_where_there_is_one() -> None:
    found = told(over(1.0, 0.5, 1.0), runs=10)
    assert found.last_good(faulty=False) == "2026-11-28"
    assert found.last_good(faulty=True) == "2026-11-26"
    assert told(over(0.5, 1.0)).last_good(faulty=True) == ""
    assert (found.runs, found.longer, told(over(1.0)).longer) == (10, True, False)
