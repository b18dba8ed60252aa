"""Finds the few faults that explain a pattern of failures best.

Every fault makes what it covers fail with a probability of its own; besides, one test in a hundred fails for
no reason. A set of faults is worth the likelihood of what was seen less the price of each fault. The best set
is searched greedily, then each fault in it is put to the test again: is it still needed, would another do
better?
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pytest_datalake.report.blame.observations import LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_datalake.report.blame.hypotheses import Hypothesis, Place, Space
    from pytest_datalake.report.blame.observations import Attributes, Observations

NOISE = 0.01
"""Share of tests that fail for no reason worth a name."""

_HARD = 0.9999
_PRICE_OF_FLAKY = 1.0
_OFTEN, _PRICE_OF_SELDOM = 0.7, 15.0
"""What a fault is that is not always there costs more; and more still, the more seldom it shows."""

_MOST_FAULTS = 30
_MOST_RIVALS = 150
_ROUNDS = 4
_LEAST_FAILURES = 2
_SELDOM, _ENOUGH = 0.4, 0.3
"""Something everywhere that fails no more than so often is believed in where enough of it is sporadic."""
_SEVERAL, _ALWAYS = 3, 9
"""Runs of a test over one protocol that tell whether it is, and failures for each pass that say it is not."""
CERTAIN = math.log(100)
AMBIGUOUS = math.log(8)
"""A rival that is this close in the logarithm of odds is named too."""


class Reach(NamedTuple):
    """What a hypothesis covers.

    Attributes:
        failing: positions in the list of failing groups of tests.
        failures: number of failures in them.
        passes: number of passes.
    """

    failing: tuple[int, ...]
    failures: int
    passes: int

    @property
    def share(self) -> float:
        """Share of what it covers that failed, never quite all."""
        return min(_HARD, self.failures / (self.failures + self.passes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A fault that is part of the best explanation.

    Attributes:
        hypothesis: the fault.
        reach: what it covers.
        rate: the assumed share of covered tests that fail.
        margin: how much worse the best other explanation is, in the logarithm of odds.
        rivals: other hypotheses that are ``AMBIGUOUS`` close, the best first.
    """

    hypothesis: Hypothesis
    reach: Reach
    rate: float
    margin: float
    rivals: tuple[Hypothesis, ...] = ()


