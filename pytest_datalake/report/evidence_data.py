"""All results as a packed table for the matrix page: small also for a hundred thousand tests."""

from __future__ import annotations

from collections import defaultdict
from math import log2
from typing import TYPE_CHECKING, Any

from pytest_datalake.matrix.model import FAMILY
from pytest_datalake.report.columns import Texts, pack
from pytest_datalake.report.rows import OUTCOMES, SEVERITY, EndpointRow, TestRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SIZE_LIMIT = 850_000
"""Most characters of a packed table."""

_TEXT_BUDGETS = (2_000_000, 700_000, 250_000, 80_000, 0)
"""Characters of distinct long texts that are tried, one after another, until the table is small enough."""

_STEPS_PER_OCTAVE = 12
_SHORTEST = 0.01
_WORTH_A_PLACEHOLDER = 12
_MOST_FACTS = 64

NODEID, SOURCE, DESTINATION, CELL, AUTH, FACT = "\x00", "\x01", "\x02", "\x03", "\x04", "\x05"
"""Stand for what is in other columns; a fact's name follows, up to the next ``FACT``."""
_NO_PLACEHOLDERS = dict.fromkeys(range(6), " ")


def endpoints_of(endpoints: Sequence[EndpointRow], tests: Sequence[TestRow]) -> list[EndpointRow]:
    """The endpoints of a run, and those that only tests name."""
    known = {endpoint.id: endpoint for endpoint in endpoints}
    for row in tests:
        for name in (row.cell, row.source, row.destination):
            if name and name not in known:
                rse, _, protocol = name.rpartition(".")
                site = row.site if name != row.source else ""
                known[name] = EndpointRow(id=name, site=site, rse=rse or name, protocol=protocol)
    return sorted(known.values(), key=lambda end: (end.site, end.rse, end.protocol, end.id))


def data(
    tests: Sequence[TestRow],
    endpoints: Sequence[EndpointRow],
    experiments: Mapping[str, str],
    extra: Mapping[str, Any],
    limit: int = SIZE_LIMIT,
) -> str:
    """The packed table of all tests.

    Args:
        tests: one row a test; positions in this list are the numbers of the page's rows.
        endpoints: of the run.
        experiments: experiment by identity.
        extra: more for the head.
        limit: characters that it is to stay below; long texts are left out for that.
    """
    packed = ""
    for budget in _TEXT_BUDGETS:
        table = _Table(tests, endpoints_of(endpoints, tests), experiments, budget)
        packed = pack({**extra, **table.head}, table.columns)
        if len(packed) <= limit:
            break
    return packed


class _Table:
    """Head and columns; texts of what is not green come first, while the budget lasts."""

    def __init__(
        self,
        tests: Sequence[TestRow],
        endpoints: Sequence[EndpointRow],
        experiments: Mapping[str, str],
        budget: int,
    ) -> None:
        self._words = Texts(SIZE_LIMIT)
        self._texts = Texts(budget)
        self._places = {endpoint.id: number for number, endpoint in enumerate(endpoints, start=1)}
        self._experiments = experiments
        self.columns: dict[str, list[int]] = defaultdict(lambda: [0] * len(tests))
        order = sorted(range(len(tests)), key=lambda number: -SEVERITY[tests[number].outcome])
        for number in order:
            self._add(number, tests[number])
        self.head = {
            "count": len(tests),
            "outcomes": OUTCOMES,
            "severity": [SEVERITY[outcome] for outcome in OUTCOMES],
            "endpoints": [
                [end.id, end.site, end.rse, end.technology, end.qos, end.protocol] for end in endpoints
            ],
            "families": {str(protocol): family for protocol, family in FAMILY.items()},
            "words": self._words.all,
            "texts": self._texts.all,
        }

    def _add(self, number: int, row: TestRow) -> None:
        columns, word, text = self.columns, self._words.position, self._texts.position
        columns["outcome"][number] = OUTCOMES.index(row.outcome)
        columns["source"][number] = self._places.get(row.source, 0)
        columns["destination"][number] = self._places.get(row.destination, 0)
        columns["cell"][number] = self._places.get(row.cell, 0)
        columns["streamed"][number] = row.streamed
        columns["seconds"][number] = _logarithmic(row.seconds)
        for name in (
            "test",
            "capability",
            "requirement",
            "layer",
            "auth",
            "identity",
            "site",
            "protocol",
            "qos",
        ):
            value = getattr(row, name) or (row.nodeid if name == "test" else "")
            if value:
                columns[name][number] = word(value[:300])
        experiment = self._experiments.get(row.identity, "")
        if experiment:
            columns["experiment"][number] = word(experiment)
        columns["nodeid"][number] = word(_with_places(row.nodeid[:1000], row))
        facts = {
            name[:60].translate(_NO_PLACEHOLDERS): str(value)
            for name, value in row.evidence.items()
            if value not in ("", None)
        }
        for name, value in facts.items():
            if f"fact:{name}" in columns or len(columns) < _MOST_FACTS:
                columns[f"fact:{name}"][number] = text(value)
        for name in ("reason", "reproduce", "details"):
            value = getattr(row, name)
            if value:
                columns[name][number] = text(_with_facts(value, row, facts))
        columns["logs"][number] = text("\n".join(f"{name}:\n{lines}" for name, lines in row.logs.items()))
        issue = row.known_issue
        if issue:
            columns["issue"][number] = text("\n".join((issue.reason, issue.reference, issue.until)))
        held = row.downtime
        if held:
            columns["downtime"][number] = text("\n".join((held.reason, held.reference, held.end)))


def _logarithmic(seconds: float) -> int:
    """A duration within 6 %, in a byte: 1 is 0.01 s, 255 is more than 6 hours."""
    if seconds < _SHORTEST:
        return 0
    return min(255, 1 + round(_STEPS_PER_OCTAVE * log2(seconds / _SHORTEST)))


def _plain(text: str) -> str:
    """The text without what stands for something else here."""
    return text if text.isprintable() else text.translate(_NO_PLACEHOLDERS)


def _with_places(text: str, row: TestRow) -> str:
    """A text in which the row's endpoints and auth are placeholders, so that many rows share it."""
    text = _plain(text)
    for value, mark in (
        (row.source, SOURCE),
        (row.destination, DESTINATION),
        (row.cell, CELL),
        (row.auth, AUTH),
    ):
        if value:
            text = text.replace(value, mark)
    return text


def _with_facts(text: str, row: TestRow, facts: Mapping[str, str]) -> str:
    text = _plain(text)
    if row.nodeid:
        text = text.replace(row.nodeid, NODEID)
    for name, value in facts.items():
        if len(value) >= _WORTH_A_PLACEHOLDER:
            text = text.replace(value, f"{FACT}{name}{FACT}")
    return text
