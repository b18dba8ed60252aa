"""Rows survive the way to a file and back, and hostile ones do no harm."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_datalake.errors import EngineError, UsageError
from pytest_datalake.report.reading import parse, read
from pytest_datalake.report.results import ResultsFile
from pytest_datalake.report.rows import (
    DETAILS_LIMIT,
    OUTCOMES,
    REASON_LIMIT,
    EndRow,
    KnownIssueRow,
    MatrixReference,
    RunRow,
    TestRow,
)

if TYPE_CHECKING:
    from pytest_datalake.report.rows import Row

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
field_names = st.sampled_from(
    ["run_id", "outcome", "reason", "seconds", "evidence", "known_issue", "streamed", "planned", "endpoints",
     "matrix", "unsupported", "options", "experiments", "schema_version", "counts", "links", "no_such_field"]
)  # fmt: skip


def test_written_rows_read_back_the_same(tmp_path: Path, broken_run: list[Row]) -> None:
    with ResultsFile(tmp_path / "results.jsonl") as results:
        for row in broken_run:
            results.write(row)
    lines = (tmp_path / "results.jsonl").read_bytes().splitlines()
    assert [parse(line) for line in lines] == broken_run


def test_known_issue_and_details_survive(tmp_path: Path) -> None:
    row = TestRow(
        run_id="r", nodeid="n", outcome="known-issue", known_issue=KnownIssueRow(reason="x"), details="a\nb"
    )
    with ResultsFile(tmp_path / "f") as results:
        results.write(row)
    assert parse((tmp_path / "f").read_bytes()) == row


@given(
    kind=st.sampled_from(["run", "test", "end"]),
    document=st.dictionaries(field_names, json_values, max_size=6),
)
def test_any_json_becomes_a_row(kind: str, document: dict[str, object]) -> None:
    row = parse(json.dumps({"type": kind, **document}).encode())
    assert row is not None
    assert parse(json.dumps(row.to_json()).encode()) == row


@given(st.binary(max_size=80))
def test_any_bytes_are_a_row_or_a_value_error(line: bytes) -> None:
    try:
        row = parse(line)
    except ValueError:
        return
    assert row is None or hasattr(row, "run_id")


def test_deep_nesting_is_no_crash() -> None:
    with pytest.raises(ValueError, match="nested"):
        parse(b'{"type":"test","evidence":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def test_unknown_kind_of_row_is_skipped() -> None:
    assert parse(b'{"type":"note","text":"from a later version"}') is None


def test_unknown_outcome_is_an_error_that_says_so() -> None:
    row = parse(b'{"type":"test","run_id":"r","nodeid":"n","outcome":"passd"}')
    assert isinstance(row, TestRow)
    assert row.outcome == "error"
    assert "passd" in row.reason


def test_long_texts_are_cut_with_a_note() -> None:
    row = TestRow(run_id="r", nodeid="n", reason="x" * 1_000_000, details="y" * 1_000_000)
    written = row.to_json()
    assert len(written["reason"]) == REASON_LIMIT
    assert "characters more were cut" in written["reason"]
    assert len(written["details"]) == DETAILS_LIMIT
    again = TestRow.from_json({**written, "reason": row.reason})
    assert len(again.reason) == REASON_LIMIT


def test_lone_surrogates_become_printable(tmp_path: Path) -> None:
    with ResultsFile(tmp_path / "f") as results:
        results.write(TestRow(run_id="r", nodeid="caf\udce9", reason="\udcff"))
    row = parse((tmp_path / "f").read_bytes())
    assert isinstance(row, TestRow)
    row.nodeid.encode("utf-8")
    row.reason.encode("utf-8")


def test_torn_last_line_is_reported_and_nothing_else_is_lost(tmp_path: Path, green_run: list[Row]) -> None:
    path = tmp_path / "results.jsonl"
    with ResultsFile(path) as results:
        for row in green_run[:-1]:
            results.write(row)
    path.write_bytes(path.read_bytes()[:-40])
    found = read([path])
    assert len(found.tests) == len(green_run) - 3
    assert sum(found.missing.values()) == 1
    assert "cut off" in found.notes[0]


def test_writing_goes_on_after_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(b'{"type":"test","run_id":"r","node')
    with ResultsFile(path) as results:
        results.write(TestRow(run_id="r", nodeid="whole", outcome="passed"))
    assert [row.nodeid for row in read([path]).tests] == ["whole"]


def test_fresh_forgets_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.jsonl"
    for run_id in ("one", "two"):
        with ResultsFile(path, fresh=True) as results:
            results.write(RunRow(run_id=run_id))
    assert [run.run_id for run in read([path.parent]).runs] == ["two"]


def test_each_row_is_there_when_write_returns(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with ResultsFile(path) as results:
        for number in range(3):
            results.write(EndRow(run_id=str(number)))
            assert len(path.read_bytes().splitlines()) == number + 1
    results.close()


def test_full_disk_is_our_error() -> None:
    with ResultsFile(Path("/dev/full")) as results, pytest.raises(EngineError, match="No space"):
        results.write(EndRow(run_id="r"))


def test_unwritable_file_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--report-dir"):
        ResultsFile(tmp_path / "file" / "results.jsonl")


def test_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.jsonl"):
        read([tmp_path / "nowhere.jsonl"])


def test_later_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_text('{"type":"run","run_id":"r","schema_version":99}\n')
    with pytest.raises(UsageError, match="Upgrade"):
        read([tmp_path / "f"])


def test_missing_fields_are_empty() -> None:
    row = RunRow.from_json({"run_id": "r", "future": 1})
    assert row == replace(RunRow(run_id="r"), schema_version=row.schema_version)
    assert row.matrix == MatrixReference()
    assert set(OUTCOMES) == {"passed", "failed", "error", "known-issue", "downtime", "fixed", "not-run"}
