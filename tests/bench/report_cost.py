"""What the report costs, beside pytest-html: building it, its size, and drawing it in a browser."""

from __future__ import annotations

import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from selenium.common.exceptions import WebDriverException
from urllib3.exceptions import HTTPError

from tests.bench.measuring import BenchmarkError, Row, median_seconds, run
from tests.bench.report_lake import SHAPES, write_results
from tests.browser.chromium import Window, chromium

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_LOAD = 90
"""Seconds that a page may take to load, less than the driver is waited for."""

_ROWS = """\
import json
from pathlib import Path

import pytest

ROWS = [row for row in map(json.loads, Path("results.jsonl").open()) if row["type"] == "test"]


@pytest.mark.parametrize("row", ROWS, ids=[str(number) for number in range(len(ROWS))])
def test_again(row):
    assert row["outcome"] == "passed", row["reason"]
"""


def report(*, runs: int, largest: int) -> list[Row]:
    """Pages for runs of up to so many tests."""
    rows = []
    for tests in (size for size in SHAPES if size <= largest):
        with tempfile.TemporaryDirectory(prefix="datalake-bench-") as directory:
            rows += _pages(Path(directory), tests, runs)
    return rows


def _pages(directory: Path, tests: int, runs: int) -> list[Row]:
    write_results(directory / "results.jsonl", tests)
    command = [sys.executable, "-m", "pytest_datalake.cli", "report", "results.jsonl", "--report-dir", "out"]
    built = [run(command, directory=directory, accepted=(1,)) for _ in range(runs)]
    (directory / "test_again.py").write_text(_ROWS)
    pytest = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:datalake",
        "-p",
        "no:cacheprovider",
        "--tb=line",
    ]
    bare = run([*pytest, "test_again.py"], directory=directory, accepted=(1,))
    page = ["--html=pytest.html", "--self-contained-html"]
    html = run([*pytest, *page, "test_again.py"], directory=directory, accepted=(1,))
    ours, theirs = directory / "out" / "index.html", directory / "pytest.html"
    sites = [path.stat().st_size for path in (directory / "out" / "sites").iterdir()]
    sizes = [path.stat().st_size / 1e6 for path in (ours, theirs)]
    ready = _ready(directory, ours, "return document.documentElement.dataset.ready", runs)
    other = _ready(
        directory, theirs, "return document.querySelector('#results-table .results-table-row') && 1", 1
    )
    if ready is None:
        raise BenchmarkError(f"the matrix page of {tests} tests was not drawn in {LONGEST_LOAD} s")
    name = f"of {tests:,} tests"
    return [
        _row(f"building every page {name}", median_seconds(built), html.seconds - bare.seconds, "s", runs),
        _row(f"size of the matrix page {name}", sizes[0], sizes[1], "MB", 1),
        _row(f"matrix page {name}: from opening it until all is drawn", ready, other, "s", runs),
        Row(
            what=f"largest page of a site {name}",
            value=f"{max(sites) / 1e3:.0f} kB",
            compared="",
            ratio="",
            runs=1,
        ),
    ]


def _row(what: str, ours: float, theirs: float | None, unit: str, runs: int) -> Row:
    said = f"{theirs:.2f} {unit}" if theirs is not None else f"not in {LONGEST_LOAD} s"
    ratio = f"{ours / theirs:.2g}" if theirs else ""
    return Row(what=what, value=f"{ours:.2f} {unit}", compared=f"pytest-html: {said}", ratio=ratio, runs=runs)


def _ready(directory: Path, page: Path, drawn: str, runs: int) -> float | None:
    """Median seconds from the start of navigation until a script says something; None where it never does."""
    with tempfile.TemporaryDirectory(dir=directory) as profile, chromium(Path(profile)) as driver:
        driver.set_page_load_timeout(LONGEST_LOAD)
        driver.set_script_timeout(LONGEST_LOAD)
        opened: Callable[[], float] = partial(_open, Window(driver), page, drawn)
        try:
            return statistics.median(opened() for _ in range(runs))
        except (WebDriverException, HTTPError):  # the second: not even the driver answers any more
            return None


def _open(window: Window, page: Path, drawn: str) -> float:
    window.driver.get("about:blank")
    window.driver.get(page.as_uri())
    said = float(window.wait(drawn))
    return (said if said > 1 else float(window.run("return performance.now()"))) / 1000
