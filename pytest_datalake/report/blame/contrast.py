"""What works beside a fault: the same place in another role, by another credential, over another protocol."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet

    from pytest_datalake.report.blame.hypotheses import Hypothesis, Space
    from pytest_datalake.report.blame.observations import Attributes, Observations

    Names = Callable[[Attributes], set[str]]

_WORKS = 0.9
_MOSTLY = 0.5
"""What fails more often, of whatever fault, is not called working."""
_NAMED = 3

_LIMITS = {
    "family": "the same with {}",
    "auth": "the same with {}",
    "rights": "the same with {}",
    "group": "the same for {}",
    "layer": "the same in {}",
    "capability": "tests of {} there",
    "test": "other tests there",
    "mode": "the same in {} mode",
}


def contrast(
    fault: Hypothesis, observations: Observations, space: Space, elsewhere: AbstractSet[int]
) -> tuple[str, ...]:
    """What works beside a fault, in words with counts; empty where nothing does, or nothing was tested.

    Args:
        fault: what is at fault.
        observations: everything that was seen.
        space: all hypotheses.
        elsewhere: positions of the failures that other faults explain.
    """
    phrases = []
    for phrase, beside, names in _besides(fault, observations):
        seen: dict[frozenset[str], _Beside] = defaultdict(_Beside)
        for attributes, tally in observations.tallies.items():
            named = names(attributes)
            if named == {""} or covers(fault, attributes, space) or not covers(beside, attributes, space):
                continue
            explained = len(elsewhere & set(tally.failures))
            seen[frozenset(named)] += _Beside(tally.passes, len(tally.failures) - explained, explained)
        # what is named must work; what is not named is everything there
        named_ones = "{}" in phrase
        working = {
            named: one
            for named, one in seen.items()
            if not named_ones or (one.passes and one.passes >= _MOSTLY * sum(one))
        }
        passes, failures, others = sum(working.values(), _Beside())
        if passes and passes / (passes + failures) >= _WORKS:
            works = "works" if passes + failures == 1 else "work"
            rest = f", not counting {others} that failed of another cause" if others else ""
            what = phrase.format(listed(sorted(frozenset().union(*working) - {""})))
            phrases.append(f"{what} {works}: {passes} of {passes + failures}{rest}")
    return tuple(phrases)


class _Beside(NamedTuple):
    """How tests beside a fault ended: passed, failed, and failed of another fault."""

    passes: int = 0
    failures: int = 0
    others: int = 0

    def __add__(self, other: tuple[int, ...]) -> _Beside:  # type: ignore[override]  # sums, it does not join
        return _Beside(*(mine + more for mine, more in zip(self, other, strict=True)))


def listed(names: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``, ``a, b, c and 2 more``."""
    shown = names[:_NAMED]
    if len(names) > _NAMED:
        return f"{', '.join(shown)} and {len(names) - _NAMED} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))


def covers(hypothesis: Hypothesis, attributes: Attributes, space: Space) -> bool:
    """Whether tests with such attributes are in the reach of a fault."""
    limited = all(getattr(attributes, name) == value for name, value in hypothesis.limits)
    return limited and hypothesis[:3] in space.places(attributes)


def _besides(fault: Hypothesis, observations: Observations) -> Iterator[tuple[str, Hypothesis, Names]]:
    """What is called how, what it is, and what the tests in it are called."""
    for name, _ in fault.limits:
        rest = tuple(limit for limit in fault.limits if limit[0] != name)
        yield _LIMITS[name], fault._replace(limits=rest), _values(name)
    if fault.level == "door":
        beside = fault._replace(level="site", place=fault.place[:1])
        yield "the same over {}", beside, lambda attributes: _protocols(attributes, observations)
    if fault.scope in {"source", "destination"}:
        opposite = {"source": "destination", "destination": "source"}[fault.scope]
        yield f"copies with it as {opposite}", fault._replace(scope=opposite), _nameless
    if fault.scope == "connection":
        yield "connections the other way", fault._replace(place=fault.place[::-1]), _nameless
        for name in fault.place:
            yield f"other tests of {name}", fault._replace(scope="any", place=(name,)), _nameless
    if fault.scope == "link":
        for scope, way, name in zip(("source", "destination"), ("from", "to"), fault.place, strict=True):
            yield f"other copies {way} {name}", fault._replace(scope=scope, place=(name,)), _nameless


def _values(name: str) -> Names:
    return lambda attributes: {getattr(attributes, name) or ("" if name == "mode" else attributes.auth)}


def _protocols(attributes: Attributes, observations: Observations) -> set[str]:
    return {observations.doors[end].protocol for end in attributes.ends}


def _nameless(_attributes: Attributes) -> set[str]:
    return set()