class Search:
    """The search over one set of observations.

    Args:
        observations: what was seen.
        space: hypotheses about it.
    """

    def __init__(self, observations: Observations, space: Space) -> None:
        self.failing = [attributes for attributes, tally in observations.tallies.items() if tally.failures]
        self._weights = [len(observations.tallies[attributes].failures) for attributes in self.failing]
        self._price = space.price
        self.reaches = self._reaches(observations, space)
        self._doors = observations.doors
        self._passed: Counter[tuple[str, str]] = Counter()
        for attributes, tally in observations.tallies.items():
            self._passed[self._kind_of_test(attributes)] += tally.passes + tally.refusals

    def run(self) -> tuple[Found, ...]:
        """The best explanation; the order is that of how much each fault explains."""
        chosen = self._best()
        while wrong := [one for one in chosen if self._keeps_to_tests(one, chosen)]:
            for hypothesis in wrong:
                del self.reaches[hypothesis]
            chosen = self._best()
        found = [self._judged(hypothesis, chosen) for hypothesis in chosen]
        return tuple(sorted(found, key=lambda one: -one.reach.failures))

    def _best(self) -> dict[Hypothesis, float]:
        self._heap = self._initial()
        self._candidates = [hypothesis for _, hypothesis in heapq.nsmallest(_MOST_RIVALS, self._heap)]
        chosen = self._greedily({})
        for _ in range(_ROUNDS):
            improved = self._improved(chosen)
            if improved == chosen:
                break
            chosen = improved
        return chosen

    def _keeps_to_tests(self, hypothesis: Hypothesis, chosen: Mapping[Hypothesis, float]) -> bool:
        """Whether what fails now and then everywhere is certain tests, always: then it is these.

        Of a test that ran once nobody knows; but where it is the lake, others fail as often.
        """
        everywhere = hypothesis.level in {"", "technology", "protocol"}
        if not everywhere or hypothesis.limited_to_a_test() or chosen[hypothesis] > _SELDOM:
            return False
        others = {number for one in chosen if one != hypothesis for number in self.reaches[one].failing}
        failed: Counter[tuple[str, str]] = Counter()
        for number in set(self.reaches[hypothesis].failing) - others:
            failed[self._kind_of_test(self.failing[number])] += self._weights[number]
        repeated = sum(count for count in self._passed.values() if count >= _SEVERAL)
        sporadic = sum(
            count
            for kind, count in failed.items()
            if count + self._passed[kind] >= _SEVERAL and count < _ALWAYS * self._passed[kind]
        )
        return repeated >= _ENOUGH * self._passed.total() and sporadic < _ENOUGH * failed.total()

    def _kind_of_test(self, attributes: Attributes) -> tuple[str, str]:
        """A test over one protocol."""
        return attributes.test, next((self._doors[end].protocol for end in attributes.ends), "")

    def _reaches(self, observations: Observations, space: Space) -> dict[Hypothesis, Reach]:
        members: dict[Hypothesis, list[int]] = defaultdict(list)
        for number, attributes in enumerate(self.failing):
            for hypothesis in space.explanations(attributes):
                members[hypothesis].append(number)
        failures = {
            hypothesis: sum(self._weights[number] for number in numbers)
            for hypothesis, numbers in members.items()
        }
        likely = {
            hypothesis
            for hypothesis, count in failures.items()
            if count >= _LEAST_FAILURES and -math.log(NOISE) * count > space.price(hypothesis)
        }
        passes = self._passes(likely, observations, space)
        return {
            hypothesis: Reach(tuple(members[hypothesis]), failures[hypothesis], passes[hypothesis])
            for hypothesis in likely
        }

    @staticmethod
    def _passes(
        hypotheses: Iterable[Hypothesis], observations: Observations, space: Space
    ) -> dict[Hypothesis, int]:
        wanted: dict[Place, list[Hypothesis]] = defaultdict(list)
        for hypothesis in hypotheses:
            wanted[hypothesis[:3]].append(hypothesis)
        worked: dict[Place, Counter[tuple[str, ...]]] = {place: Counter() for place in wanted}
        refused: dict[Place, Counter[tuple[str, ...]]] = {place: Counter() for place in wanted}
        for attributes, tally in observations.tallies.items():
            if tally.passes or tally.refusals:
                limits = attributes[-len(LIMITS) :]
                for place in wanted.keys() & space.places(attributes):
                    worked[place][limits] += tally.passes
                    refused[place][limits] += tally.refusals
        passes: dict[Hypothesis, int] = {}
        for place, several in wanted.items():
            for hypothesis in several:
                passes[hypothesis] = _sum(worked[place], hypothesis)
                if hypothesis.of_tests():
                    passes[hypothesis] += _sum(refused[place], hypothesis)
        return passes

    # What a set of faults is worth. `unexplained` is the probability, by failing group, that it would pass.

    def _unexplained(
        self, chosen: Mapping[Hypothesis, float], without: Hypothesis | None = None
    ) -> list[float]:
        left = [1 - NOISE] * len(self.failing)
        for hypothesis, rate in chosen.items():
            if hypothesis != without:
                for number in self.reaches[hypothesis].failing:
                    left[number] *= 1 - rate
        return left

    def _gain(self, hypothesis: Hypothesis, unexplained: Sequence[float]) -> tuple[float, float]:
        """What adding a fault to a set gains at its best rate, and that rate."""
        reach = self.reaches[hypothesis]
        groups: dict[float, int] = defaultdict(int)
        for number in reach.failing:
            groups[unexplained[number]] += self._weights[number]
        best = (-math.inf, 0.0)
        for rate in {_HARD, reach.share}:
            gain = reach.passes * math.log1p(-rate) - _price_of_rate(rate)
            gain += sum(
                count * (math.log1p(-left * (1 - rate)) - math.log1p(-left)) for left, count in groups.items()
            )
            best = max(best, (gain, rate))
        return best[0] - self._price(hypothesis), best[1]

    def _worth(self, chosen: Mapping[Hypothesis, float]) -> float:
        unexplained = self._unexplained(chosen)
        worth = sum(
            weight * math.log1p(-left) for weight, left in zip(self._weights, unexplained, strict=True)
        )
        for hypothesis, rate in chosen.items():
            worth += self.reaches[hypothesis].passes * math.log1p(-rate)
            worth -= _price_of_rate(rate) + self._price(hypothesis)
        return worth

    # The search.

    def _initial(self) -> list[tuple[float, Hypothesis]]:
        """What each hypothesis gains alone, as a heap with the best on top; the others can never gain."""
        unexplained = self._unexplained({})
        gains = ((self._gain(hypothesis, unexplained)[0], hypothesis) for hypothesis in self.reaches)
        heap = [(-gain, hypothesis) for gain, hypothesis in gains if gain > 0]
        heapq.heapify(heap)
        return heap

    def _greedily(
        self, start: Mapping[Hypothesis, float], barred: Hypothesis | None = None
    ) -> dict[Hypothesis, float]:
        """A set with the best fault added again and again, as long as that gains."""
        chosen = dict(start)
        unexplained = self._unexplained(chosen)
        heap = self._heap.copy()
        while heap and len(chosen) < _MOST_FAULTS:
            _, hypothesis = heapq.heappop(heap)
            gain, rate = self._gain(hypothesis, unexplained)
            if gain <= 0 or hypothesis in chosen or hypothesis == barred:
                continue
            if heap and -gain > heap[0][0]:  # gains only shrink: another may be better by now
                heapq.heappush(heap, (-gain, hypothesis))
                continue
            chosen[hypothesis] = rate
            for number in self.reaches[hypothesis].failing:
                unexplained[number] *= 1 - rate
        return chosen

    def _improved(self, chosen: dict[Hypothesis, float]) -> dict[Hypothesis, float]:
        """The set after the best change to it.

        Drop one, add one and drop what that makes needless, or do without one and see what takes its place.
        """
        best, worth = chosen, self._worth(chosen)
        changes = [self._pruned(chosen, candidate) for candidate in (None, *self._rivals(chosen))]
        for hypothesis in chosen:
            others = {other: rate for other, rate in chosen.items() if other != hypothesis}
            changes.append(self._pruned(self._greedily(others, barred=hypothesis), None))
        for changed in changes:
            if changed.keys() != best.keys() and (value := self._worth(changed)) > worth + 1e-9:
                best, worth = changed, value
        return best

    def _rivals(self, chosen: Mapping[Hypothesis, float]) -> Iterable[Hypothesis]:
        return [hypothesis for hypothesis in self._candidates if hypothesis not in chosen]

    def _pruned(
        self, chosen: Mapping[Hypothesis, float], added: Hypothesis | None
    ) -> dict[Hypothesis, float]:
        """The set with one more, rates found anew, less what is not worth its price beside the others."""
        trial = dict(chosen)
        if added is not None:
            _, rate = self._gain(added, self._unexplained(trial))
            trial[added] = rate
        touched = set(self.reaches[added].failing) if added is not None else None
        for hypothesis in sorted(chosen, key=lambda one: self.reaches[one].failures):
            if touched is not None and touched.isdisjoint(self.reaches[hypothesis].failing):
                continue
            gain, rate = self._gain(hypothesis, self._unexplained(trial, without=hypothesis))
            if gain <= 0:
                del trial[hypothesis]
            else:
                trial[hypothesis] = rate
        if added is not None and len(trial) > 1:
            gain, rate = self._gain(added, self._unexplained(trial, without=added))
            if gain <= 0:
                del trial[added]
            else:
                trial[added] = rate
        return trial

    # How sure it is.

    def _judged(self, hypothesis: Hypothesis, chosen: Mapping[Hypothesis, float]) -> Found:
        unexplained = self._unexplained(chosen, without=hypothesis)
        own, rate = self._gain(hypothesis, unexplained)
        mine = set(self.reaches[hypothesis].failing)
        rivals: list[tuple[float, Hypothesis]] = []
        for other, reach in self.reaches.items():
            if other in chosen or mine.isdisjoint(reach.failing) or _same(hypothesis, other, self.reaches):
                continue
            gain, _ = self._gain(other, unexplained)
            rivals.append((gain, other))
        rivals.sort(key=lambda rival: (-rival[0], rival[1]))
        margin = own - max((rivals[0][0] if rivals else 0.0), 0.0)
        close: list[Hypothesis] = []
        for gain, other in rivals:
            if own - gain > AMBIGUOUS:
                break
            if not any(_same(other, named, self.reaches) for named in close):
                close.append(other)
        return Found(
            hypothesis=hypothesis,
            reach=self.reaches[hypothesis],
            rate=rate,
            margin=margin,
            rivals=tuple(close),
        )


def _sum(counts: Mapping[tuple[str, ...], int], hypothesis: Hypothesis) -> int:
    wanted = [(LIMITS.index(name), value) for name, value in hypothesis.limits]
    return sum(count for limits, count in counts.items() if all(limits[at] == value for at, value in wanted))


def _price_of_rate(rate: float) -> float:
    if rate >= _HARD:
        return 0.0
    return _PRICE_OF_FLAKY + _PRICE_OF_SELDOM * max(0.0, _OFTEN - rate)


def _same(one: Hypothesis, other: Hypothesis, reaches: Mapping[Hypothesis, Reach]) -> bool:
    """Whether two cover the same and are not two culprits; one mode of a culprit is no other."""
    if one[:3] == other[:3] and _in_any_mode(one) == _in_any_mode(other):
        return True
    if reaches[one] != reaches[other]:
        return False
    return one.scope == other.scope or "any" in {one.scope, other.scope}


def _in_any_mode(hypothesis: Hypothesis) -> list[tuple[str, str]]:
    return [limit for limit in hypothesis.limits if limit[0] != "mode"]
