"""What works beside a fault: the same place in another role, by another credential, over another protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet

    from pytest_datalake.report.blame.hypotheses import Hypothesis, Space
    from pytest_datalake.report.blame.observations import Attributes, Observations

    Names = Callable[[Attributes], set[str]]

_WORKS = 0.9
_NAMED = 3

_LIMITS = {
    "family": "the same with {}",
    "auth": "the same with {}",
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
        passes = failures = others = 0
        values: set[str] = set()
        for attributes, tally in observations.tallies.items():
            named = names(attributes)
            if named == {""} or covers(fault, attributes, space) or not covers(beside, attributes, space):
                continue
            explained = len(elsewhere & set(tally.failures))
            passes += tally.passes
            failures += len(tally.failures) - explained
            others += explained
            values |= named
        if passes and passes / (passes + failures) >= _WORKS:
            works = "works" if passes + failures == 1 else "work"
            rest = f" ({others} more failed of another cause)" if others else ""
            what = phrase.format(listed(sorted(values - {""})))
            phrases.append(f"{what} {works}: {passes} of {passes + failures}{rest}")
    return tuple(phrases)


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
