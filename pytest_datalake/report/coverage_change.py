"""What changed in the declared coverage since the last run, so that green is not bought by declaring less.

``coverage.json`` in the report directory keeps the coverage of the newest run and of the one before it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_datalake.report.files import file_name, write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytest_datalake.report.rows import EndpointRow, KnownIssueRow, RunRow

FILE_NAME = "coverage.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What one run set out to test.

    Attributes:
        run_id: the run.
        started: ISO time.
        matrix: path of the matrix.
        planned: number of tests by capability.
        unsupported: ``(capability, endpoint)`` that is not declared, sorted.
        endpoints: ids of all endpoints, sorted.
        declared: what each of these declares besides its capabilities (technology, QoS class, auth, copies),
            and what its server calls itself.
        known_issues: date until which each of them is expected, by what is wrong, where, and its reference.
        downtimes: what was in a declared downtime or soon will be, sorted.
        selection: what was typed to choose the tests, by option.
    """

    run_id: str
    started: str = ""
    matrix: str = ""
    planned: dict[str, int] = field(default_factory=dict)
    unsupported: tuple[tuple[str, str], ...] = ()
    endpoints: tuple[str, ...] = ()
    declared: dict[str, dict[str, str]] = field(default_factory=dict)
    known_issues: dict[str, str] = field(default_factory=dict)
    downtimes: tuple[str, ...] = ()
    selection: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, run: RunRow) -> Coverage:
        """The coverage that a run row declares."""
        return cls(
            run_id=run.run_id,
            started=run.started,
            matrix=run.matrix.path,
            planned=dict(sorted(run.planned.items())),
            unsupported=tuple(sorted({(item.capability, item.endpoint) for item in run.unsupported})),
            endpoints=tuple(sorted(endpoint.id for endpoint in run.endpoints)),
            declared={endpoint.id: _declared(endpoint) for endpoint in run.endpoints},
            known_issues={_known(issue): issue.until for issue in sorted(run.known_issues, key=_known)},
            downtimes=tuple(
                sorted(f"{one.where} until {one.end} ({one.reference})" for one in run.downtimes)
            ),
            selection={name: str(value) for name, value in run.options.items() if value},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageChange:
    """The difference to the run before.

    Attributes:
        since: when that run started; empty: there was none.
        lines: what changed, in words; empty: nothing.
    """

    since: str = ""
    lines: tuple[str, ...] = ()


def compare(before: Coverage, now: Coverage) -> CoverageChange:
    """What changed from one run to another. Numbers are compared only where the same tests were asked for."""
    lines = []
    if before.matrix != now.matrix:
        names = [file_name(path) for path in (now.matrix, before.matrix)]
        told = (
            f"{names[0]}, before {names[1]}" if names[0] != names[1] else f"{names[0]} of another directory"
        )
        lines.append(f"the matrix is another: {told}")
    if before.selection != now.selection:
        lines.append(
            f"other tests were asked for: {_options(now.selection)}, before {_options(before.selection)}"
        )
    alike = before.selection == now.selection
    for name in sorted({*before.planned, *now.planned} if alike else ()):
        was, is_ = before.planned.get(name, 0), now.planned.get(name, 0)
        if was != is_:
            lines.append(
                f"{name or 'tests without a capability'}: {is_} tests planned, before {was} ({is_ - was:+d})"
            )
    gone = set(before.endpoints) - set(now.endpoints)
    new = set(now.endpoints) - set(before.endpoints)
    lines += [f"endpoint gone: {name}" for name in sorted(gone)]
    lines += [f"endpoint new: {name}" for name in sorted(new)]
    moved = gone | new
    for verb, pairs in (
        ("no longer declared", set(now.unsupported) - set(before.unsupported)),
        ("declared now", set(before.unsupported) - set(now.unsupported)),
    ):
        lines += [
            f"{verb}: {capability} at {at}" for capability, at in sorted(pairs) if alike and at not in moved
        ]
    for name in sorted(before.declared.keys() & now.declared.keys()):
        lines += _differences(name, before.declared[name], now.declared[name])
    lines += [f"known issue new: {name}" for name in sorted(now.known_issues.keys() - before.known_issues)]
    lines += [f"known issue gone: {name}" for name in sorted(before.known_issues.keys() - now.known_issues)]
    lines += [
        f"known issue: {name}: until {now.known_issues[name] or 'ever'}, before {until or 'ever'}"
        for name, until in sorted(before.known_issues.items())
        if now.known_issues.get(name, until) != until
    ]
    lines += [f"downtime new: {one}" for one in sorted(set(now.downtimes) - set(before.downtimes))]
    lines += [f"downtime over: {one}" for one in sorted(set(before.downtimes) - set(now.downtimes))]
    return CoverageChange(since=before.started or before.run_id, lines=tuple(lines))


def _known(issue: KnownIssueRow) -> str:
    return f"{issue.reason} ({issue.where or 'everywhere'}; {issue.reference})"


def _declared(endpoint: EndpointRow) -> dict[str, str]:
    software = {"software": endpoint.software} if endpoint.software else {}
    return software | {
        "technology": endpoint.technology,
        "QoS class": endpoint.qos,
        "auth": ", ".join(sorted(endpoint.auth)),
        "third-party copies": ", ".join(sorted(endpoint.tpc)),
    }


def _differences(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for what, is_ in now.items():
        was = before.get(what, is_)
        if was != is_:
            yield f"{name}: {what} {is_ or 'none'}, before {was or 'none'}"


def update(report_dir: Path, run: RunRow) -> CoverageChange:
    """Compare a run with the one before it, and remember it. Doing it again for one run changes nothing."""
    path = report_dir / FILE_NAME
    now = Coverage.of(run)
    kept = _load(path)
    last, before = kept.get("current"), kept.get("previous")
    if last is not None and last.run_id != now.run_id:
        before = last
    elif last is None:
        before = None
    document = {"current": asdict(now), "previous": asdict(before) if before else None}
    write_whole(path, json.dumps(document, indent=1).encode("ascii") + b"\n")
    return compare(before, now) if before else CoverageChange()


def _load(path: Path) -> Mapping[str, Coverage | None]:
    try:
        document = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        return {name: _coverage(document[name]) for name in ("current", "previous")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _coverage(document: dict[str, Any] | None) -> Coverage | None:
    if document is None:
        return None
    return Coverage(
        run_id=str(document["run_id"]),
        started=str(document["started"]),
        matrix=str(document["matrix"]),
        planned={str(name): int(count) for name, count in document["planned"].items()},
        unsupported=tuple((str(capability), str(at)) for capability, at in document["unsupported"]),
        endpoints=tuple(str(name) for name in document["endpoints"]),
        declared={
            str(name): {str(what): str(value) for what, value in declared.items()}
            for name, declared in document["declared"].items()
        },
        known_issues={str(name): str(until) for name, until in document["known_issues"].items()},
        downtimes=tuple(str(one) for one in document["downtimes"]),
        selection={str(name): str(value) for name, value in document["selection"].items()},
    )


def _options(selection: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in selection.items()) or "everything"
