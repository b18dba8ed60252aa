"""What pytest-html's page shows of ours; the plugin calls these from pytest-html's hooks, in the controller.

pytest-html puts what these hooks add into its page as it is, so everything is escaped here. Its page holds
all rows as nodes: passed ones are left out, and the summary says the true totals.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from pytest_datalake.report.reasons import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_datalake.report.reading import Results
    from pytest_datalake.report.rows import TestRow
    from pytest_datalake.report.verdict import Verdict

COLUMNS = ("capability", "source or cell", "destination", "auth", "mode", "seconds")

_AFTER_TEST = 2
_SHOWN = 500


def title(vo: str) -> str:
    """For ``pytest_html_report_title``; pytest-html escapes this one."""
    return f"{vo or 'Data lake'}: what is not green"


def summary(results: Results, verdict: Verdict, page: str = "index.html") -> list[str]:
    """For ``pytest_html_results_summary``: true totals, the matrix, and the way to the matrix page.

    Args:
        results: what was found so far.
        verdict: what that comes to.
        page: relative address of the matrix page.
    """
    from pytest_datalake.report.html_matrix import html_matrix

    lines = []
    if verdict.links is not None:
        lines.append(verdict.links.line("TRANSFER MATRIX", verdict.links.word, "links"))
    lines.append(verdict.tests.line("DATA LAKE", verdict.tests.word, "tests"))
    passed = "".join(
        f"<li>{escape(name or 'other')}: {counts.passed:,} of {counts.planned:,}</li>"
        for name, counts in verdict.capabilities.items()
    )
    return [
        *(f"<p><strong>{escape(line)}</strong></p>" for line in lines),
        *html_matrix(results.tests),
        (
            f"<details><summary>{verdict.tests.passed:,} passed tests are left out of the table below, and "
            f"of the counts beside it; by capability they are</summary><ul>{passed}</ul></details>"
            f'<p>Each of them, with its evidence, is in <a href="{escape(page)}">the matrix page</a>.</p>'
        ),
    ]


def header(cells: list[str]) -> None:
    """For ``pytest_html_results_table_header``: add our columns after the test's name."""
    cells[_AFTER_TEST:_AFTER_TEST] = [
        f'<th class="sortable" data-column-type="{_key(name)}">{escape(name)}</th>' for name in COLUMNS
    ]


def row(cells: list[str], test: TestRow | Mapping[str, Any] | None, *, nodeid: str, passed: bool) -> None:
    """For ``pytest_html_results_table_row``: add our columns, or drop the row of a test that passed.

    Args:
        cells: pytest-html's cells, changed in place.
        test: the result row, as an object or as JSON; None for a test that is none of ours.
        nodeid: pytest's name of the test; pytest-html does not escape it, so its cell is written anew.
        passed: the report is one of a pass.
    """
    if passed:
        del cells[:]
        return
    facts = _facts(test)
    if len(cells) >= _AFTER_TEST:
        cells[1] = f'<td class="col-testId">{escape(one_line(nodeid, _SHOWN))}</td>'
    cells[_AFTER_TEST:_AFTER_TEST] = [
        f'<td class="col-{_key(name)}">{escape(one_line(fact, _SHOWN))}</td>'
        for name, fact in zip(COLUMNS, facts, strict=True)
    ]


def _facts(test: TestRow | Mapping[str, Any] | None) -> tuple[str, ...]:
    if test is None:
        return ("",) * len(COLUMNS)
    document = test.to_json() if hasattr(test, "to_json") else test
    evidence = document.get("evidence")
    mode = evidence.get("mode", "") if isinstance(evidence, dict) else ""
    return (
        str(document.get("capability", "")),
        str(document.get("source") or document.get("cell") or ""),
        str(document.get("destination", "")),
        str(document.get("auth", "")),
        str(mode),
        str(document.get("seconds", "")),
    )


def _key(name: str) -> str:
    return name.split(maxsplit=1)[0]
