"""The faults that are thought of, and what each must be worth before it is believed.

A hypothesis is a place in a role (``source``, ``destination`` or ``any``), a link, a connection (from the end
of a copy that opens it, whichever way the bytes go), or the whole lake, limited or not to an auth, to rights
that come with groups, to a group, a layer, a mode of copies, a capability or a test. Places are sites, RSEs,
doors (a site over one protocol), endpoints, and everything of one technology or protocol.
"""

from __future__ import annotations

import math
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from pytest_datalake.report.blame.observations import LIMITS, Attributes, Door

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_datalake.report.blame.observations import Observations

_LIMITS_TOGETHER: tuple[tuple[str, ...], ...] = (
    (),
    ("auth",),
    ("family",),
    ("rights",),
    ("group",),
    ("layer",),
    ("capability",),
    ("test",),
    ("mode",),
    ("auth", "group"),
    ("family", "group"),
    ("group", "rights"),
    ("auth", "test"),
    ("auth", "capability"),
    ("rights", "capability"),
)
_LIMITS_OF_LINKS: tuple[tuple[str, ...], ...] = ((), ("auth",), ("layer",))

BETWEEN_TWO = frozenset({"link", "connection"})
"""Scopes whose places are pairs."""

_PRICE_OF_SCOPE = {"source": 2.5, "destination": 2.5, "any": 2.5, "link": 2.0, "connection": 2.0, "lake": 4.0}
_PRICE_OF_LEVEL = {
    "site": 0.0,
    "rse": 0.7,
    "door": 0.7,
    "endpoint": 1.0,
    "technology": 2.5,
    "protocol": 2.5,
    "": 0.0,
}
_PRICE_OF_LIMIT = {
    "family": 0.6,
    "auth": 0.7,
    "rights": 2.0,
    "group": 1.5,
    "layer": 0.7,
    "capability": 0.7,
    "test": 0.7,
    "mode": 0.7,
}
"""Besides the logarithm of how many there are of each kind: natural logarithms of odds."""


Place = tuple[str, str, tuple[str, ...]]
"""Scope, level and names."""


class Hypothesis(NamedTuple):
    """One fault that may be.

    Attributes:
        scope: `source`, `destination` or `any` (role of a place), `link`, `connection` or `lake`.
        level: what kind of place; empty for the lake.
        place: its names; two of them for a link or a connection.
        limits: pairs of attribute and value.
    """

    scope: str
    level: str
    place: tuple[str, ...]
    limits: tuple[tuple[str, str], ...]

    @property
    def key(self) -> str:
        """The hypothesis as a text that is the same in every run."""
        limits = [f"{name}={value}" for name, value in self.limits]
        return ":".join(part for part in (self.scope, self.level, "+".join(self.place), *limits) if part)

    def limited_to_a_test(self) -> bool:
        """Whether it is about one test."""
        return any(name == "test" for name, _ in self.limits)

    def of_tests(self) -> bool:
        """Whether it is about what tests do, so that every pass of such a test counts, also a refusal."""
        return any(name in {"test", "capability"} for name, _ in self.limits)


