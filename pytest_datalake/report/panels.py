"""The grids of the matrix page as data: transfer panels, site cards, and the tests behind their cells."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_datalake.matrix.model import FAMILY
from pytest_datalake.report.problems import one_line
from pytest_datalake.report.rows import SEVERITY, EndpointRow, Outcome, TestRow
from pytest_datalake.report.verdict import LinkKey, outcome_by_link

if TYPE_CHECKING:
    from pytest_datalake.report.reading import Results

FAMILY_ORDER = ("http", "xroot", "gsiftp")


@dataclass(slots=True, kw_only=True)
class Group:
    """The tests behind one clickable cell.

    Attributes:
        name: stable; the part of the page's address after "#".
        title: what the tests have in common, for people.
        tests: positions in the list of tests.
    """

    name: str
    title: str
    tests: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """One cell of a grid; ``number`` is the position of its group, -1 where nothing was planned."""

    number: int = -1
    outcome: Outcome | None = None
    bad: int = 0
    count: int = 0
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An endpoint as the label of a row or a column; ``first`` of its site."""

    endpoint: EndpointRow
    label: str
    first: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A grid of source x destination for one protocol family and one auth."""

    title: str
    auth: str
    passed: int
    count: int
    sources: tuple[Axis, ...]
    destinations: tuple[Axis, ...]
    squares: tuple[tuple[Square, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRow:
    """One endpoint and auth of a site card."""

    endpoint: str
    auth: str
    label: str
    first: bool
    squares: tuple[Square, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What was tested at one site; links are counted as (passed, all) by direction."""

    site: str
    storage: tuple[str, ...]
    capabilities: tuple[str, ...]
    rows: tuple[CardRow, ...]
    outgoing: tuple[int, int]
    incoming: tuple[int, int]


