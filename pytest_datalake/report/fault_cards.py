"""Faults as the pages show them: the cause first, what to look at, and the commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_datalake.report.blame.leftovers import IN_TROUBLE
from pytest_datalake.report.blame.texts import accused
from pytest_datalake.report.commands import Commands, commands_of
from pytest_datalake.report.reasons import advise, cause, one_line, unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_datalake.report.blame.fault import Fault
    from pytest_datalake.report.history.facts import History
    from pytest_datalake.report.rows import TestRow


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCard:
    """One fault, ready to be shown.

    Attributes:
        number: its position; also its anchor.
        fault: what is known of it.
        cause: the commonest reason, cause first; empty where the fault's sentence says it already.
        meaning: what that usually means; may be empty.
        check: what its owner looks at first; may be empty.
        witness: who gave the answers, by their own texts; empty where these do not agree, or do not say.
        commands: repeat one of its tests.
        since: ISO time since when it is there; empty where there is no earlier run to know that from.
        earliest: whether that is as far back as is known: it may have been there before.
        state: `new` in this run, `still` there, or empty where there is nothing to compare with.
        sites: everybody at one end of its tests.
        owners: who has to mend it; where one test fails at many sites, each whose own server was wrong.
    """

    number: int
    fault: Fault
    cause: str
    meaning: str
    check: str
    witness: str
    commands: Commands
    since: str
    earliest: bool
    state: Literal["", "new", "still"]
    sites: tuple[str, ...]
    owners: tuple[str, ...]

    @property
    def common(self) -> bool:
        """Whether each of its owners has it for itself."""
        return not self.fault.sites

    @property
    def unclear(self) -> bool:
        """Whether it is a failure of two sites' copy of which nobody can say whose fault it is."""
        return self.fault.kind == "single" and len(self.fault.sites) > 1


def cards(
    faults: Sequence[Fault], tests: Sequence[TestRow], site_of: dict[str, str], history: History
) -> tuple[FaultCard, ...]:
    """The cards of faults, in the order given.

    Args:
        faults: what is wrong.
        tests: what the faults' numbers count.
        site_of: site by endpoint.
        history: since when.
    """
    return tuple(_card(number, fault, tests, site_of, history) for number, fault in enumerate(faults))


def _card(
    number: int, fault: Fault, tests: Sequence[TestRow], site_of: dict[str, str], history: History
) -> FaultCard:
    rows = [tests[position] for position in fault.tests]
    example = next((row for row in rows if row.nodeid == fault.nodeid), rows[0] if rows else None)
    advice = None
    if fault.outcome == "failed":
        names = {row.requirement or row.test for row in rows}
        test = names.pop() if len(names) == 1 else ""
        advice = advise(fault.reason, {row.shown for row in rows}, fault.identity, test)
    since = history.faults.get(fault.key, "") if len(history.runs) > 1 else ""
    state: Literal["", "new", "still"] = ""
    if since:
        state = "new" if since == history.runs[-1].started else "still"
    sites = {
        site
        for row in rows
        for site in (row.site, site_of.get(row.source, ""), site_of.get(row.destination, ""))
        if site
    }
    said = cause(fault.reason) or "no reason given"
    return FaultCard(
        number=number,
        fault=fault,
        cause="" if fault.sentence.endswith(said.removeprefix(IN_TROUBLE)) else said,
        meaning=advice.meaning if advice else "",
        check=advice.check if advice else "",
        witness=_witness(rows) if fault.outcome == "failed" and not unreachable(fault.reason) else "",
        commands=commands_of(example) if example else Commands(by_hand="", pytest=one_line(fault.reproduce)),
        since=since,
        earliest=bool(since) and since == history.runs[0].started,
        state=state,
        sites=tuple(sorted(sites | set(fault.sites))),
        owners=fault.sites or _owners(fault, rows),
    )


def _owners(fault: Fault, rows: Sequence[TestRow]) -> tuple[str, ...]:
    if fault.kind != "test" or fault.outcome != "failed":
        return ()
    return tuple(sorted({row.site for row in rows if not row.link and row.site}))


def _witness(rows: Sequence[TestRow]) -> str:
    """The end that all tests of a fault were refused by; of links only: elsewhere there is but one."""
    found = {(accused(row), row.source, row.destination) for row in rows if row.link}
    names = {name for name, _, _ in found}
    if len(names) != 1 or names == {""}:
        return ""
    (name,) = names
    roles = {
        "source" if name == source else "destination"
        for _, source, destination in found
        if name in {source, destination}
    }
    return f"{name}, the {roles.pop()}" if len(roles) == 1 else name
