"""What is not green and is blamed on nobody: single failures, engine errors, known issues, tests not run."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from pytest_datalake.report.blame.fault import Fault
from pytest_datalake.report.blame.observations import counts
from pytest_datalake.report.blame.texts import accused, sort_of
from pytest_datalake.report.blame.wording import told, verb
from pytest_datalake.report.reasons import cause, shape
from pytest_datalake.report.rows import KnownIssueRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set

    from pytest_datalake.report.blame.fault import Kind
    from pytest_datalake.report.blame.observations import Observations
    from pytest_datalake.report.rows import TestRow

IN_TROUBLE = "ServiceError: "
"""How the reason of a test begins that could not be done without a central service."""

_ORDER: tuple[Kind, ...] = ("service", "single", "matrix", "engine", "not-run")
_Group = tuple["Kind", str, str]
"""Kind, key, sentence."""

_UNSURE = "so few copies failed that only their answers tell whose fault it is"


def leftovers(tests: Sequence[TestRow], explained: Set[int], observations: Observations) -> tuple[Fault, ...]:
    """Groups of what no fault explains, by kind, the largest first."""
    groups: dict[tuple[Kind, str], list[int]] = defaultdict(list)
    sentences: dict[str, Counter[str]] = defaultdict(Counter)
    for position, row in enumerate(tests):
        if position not in explained and (group := _group(row)) is not None:
            kind, key, sentence = group
            groups[kind, key].append(position)
            sentences[key][sentence] += 1
    copies = Counter(end for row in tests if row.link and counts(row) for end in row.link[:2])
    faults = [
        _fault((kind, key, sentences[key].most_common(1)[0][0]), positions, tests, observations, copies)
        for (kind, key), positions in groups.items()
    ]
    return tuple(sorted(faults, key=lambda fault: (_ORDER.index(fault.kind), -fault.count, fault.key)))


def _group(row: TestRow) -> _Group | None:
    key, why = shape(row.reason), cause(row.reason) or "no reason given"
    if row.outcome == "error" and row.reason.startswith(IN_TROUBLE):
        why = why.removeprefix(IN_TROUBLE)
        return "service", f"service:{key}", f"a central service is in trouble: {why}"
    if row.outcome == "error":
        return "engine", f"engine:{key}", f"the test run itself failed: {why}"
    if row.outcome == "not-run":
        return "not-run", f"not-run:{key}", f"not run: {why}"
    if row.outcome == "fixed" or (row.outcome == "failed" and row.known_issue):
        return _of_matrix(row)
    return _single(row) if row.outcome == "failed" else None


def _of_matrix(row: TestRow) -> _Group:
    issue = row.known_issue or KnownIssueRow()
    named = issue.location or issue.reason
    if row.outcome == "fixed":
        return "matrix", f"fixed:{named}", f"a known issue no longer fails: remove it ({named})"
    return "matrix", f"expired:{named}", f"a known issue expired on {issue.until}: mend or renew it ({named})"


def _single(row: TestRow) -> _Group:
    blamed = accused(row) if row.link else ""
    if blamed:
        return "single", f"single:{blamed}", f"{blamed} {verb(sort_of(row.reason))} in single copies"
    if row.link:
        at = f"{row.source} → {row.destination}"
        return "single", f"single:{at}", f"{at} failed; too little else did to say whose fault it is"
    at = row.cell or row.rse or row.site
    test = (row.requirement if row.clause else row.test) or row.nodeid
    words = f"the test {told(test)} fails"
    return "single", f"single:{at}:{test}", f"{words} at {at}" if at else words


def _fault(
    group: _Group,
    positions: Sequence[int],
    tests: Sequence[TestRow],
    observations: Observations,
    copies: Mapping[str, int],
) -> Fault:
    kind, key, sentence = group
    rows = [tests[position] for position in positions]
    example = rows[0]
    blamed = accused(example) if kind == "single" else ""
    ends = [end for end in (blamed,) if end] or [example.cell, *(example.link or ())[:2]]
    sites = {observations.doors[end].site for end in ends if end in observations.doors} or {example.site} - {
        ""
    }
    return Fault(
        key=key,
        kind=kind,
        where=_where(kind, example),
        sentence=sentence,
        sites=tuple(sorted(sites)) if kind == "single" else (),
        outcome=Counter(row.outcome for row in rows).most_common(1)[0][0],
        count=len(rows),
        of=copies[blamed] if blamed and example.link else len(rows),
        evidence=(_UNSURE,) if blamed and example.link else (),
        reason=example.reason,
        nodeid=example.nodeid,
        reproduce=example.reproduce,
        tests=tuple(positions),
    )


def _where(kind: Kind, row: TestRow) -> str:
    if kind == "single":
        link = f"{row.source} → {row.destination}" if row.link else ""
        return accused(row) or link or row.cell or row.rse or row.site
    return {
        "service": "a central service",
        "engine": "the test run",
        "matrix": "the matrix",
        "not-run": "the test run",
    }[kind]
