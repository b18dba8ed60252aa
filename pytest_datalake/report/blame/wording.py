"""Faults in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_datalake.report.blame.hypotheses import BETWEEN_TWO

if TYPE_CHECKING:
    from pytest_datalake.report.blame.fault import Kind
    from pytest_datalake.report.blame.hypotheses import Hypothesis

_VERBS = {
    "full": "has no space left",
    "wrong": "delivers or keeps wrong bytes or checksums",
    "unreachable": "cannot be reached",
    "silent": "does not answer in time",
    "broken": "breaks connections off",
    "lost": "does not find files that are there",
    "lax": "does what it should refuse",
    "left": "keeps files of copies that failed or were refused",
    "": "fails",
}
_REFUSES = "refuses access"
_VERBS_OF_LINKS = {
    "unreachable": "is cut: no connection",
    "silent": "is too slow or silent",
    "broken": "breaks off",
    "denied": "is refused",
}
_NO_CONNECTION = frozenset({"unreachable", "silent", "broken", ""})
_CENTRAL = {
    "tokens": "tokens fail everywhere: look at the issuer, its keys and the clocks",
    "X.509": "X.509 fails everywhere: look at authorities, revocation lists and VOMS",
    "fts": "copies by the transfer manager fail everywhere",
    "rule": "Rucio's rules fail everywhere",
    "streamed": "streamed copies fail everywhere: look at the client",
}

IN_SOME_TESTS = "in some tests"
_SOME = {"everything fails": "some tests fail everywhere", "tests ": "some tests "}
_WHICH_TESTS = {"capability", "test"}


def place(hypothesis: Hypothesis) -> str:
    """The place's name, without role and limits."""
    names = hypothesis.place
    if hypothesis.scope == "link":
        return f"{names[0]} → {names[1]}"
    if hypothesis.scope == "connection":
        return f"connections from {names[0]} to {names[1]}"
    if hypothesis.scope == "lake":
        return "the whole lake"
    return {
        "door": lambda: f"{names[0]} over {names[-1]}",
        "technology": lambda: f"all {names[0]} storage",
        "protocol": lambda: f"all storage over {names[0]}",
    }.get(hypothesis.level, lambda: names[0])()


def where(hypothesis: Hypothesis) -> str:
    """Short name of a fault."""
    parts = [place(hypothesis), _role(hypothesis), *_limits(hypothesis)]
    return " ".join(part for part in parts if part)


def sentence(hypothesis: Hypothesis, sort: str, often: str) -> str:
    """What is wrong, in words.

    Args:
        hypothesis: the fault.
        sort: of failure, as ``texts.sort_of`` has it.
        often: when it is, where it is not always.
    """
    if hypothesis.scope == "lake":
        return _often(_central(hypothesis), often)
    limits = dict(hypothesis.limits)
    if hypothesis.level in {"technology", "protocol"} and "test" in limits:
        fails = f"the test {told(limits['test'])} fails{' in places' if often else ''}"
        rest = _limits(hypothesis, without=("test",))
        return " ".join(filter(None, (fails, f"at {place(hypothesis)}", _role(hypothesis), *rest)))
    some = often == IN_SOME_TESTS and bool(_WHICH_TESTS & limits.keys())
    often = "" if some else often
    rest = _limits(hypothesis, some=some)
    if sort == "denied" and hypothesis.scope not in BETWEEN_TWO:
        shown = limits.get("family") or limits.get("auth") or "access"
        rest = _limits(hypothesis, without=("family", "auth"), some=some)
        verb = f"refuses {shown}"
    elif hypothesis.scope == "connection" and sort in _NO_CONNECTION:
        return " ".join(filter(None, ["{} cannot connect to {}".format(*hypothesis.place), *rest, often]))
    elif hypothesis.scope in BETWEEN_TWO:
        verb = _VERBS_OF_LINKS.get(sort, "fails")
    else:
        verb = _VERBS.get(sort, "fails")
    name, over = place(hypothesis), ""
    if hypothesis.level == "door":
        name, over = hypothesis.place[0], f"over {hypothesis.place[1]}"
    first = "the link " if hypothesis.scope == "link" else ""
    words = [f"{first}{name}", verb, _role(hypothesis), over, *rest, often]
    return " ".join(word for word in words if word)


def _often(central: str, often: str) -> str:
    if often == IN_SOME_TESTS:
        for whole, some in _SOME.items():
            if central.startswith(whole):
                return f"{some}{central.removeprefix(whole)}"
    return f"{often} {central}".lstrip()


def verb(sort: str) -> str:
    """What a place does whose failures are of that sort."""
    return _REFUSES if sort == "denied" else _VERBS.get(sort, "fails")


def told(test: str) -> str:
    """What a test asserts: its name as words, in quotes."""
    words = test.removeprefix("test_").replace("_", " ")
    return f"“{words}”"


def kind(hypothesis: Hypothesis) -> Kind:
    """What sort of fault it is."""
    if hypothesis.scope in BETWEEN_TWO:
        return "link"
    tested = any(name in {"test", "capability"} for name, _ in hypothesis.limits)
    if hypothesis.level == "technology" or (hypothesis.level in {"", "protocol"} and tested):
        return "test"
    return "service" if hypothesis.level in {"", "protocol"} else "place"


def _role(hypothesis: Hypothesis) -> str:
    return f"as {hypothesis.scope}" if hypothesis.scope in {"source", "destination"} else ""


def _limits(hypothesis: Hypothesis, without: tuple[str, ...] = (), *, some: bool = False) -> list[str]:
    phrases = {
        "family": "with {}",
        "auth": "with {}",
        "rights": "where rights come with {}",
        "group": "for {}",
        "layer": "in the layer {}",
        "capability": "in some {} tests" if some else "in {} tests",
        "test": "in some of the tests {}" if some else "(test {})",
        "mode": "in {} mode",
    }
    values = {name: told(value) if name == "test" else value for name, value in hypothesis.limits}
    return [phrases[name].format(value) for name, value in values.items() if name not in without]


def _central(hypothesis: Hypothesis) -> str:
    limits = dict(hypothesis.limits)
    if not limits:
        return "everything fails: look at a central service, the network, or where the tests run"
    if len(limits) == 1:
        ((name, value),) = limits.items()
        if value in _CENTRAL:
            return _CENTRAL[value]
        if name == "group":
            return f"{value} fails everywhere: look at its membership and rights"
        if name == "capability":
            return f"tests of {value} fail everywhere"
    if "test" in limits:
        words = [f"the test {told(limits['test'])} fails everywhere", *_limits(hypothesis, without=("test",))]
        return " ".join(words)
    return " ".join(["tests", *_limits(hypothesis), "fail everywhere"])
