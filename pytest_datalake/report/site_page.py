"""``sites/<SITE>.html``: what one site has to know, in one file without scripts that may be mailed.

It holds what touches the site: its own faults with their reasons, commands and its own servers' log lines,
and of other sites no more than their names and the addresses in commands.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.report.blame.texts import sort_of
from pytest_datalake.report.blame.wording import told
from pytest_datalake.report.commands import Commands, commands_of
from pytest_datalake.report.downtimes import downtimes
from pytest_datalake.report.evidence_data import endpoints_of
from pytest_datalake.report.fault_cards import FaultCard, cards
from pytest_datalake.report.known_issues import known_issues, place
from pytest_datalake.report.over_time import OverTime
from pytest_datalake.report.page import render
from pytest_datalake.report.reasons import cause, shape
from pytest_datalake.report.signs import met
from pytest_datalake.report.site_grids import capability_grid, link_grids
from pytest_datalake.report.site_lines import site_file, site_lines
from pytest_datalake.report.trend import trend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_datalake.report.history.facts import History
    from pytest_datalake.report.reading import Results
    from pytest_datalake.report.rows import EndpointRow, TestRow
    from pytest_datalake.report.site_lines import SiteLine
    from pytest_datalake.report.verdict import Verdict

TESTS_SHOWN = 40
LOGS_SHOWN = 4

AUTHS = {
    "anonymous": "no credential at all",
    "token-scope": "a WLCG token that grants by scope (storage.read, storage.create, storage.modify)",
    "token-group": "a WLCG token that grants by group (wlcg.groups)",
    "x509": "an X.509 certificate, without VOMS attributes",
    "x509-voms": "an X.509 proxy with VOMS attributes",
    "access-key": "an S3 access key",
}
SERVICES = {
    "fts": "the transfer manager",
    "rucio": "Rucio's server",
    "rucio-daemons": "Rucio",
    "iam": "the token issuer",
}
"""Whose logs speak of copies, and not of one site's insides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestLine:
    """One test that is not green.

    Attributes:
        where: the link or cell.
        what: the test in words, or its case of the conformance table.
        cause: its reason, cause first.
        at: ISO time at which it began: what to look for in a log.
        identity: who acted.
        last_success: ISO time; empty where none is known.
        commands: repeat it.
    """

    where: str
    what: str
    cause: str
    at: str
    identity: str
    last_success: str
    commands: Commands


@dataclass(frozen=True, slots=True, kw_only=True)
class Mending:
    """A fault, as far as it touches the site.

    Attributes:
        card: the fault.
        tests: its tests at the site, some of them.
        more: how many are not among them.
        logs: ``(name, lines)`` about the first of these tests: of the site's own endpoints, and of central
            services.
        answers: ``(cause, places)`` of its tests here, the commonest first, where it is not the site's own.
        discreet: it tells of a door that stands open: of that its own sites alone read.
        partners: other sites that have to act as well, or have the same for themselves.
        count: its tests that touch the site.
    """

    card: FaultCard
    tests: tuple[TestLine, ...]
    more: int
    logs: tuple[tuple[str, str], ...]
    answers: tuple[tuple[str, tuple[str, ...]], ...]
    discreet: bool
    partners: tuple[str, ...]
    count: int


def site_pages(results: Results, verdict: Verdict, history: History) -> dict[str, str]:
    """The pages of all sites by file name.

    Args:
        results: what was found.
        verdict: what it came to.
        history: of earlier runs; may be empty.
    """
    ends = {end.id: end for end in endpoints_of(results.run.endpoints, results.tests)}
    site_of = {end.id: end.site for end in ends.values()}
    faults = cards(verdict.faults, results.tests, site_of, history)
    tests: dict[str, list[TestRow]] = defaultdict(list)
    for row in results.tests:
        for site in {row.site, site_of.get(row.source, ""), site_of.get(row.destination, "")} - {""}:
            tests[site].append(row)
    pages = {}
    for line in site_lines(results, ends.values(), faults, history):
        about = _About(results, verdict, history, line, tests[line.site], ends)
        pages[site_file(line.site)] = about.page(faults)
    return pages