class Space:
    """All hypotheses about one lake."""

    def __init__(self, observations: Observations) -> None:
        doors = self._doors = observations.doors
        seen = observations.seen
        self._links = {
            (attributes.source, attributes.destination)
            for attributes in observations.tallies
            if attributes.source
        }
        self._rses = _group((door.site, door.rse) for door in seen)
        self._protocols = _group((door.site, door.protocol) for door in seen)
        self._doors_of_rse = _group((door.rse, door.endpoint) for door in seen)
        self._rses_of_technology = _group((door.technology, door.rse) for door in seen)
        self._sites_of_protocol = _group((door.protocol, door.site) for door in seen)
        self._limit_values = {name: len(observations.values(name)) for name in LIMITS}
        several = {name for name, count in self._limit_values.items() if count > 1}
        self._limits = [names for names in _LIMITS_TOGETHER if set(names) <= several]
        self._limits_of_links = [names for names in _LIMITS_OF_LINKS if set(names) <= several]
        self._places = {door.endpoint: tuple(self._levels(door)) for door in seen}
        self._connections = self._both_ways(observations)
        self._counts: Mapping[tuple[str, str], int] = self._count(doors)
        self._places_of = cache(self._find_places)
        self.price = cache(self._price)

    def explanations(self, attributes: Attributes) -> Iterator[Hypothesis]:
        """Every hypothesis that covers tests with these attributes, each once."""
        for scope, level, place in self.places(attributes):
            combinations = self._limits_of_links if scope in BETWEEN_TWO else self._limits
            for limits in self._chosen(attributes, combinations):
                yield Hypothesis(scope, level, place, limits)

    def places(self, attributes: Attributes) -> tuple[Place, ...]:
        """Every scope, level and place that such tests are in."""
        return self._places_of(attributes.source, attributes.destination, attributes.cell, attributes.active)

    def sites(self, hypothesis: Hypothesis) -> tuple[str, ...]:
        """The sites that would have to act; none for what is no one site's."""
        names = {"site": "site", "rse": "rse", "endpoint": "endpoint"}
        if hypothesis.level == "door":
            return (hypothesis.place[0],)
        if hypothesis.level not in names:
            return ()
        at = Door._fields.index(names[hypothesis.level])
        found = [
            next(door.site for door in self._doors.values() if door[at] == name) for name in hypothesis.place
        ]
        return tuple(dict.fromkeys(found))

    def _both_ways(self, observations: Observations) -> frozenset[tuple[str, tuple[str, ...]]]:
        """Connections that copies in both modes used; the others are links by another name."""
        modes: dict[tuple[str, tuple[str, ...]], set[str]] = defaultdict(set)
        for attributes in observations.tallies:
            if attributes.active:
                for place in self._pairs(*attributes.active):
                    modes[place].add(attributes.mode)
        return frozenset(place for place, used in modes.items() if len(used) > 1)

    def _find_places(
        self, source: str, destination: str, cell: str, active: tuple[str, str] | None
    ) -> tuple[Place, ...]:
        places: list[Place] = [("lake", "", ())]
        if source:
            ends = {"source": source, "destination": destination}
            for scope, end in ends.items():
                places += [(scope, *place) for place in self._places[end]]
            places += [("link", *place) for place in self._pairs(source, destination)]
            if active:
                pairs = self._pairs(*active)
                places += [("connection", *place) for place in pairs if place in self._connections]
            either = dict.fromkeys((*self._places[source], *self._places[destination]))
            places += [("any", *place) for place in either]
        elif cell:
            places += [("any", *place) for place in self._places[cell]]
        return tuple(places)

    def _levels(self, door: Door) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The places an endpoint belongs to, without those that are the same by another name."""
        several_rses = len(self._rses[door.site]) > 1
        several_protocols = len(self._protocols[door.site]) > 1
        yield "site", (door.site,)
        if several_rses:
            yield "rse", (door.rse,)
        if several_protocols:
            yield "door", (door.site, door.protocol)
        if several_rses and several_protocols and len(self._doors_of_rse[door.rse]) > 1:
            yield "endpoint", (door.endpoint,)
        if len(self._rses_of_technology[door.technology]) > 1 and len(self._rses_of_technology) > 1:
            yield "technology", (door.technology,)
        if len(self._sites_of_protocol[door.protocol]) > 1 and len(self._sites_of_protocol) > 1:
            yield "protocol", (door.protocol,)

    def _pairs(self, source: str, destination: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        one, other = self._doors[source], self._doors[destination]
        yield "site", (one.site, other.site)
        ends = (one.site, other.site)
        if any(len(self._rses[site]) > 1 for site in ends):
            yield "rse", (one.rse, other.rse)
        if any(len(self._protocols[site]) > 1 for site in ends):
            yield "endpoint", (one.endpoint, other.endpoint)

    def _chosen(
        self, attributes: Attributes, combinations: list[tuple[str, ...]]
    ) -> Iterator[tuple[tuple[str, str], ...]]:
        for names in combinations:
            values = tuple((name, str(getattr(attributes, name))) for name in names)
            if all(value for _, value in values):
                yield values

    def _count(self, doors: Mapping[str, Door]) -> dict[tuple[str, str], int]:
        counts = {("place", level): 1 for level in _PRICE_OF_LEVEL}
        for level in ("site", "rse", "door", "endpoint", "technology", "protocol"):
            names = {place for places in self._places.values() for at, place in places if at == level}
            counts["place", level] = max(1, len(names))
        ends = [(doors[source], doors[destination]) for source, destination in self._links]
        counts["link", "site"] = len({(one.site, other.site) for one, other in ends})
        counts["link", "rse"] = len({(one.rse, other.rse) for one, other in ends})
        counts["link", "endpoint"] = len(ends)
        for level in ("site", "rse", "endpoint"):
            counts["connection", level] = max(1, sum(at == level for at, _ in self._connections))
        return counts

    def _price(self, hypothesis: Hypothesis) -> float:
        kind = hypothesis.scope if hypothesis.scope in BETWEEN_TWO else "place"
        price = _PRICE_OF_SCOPE[hypothesis.scope] + _PRICE_OF_LEVEL[hypothesis.level]
        price += math.log(self._counts[kind, hypothesis.level])
        for name, _ in hypothesis.limits:
            price += _PRICE_OF_LIMIT[name] + math.log(self._limit_values[name])
        return price


def _group(pairs: Iterator[tuple[str, str]]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = defaultdict(set)
    for key, value in pairs:
        groups[key].add(value)
    return groups
