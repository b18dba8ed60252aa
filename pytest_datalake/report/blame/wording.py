"""Faults in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    "": "fails",
}
_REFUSES = "refuses access"
_VERBS_OF_LINKS = {
    "unreachable": "is cut: no connection",
    "silent": "is too slow or silent",
    "broken": "breaks off",
    "denied": "is refused",
}
_CENTRAL = {
    "tokens": "tokens fail everywhere: look at the issuer, its keys and the clocks",
    "X.509": "X.509 fails everywhere: look at authorities, revocation lists and VOMS",
    "fts": "copies by the transfer manager fail everywhere",
    "rule": "Rucio's rules fail everywhere",
    "streamed": "streamed copies fail everywhere: look at the client",
}


def place(hypothesis: Hypothesis) -> str:
    """The place's name, without role and limits."""
    names = hypothesis.place
    if hypothesis.scope == "link":
        return f"{names[0]} → {names[1]}"
    if hypothesis.scope == "lake":
        return "the whole lake"
    return {
        "door": lambda: f"{names[0]} over {names[-1]}",
        "technology": lambda: f"all {names[0]} storage",
        "protocol": lambda: f"everything over {names[0]}",
    }.get(hypothesis.level, lambda: names[0])()


def where(hypothesis: Hypothesis) -> str:
    """Short name of a fault."""
    parts = [place(hypothesis), _role(hypothesis), *_limits(hypothesis)]
    return " ".join(part for part in parts if part)


def sentence(hypothesis: Hypothesis, sort: str, *, flaky: bool) -> str:
    """What is wrong, in words.

    Args:
        hypothesis: the fault.
        sort: of failure, as ``texts.sort_of`` has it.
        flaky: only some of what it covers fails.
    """
    if hypothesis.scope == "lake":
        return ("now and then " if flaky else "") + _central(hypothesis)
    limits = dict(hypothesis.limits)
    rest = [_role(hypothesis), *_limits(hypothesis)]
    if sort == "denied" and hypothesis.scope != "link":
        shown = limits.get("family") or limits.get("auth") or "access"
        rest = [_role(hypothesis), *_limits(hypothesis, without=("family", "auth"))]
        verb = f"refuses {shown}"
    elif hypothesis.scope == "link":
        verb = _VERBS_OF_LINKS.get(sort, "fails")
    else:
        verb = _VERBS.get(sort, "fails")
    name, over = place(hypothesis), ""
    if hypothesis.level == "door":
        name, over = hypothesis.place[0], f"over {hypothesis.place[1]}"
    first = "the link " if hypothesis.scope == "link" else ""
    words = [f"{first}{name}", verb, *rest, over, "now and then" if flaky else ""]
    return " ".join(word for word in words if word)


def verb(sort: str) -> str:
    """What a place does whose failures are of that sort."""
    return _REFUSES if sort == "denied" else _VERBS.get(sort, "fails")


def kind(hypothesis: Hypothesis) -> Kind:
    """What sort of fault it is."""
    if hypothesis.scope == "link":
        return "link"
    tested = any(name in {"test", "capability"} for name, _ in hypothesis.limits)
    if hypothesis.level == "technology" or (hypothesis.level in {"", "protocol"} and tested):
        return "test"
    return "service" if hypothesis.level in {"", "protocol"} else "place"


def _role(hypothesis: Hypothesis) -> str:
    return f"as {hypothesis.scope}" if hypothesis.scope in {"source", "destination"} else ""


def _limits(hypothesis: Hypothesis, without: tuple[str, ...] = ()) -> list[str]:
    phrases = {
        "family": "with {}",
        "auth": "with {}",
        "group": "for {}",
        "layer": "in the layer {}",
        "capability": "in {} tests",
        "test": "in {}",
    }
    return [phrases[name].format(value) for name, value in hypothesis.limits if name not in without]


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
        if name == "test":
            return f"{value} fails everywhere"
        if name == "capability":
            return f"tests of {value} fail everywhere"
    return " ".join(["tests", *_limits(hypothesis), "fail everywhere"])