class _About:
    """One site and everything that touches it."""

    def __init__(
        self,
        results: Results,
        verdict: Verdict,
        history: History,
        line: SiteLine,
        tests: Sequence[TestRow],
        ends: dict[str, EndpointRow],
    ) -> None:
        self._results = results
        self._verdict = verdict
        self._history = history
        self._line = line
        self._site = line.site
        self._tests = tests
        self._ends = ends

    def page(self, faults: Sequence[FaultCard]) -> str:
        run = self._results.run
        touching = [self._mending(card) for card in faults if self._site in card.sites]
        own = [one for one in touching if self._site in one.card.owners and not one.card.unclear]
        own.sort(key=lambda one: one.card.common)  # what others have as well may not be theirs to mend
        unclear = [one for one in touching if self._site in one.card.owners and one.card.unclear]
        others = [one for one in touching if self._site not in one.card.owners and one.count]
        auths = sorted({row.auth for row in self._tests} & AUTHS.keys())
        over_time = OverTime.of(self._site, self._history, self._line.availability, self._ends)
        return render(
            "site.html.j2",
            styles=("base.css", "site.css"),
            site=self._site,
            line=self._line,
            run=run,
            verdict=self._verdict,
            mendings=own,
            unclear=unclear,
            others=others,
            accounts=self._accounts(own, unclear, others),
            known=known_issues(self._tests, run.started),
            downtimes=downtimes(
                self._tests, [one for one in run.downtimes if self._site in one.sites], run.started
            ),
            met=met(self._tests),
            links=link_grids(self._tests, self._ends, self._site),
            capabilities=capability_grid(self._tests),
            endpoints=[end for end in run.endpoints if end.site == self._site],
            undeclared=self._undeclared(),
            over_time=over_time,
            last_good=over_time.last_good(faulty=bool(own or unclear)),
            auths=[(auth, AUTHS[auth]) for auth in auths],
            trend=trend,
        )

    def _mending(self, card: FaultCard) -> Mending:
        rows = [self._results.tests[number] for number in card.fault.tests]
        telling = shape(card.fault.reason)
        here = sorted(
            (row for row in rows if self._touches(row)),
            key=lambda row: (
                row.reproduce.startswith("pytest "),
                bool(row.clause),
                shape(row.reason) != telling,
                not row.logs,
            ),
        )
        places: dict[str, list[str]] = defaultdict(list)
        for row in here if self._site not in card.owners else ():
            places[cause(row.reason) or "no reason given"].append(place(row))
        answers = sorted(places.items(), key=lambda answer: -len(answer[1]))
        return Mending(
            card=card,
            tests=tuple(self._test_line(row) for row in here[:TESTS_SHOWN]),
            more=len(here) - TESTS_SHOWN,
            logs=self._logs(here[0]) if here else (),
            answers=tuple((said, tuple(dict.fromkeys(at))) for said, at in answers),
            discreet=bool(card.owners) and any(sort_of(row.reason) == "lax" for row in rows),
            partners=tuple(site for site in card.owners if site != self._site),
            count=len(here),
        )

    def _logs(self, row: TestRow) -> tuple[tuple[str, str], ...]:
        """Of the site's own endpoints, and of services."""
        logs = [
            (SERVICES.get(name, name), lines)
            for name, lines in row.logs.items()
            if (name in SERVICES if name not in self._ends else self._ends[name].site == self._site)
        ]
        return tuple(logs[:LOGS_SHOWN])

    def _accounts(self, *kinds: Sequence[Mending]) -> list[tuple[str, int]]:
        """What became of the tests that touch the site; the numbers after the first add up to it."""
        own, unclear, others = (sum(one.count for one in mendings) for mendings in kinds)
        common = sum(one.count for one in kinds[0] if one.card.common)
        shared = sum(one.count for one in kinds[0] if one.partners and not one.card.common)
        ended = Counter(row.outcome for row in self._tests)
        counts = [
            (f"tests touch {self._site}", len(self._tests)),
            ("passed", ended["passed"]),
            ("failed, yours to mend", own - shared - common),
            ("failed, yours or a partner's", shared),
            ("failed, here as elsewhere", common),
            ("failed, perhaps yours", unclear),
            ("not passed, not yours", others),
            ("known issues", ended["known-issue"]),
            ("failed in a downtime", ended["downtime"]),
        ]
        return [(words, count) for words, count in counts if count or words == "passed"]

    def _test_line(self, row: TestRow) -> TestLine:
        past = self._history.tests.get(row.nodeid)
        return TestLine(
            where=place(row),
            what=row.requirement if row.clause else told(row.test),
            cause=cause(row.reason),
            at=row.started,
            identity=row.identity,
            last_success=past.last_success if past else "",
            commands=commands_of(row),
        )

    def _touches(self, row: TestRow) -> bool:
        ends = (self._ends.get(row.source), self._ends.get(row.destination))
        return row.site == self._site or any(end is not None and end.site == self._site for end in ends)

    def _undeclared(self) -> list[tuple[str, str, str]]:
        return sorted(
            (item.endpoint, item.capability, item.reason)
            for item in self._results.run.unsupported
            if item.endpoint in self._ends and self._ends[item.endpoint].site == self._site
        )
