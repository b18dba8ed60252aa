"""From result rows to faults: every result that is not green is attributed to just one of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_datalake.report.blame.contrast import contrast, covers, listed
from pytest_datalake.report.blame.fault import Fault
from pytest_datalake.report.blame.hypotheses import BETWEEN_TWO, Space
from pytest_datalake.report.blame.leftovers import leftovers
from pytest_datalake.report.blame.observations import Observations
from pytest_datalake.report.blame.search import CERTAIN, Found, Search
from pytest_datalake.report.blame.texts import accused, sort_of
from pytest_datalake.report.blame.wording import IN_SOME_TESTS, kind, sentence, told, where
from pytest_datalake.report.reasons import cause, shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from pytest_datalake.report.blame.fault import Confidence
    from pytest_datalake.report.blame.hypotheses import Hypothesis
    from pytest_datalake.report.rows import EndpointRow, TestRow

_ALWAYS = 0.95
_CLEAR = 0.8
_FEW = 2
_SHOWN = 3
_CONTRASTS = 2


def blame(tests: Sequence[TestRow], endpoints: Iterable[EndpointRow]) -> tuple[Fault, ...]:
    """The most likely faults, those that explain most first; then what is nobody's fault in the lake.

    Args:
        tests: all rows, one a test.
        endpoints: the lake.
    """
    observations = Observations(tests, endpoints)
    space = Space(observations)
    search = Search(observations, space)
    found = search.run()
    shares = _attributed(search, found, tests, observations)
    everywhere = frozenset(position for positions in shares for position in positions)
    faults = [
        _Writer(
            one,
            [tests[position] for position in positions],
            tests,
            observations,
            space,
            search,
            everywhere.difference(positions),
        ).fault(tuple(positions))
        for one, positions in zip(found, shares, strict=True)
        if positions
    ]
    faults.sort(key=lambda fault: -fault.count)
    explained = {position for fault in faults for position in fault.tests}
    return (*faults, *leftovers(tests, explained, observations))


def _attributed(
    search: Search, found: Sequence[Found], tests: Sequence[TestRow], observations: Observations
) -> list[list[int]]:
    """The failures of each fault.

    Those in the reach of several go to one that their own text blames, then to the surest cause.
    """
    covering: dict[int, list[int]] = defaultdict(list)
    for number, one in enumerate(found):
        for group in one.reach.failing:
            covering[group].append(number)

    def surest(numbers: Sequence[int], position: int) -> int:
        blamed = accused(tests[position])
        ranked = [
            (_is_within(blamed, found[number].hypothesis, observations), found[number].rate, -number)
            for number in numbers
        ]
        return -max(ranked)[2]

    shares: list[list[int]] = [[] for _ in found]
    for group, numbers in covering.items():
        for position in observations.tallies[search.failing[group]].failures:
            shares[surest(numbers, position) if len(numbers) > 1 else numbers[0]].append(position)
    return [sorted(share) for share in shares]


def _is_within(blamed: str, hypothesis: Hypothesis, observations: Observations) -> bool:
    """Whether the endpoint, or the central service, is part of what a hypothesis blames."""
    door = observations.doors.get(blamed)
    if hypothesis.scope == "lake":
        return True
    if door is None:
        return False
    places = {
        "site": (door.site,),
        "rse": (door.rse,),
        "door": (door.site, door.protocol),
        "endpoint": (door.endpoint,),
        "technology": (door.technology,),
        "protocol": (door.protocol,),
    }
    if hypothesis.scope in BETWEEN_TWO:
        return places[hypothesis.level][0] in hypothesis.place
    return places[hypothesis.level] == hypothesis.place


def _alike(rows: Sequence[TestRow]) -> list[list[TestRow]]:
    """Rows by what they say, the commonest first."""
    alike: dict[str, list[TestRow]] = defaultdict(list)
    for row in rows:
        alike[shape(row.reason)].append(row)
    return sorted(alike.values(), key=lambda same: -len(same))


class _Writer:
    """Puts one fault that was found into words.

    Args:
        found: the fault.
        rows: the failures that are attributed to it.
        tests: all rows.
        observations: everything that was seen.
        space: all hypotheses.
        search: what they reach.
        elsewhere: positions of the failures that are attributed to other faults.
    """

    def __init__(
        self,
        found: Found,
        rows: Sequence[TestRow],
        tests: Sequence[TestRow],
        observations: Observations,
        space: Space,
        search: Search,
        elsewhere: AbstractSet[int],
    ) -> None:
        self._rows = rows
        self._tests = tests
        self._observations = observations
        self._space = space
        self._search = search
        self._elsewhere = elsewhere
        self._accused = Counter(name for row in rows if (name := accused(row)))
        self._found, self._by_text = self._with_texts(found)

    def fault(self, positions: tuple[int, ...]) -> Fault:
        """The fault, with the positions of its tests."""
        hypothesis = self._found.hypothesis
        reasons = _alike(self._rows)
        sort = self._sort()
        usual = [row for row in self._rows if not sort or sort_of(row.reason) == sort]
        simple = [row for row in usual if not row.clause]  # easier to repeat than a case of a table
        example = _alike(simple or usual)[0][0]
        beside = contrast(hypothesis, self._observations, self._space, self._elsewhere)
        return Fault(
            key=hypothesis.key,
            kind=kind(hypothesis),
            where=where(hypothesis),
            sentence=sentence(hypothesis, sort, self._often()),
            contrast="; ".join(beside[:_CONTRASTS]),
            confidence=self._confidence(),
            sites=self._space.sites(hypothesis),
            identity=dict(hypothesis.limits).get("group", ""),
            count=len(self._rows),
            of=self._of(),
            evidence=tuple(self._evidence(reasons, beside)),
            alternatives=tuple(where(rival) for rival in self._found.rivals[:_SHOWN]),
            disagreement=self._disagreement(),
            reason=example.reason,
            nodeid=example.nodeid,
            reproduce=example.reproduce,
            tests=positions,
        )

    def _of(self) -> int:
        return self._found.reach.passes + len(self._rows)

    def _often(self) -> str:
        """How often it is there: `now and then` is only what fails and passes under the same conditions."""
        if len(self._rows) >= _ALWAYS * self._of():
            return ""
        hypothesis = self._found.hypothesis
        mixed = any(
            tally.passes and tally.failures and covers(hypothesis, attributes, self._space)
            for attributes, tally in self._observations.tallies.items()
        )
        return "now and then" if mixed else IN_SOME_TESTS

    def _sort(self) -> str:
        """The sort of failure, where most rows tell of the same."""
        name, count = Counter(sort_of(row.reason) for row in self._rows).most_common(1)[0]
        return name if 2 * count > len(self._rows) else ""

    def _confidence(self) -> Confidence:
        if self._found.rivals:
            return "likely" if self._by_text else "ambiguous"
        return "certain" if self._found.margin >= CERTAIN else "likely"

    def _with_texts(self, found: Found) -> tuple[Found, bool]:
        """Where the pattern leaves it open and the texts clearly speak for one, that is the fault."""
        agreeing = [
            hypothesis
            for hypothesis in (found.hypothesis, *found.rivals)
            if hypothesis.scope not in BETWEEN_TWO
            and self._accused.total() >= _FEW
            and self._agreeing(hypothesis) >= _CLEAR * self._accused.total()
        ]
        if len(agreeing) != 1 or not found.rivals:
            return found, False
        rivals = tuple(one for one in (found.hypothesis, *found.rivals) if one not in agreeing)
        reach = self._search.reaches[agreeing[0]]
        return replace(found, hypothesis=agreeing[0], reach=reach, rivals=rivals), True

    def _agreeing(self, hypothesis: Hypothesis) -> int:
        """How many texts blame what this hypothesis blames."""
        return sum(
            count for name, count in self._accused.items() if _is_within(name, hypothesis, self._observations)
        )

    def _evidence(self, reasons: Sequence[Sequence[TestRow]], beside: Sequence[str]) -> Iterator[str]:
        yield f"{self._share()}, {', '.join(self._variety())}"
        if 0 < self._found.reach.passes <= _FEW:
            yield f"passed all the same: {listed(sorted(self._passed()))}"
        yield from beside
        if self._confidence() == "certain":
            yield "every other explanation is at least a hundred times less likely"
        for rows in reasons[:_SHOWN] if len(reasons) > 1 else ():
            yield f"{len(rows)}: {cause(rows[0].reason) or 'no reason given'}"
        if rest := sum(map(len, reasons[_SHOWN:])):
            yield f"{rest}: other answers"
        blaming = self._accused.total()
        agreeing = self._agreeing(self._found.hypothesis)
        if self._by_text:
            others = " or ".join(where(rival) for rival in self._found.rivals[:_SHOWN])
            yield f"the pattern alone would fit {others} as well; {agreeing} of {blaming} error texts decide"
        elif blaming and agreeing >= _CLEAR * blaming and self._found.hypothesis.scope != "lake":
            yield f"{agreeing} of {blaming} answers point to this place"

    def _passed(self) -> Iterator[str]:
        """Tests in the reach of the fault that passed, those alone that say that the place works."""
        for attributes, tally in self._observations.tallies.items():
            if tally.passes and covers(self._found.hypothesis, attributes, self._space):
                row = self._tests[tally.some]
                at = f"{row.source} → {row.destination}" if row.link else row.cell
                yield f"{told(row.requirement if row.clause else row.test)} at {at} by {row.auth}"

    def _share(self) -> str:
        count, of = len(self._rows), self._of()
        what = "copy" if all(row.link for row in self._rows) else "test"
        what = what if count == 1 else {"copy": "copies", "test": "tests"}[what]
        return f"all {count} {what} failed" if count == of else f"{count} of {of} {what} failed"

    def _variety(self) -> Iterator[str]:
        """How different the tests are that failed: what they do not have in common is not the cause."""
        doors = self._observations.doors
        ends = {end for row in self._rows for end in (row.source, row.destination, row.cell)}
        own = self._space.sites(self._found.hypothesis)
        others = sorted({doors[end].site for end in ends if end in doors} - set(own))
        if others:
            yield f"{'with' if own else 'at'} {listed(others)}{' at the other end' if own else ''}"
        auths = sorted({row.shown for row in self._rows} - {""})
        if auths:
            yield f"by {listed(auths)}"
        tests = len({row.requirement if row.clause else row.test for row in self._rows})
        yield f"in {tests} different tests" if tests > 1 else "in one and the same test"

    def _disagreement(self) -> str:
        """What the texts say, where most of those that blame somebody blame somebody else."""
        blaming = self._accused.total()
        others = blaming - self._agreeing(self._found.hypothesis)
        if blaming < _FEW or 2 * others <= blaming:
            return ""
        blamed = Counter(
            {
                name: count
                for name, count in self._accused.items()
                if not _is_within(name, self._found.hypothesis, self._observations)
            }
        )
        names = ", ".join(f"{name} ({count})" for name, count in blamed.most_common(_SHOWN))
        return f"{others} of {blaming} error texts blame another: {names}; ask both"
