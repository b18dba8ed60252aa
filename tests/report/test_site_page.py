"""A site's page tells its site everything and nobody else's secrets."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_datalake.report.history.facts import History
from pytest_datalake.report.reading import merge
from pytest_datalake.report.rows import RunRow, TestRow
from pytest_datalake.report.site_lines import site_file
from pytest_datalake.report.site_page import site_pages
from pytest_datalake.report.verdict import judge

if TYPE_CHECKING:
    from pytest_datalake.report.rows import Row

TOKEN = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJza2EiLCJhdWQiOiJ4In0.c2lnbmF0dXJl"


def pages_of(rows: list[Row]) -> dict[str, str]:
    results = merge(rows)
    return site_pages(results, judge(results), History())


def refused(rows: list[Row], **changes: object) -> list[Row]:
    """The run with what OHRID refuses changed."""
    return [
        replace(row, **changes)  # type: ignore[arg-type]
        if isinstance(row, TestRow) and row.outcome == "failed" and row.destination == "OHRID-B.davs"
        else row
        for row in rows
    ]


def test_the_site_at_fault_reads_what_to_mend(broken_run: list[Row]) -> None:
    by_hand = "gfal-copy --copy-mode pull 'davs://a/x' 'davs://b/y'  # or: pytest 'suites/x'"
    pages = pages_of(refused(broken_run, reproduce=by_hand))
    text = pages["OHRID.html"]
    for part in (
        "1 thing to mend",
        "OHRID refuses tokens as destination over davs",
        "token lacks storage.create for this path",
        "trusted here, is its audience one of this site",
        "gfal-copy --copy-mode pull &#39;davs://a/x&#39;",
        "pytest &#39;suites/x&#39;",
    ):
        assert part in text
    assert "known-issue" not in pages["COMO.html"].partition("<main")[0]


def test_the_page_says_whom_to_ask(broken_run: list[Row]) -> None:
    asked = [
        replace(row, contact="lake@example.org") if isinstance(row, RunRow) else row for row in broken_run
    ]
    assert "Questions to lake@example.org." in pages_of(asked)["OHRID.html"]
    assert "Questions" not in pages_of(broken_run)["OHRID.html"]


def test_partners_read_that_it_is_not_theirs(broken_run: list[Row]) -> None:
    text = pages_of(broken_run)["LADOGA.html"]
    assert "Nothing to mend" in text
    assert "Not yours to mend" in text
    assert "OHRID refuses tokens as destination over davs" in text
    part = text.partition('<section id="others">')[2].partition("</section>")[0]
    assert "token lacks storage.create" in part.partition("<details>")[2]
    assert "<pre>" not in part


def numbers(text: str) -> list[int]:
    headline = text.partition('<dl class="headline">')[2].partition("</dl>")[0]
    return [int(number) for number in re.findall(r"<dd>(\d+)</dd>", headline)]


def test_the_numbers_on_top_add_up(broken_run: list[Row], green_run: list[Row]) -> None:
    for text in (*pages_of(broken_run).values(), *pages_of(green_run).values()):
        touching, *ended = numbers(text)
        assert touching == sum(ended)


def test_what_many_servers_do_wrong_is_each_ones_own(green_run: list[Row]) -> None:
    reason = "was done; it should have been refused as denied"
    rows = [
        replace(row, outcome="failed", reason=reason)
        if isinstance(row, TestRow) and (row.test, row.auth) == ("test_authorisation_1", "x509-voms")
        else row
        for row in green_run
    ]
    text = pages_of(rows)["COMO.html"]
    assert "1 thing to mend" in text
    assert "The test “authorisation 1” fails everywhere with x509-voms" in text
    assert "refuses" not in text
    assert "Your server gave this answer itself, and those of 9 other sites gave the same" in text
    assert "Something was granted that should be refused." in text


def test_a_first_run_has_no_history(broken_run: list[Row]) -> None:
    text = pages_of(broken_run)["OHRID.html"]
    assert "First run: there is no earlier one" in text
    for words in ("30 days", "last success", "Last day without", "Links that"):
        assert words not in text


def test_directories_of_the_tester_are_not_told(broken_run: list[Row]) -> None:
    run = broken_run[0]
    assert isinstance(run, RunRow)
    matrix = replace(run.matrix, path="/home/somebody/private/lake.yaml")
    text = pages_of([replace(run, matrix=matrix), *broken_run[1:]])["OHRID.html"]
    assert "lake.yaml" in text
    assert "somebody" not in text


def test_a_single_failure_is_perhaps_that_of_both_ends(broken_run: list[Row]) -> None:
    pages = pages_of(broken_run)
    for site, partner in (("SAIMAA", "VANERN"), ("VANERN", "SAIMAA")):
        text = pages[f"{site}.html"]
        assert "1 failure, perhaps yours</h1>" in text
        part = text.partition('<section id="unclear">')[2].partition("</section>")[0]
        assert "SAIMAA-A.gsiftp → VANERN-B.gsiftp by x509-voms" in part
        assert "checksum of the copy is 00000001" in part
        assert "test_file_arrives_intact[SAIMAA" in part
        assert f'id="mend">\n{partner}' not in text
    assert [name for name, text in pages.items() if 'id="unclear"' in text] == ["SAIMAA.html", "VANERN.html"]


def test_the_end_that_answered_is_named(broken_run: list[Row]) -> None:
    said = "Copy failed (3rd pull). Last attempt: Remote side failed with status code 403"
    rows = [
        replace(row, outcome="failed", reason=f"copy davs://a/x -> davs://b/y: {said}")
        if isinstance(row, TestRow) and row.link == ("COMO-A.davs", "GARDA-A.davs", "x509-voms")
        else row
        for row in broken_run
    ]
    assert "The answer came from <b>COMO-A.davs, the source</b>" in pages_of(rows)["COMO.html"]


def test_each_site_sees_its_own_servers_logs_only(broken_run: list[Row]) -> None:
    logs = {"OHRID-B.davs": "authz: no rule for /escape/ska", "COMO-A.davs": "pid 4711 in /data/como"}
    pages = pages_of(refused(broken_run, logs=logs))
    assert "authz: no rule for /escape/ska" in pages["OHRID.html"]
    assert [name for name, text in pages.items() if "/data/como" in text] == []
    assert [name for name, text in pages.items() if "no rule for" in text] == ["OHRID.html"]


def test_a_site_reads_what_services_logged_of_its_copies(broken_run: list[Row]) -> None:
    logs = {"fts": "job 7, file 1: FAILED 403", "unknown": "whatever it is"}
    text = pages_of(refused(broken_run, logs=logs))["OHRID.html"]
    assert "What the transfer manager logged" in text
    assert "job 7, file 1: FAILED 403" in text
    assert "whatever it is" not in text


def test_no_secret_gets_into_a_page(broken_run: list[Row]) -> None:
    leaked = f"HTTP 403: Authorization: Bearer {TOKEN} refused, also by ?authz=Bearer%20{TOKEN}"
    logs = {"OHRID-B.davs": f"X-Rucio-Auth-Token: {TOKEN} and https://user:hunter2@host/"}
    pages = pages_of(
        refused(broken_run, reason=leaked, logs=logs, reproduce=f"curl -H 'Authorization: Bearer {TOKEN}' x")
    )
    for text in pages.values():
        assert TOKEN[:24] not in text
        assert "hunter2" not in text
    assert "secret left out" in pages["OHRID.html"]


def test_nothing_to_mend(green_run: list[Row]) -> None:
    for text in pages_of(green_run).values():
        assert "Nothing to mend" in text
        assert 'class="mend' not in text


def test_a_strange_name_makes_a_plain_file() -> None:
    assert site_file("../../etc/ä b") == "______etc_ä_b.html"
