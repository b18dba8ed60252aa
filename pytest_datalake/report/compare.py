"""What is another in one run than in another, in lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_datalake.report import coverage_change
from pytest_datalake.report.coverage_change import Coverage
from pytest_datalake.report.reasons import cause, one_line
from pytest_datalake.report.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_datalake.report.reading import Results

_SHOWN = 20
_BAD = {"failed", "error", "not-run", "fixed"}


def compare(before: Results, after: Results) -> tuple[bool, list[str]]:
    """Whether the second run is worse than the first, and what changed, in words.

    It is worse when a test is not green that was, or that the first run did not have.
    """
    was = {row.nodeid: row for row in before.tests}
    now = {row.nodeid: row for row in after.tests}
    reasons = {
        nodeid: f"{row.outcome}: {cause(row.reason) or 'no reason given'}"
        for nodeid, row in now.items()
        if row.outcome in _BAD
    }
    worse = {nodeid for nodeid in reasons if nodeid not in was or was[nodeid].outcome not in _BAD}
    better = {nodeid for nodeid, row in was.items() if row.outcome in _BAD and nodeid in now} - reasons.keys()
    excused = {nodeid for nodeid, row in now.items() if row.outcome == "downtime"}
    lines = [_title("before", before), _title("after", after)]
    change = coverage_change.compare(Coverage.of(before.run), Coverage.of(after.run))
    lines += [f"declared coverage: {line}" for line in change.lines]
    lines += _faults(before, after)
    lines += _listed("newly not green", sorted(worse), reasons)
    lines += _listed("still not green", sorted(reasons.keys() - worse), reasons)
    lines += _listed("green again", sorted(better - excused), {})
    lines += _listed("failing in a declared downtime", sorted(excused), {})
    lines += _listed("no longer there", sorted(was.keys() - now.keys()), {})
    lines += _listed("new and green", sorted(now.keys() - was.keys() - worse), {})
    return bool(worse), lines


def _title(name: str, results: Results) -> str:
    run = results.run
    verdict = judge(results)
    return f"{name}: {run.run_id or 'no run'}, {run.started or 'no time'}: {verdict.lines[-1]}"


def _faults(before: Results, after: Results) -> Iterator[str]:
    old = {fault.key: fault for fault in judge(before).faults}
    new = {fault.key: fault for fault in judge(after).faults}
    yield from (f"new fault: {fault.line}" for key, fault in new.items() if key not in old)
    yield from (f"fault that stays: {fault.line}" for key, fault in new.items() if key in old)
    yield from (f"fault that is gone: {fault.sentence}" for key, fault in old.items() if key not in new)


def _listed(title: str, nodeids: list[str], reasons: dict[str, str]) -> Iterable[str]:
    if nodeids:
        yield f"{title}: {len(nodeids)} test{'' if len(nodeids) == 1 else 's'}"
    for nodeid in nodeids[:_SHOWN]:
        why = f"  ({reasons[nodeid]})" if nodeid in reasons else ""
        yield f"  {one_line(nodeid, 200)}{why}"
    if len(nodeids) > _SHOWN:
        yield f"  and {len(nodeids) - _SHOWN} more"
