"""Our columns and totals in pytest-html's own page."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from pytest_datalake.report import pytest_html as ours
from pytest_datalake.report.rows import TestRow
from pytest_datalake.report.verdict import Counts

if TYPE_CHECKING:
    import pytest


CONFTEST = """
from pytest_datalake.report import pytest_html as ours
from pytest_datalake.report.rows import TestRow
from pytest_datalake.report.verdict import Counts

ROW = TestRow(run_id="r", nodeid="n", capability="transfer<b>", source="A.davs", destination="B.davs",
              auth="x509", seconds=1.5, evidence={"mode": "pull"})

def pytest_html_report_title(report):
    report.title = ours.title("vo<b>")

def pytest_html_results_summary(prefix, summary, postfix, session):
    prefix.extend(ours.summary(Counts(planned=9, passed=8, failed=1), None))

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


def test_totals_are_the_true_ones() -> None:
    lines = "".join(ours.summary(Counts(planned=3, passed=3), Counts(planned=2, passed=2)))
    assert "TRANSFER MATRIX GREEN 2/2 links" in lines
    assert "DATA LAKE GREEN 3/3 tests" in lines
