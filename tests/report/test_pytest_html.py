"""Our columns and totals in pytest-html's own page."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_datalake.report import pytest_html as ours
from pytest_datalake.report.html_matrix import MOST_SQUARES, html_matrix
from pytest_datalake.report.reading import merge
from pytest_datalake.report.rows import TestRow
from pytest_datalake.report.verdict import judge

if TYPE_CHECKING:
    import pytest

    from pytest_datalake.report.rows import Row


CONFTEST = """
from dataclasses import replace
from pytest_datalake.report import pytest_html as ours
from pytest_datalake.report.rows import TestRow
from pytest_datalake.report.reading import Results
from pytest_datalake.report.verdict import judge

ROW = TestRow(run_id="r", nodeid="n", capability="transfer<b>", outcome="passed",
              source="A.davs", destination="B.davs",
              auth="x509", seconds=1.5, evidence={"mode": "pull"})

def pytest_html_report_title(report):
    report.title = ours.title("vo<b>")

def pytest_html_results_summary(prefix, summary, postfix, session):
    tests = [ROW] * 8 + [replace(ROW, outcome="failed", nodeid="m")]
    results = Results(tests=tuple(replace(row, nodeid=str(n)) for n, row in enumerate(tests)))
    prefix.extend(ours.summary(results, judge(results)))

def pytest_html_results_table_header(cells):
    ours.header(cells)

def pytest_html_results_table_row(report, cells):
    ours.row(cells, ROW, nodeid=report.nodeid, passed=report.passed)
"""


def test_in_a_real_page(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(
        """
        import pytest
        @pytest.mark.parametrize("x", ["<script>", "b"])
        def test_bad(x):
            assert not x
        def test_good():
            pass
        """
    )
    pytester.runpytest_subprocess("--html=page.html", "--self-contained-html", "-p", "no:datalake")
    page = (pytester.path / "page.html").read_text(encoding="utf-8")
    data = html.unescape(re.findall(r'data-jsonblob="([^"]*)"', page)[0])
    assert data.count("resultsTableRow") == 2
    assert "test_good" not in data
    assert "transfer&lt;b&gt;" in data
    assert "test_bad[&lt;script&gt;]" in data
    assert '<td class=\\"col-mode\\">pull</td>' in data
    assert "DATA LAKE RED 8/9 tests, 0 known issues, 1 new failure" in page
    assert '<title id="head-title">vo&lt;b&gt;: what is not green</title>' in page
    assert page.count('data-column-type="destination"') == 1


def test_rows_keep_in_step_with_the_header() -> None:
    head = ["<th>Result</th>", "<th>Test</th>", "<th>Duration</th>", "<th>Links</th>"]
    ours.header(head)
    test = TestRow(run_id="r", nodeid="n", cell="A.davs")
    for given in (test, test.to_json(), None):
        cells = ["<td>Failed</td>", "<td>n</td>", "<td>1</td>", "<td></td>"]
        ours.row(cells, given, nodeid="n", passed=False)
        assert len(cells) == len(head)
    cells = ["<td>Passed</td>"] * 4
    ours.row(cells, test, nodeid="n", passed=True)
    assert cells == []


def test_totals_and_matrix_are_the_true_ones(broken_run: list[Row]) -> None:
    results = merge(broken_run)
    text = "".join(ours.summary(results, judge(results)))
    assert "TRANSFER MATRIX RED 298/310 links" in text
    assert "DATA LAKE RED 1720/1742 tests" in text
    links = {(row.link, row.streamed) for row in results.tests if row.link}
    assert text.count("title=") == len(links)
    assert text.count(": failed") == 11
    assert "<script" not in text


def test_a_large_matrix_is_counted_only(green_run: list[Row]) -> None:
    row = next(row for row in green_run if isinstance(row, TestRow) and row.link)
    many = tuple(
        replace(row, nodeid=str(number), source=f"S{number}<b>") for number in range(MOST_SQUARES + 1)
    )
    text = "".join(html_matrix(many))
    assert f"{len(many):,}/{len(many):,}" in text
    assert text.count("<td") < 10
