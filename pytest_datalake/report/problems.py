"""Says in a few lines what is behind many results that are not green.

Each explanation is a group of tests with something in common: a destination and an auth, a source, a
technology, one link. Greedily the group is taken that explains most of what is left, at a price for every
test in it that passed and for how much it claims, so that an innocent site is not blamed for its partners.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.report.rows import SEVERITY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_datalake.report.rows import EndpointRow, Outcome, TestRow

NOT_GREEN: frozenset[Outcome] = frozenset({"failed", "error", "fixed", "not-run"})

_Hypothesis = tuple[float, str]

_MOST = 40
_PRICE_OF_A_PASS = 2.0
_REASON_SHOWN = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Results that are not green and probably have one cause.

    Attributes:
        where: what they have in common, in words.
        outcome: the most frequent outcome among them.
        count: number of tests.
        of: number of tests at that place, whatever their outcome.
        reason: the most frequent reason, shortened.
        nodeid: one of the tests.
        reproduce: command that repeats that one.
    """

    where: str
    outcome: Outcome
    count: int
    of: int
    reason: str
    nodeid: str
    reproduce: str

    @property
    def line(self) -> str:
        """One line for a terminal."""
        share = f"{self.count} of {self.of}" if self.of > self.count else str(self.count)
        return f"{self.outcome}: {share} {self.where}: {self.reason or 'no reason given'}"


def explain(tests: Sequence[TestRow], endpoints: Sequence[EndpointRow]) -> tuple[Problem, ...]:
    """What is not green, the largest groups first; what is left over after many groups is one more."""
    left = {number for number, row in enumerate(tests) if row.outcome in NOT_GREEN}
    technology = {endpoint.id: endpoint.technology for endpoint in endpoints}
    groups: dict[_Hypothesis, set[int]] = defaultdict(set)
    sizes: Counter[_Hypothesis] = Counter()
    passes: Counter[_Hypothesis] = Counter()
    for number, row in enumerate(tests if left else ()):
        for key in _hypotheses(row, technology):
            sizes[key] += 1
            passes[key] += row.outcome == "passed"
            if number in left:
                groups[key].add(number)
    problems: list[Problem] = []
    while left and len(problems) < _MOST:
        best = max(groups, key=lambda key: (len(groups[key]) - _PRICE_OF_A_PASS * passes[key] - key[0], key))
        covered = groups[best]
        problems.append(_problem(best[1], [tests[number] for number in sorted(covered)], sizes[best]))
        left -= covered
        groups = {key: rest for key, members in groups.items() if (rest := members - covered)}
    problems.sort(key=lambda problem: (-problem.count, -SEVERITY[problem.outcome]))
    if left:
        problems.append(_problem("elsewhere", [tests[number] for number in sorted(left)], len(left)))
    return tuple(problems)


def _hypotheses(row: TestRow, technology: Mapping[str, str]) -> Iterator[_Hypothesis]:
    """Explanations of one row with their price: the more it would explain, the more evidence it needs."""
    if row.link:
        by = f"by {row.auth}"
        kind = "streamed copies" if row.streamed else "copies"
        yield 0.5, f"{row.source} → {row.destination} {by}{' (streamed)' if row.streamed else ''}"
        yield 1.0, f"{kind} to {row.destination} {by}"
        yield 1.0, f"{kind} from {row.source} {by}"
        yield 1.5, f"{kind} to {row.destination}"
        yield 1.5, f"{kind} from {row.source}"
        yield 3.0, f"all {row.protocol} {kind} {by}"
    else:
        at = row.cell or row.rse or row.site
        if at:
            yield 0.5, f"{row.test or row.nodeid} at {at} by {row.auth}"
            yield 1.0, f"{row.capability or 'tests'} at {at} by {row.auth}"
            yield 1.5, f"tests at {at} by {row.auth}"
            yield 1.5, f"tests at {at}"
        made_by = technology.get(row.cell)
        if made_by and row.test:
            yield 1.0, f"{row.test} on {made_by} over {row.protocol}"
            yield 1.5, f"{row.test} on {made_by}"
    if row.site:
        yield 3.0, f"tests at site {row.site}"
    yield 0.6, row.nodeid
    yield 6.0, "tests of the whole lake"


def _problem(where: str, rows: Sequence[TestRow], of: int) -> Problem:
    outcome = Counter(row.outcome for row in rows).most_common(1)[0][0]
    alike = [row for row in rows if row.outcome == outcome]
    shape = Counter(_shape(row.reason) for row in alike).most_common(1)[0][0]
    example = next(row for row in alike if _shape(row.reason) == shape)
    return Problem(
        where=where,
        outcome=outcome,
        count=len(rows),
        of=of,
        reason=one_line(example.reason),
        nodeid=example.nodeid,
        reproduce=example.reproduce,
    )


def one_line(text: str, limit: int = _REASON_SHOWN) -> str:
    """The first lines of a text on one line, printable, with an ellipsis where it was cut."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"


def _shape(reason: str) -> str:
    """A reason without what differs from file to file."""
    return re.sub(r"\S*[/\d]\S*", "*", one_line(reason))
