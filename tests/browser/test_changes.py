"""What is another than in the night before stands on top and leads to its tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.report.build import make
from pytest_datalake.report.reading import read_rows
from pytest_datalake.report.results import ResultsFile
from pytest_datalake.report.rows import RunRow, TestRow

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.report.rows import Row
    from tests.browser.chromium import Window


def night_before(rows: list[Row]) -> list[Row]:
    """The same run a day earlier: two of its failures were there already, one was mended since."""
    failed = [row.nodeid for row in rows if isinstance(row, TestRow) and row.outcome == "failed"]
    passed = next(row.nodeid for row in rows if isinstance(row, TestRow) and row.outcome == "passed")
    bad = {*failed[:2], passed}
    before: list[Row] = []
    for row in rows:
        if isinstance(row, RunRow):
            day_before = datetime.fromisoformat(row.started) - timedelta(days=1)
            before.append(replace(row, run_id="before", started=day_before.isoformat()))
        elif isinstance(row, TestRow):
            outcome = "failed" if row.nodeid in bad else "passed"
            before.append(replace(row, run_id="before", outcome=outcome))  # type: ignore[arg-type]  # one of two words
        else:
            before.append(replace(row, run_id="before"))
    return before


@pytest.fixture(scope="module")
def second_night(nightly: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("second-night")
    rows, _ = read_rows([nightly])
    for night in (night_before(rows), rows):
        with ResultsFile(directory / "results.jsonl", fresh=True) as results:
            for row in night:
                results.write(row)
        make([directory], directory)
    return directory


def test_changes_lead_to_their_tests(window: Window, second_night: Path) -> None:
    window.open(second_night / "index.html")
    assert window.texts("#changes .chip") == ["4 newly failing", "2 still failing", "1 work again"]
    for number, count in enumerate((4, 2, 1)):
        window.click("#changes button", number)
        assert len(window.texts("#panel .test")) == count
        window.click("#close")
    assert window.complaints() == []


def test_a_fault_says_since_when(window: Window, second_night: Path) -> None:
    window.open(second_night / "index.html")
    assert sorted(window.texts("#faults .faults .chip")) == ["new", "since at least 21 Nov 2026"]
