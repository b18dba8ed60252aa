"""What is kept of a run, and what the runs that were kept say about one."""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pytest_datalake.errors import UsageError
from pytest_datalake.report.history.facts import Availability, Changes, Day, History, Past, RunSummary
from pytest_datalake.report.history.status import Seen, judge
from pytest_datalake.report.history.store import FILE_NAME, KeptRun, Store
from pytest_datalake.report.verdict import judge as judge_results

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_datalake.report.blame.fault import Fault
    from pytest_datalake.report.history.facts import State
    from pytest_datalake.report.reading import Results

_RUNS_SHOWN = 60
_RECENT = 14
_RUNS_OF_A_TEST = 800
_WEEK, _MONTH = timedelta(days=7), timedelta(days=30)
_NUMBERS = ("planned", "passed", "failed", "links", "links_passed")
_LETTERS = {"passed": "p", "failed": "f"}
_ALIKE = 0.5
"""Share of tests that a run must have in common with another to be compared with it."""


def update(report_dir: Path, runs: Sequence[Results], current: Results, faults: Sequence[Fault]) -> History:
    """Keep runs in the history of a report directory, and say what the history says about the current one.

    A history that cannot be used is left as it is; the report says so and does without.

    Args:
        report_dir: where the history is.
        runs: each run for itself.
        current: what the report is about: one run, or several merged.
        faults: what is at fault in it.
    """
    if not current.run.started:
        return History()
    try:
        with contextlib.closing(Store(report_dir / FILE_NAME)) as store:
            store.keep([kept(run) for run in runs if run.run.started])
            return look_back(store, current, faults)
    except UsageError as error:
        return History(notes=(str(error),))


def kept(results: Results) -> KeptRun:
    """What is kept of one run."""
    verdict = judge_results(results)
    links = verdict.links
    return KeptRun(
        run_id=results.run.run_id,
        started=_utc(results.run.started),
        finished=results.finished,
        word=verdict.word,
        numbers={
            "planned": verdict.tests.planned,
            "passed": verdict.tests.passed,
            "failed": verdict.tests.failed,
            "links": links.planned if links else 0,
            "links_passed": links.passed if links else 0,
        },
        faults={fault.key: fault.sentence for fault in verdict.faults},
        outcomes={row.nodeid: row.outcome for row in results.tests},
        shares=_shares(results, verdict.faults),
    )


def look_back(store: Store, current: Results, faults: Sequence[Fault]) -> History:
    """What the kept runs say about this one.

    Raises:
        UsageError: the history cannot be read.
    """
    now = _utc(current.run.started)
    month = _earlier(now, _MONTH)
    runs = store.runs(until=now, most=_RUNS_SHOWN)
    pasts = {
        row.nodeid: _past(store.past(row.nodeid, until=now, most=_RUNS_OF_A_TEST), month)
        for row in current.tests
        if row.outcome not in {"passed", "known-issue"}
    }
    sites = store.shares("site", since=month, until=now)
    links = store.shares("link", since=month, until=now)
    return History(
        runs=tuple(_summary(run) for run in runs),
        tests=pasts,
        faults={fault.key: _since(fault.key, runs) for fault in faults},
        sites=tuple(_availability(name, seen, now) for name, seen in sorted(sites.items())),
        links=tuple(_availability(name, seen, now) for name, seen in sorted(links.items())),
        changes=_changes(store, current, runs),
        transitions=tuple(_transitions(sites, now)),
    )


def _shares(results: Results, faults: Iterable[Fault]) -> dict[tuple[str, str], tuple[int, int]]:
    """Passes of everybody who took part; failures of the site that is to blame alone, and of the link."""
    site_of = {endpoint.id: endpoint.site for endpoint in results.endpoints}
    alone = [fault for fault in faults if len(fault.sites) == 1]
    blamed = {position: fault.sites[0] for fault in alone for position in fault.tests}
    counts: dict[tuple[str, str], Counter[bool]] = defaultdict(Counter)
    for position, row in enumerate(results.tests):
        if row.outcome not in _LETTERS or (row.outcome == "failed" and row.known_issue):
            continue
        good = row.outcome == "passed"
        sites = {row.site, site_of.get(row.source, ""), site_of.get(row.destination, "")} - {""}
        for site in sites if good else {blamed.get(position, "")} - {""}:
            counts["site", site][good] += 1
        if row.link and not row.streamed:
            counts["link", f"{row.source} → {row.destination}"][good] += 1
    return {name: (count[True], count[False]) for name, count in counts.items()}


