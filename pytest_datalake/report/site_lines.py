"""The table of sites: how each did in this run, and over a week and a month."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.report.downtimes import holding
from pytest_datalake.report.history.facts import Availability
from pytest_datalake.report.verdict import outcome_by_link

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_datalake.report.fault_cards import FaultCard
    from pytest_datalake.report.history.facts import History
    from pytest_datalake.report.reading import Results
    from pytest_datalake.report.rows import EndpointRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """So many of so many."""

    passed: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLine:
    """One site.

    Attributes:
        site: its name.
        page: address of its page, relative to the matrix page.
        storage: its storage, in words.
        tests: tests at its endpoints, copies to it among them.
        outgoing: third-party links from it.
        incoming: third-party links to it.
        own: faults that are its own to mend.
        unclear: failures of single copies that are its own or its partners' fault.
        involved: other faults that its tests met.
        downtime: it, or a part of it, was in a declared downtime.
        availability: how it did over time.
    """

    site: str
    page: str
    storage: tuple[str, ...]
    tests: Share
    outgoing: Share
    incoming: Share
    own: int
    unclear: int
    involved: int
    downtime: bool
    availability: Availability


def site_file(site: str) -> str:
    """The name of a site's page; safe whatever the site is called."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in site)[:100] + ".html"


def site_lines(
    results: Results,
    endpoints: Iterable[EndpointRow],
    faults: Sequence[FaultCard],
    history: History,
) -> tuple[SiteLine, ...]:
    """All sites: those with a fault of their own first, then by name."""
    tests = results.tests
    down = {site for held in holding(results.run.downtimes, results.run.started) for site in held.sites}
    site_of, storage = {}, defaultdict(set)
    for end in endpoints:
        site_of[end.id] = end.site
        words = " ".join(part for part in (end.rse, end.technology, end.qos and f"QoS {end.qos}") if part)
        storage[end.site].add(words)
    passed, count = Counter[str](), Counter[str]()
    for row in tests:
        count[row.site] += 1
        passed[row.site] += row.outcome == "passed"
    ways: dict[tuple[str, str], Counter[bool]] = defaultdict(Counter)
    for (source, destination, _), outcome in outcome_by_link(tests).items():
        ways["out", site_of.get(source, "")][outcome == "passed"] += 1
        ways["in", site_of.get(destination, "")][outcome == "passed"] += 1
    known = {entry.name: entry for entry in history.sites}
    lines = [
        SiteLine(
            site=site,
            page=f"sites/{site_file(site)}",
            storage=tuple(sorted(storage[site])),
            tests=Share(passed=passed[site], count=count[site]),
            outgoing=_share(ways["out", site]),
            incoming=_share(ways["in", site]),
            own=sum(site in card.owners and not card.unclear for card in faults),
            unclear=sum(site in card.fault.sites and card.unclear for card in faults),
            involved=sum(site in card.sites and site not in card.owners for card in faults),
            downtime=site in down,
            availability=known.get(site, Availability(name=site)),
        )
        for site in sorted({*site_of.values(), *count} - {""})
    ]
    tested = [line for line in lines if line.tests.count or line.outgoing.count or line.own or line.unclear]
    return tuple(
        sorted(tested, key=lambda line: (not line.own, not line.unclear, not line.involved, line.site))
    )


def _share(way: Counter[bool]) -> Share:
    return Share(passed=way[True], count=way.total())
