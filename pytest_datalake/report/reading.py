"""Reads results files, also broken ones, and merges the runs in them.

A test that several runs hold counts as in the newest of them. A run that was cut short stays incomplete until
the same plan (matrix, options and counts) has been run again.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_datalake.errors import UsageError
from pytest_datalake.report.results import FILE_NAME
from pytest_datalake.report.rows import SCHEMA_VERSION, SEVERITY, EndRow, Row, RunRow, TestRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_datalake.report.rows import EndpointRow

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What one or more runs found, one row a test.

    Attributes:
        runs: oldest first.
        tests: by node id; known issues past their date are failures here.
        missing: number of planned tests without any result, by capability.
        unfinished: why runs did not come to their end, in words.
        interrupted: a run was stopped.
        exit_code: the worst of pytest's own exit statuses from 2 on, else 0.
        exit_reason: what that is due to, in words.
        finished: ISO time of the last end; empty where the newest run has none.
        crashes: which processes of an embedded lake crashed, and when, in words.
        notes: what could not be read.
    """

    runs: tuple[RunRow, ...] = ()
    tests: tuple[TestRow, ...] = ()
    missing: dict[str, int] = field(default_factory=dict)
    unfinished: tuple[str, ...] = ()
    interrupted: bool = False
    exit_code: int = 0
    exit_reason: str = ""
    finished: str = ""
    crashes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def run(self) -> RunRow:
        """The newest run, or an empty one."""
        return self.runs[-1] if self.runs else RunRow(run_id="")

    @property
    def endpoints(self) -> tuple[EndpointRow, ...]:
        """The endpoints of all runs, each as the newest of them has it."""
        return tuple({row.id: row for run in self.runs for row in run.endpoints}.values())


def read(paths: Sequence[Path]) -> Results:
    """Results of files, or of directories.

    A directory stands for its ``results.jsonl``, or else for all ``*.jsonl`` files below it.

    Raises:
        UsageError: a path cannot be read, or was written by a newer version.
    """
    rows, notes = read_rows(paths)
    return merge(rows, notes)


def read_rows(paths: Sequence[Path]) -> tuple[list[Row], list[str]]:
    """The rows of files or directories, and what could not be read.

    Raises:
        UsageError: a path cannot be read, or was written by a newer version.
    """
    notes: list[str] = []
    rows = [row for path in paths for file in _files(path) for row in _rows(file, notes)]
    for note in notes:
        _log.warning("%s", note)
    return rows, notes


def each_run(rows: Iterable[Row]) -> list[Results]:
    """The results of each run for itself, in the order of their first rows."""
    by_run: dict[str, list[Row]] = {}
    for row in rows:
        by_run.setdefault(row.run_id, []).append(row)
    return [merge(of_run) for of_run in by_run.values()]


def parse(line: bytes) -> Row | None:
    """The row in a line; None for an empty one and for kinds of rows that are not known here.

    Raises:
        ValueError: the line is not a row.
    """
    text = line.decode("utf-8", "replace").strip()
    if not text:
        return None
    try:
        return _row(json.loads(text))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def merge(rows: Iterable[Row], notes: Iterable[str] = ()) -> Results:
    """One row a test out of the rows of one or more runs, in the order in which they were written."""
    runs: dict[str, RunRow] = {}
    ends: dict[str, EndRow] = {}
    tests: dict[str, dict[str, TestRow]] = {}
    for row in rows:
        if isinstance(row, RunRow):
            runs[row.run_id] = row
        elif isinstance(row, EndRow):
            ends[row.run_id] = row
        else:
            of_run = tests.setdefault(row.run_id, {})
            of_run[row.nodeid] = _worse(of_run.get(row.nodeid), row)
    planless = [run_id for run_id in tests if run_id not in runs]
    ordered = [RunRow(run_id=run_id) for run_id in planless]
    ordered += sorted(runs.values(), key=lambda run: run.started)

    merged: dict[str, TestRow] = {}
    missing: Counter[str] = Counter()
    unfinished = [f"run {run_id or '?'} has results but no plan" for run_id in planless]
    repeated: set[str] = set()
    open_ends: list[EndRow] = []
    for run in reversed(ordered):
        found = {nodeid: _dated(row, run) for nodeid, row in tests.get(run.run_id, {}).items()}
        merged = {**found, **merged}
        plan = _plan(run)
        if plan in repeated:
            continue
        repeated.add(plan)
        missing.update(_missing(run, found.values()))
        end = ends.get(run.run_id)
        if end is not None:
            open_ends.append(end)
        elif run.run_id not in planless:
            unfinished.append(f"run {run.run_id} has no end: it was killed")
    if not ordered:
        unfinished.append("no run was recorded")
    bad_ends = [end for end in open_ends if end.exit_code > 1]
    newest = ends.get(ordered[-1].run_id) if ordered else None
    return Results(
        runs=tuple(ordered),
        tests=tuple(merged[nodeid] for nodeid in sorted(merged)),
        missing=dict(sorted(missing.items())),
        unfinished=tuple(unfinished),
        interrupted=any(end.interrupted or end.exit_code == 2 for end in open_ends),
        exit_code=max((end.exit_code for end in bad_ends), default=0),
        exit_reason="; ".join(end.reason for end in bad_ends if end.reason),
        finished=newest.finished if newest else "",
        crashes=tuple(crash for end in reversed(open_ends) for crash in end.crashes),
        notes=tuple(notes),
    )


def _row(document: object) -> Row | None:
    if not isinstance(document, dict) or "type" not in document:
        raise ValueError("no row")
    kind = document["type"]
    if kind == "run":
        return RunRow.from_json(document)
    if kind == "test":
        return TestRow.from_json(document)
    return EndRow.from_json(document) if kind == "end" else None


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    if (path / FILE_NAME).exists():
        return [path / FILE_NAME]
    found = sorted(path.rglob("*.jsonl"))
    if not found:
        raise UsageError(f"no results in {path}: neither {FILE_NAME} nor any other *.jsonl file")
    return found


def _rows(path: Path, notes: list[str]) -> Iterator[Row]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(f"cannot read results from {path}: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        try:
            row = parse(line)
        except ValueError:
            torn = number == len(lines)
            notes.append(
                f"{path}:{number}: " + ("the last line is cut off" if torn else "this line is no row")
            )
            continue
        if isinstance(row, RunRow) and row.schema_version > SCHEMA_VERSION:
            raise UsageError(
                f"{path}:{number}: written in format {row.schema_version}, this version reads "
                f"{SCHEMA_VERSION}. Upgrade pytest-datalake."
            )
        if row is not None:
            yield row


def _worse(one: TestRow | None, other: TestRow) -> TestRow:
    return one if one is not None and SEVERITY[one.outcome] > SEVERITY[other.outcome] else other


def _dated(row: TestRow, run: RunRow) -> TestRow:
    """A known issue counts as a failure from its date on, as of the day of the run."""
    until = row.known_issue.until if row.known_issue else ""
    if row.outcome != "known-issue" or not until or run.started[:10] < until:
        return row
    return replace(row, outcome="failed", reason=f"known issue expired on {until}: {row.reason}")


def _plan(run: RunRow) -> str:
    described = [run.matrix.digest, run.planned, run.options] if run.planned else [run.run_id]
    return json.dumps(described, sort_keys=True, default=str)


def _missing(run: RunRow, found: Iterable[TestRow]) -> Mapping[str, int]:
    got = Counter(row.capability for row in found)
    return {name: count - got[name] for name, count in run.planned.items() if count > got[name]}
