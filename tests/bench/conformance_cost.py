"""How fast the conformance suite tries its cases at the doors of a whole lake."""

from __future__ import annotations

import statistics
import sys
from typing import TYPE_CHECKING

from pytest_datalake.report.reading import read
from tests.bench.lake_cost import MATRIX, directory_for_a_lake, running_lake
from tests.bench.measuring import ROOT, Row, run

if TYPE_CHECKING:
    from pathlib import Path

SUITE = "suites/authorisation/test_conformance.py"


def conformance(*, runs: int, workers: int, matrix: Path = MATRIX) -> list[Row]:
    """Cases per second of wall time, the start of the workers included."""
    rates, cases, sites = [], 0, 0
    with directory_for_a_lake() as directory, running_lake(directory, matrix) as (lake, _):
        sites = len(lake.matrix.sites)
        for number in range(runs):
            reports = directory / f"reports-{number}"
            command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", str(workers)]
            command += ["--matrix", str(matrix), "--state-dir", str(directory / "lake")]
            ended = run([*command, "--report-dir", str(reports), SUITE], directory=ROOT, accepted=(0, 1))
            cases = len(read([reports / "results.jsonl"]).tests)
            rates.append(cases / ended.seconds)
    return [
        Row(
            what=f"conformance suite: {cases:,} cases at {sites} sites in {workers} workers",
            value=f"{statistics.median(rates):.1f} cases/s",
            compared="",
            ratio="",
            runs=runs,
        )
    ]
