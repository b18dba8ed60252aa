"""Result rows as observations: what a test touched, and whether it worked.

Only passes and failures say something about the lake. A refusal that came as it should says nothing of
whether the place works, except about that very test.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pytest_datalake.report.blame.texts import mode_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_datalake.report.rows import EndpointRow, TestRow

LIMITS = ("auth", "family", "rights", "group", "layer", "capability", "test", "mode")
"""Attributes of a test that a fault may be limited to, besides its places."""

TOKENS, CERTIFICATES, GROUPS = "tokens", "X.509", "groups"

_OF_GROUPS = frozenset({"token-group", "x509-voms"})
"""What a storage grants by its own rules for groups; a scope brings its rights along."""


class Attributes(NamedTuple):
    """What tests have in common that differ only in what they do there; endpoints by id, empty: none."""

    source: str
    destination: str
    cell: str
    auth: str
    family: str
    rights: str
    group: str
    layer: str
    capability: str
    test: str
    mode: str

    @property
    def active(self) -> tuple[str, str] | None:
        """Who opens the connection to whom in a copy; None where that is not known."""
        ends = {"pull": (self.destination, self.source), "push": (self.source, self.destination)}
        return ends.get(self.mode)

    @property
    def ends(self) -> tuple[str, ...]:
        """The endpoints that are touched."""
        return tuple(end for end in (self.source, self.destination, self.cell) if end)


@dataclass(slots=True)
class Tally:
    """How tests with the same attributes ended.

    Attributes:
        failures: positions of the tests that failed.
        passes: number of passes that say that the place works.
        some: position of one of them; -1: none.
        refusals: number of passes of tests whose point is to be refused.
    """

    failures: list[int] = field(default_factory=list)
    passes: int = 0
    some: int = -1
    refusals: int = 0


class Door(NamedTuple):
    """An endpoint's place in the lake."""

    endpoint: str
    rse: str
    site: str
    protocol: str
    technology: str


class Observations:
    """All observations, and the lake as far as they have seen it.

    Args:
        tests: rows; those that neither passed nor failed, or failed as an expired known issue, are left out.
        endpoints: the lake; endpoints that are missing here are made up from their ids.
    """

    def __init__(self, tests: Sequence[TestRow], endpoints: Iterable[EndpointRow]) -> None:
        self.doors = {
            row.id: Door(
                row.id, row.rse or row.id, row.site or row.rse or row.id, row.protocol, row.technology
            )
            for row in endpoints
        }
        self.tallies: dict[Attributes, Tally] = defaultdict(Tally)
        for position, row in enumerate(tests):
            if counts(row):
                self._add(position, row)
        self.seen = {self.doors[end] for attributes in self.tallies for end in attributes.ends}

    def values(self, limit: str) -> set[str]:
        """The values of an attribute that were seen; rights that do not come with groups are one, too."""
        at = Attributes._fields.index(limit)
        return {attributes[at] for attributes in self.tallies} - ({""} if limit != "rights" else set())

    def _add(self, position: int, row: TestRow) -> None:
        cell = row.cell if not row.link else ""
        link = row.link or ("", "", "")
        attributes = Attributes(
            source=link[0],
            destination=link[1],
            cell=cell,
            auth=row.shown,
            family=family(row.shown),
            rights=GROUPS if row.shown in _OF_GROUPS else "",
            group=row.identity,
            layer="streamed" if row.streamed else row.layer,
            capability=row.capability,
            test=row.requirement if row.clause else row.test,  # each case of a table is a test of its own
            mode=mode_of(row) if row.layer == "direct" else "",  # others tell it of failures only
        )
        tally = self.tallies[attributes]
        if row.outcome == "failed":
            tally.failures.append(position)
        elif "refusal" in row.evidence:
            tally.refusals += 1
        else:
            tally.passes, tally.some = tally.passes + 1, position
        for end in attributes.ends:
            if end not in self.doors:
                self.doors[end] = _unknown(end, row.site if end in {link[1], cell} else "")


def counts(row: TestRow) -> bool:
    """Whether a result says something about the lake."""
    return row.outcome == "passed" or (row.outcome == "failed" and row.known_issue is None)


def family(auth: str) -> str:
    """The kind of credential behind an auth; empty for those that are alone of their kind."""
    if auth.startswith("token-"):
        return TOKENS
    return CERTIFICATES if auth.startswith("x509") else ""


def _unknown(endpoint: str, site: str) -> Door:
    rse, _, protocol = endpoint.rpartition(".")
    return Door(endpoint, rse or endpoint, site or rse or endpoint, protocol, "")
