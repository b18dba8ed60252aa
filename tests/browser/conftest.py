"""One browser for all tests of a worker, and pages of a real nightly, of a green run, and of a large one."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.report.build import make
from pytest_datalake.report.coverage_change import CoverageChange
from pytest_datalake.report.history.facts import History
from pytest_datalake.report.index import page
from pytest_datalake.report.reading import merge, read
from pytest_datalake.report.verdict import judge
from tests.bench.report_lake import results_of
from tests.browser.chromium import Window, chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_datalake.report.reading import Results

NIGHTLY = Path(__file__).parents[1] / "report" / "data" / "nightly.jsonl.gz"
"""The results of a nightly run over the ten sites of this repository; six copies failed in it."""


@pytest.fixture(scope="session")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    """A browser window."""
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield Window(driver)


@pytest.fixture(scope="session")
def nightly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a real nightly run."""
    directory = tmp_path_factory.mktemp("nightly")
    (directory / "results.jsonl").write_bytes(gzip.decompress(NIGHTLY.read_bytes()))
    make([directory], directory)
    return directory


@pytest.fixture(scope="session")
def nightly_results(nightly: Path) -> Results:
    """What is behind it."""
    return read([nightly])


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The matrix page of a run of a hundred thousand tests."""
    results = merge(results_of(100_000))
    path = tmp_path_factory.mktemp("large") / "index.html"
    path.write_text(page(results, judge(results), CoverageChange(), History()), encoding="utf-8")
    return path