class Grids:
    """All grids of a page and the groups behind them."""

    def __init__(self, results: Results) -> None:
        self.groups: list[Group] = []
        self._numbers: dict[str, int] = {}
        self._tests = results.tests
        self._endpoints = {endpoint.id: endpoint for endpoint in results.run.endpoints}
        for row in results.tests:
            for name in (row.cell, row.source, row.destination):
                if name and name not in self._endpoints:
                    rse, _, protocol = name.rpartition(".")
                    self._endpoints[name] = EndpointRow(id=name, rse=rse or name, protocol=protocol)
        self._unsupported = {(item.capability, item.endpoint) for item in results.run.unsupported}
        self.panels = self._panels(streamed=False)
        self.streamed = self._panels(streamed=True)
        self.cards = self._cards()

    def place(self, row: TestRow) -> tuple[str, str]:
        """Name and title of the group that a test belongs to."""
        if row.link:
            suffix = " (streamed)" if row.streamed else ""
            name = f"{row.source}-to-{row.destination}-by-{row.auth}{'-streamed' if row.streamed else ''}"
            return name, f"{row.source} → {row.destination} by {row.auth}{suffix}"
        at = row.cell or row.rse or row.site or "whole lake"
        by = f" by {row.auth}" if row.auth else ""
        name = "-by-".join(part for part in (at, row.auth) if part)
        return f"{name}-{row.capability}".replace(" ", "-"), f"{row.capability or 'tests'} at {at}{by}"

    def number(self, row: TestRow) -> int:
        """Position of the group of a test."""
        name, title = self.place(row)
        if name not in self._numbers:
            self._numbers[name] = len(self.groups)
            self.groups.append(Group(name=name, title=title))
        return self._numbers[name]

    def _square(self, number: int) -> Square:
        group = self.groups[number]
        rows = [self._tests[position] for position in group.tests]
        worst = max(rows, key=lambda row: SEVERITY[row.outcome])
        return Square(
            number=number,
            outcome=worst.outcome,
            bad=sum(row.outcome != "passed" for row in rows),
            count=len(rows),
            hint="" if worst.outcome == "passed" else one_line(f"{worst.outcome}: {worst.reason}", 120),
        )

    def _panels(self, *, streamed: bool) -> tuple[Panel, ...]:
        numbers: dict[tuple[str, str], dict[LinkKey, int]] = defaultdict(dict)
        for position, row in enumerate(self._tests):
            if row.link is None or row.streamed != streamed:
                continue
            number = self.number(row)
            self.groups[number].tests.append(position)
            family = FAMILY.get(self._endpoints[row.destination].protocol, "other")  # type: ignore[call-overload]
            numbers["streamed" if streamed else str(family), row.auth][row.link] = number
        order = {family: position for position, family in enumerate(FAMILY_ORDER)}
        return tuple(
            self._panel(*key, numbers[key])
            for key in sorted(numbers, key=lambda key: (order.get(key[0], len(order)), key))
        )

    def _panel(self, family: str, auth: str, numbers: dict[LinkKey, int]) -> Panel:
        sources = self._axis({source for source, _, _ in numbers})
        destinations = self._axis({destination for _, destination, _ in numbers})
        squares = {link: self._square(number) for link, number in numbers.items()}
        return Panel(
            title=family,
            auth=auth,
            passed=sum(square.outcome == "passed" for square in squares.values()),
            count=len(squares),
            sources=sources,
            destinations=destinations,
            squares=tuple(
                tuple(
                    squares.get((source.endpoint.id, destination.endpoint.id, auth), Square())
                    for destination in destinations
                )
                for source in sources
            ),
        )

    def _axis(self, names: set[str]) -> tuple[Axis, ...]:
        endpoints = sorted(
            (self._endpoints[name] for name in names), key=lambda end: (end.site, end.rse, end.protocol)
        )
        protocols = {end.protocol for end in endpoints}
        labels, before = [], None
        for end in endpoints:
            door = f" {end.protocol}" if len(protocols) > 1 else ""
            labels.append(Axis(endpoint=end, label=f"{end.rse}{door}", first=end.site != before))
            before = end.site
        return tuple(labels)

    def _cards(self) -> tuple[Card, ...]:
        places: dict[str, dict[tuple[str, str], dict[str, int]]] = defaultdict(lambda: defaultdict(dict))
        for position, row in enumerate(self._tests):
            if row.link is None:
                number = self.number(row)
                self.groups[number].tests.append(position)
                places[row.site][row.cell or row.rse or row.site, row.auth][row.capability] = number
        sites = {*places, *(endpoint.site for endpoint in self._endpoints.values())} - {""}
        outgoing, incoming = self._traffic()
        cards = [
            self._card(site, places.get(site, {}), outgoing[site], incoming[site]) for site in sorted(sites)
        ]
        if "" in places:
            cards.append(self._card("", places[""], Counter(), Counter()))
        return tuple(card for card in cards if card.rows or card.outgoing[1] or card.incoming[1])

    def _card(
        self,
        site: str,
        places: dict[tuple[str, str], dict[str, int]],
        outgoing: Counter[bool],
        incoming: Counter[bool],
    ) -> Card:
        capabilities = tuple(sorted({name for numbers in places.values() for name in numbers}))
        rows, before = [], None
        for (at, auth), numbers in sorted(places.items()):
            squares = []
            for name in capabilities:
                if name in numbers:
                    squares.append(self._square(numbers[name]))
                else:
                    declared = (name, at) not in self._unsupported
                    squares.append(Square(hint="" if declared else f"{name} is not declared"))
            label = at or "whole lake"
            rows.append(
                CardRow(endpoint=at, auth=auth, label=label, first=label != before, squares=tuple(squares))
            )
            before = label
        storage = {(end.rse, end.technology, end.qos) for end in self._endpoints.values() if end.site == site}
        return Card(
            site=site,
            storage=tuple(" ".join(part for part in parts if part) for parts in sorted(storage))
            if site
            else (),
            capabilities=capabilities,
            rows=tuple(rows),
            outgoing=(outgoing[True], outgoing.total()),
            incoming=(incoming[True], incoming.total()),
        )

    def _traffic(self) -> tuple[dict[str, Counter[bool]], dict[str, Counter[bool]]]:
        """Third-party links by site and direction: how many passed, how many did not."""
        outgoing: dict[str, Counter[bool]] = defaultdict(Counter)
        incoming: dict[str, Counter[bool]] = defaultdict(Counter)
        for (source, destination, _), outcome in outcome_by_link(self._tests).items():
            outgoing[self._endpoints[source].site][outcome == "passed"] += 1
            incoming[self._endpoints[destination].site][outcome == "passed"] += 1
        return outgoing, incoming
