"""The probable cause is named, and an innocent site is not."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_datalake.report.problems import explain, one_line
from pytest_datalake.report.rows import TestRow

if TYPE_CHECKING:
    from pytest_datalake.report.rows import Row


def only_tests(rows: list[Row]) -> list[TestRow]:
    return [row for row in rows if isinstance(row, TestRow)]


def test_the_faults_that_were_made_are_found(broken_run: list[Row]) -> None:
    problems = explain(only_tests(broken_run), broken_run[0].endpoints)  # type: ignore[union-attr]
    assert [(problem.outcome, problem.where) for problem in problems] == [
        ("failed", "copies to OHRID-B.davs by token-scope"),
        ("failed", "SAIMAA-A.gsiftp → VANERN-B.gsiftp by x509-voms"),
        ("error", "test_list_0 at BODENSEE-B.s3s by access-key"),
        ("fixed", "test_rename_1 at INARI-A.davs by token-scope"),
        ("not-run", "COMO-A.root → GARDA-C.root by token-scope"),
    ]


def test_a_dead_source_is_not_its_destinations_fault(green_run: list[Row]) -> None:
    tests = [
        replace(row, outcome="failed", reason="connection reset") if row.source == "GARDA-A.root" else row
        for row in only_tests(green_run)
    ]
    where = {problem.where for problem in explain(tests, ())}
    assert "copies from GARDA-A.root" in where
    assert not [place for place in where if " to " in place]


def test_everything_red_is_one_central_fault(green_run: list[Row]) -> None:
    tests = [replace(row, outcome="failed", reason="no token") for row in only_tests(green_run)]
    (problem,) = explain(tests, ())
    assert problem.where == "tests of the whole lake"
    assert problem.count == len(tests)


def test_thousands_of_scattered_failures_take_little_time(green_run: list[Row]) -> None:
    tests = [
        replace(row, nodeid=f"{row.nodeid}-{copy}", outcome="failed" if (position + copy) % 3 else "passed")
        for copy in range(6)
        for position, row in enumerate(only_tests(green_run))
    ]
    started = time.perf_counter()
    problems = explain(tests, ())
    assert time.perf_counter() - started < 20
    assert sum(problem.count for problem in problems) == sum(row.outcome == "failed" for row in tests)
    assert len(problems) <= 41


def test_reasons_fit_on_a_line() -> None:
    assert one_line("a\n\x1b[31mb\t\tc\x00") == "a [31mb c"
    assert len(one_line("x" * 10_000)) == 200
