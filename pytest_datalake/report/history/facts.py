"""What the history of runs says, as data for pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Status = Literal["ok", "flaky", "broken", "unknown"]
State = Literal["", "new", "still", "fixed", "first"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One run in a line.

    Attributes:
        run_id: the run.
        started: ISO time.
        finished: ISO time; empty where it was killed.
        word: `GREEN`, `RED` or `INCOMPLETE`.
        planned: number of tests.
        passed: number of tests that passed.
        failed: number of tests that failed.
        other: number of tests with any other outcome.
        links: number of links that were tried.
        links_passed: number of them that passed.
        faults: what was at fault, in sentences.
    """

    run_id: str
    started: str = ""
    finished: str = ""
    word: str = ""
    planned: int = 0
    passed: int = 0
    failed: int = 0
    other: int = 0
    links: int = 0
    links_passed: int = 0
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """How one test did.

    Attributes:
        status: `broken` after enough failures, `ok` after enough passes, `flaky` when it goes to and fro,
            `unknown` with less evidence.
        state: against the run before: `new` (fails now, did not), `still`, `fixed` (passes now, failed),
            `first` (was never run before), or empty: passes as it did.
        first_failure: ISO time at which the present streak of failures began; empty when it passes.
        last_success: ISO time; empty: never.
        runs: number of runs in the window of 30 days in which it passed or failed.
        failures: number of those in which it failed.
        recent: a letter a run, oldest first, at most 14: `p` passed, `f` failed, `-` no result.
    """

    status: Status = "unknown"
    state: State = "first"
    first_failure: str = ""
    last_success: str = ""
    runs: int = 0
    failures: int = 0
    recent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day of a trend.

    Attributes:
        date: ISO date, UTC.
        availability: 0 to 1; None where nothing was tested.
    """

    date: str
    availability: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """How a site or link did: the share of its tests that passed, as the mean of the runs.

    A site's failures are those that it alone is to blame for; a link's are all on it.

    Attributes:
        name: the site, or `SOURCE → DESTINATION` for the link between two endpoints.
        status: with hysteresis: one bad run changes nothing unless it is unmistakable.
        since: ISO time of the run that decided the status.
        days7: availability over seven days, 0 to 1; None where nothing was tested.
        days30: the same over thirty days.
        days: day by day over thirty days, oldest first.
    """

    name: str
    status: Status = "unknown"
    since: str = ""
    days7: float | None = None
    days30: float | None = None
    days: tuple[Day, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What is another than in the run before; node ids, sorted.

    Attributes:
        against: the run before; empty: there is none.
        failing: fail now and did not.
        still: fail now and did.
        fixed: pass now and failed.
        new: were not planned before.
        gone: were planned before and are not.
    """

    against: str = ""
    failing: tuple[str, ...] = ()
    still: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything that is known of earlier runs and of this one.

    Attributes:
        runs: oldest first, at most 60; this run is the last.
        tests: by node id, for what did not pass in this run.
        faults: for each fault of this run by key, the ISO time since when it has been there.
        sites: by name.
        links: by name.
        changes: against the run before.
        transitions: what changed its status for good in this run, in sentences.
        notes: what could not be read or written.
    """

    runs: tuple[RunSummary, ...] = ()
    tests: Mapping[str, Past] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    sites: tuple[Availability, ...] = ()
    links: tuple[Availability, ...] = ()
    changes: Changes = field(default_factory=Changes)
    transitions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
