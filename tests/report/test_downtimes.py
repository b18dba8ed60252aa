"""A declared downtime is shown everywhere and held against nobody."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from pytest_datalake.cli import main
from pytest_datalake.report.build import Built, make
from pytest_datalake.report.downtimes import downtimes, holding
from pytest_datalake.report.reading import read
from pytest_datalake.report.rows import DowntimeRow, RunRow, TestRow
from tests.report.conftest import lake_tests, make_run
from tests.report.making import STARTED
from tests.report.test_build import write

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.report.rows import Row

DOWN = DowntimeRow(
    where="site OHRID",
    sites=("OHRID",),
    start="2026-11-21T08:00Z",
    end="2026-11-23T20:00+02:00",
    reason="the cooling is renewed",
    reference="https://goc.example.org/downtime/34567",
    location="site_matrix.yaml:91",
)
LATER = replace(DOWN, where="site COMO", sites=("COMO",), start="2026-12-01T08:00Z", end="2026-12-02T08:00Z")


def in_downtime(row: TestRow) -> TestRow:
    """Everything at the site falls into it; what is done with its davs door fails."""
    if "OHRID" not in f"{row.source} {row.destination} {row.cell}":
        return row
    failed = "OHRID-B.davs" in {row.source, row.destination, row.cell}
    reason = "Connection refused (ECONNREFUSED)" if failed else ""
    return replace(row, downtime=DOWN, outcome="downtime" if failed else "passed", reason=reason)


@pytest.fixture
def down_run() -> list[Row]:
    return make_run([in_downtime(row) for row in lake_tests(broken=False)], downtimes=(DOWN, LATER))


@pytest.fixture
def built(tmp_path: Path, down_run: list[Row]) -> Built:
    return make([write(tmp_path, down_run)], tmp_path)


def test_rows_come_back_as_they_were_written(tmp_path: Path, down_run: list[Row]) -> None:
    results = read([write(tmp_path, down_run)])
    assert results.run.downtimes == (DOWN, LATER)
    assert {row.downtime for row in results.tests} == {None, DOWN}


def test_the_run_is_green_and_says_how_much_was_down(built: Built) -> None:
    links, tests = built.verdict.links, built.verdict.tests
    assert links is not None
    assert built.verdict.exit_code == 0
    assert built.lines == (
        (
            f"TRANSFER MATRIX GREEN {310 - links.downtime}/310 links, 0 known issues, 0 new failures, "
            f"{links.downtime} in downtime"
        ),
        (
            f"DATA LAKE GREEN {tests.planned - tests.downtime}/{tests.planned} tests, 0 known issues, "
            f"0 new failures, {tests.downtime} in downtime"
        ),
    )
    assert tests.downtime > links.downtime > 20
    assert built.verdict.faults == ()


def test_nobody_else_is_blamed_for_it(tmp_path: Path) -> None:
    """Without the downtime the site would be; the failures that are another's stay that one's."""
    tests = [in_downtime(row) for row in lake_tests(broken=False)]
    undeclared = [replace(row, outcome="failed") if row.outcome == "downtime" else row for row in tests]
    blamed = make([write(tmp_path, make_run(undeclared))], tmp_path / "undeclared").verdict.faults
    assert [fault.sites for fault in blamed] == [("OHRID",)]
    also = [
        replace(row, outcome="failed", reason="HTTP 507 no space left")
        if row.destination == "INARI-A.davs" and row.outcome == "passed"
        else row
        for row in tests
    ]
    faults = make([write(tmp_path, make_run(also, downtimes=(DOWN,)))], tmp_path / "also").verdict.faults
    assert [fault.sites for fault in faults] == [("INARI",)]


def test_the_pages_show_it(built: Built, tmp_path: Path, down_run: list[Row]) -> None:
    failing = sum(isinstance(row, TestRow) and row.outcome == "downtime" for row in down_run)
    count = sum(isinstance(row, TestRow) and row.downtime is not None for row in down_run)
    for name in ("index.html", "sites/OHRID.html"):
        text = (tmp_path / name).read_text()
        section = text.partition('<section id="downtimes">')[2].partition("</section>")[0]
        assert "the cooling is renewed" in section
        assert 'href="https://goc.example.org/downtime/34567"' in section
        assert "23 November 2026, 18:00 UTC" in section
        assert f"{failing} of {count} failed" in section
    index = (tmp_path / "index.html").read_text()
    assert re.search(r"<b>OHRID</b>.{0,400}in downtime</span>", index, re.DOTALL)
    assert f"and {failing} that failed in declared downtimes" in index
    assert "to come" in (tmp_path / "sites" / "COMO.html").read_text()
    assert "to come" not in (tmp_path / "sites" / "OHRID.html").read_text()
    assert "In downtime</h1>" in (tmp_path / "sites" / "OHRID.html").read_text()
    assert "Nothing to mend" in (tmp_path / "sites" / "COMO.html").read_text()
    assert built.verdict.word == "GREEN"


def test_it_does_not_lower_the_availability(built: Built) -> None:
    assert {site.name: site.days7 for site in built.history.sites}["OHRID"] == 1


def test_other_programs_are_told(built: Built, tmp_path: Path) -> None:
    assert (
        f'datalake_tests{{outcome="downtime"}} {built.verdict.tests.downtime}\n'
        in (tmp_path / "metrics.prom").read_text()
    )
    assert 'datalake_site_downtime{site="OHRID"} 1\n' in (tmp_path / "metrics.prom").read_text()
    documents = json.loads((tmp_path / "monitoring.json").read_text())
    assert {one["name"] for one in documents if one["type"] == "datalake_site" and one["downtime"]} == {
        "OHRID"
    }
    statuses = {one["name"]: one["status"] for one in documents if one["type"] == "datalake_link"}
    assert statuses["COMO-A.davs___OHRID-B.davs___x509-voms"] == "downtime"
    suites = ET.fromstring((tmp_path / "junit.xml").read_bytes())  # noqa: S314  # what we have just written
    assert sum(int(suite.get("skipped", "0")) for suite in suites) == built.verdict.tests.downtime
    assert {suite.get("failures") for suite in suites} == {"0"}


def test_a_comparison_takes_it_neither_for_worse_nor_for_mended(
    tmp_path: Path, green_run: list[Row], down_run: list[Row], capsys: pytest.CaptureFixture[str]
) -> None:
    down = write(tmp_path / "down", down_run)
    for other in (green_run, make_run([replace(row, outcome="failed") for row in lake_tests(broken=False)])):
        assert main(["report", "--compare", str(write(tmp_path / "other", other)), str(down)]) == 0
        told = capsys.readouterr().out
        failing = sum(isinstance(row, TestRow) and row.outcome == "downtime" for row in down_run)
        assert f"failing in a declared downtime: {failing} tests" in told
        assert f"green again: {len(down_run) - 2} tests" not in told


def test_what_holds_when() -> None:
    assert holding([DOWN, LATER], STARTED) == (DOWN,)
    assert holding([DOWN, LATER], "2026-11-23T18:00:00+00:00") == ()
    assert holding([DOWN, replace(DOWN, end="soon")], "some day") == ()


def test_one_in_which_nothing_failed_may_be_over() -> None:
    row = TestRow(run_id="r", nodeid="n", outcome="passed", downtime=DOWN)
    now, later = downtimes([row, row], [LATER, DOWN], STARTED)
    assert (now.downtime, now.holds, now.count, now.failing) == (DOWN, True, 2, 0)
    assert (later.downtime, later.holds, later.count) == (LATER, False, 0)


def test_what_sites_declare_anew_is_said(tmp_path: Path, green_run: list[Row]) -> None:
    run, *rest = green_run
    assert isinstance(run, RunRow)
    first = replace(run.endpoints[0], auth=("x509-voms", "token-scope"), tpc=("active pull", "passive pull"))
    before = replace(run, endpoints=(first, *run.endpoints[1:]), downtimes=(LATER,))
    make([write(tmp_path, [before, *rest])], tmp_path)
    less = replace(first, auth=("x509-voms",), tpc=(), qos="C")
    after = replace(
        run,
        run_id="r2",
        started="2026-11-23T02:00:00+00:00",
        endpoints=(less, *run.endpoints[1:]),
        downtimes=(DOWN,),
    )
    change = make([write(tmp_path, [after, *(replace(row, run_id="r2") for row in rest)])], tmp_path).change
    assert change.lines == (
        f"{first.id}: QoS class C, before {first.qos}",
        f"{first.id}: auth x509-voms, before token-scope, x509-voms",
        f"{first.id}: third-party copies none, before active pull, passive pull",
        f"downtime new: site OHRID until {DOWN.end} ({DOWN.reference})",
        f"downtime over: site COMO until {LATER.end} ({LATER.reference})",
    )
    assert "third-party copies none" in (tmp_path / "index.html").read_text()
