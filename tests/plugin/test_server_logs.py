"""What servers logged about a failed test is kept with it, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_datalake.fixtures.server_logs import ServerLogs
from pytest_datalake.report.rows import TestRow

if TYPE_CHECKING:
    from pathlib import Path

ROW = TestRow(
    run_id="r",
    nodeid="n",
    outcome="failed",
    source="A-1.davs",
    destination="B-1.davs",
    evidence={
        "source_url": "davs://a:1/escape/ska/run/shared-davs/source-1",
        "destination_url": "davs://b:1/escape/ska/run/0a1b/arrived",
    },
)


def logs(directory: Path) -> ServerLogs:
    (directory / "a.log").write_text("stat /escape/ska/run/shared-davs/source-1: refused\nother: 0a1b\n")
    (directory / "b.log").write_text(
        "noise\n" * 100_000
        + "open /escape/ska/run/0a1b/arrived: Bearer eyJhbGciOiJub25lIn0.e30.c2ln\nopen /escape/else\n"
    )
    sites = {
        name: {"rses": {f"{name}-1": {"endpoints": [{"protocol": "davs", "log": f"{directory}/{file}.log"}]}}}
        for name, file in (("A", "a"), ("B", "b"), ("C", "missing"))
    }
    return ServerLogs({"sites": sites})


def test_lines_about_the_files_of_a_failure(tmp_path: Path) -> None:
    assert logs(tmp_path).about(ROW) == {
        "A-1.davs": "stat /escape/ska/run/shared-davs/source-1: refused",
        "B-1.davs": "open /escape/ska/run/0a1b/arrived: Bearer (secret left out)",
    }


def test_nothing_of_a_pass_nor_of_a_server_without_a_log(tmp_path: Path) -> None:
    found = logs(tmp_path)
    assert found.about(replace(ROW, outcome="passed")) == {}
    assert found.about(replace(ROW, source="C-1.davs", destination="")) == {}
    assert found.about(replace(ROW, evidence={})) == {}


def test_a_real_lake_has_no_logs_of_ours() -> None:
    assert ServerLogs({}).about(ROW) == {}