def _summary(run: KeptRun) -> RunSummary:
    numbers = {name: run.numbers.get(name, 0) for name in _NUMBERS}
    return RunSummary(
        run_id=run.run_id,
        started=run.started,
        finished=run.finished,
        word=run.word,
        other=numbers["planned"] - numbers["passed"] - numbers["failed"],
        faults=tuple(run.faults.values()),
        **numbers,
    )


def _past(outcomes: Sequence[tuple[str, str]], month: str) -> Past:
    told = [(started, outcome == "failed") for started, outcome in outcomes if outcome in _LETTERS]
    status, _ = judge([Seen(started=started, passed=not bad, failed=bad) for started, bad in told])
    successes = [at for at, (_, bad) in enumerate(told) if not bad]
    streak = told[successes[-1] + 1 if successes else 0 :]
    window = [bad for started, bad in told if started >= month]
    return Past(
        status=status,
        state=_state([bad for _, bad in told]),
        first_failure=streak[0][0] if streak else "",
        last_success=told[successes[-1]][0] if successes else "",
        runs=len(window),
        failures=sum(window),
        recent="".join(_LETTERS.get(outcome, "-") for _, outcome in outcomes[-_RECENT:]),
    )


def _state(bad: Sequence[bool]) -> State:
    if len(bad) < 2:
        return "first"
    before, now = bad[-2:]
    if now:
        return "still" if before else "new"
    return "fixed" if before else ""


def _since(key: str, runs: Sequence[KeptRun]) -> str:
    """Since when a fault has been there in every run that came to a verdict."""
    since = ""
    for run in reversed(runs):
        if key not in run.faults:
            break
        since = run.started
    return since


def _availability(name: str, seen: Sequence[Seen], now: str) -> Availability:
    status, since = judge(seen)
    by_day: dict[str, list[Seen]] = defaultdict(list)
    for one in seen:
        by_day[one.started[:10]].append(one)
    return Availability(
        name=name,
        status=status,
        since=since,
        days7=_share(one for one in seen if one.started >= _earlier(now, _WEEK)),
        days30=_share(seen),
        days=tuple(Day(date=day, availability=_share(by_day.get(day, ()))) for day in _days(now)),
    )


def _share(seen: Iterable[Seen]) -> float | None:
    """The mean of the runs, so that a run with more tests does not count for more."""
    shares = [one.passed / (one.passed + one.failed) for one in seen]
    return sum(shares) / len(shares) if shares else None


def _days(now: str) -> Iterator[str]:
    today = _moment(now)
    for ago in range(_MONTH.days - 1, -1, -1):
        yield (today - timedelta(days=ago)).date().isoformat()


def _changes(store: Store, current: Results, runs: Sequence[KeptRun]) -> Changes:
    now = {row.nodeid: row.outcome for row in current.tests}
    merged = {run.run_id for run in current.runs}
    for run in reversed(runs):
        if run.run_id in merged:
            continue
        before = store.outcomes(run.run_id)
        common = before.keys() & now.keys()
        if len(common) < _ALIKE * max(len(before), len(now)):
            continue
        failing = {nodeid for nodeid in common if now[nodeid] == "failed"}
        failed = {nodeid for nodeid in common if before[nodeid] == "failed"}
        return Changes(
            against=run.started,
            failing=tuple(sorted(failing - failed)),
            still=tuple(sorted(failing & failed)),
            fixed=tuple(sorted(nodeid for nodeid in failed if now[nodeid] == "passed")),
            new=tuple(sorted(now.keys() - before.keys())),
            gone=tuple(sorted(before.keys() - now.keys())),
        )
    return Changes()


def _transitions(sites: Mapping[str, Sequence[Seen]], now: str) -> Iterator[str]:
    """Sites whose status is another than before this run."""
    for name, seen in sorted(sites.items()):
        status, since = judge(seen)
        before, _ = judge([one for one in seen if one.started < now])
        if status == before or "unknown" in {status, before}:
            continue
        if status == "broken":
            yield f"{name} is broken since {_words(since)}"
        elif status == "flaky":
            yield f"{name} comes and goes since {_words(since)}"
        else:
            yield f"{name} works again since {_words(since)}"


def _words(moment: str) -> str:
    return f"{_moment(moment):%Y-%m-%d %H:%M} UTC"


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _utc(text: str) -> str:
    """A time in the one form that sorts as text; what is no time sorts first."""
    return _moment(text).astimezone(UTC).isoformat(timespec="seconds")


def _earlier(now: str, span: timedelta) -> str:
    return (_moment(now) - span).isoformat(timespec="seconds")
