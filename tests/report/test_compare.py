"""Two runs beside each other, and results from several files, machines and hands."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.cli import main
from pytest_datalake.errors import UsageError
from pytest_datalake.report.build import make
from pytest_datalake.report.results import ResultsFile
from pytest_datalake.report.rows import EndRow, RunRow, TestRow
from tests.report.test_build import write

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.report.rows import Row


def as_run(rows: list[Row], run_id: str, started: str) -> list[Row]:
    return [
        replace(row, run_id=run_id, started=started)
        if isinstance(row, RunRow)
        else replace(row, run_id=run_id)
        for row in rows
    ]


def test_what_got_worse(
    tmp_path: Path, green_run: list[Row], broken_run: list[Row], capsys: pytest.CaptureFixture[str]
) -> None:
    before = write(tmp_path / "before", green_run)
    after = write(tmp_path / "after", as_run(broken_run, "r2", "2026-11-23T02:00:00+00:00"))
    assert main(["report", "--compare", str(before), str(after)]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("before: r1, 2026-11-22T02:00:00+00:00: DATA LAKE GREEN")
    assert any(line.startswith("new fault: OHRID refuses tokens as destination over davs") for line in told)
    assert "newly not green: 14 tests" in told
    assert not list((tmp_path / "after").glob("*.html"))


def test_what_got_better_is_no_failure(
    tmp_path: Path, green_run: list[Row], broken_run: list[Row], capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = write(tmp_path / "before", broken_run), write(tmp_path / "after", green_run)
    assert main(["report", "--compare", str(before), str(after)]) == 0
    told = capsys.readouterr().out
    assert "green again: 14 tests" in told
    assert "fault that is gone: OHRID refuses tokens" in told


@pytest.mark.parametrize("arguments", [["report"], ["report", "x", "--compare", "a", "b"]])
def test_either_paths_or_a_comparison(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 4
    assert "not both" in capsys.readouterr().err


def test_a_directory_of_files_from_several_machines(tmp_path: Path, broken_run: list[Row]) -> None:
    run, *tests, end = broken_run
    assert isinstance(run, RunRow)
    halves = tests[::2], tests[1::2]
    for number, half in enumerate(halves):
        planned: dict[str, int] = {}
        for row in half:
            assert isinstance(row, TestRow)
            planned[row.capability] = planned.get(row.capability, 0) + 1
        rows: list[Row] = [replace(run, planned=planned, options={"part": number}, links=0), *half, end]
        directory = tmp_path / "collected" / f"machine{number}"
        (write(directory, as_run(rows, f"m{number}", f"2026-11-22T02:00:0{number}+00:00"))).rename(
            directory / "night.jsonl"
        )
    merged = make([tmp_path / "collected"], tmp_path / "merged").verdict
    whole = make([write(tmp_path / "whole", broken_run)], tmp_path / "whole").verdict
    assert merged.tests == whole.tests
    assert [fault.sentence for fault in merged.faults] == [fault.sentence for fault in whole.faults]
    assert list(merged.run_ids) == ["m0", "m1"]


def test_an_empty_directory_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no results in"):
        make([tmp_path], tmp_path)


def test_lines_of_two_runs_mixed_and_cut(tmp_path: Path, green_run: list[Row], broken_run: list[Row]) -> None:
    second = as_run(broken_run, "r2", "2026-11-23T02:00:00+00:00")
    mixed = [row for pair in zip(green_run, second, strict=True) for row in pair]
    path = write(tmp_path, mixed)
    path.write_bytes(path.read_bytes()[:-40])
    built = make([path], tmp_path / "out")
    assert built.verdict.word == "RED"
    assert built.verdict.reasons == ("run r2 has no end: it was killed",)
    assert [run.word for run in built.history.runs] == ["GREEN", "RED"]


def test_unknown_sites_and_hostile_texts(tmp_path: Path, green_run: list[Row]) -> None:
    run, first, *rest = green_run
    assert isinstance(first, TestRow)
    stranger = replace(
        first, source="ATLANTIS.davs", destination="<b>.davs", outcome="failed", reason="<script>" * 200_000
    )
    path = write(tmp_path, [run, stranger, *rest])
    path.write_bytes(path.read_bytes() + b'\xff\xfe{"type":"test"}\n[]\n{"type":"run"}\n')
    built = make([path], tmp_path / "out")
    assert any("ATLANTIS" in " ".join(fault.sites) for fault in built.verdict.faults)
    assert "<script><script>" not in (tmp_path / "out" / "index.html").read_text()
    json.loads((tmp_path / "out" / "verdict.json").read_text())


def test_two_runs_into_one_directory(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with ResultsFile(path, fresh=True) as first:
        first.write(RunRow(run_id="first"))
        with pytest.raises(UsageError, match=r"another run is writing to .*--report-dir"):
            ResultsFile(path, fresh=True)
        first.write(EndRow(run_id="first"))
    assert len(path.read_text().splitlines()) == 2
    with ResultsFile(path, fresh=True) as second:
        second.write(RunRow(run_id="second"))
    assert "first" not in path.read_text()
