"""The grid of requirements shows what every site makes of each of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_datalake.report.reading import merge
from pytest_datalake.report.requirements import chapters, requirements_page
from pytest_datalake.report.rows import EndpointRow, Outcome, RunRow, TestRow
from pytest_datalake.report.verdict import judge
from tests.report.making import STARTED, row_at

if TYPE_CHECKING:
    from pytest_datalake.report.rows import Row

COMO = EndpointRow(id="COMO-A.davs", site="COMO", rse="COMO-A", technology="xrootd", protocol="davs")
OHRID = EndpointRow(id="OHRID-A.davs", site="OHRID", rse="OHRID-A", technology="apache", protocol="davs")


def row(
    end: EndpointRow, requirement: str, *, level: str = "MUST", outcome: Outcome = "passed", found: str = ""
) -> TestRow:
    deviates = found.startswith("was done")
    return row_at(
        end,
        "token-scope",
        f"suites/authorisation/test_conformance.py::test_case[{requirement}-{end.id}]",
        run_id="r1",
        cell=end.id,
        capability="authorisation",
        requirement=requirement,
        level=level,
        clause="WLCG profile, aud",
        outcome=outcome,
        reason=found if outcome == "failed" else "",
        evidence={"conformance": "deviates" if deviates else "conforms", "found": found},
    )


ROWS = [
    row(COMO, "audience-missing", outcome="failed", found="was done; it should have been refused"),
    row(OHRID, "audience-missing"),
    row(COMO, "jti-missing", level="SHOULD", found="was done; it should have been refused (HTTP 200)"),
    row(OHRID, "audience-any"),
]


def page_of(rows: list[TestRow]) -> str:
    run: list[Row] = [RunRow(run_id="r1", started=STARTED, endpoints=(COMO, OHRID))]
    results = merge([*run, *rows])
    return requirements_page(results, judge(results))


def test_squares_say_what_each_site_makes_of_it() -> None:
    must, should = chapters(ROWS, ["COMO", "OHRID"])
    assert [line.requirement for line in must.lines] == ["audience-missing", "audience-any"]
    missing, known = must.lines
    assert [kept and kept.outcome for kept in missing.sites] == ["failed", "passed"]
    assert known.sites[0] is None
    (jti,) = should.lines
    assert jti.sites[0] is not None
    assert (jti.sites[0].outcome, jti.sites[0].deviates) == ("passed", True)


def test_worst_door_of_a_site_counts() -> None:
    twin = replace(COMO, id="COMO-B.davs")
    both = [row(COMO, "audience-any"), row(twin, "audience-any", outcome="failed", found="was refused")]
    (must,) = chapters(both, ["COMO"])
    kept = must.lines[0].sites[0]
    assert kept is not None
    assert (kept.outcome, kept.doors) == ("failed", 2)
    assert "COMO-B.davs" in kept.hint


def test_page_shows_levels_sites_and_deviations() -> None:
    text = page_of(ROWS)
    for part in ("audience-missing", "jti-missing", "COMO", "OHRID", "WLCG profile, aud", "≠", "✗"):
        assert part in text
    assert "<script" not in text


def test_run_without_requirements_has_no_page() -> None:
    assert page_of([replace(one, requirement="") for one in ROWS]) == ""


def test_hostile_texts_stay_texts() -> None:
    bad = row(COMO, "audience-missing", outcome="failed", found="<script>alert(1)</script>")
    assert "<script" not in page_of([bad])


def test_copies_of_the_table_are_their_destinations() -> None:
    copy = replace(
        row(OHRID, "pull-source-expired", found="refused (HTTP 403)"),
        cell="",
        source=COMO.id,
        destination=OHRID.id,
    )
    (must,) = chapters([copy, replace(copy, requirement="missing-source", level="")], ["COMO", "OHRID"])
    (line,) = must.lines
    assert line.sites[0] is None
    assert line.sites[1] is not None
    assert line.sites[1].hint.startswith("COMO-A.davs > OHRID-A.davs by token-scope")
