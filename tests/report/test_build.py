"""Everything that is made from results files, with friendly and hostile contents."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from pytest_datalake.errors import UsageError
from pytest_datalake.report import index
from pytest_datalake.report.build import make
from pytest_datalake.report.results import ResultsFile
from pytest_datalake.report.rows import OUTCOMES, KnownIssueRow, RunRow, TestRow
from tests.report.unpacking import unpack

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.report.rows import Row

HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u2028\u2029\x00\x1b[31m\ud800]]>"
)


class Page(HTMLParser):
    """The elements and attributes of a page, and the text outside scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._script = self._script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts.append(data)


def write(directory: Path, rows: list[Row]) -> Path:
    path = directory / "results.jsonl"
    with ResultsFile(path, fresh=True) as results:
        for row in rows:
            results.write(row)
    return path


def test_green(tmp_path: Path, green_run: list[Row]) -> None:
    assert make([write(tmp_path, green_run)], tmp_path).verdict.exit_code == 0
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert verdict["word"] == "GREEN"
    assert verdict["links"]["passed"] == verdict["links"]["planned"] == 310


def test_red(tmp_path: Path, broken_run: list[Row]) -> None:
    out = tmp_path / "made" / "here"
    built = make([write(tmp_path, broken_run)], out)
    assert built.verdict.exit_code == 1
    assert built.lines[-2].startswith("TRANSFER MATRIX RED 298/310 links, 0 known issues, 11 new failures")
    assert built.lines[-1].startswith(
        "DATA LAKE RED 1720/1742 tests, 8 known issues, 11 new failures, 1 fixed"
    )
    assert {path.name for path in out.iterdir()} == {
        "index.html",
        "junit.xml",
        "verdict.json",
        "coverage.json",
        "history.sqlite",
        "metrics.prom",
        "monitoring.json",
        "requirements.html",
        "sites",
    }


def test_the_page_shows_every_result_and_loads_nothing(tmp_path: Path, broken_run: list[Row]) -> None:
    make([write(tmp_path, broken_run)], tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    tests = [row for row in broken_run if isinstance(row, TestRow)]
    head, columns = unpack(text)
    assert head["count"] == len(tests)
    shown = Counter(OUTCOMES[number] for number in columns["outcome"])
    assert shown == Counter(row.outcome for row in tests)
    places = ["", *(end[0] for end in head["endpoints"])]
    links = {
        (places[source], places[to])
        for source, to in zip(columns["source"], columns["destination"], strict=True)
    }
    assert links - {("", "")} == {row.link[:2] for row in tests if row.link}
    page = Page(text)
    assert not [tag for tag, _ in page.elements if tag in {"link", "img", "iframe", "object", "base", "form"}]
    assert not [attributes for _, attributes in page.elements if "src" in attributes or "style" in attributes]
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|innerHTML|eval\(", "".join(page.scripts))


def test_scattered_failures_do_not_hide_the_faults(tmp_path: Path, broken_run: list[Row]) -> None:
    passing = [row for row in broken_run if isinstance(row, TestRow) and row.link and row.outcome == "passed"]
    chosen = {row.nodeid for row in passing[::40]}
    rows = [
        replace(row, outcome="failed", reason="Connection reset by peer")
        if isinstance(row, TestRow) and row.nodeid in chosen
        else row
        for row in broken_run
    ]
    verdict = make([write(tmp_path, rows)], tmp_path).verdict
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    cards, _, others = text.partition('<ol class="faults">')[2].partition("</ol>")
    others = others.partition("</section>")[0]
    assert "OHRID refuses tokens as destination over davs" in cards
    assert "The test run itself failed" in cards
    assert "too little else did" not in cards
    shown = [int(number) for number in re.findall(r'data-fault="(\d+)"', cards + others)]
    assert sorted(shown) == list(range(len(verdict.faults)))


def test_long_texts_are_left_out_rather_than_growing_the_page(
    tmp_path: Path, broken_run: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, broken_run)
    make([path], tmp_path)
    limit = (tmp_path / "index.html").stat().st_size - 3_000
    monkeypatch.setattr(index, "PAGE_LIMIT", limit)
    make([path], tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert len(text.encode()) <= limit
    head, _ = unpack(text)
    assert head["count"] == len(broken_run) - 2


def test_hostile_texts_stay_texts(tmp_path: Path, green_run: list[Row]) -> None:
    run, first, second, *rest = green_run
    assert isinstance(run, RunRow)
    assert isinstance(first, TestRow)
    assert isinstance(second, TestRow)
    names = ("nodeid", "test", "reason", "source", "site", "rse", "auth", "identity", "reproduce", "details")
    bad = replace(first, outcome="failed", **dict.fromkeys(names, HOSTILE))  # type: ignore[arg-type]
    issue = KnownIssueRow(
        reason=HOSTILE, reference="javascript:alert(1)", until="2999-01-01", location=HOSTILE
    )
    known = replace(second, outcome="known-issue", known_issue=issue, evidence={HOSTILE: HOSTILE})
    run = replace(
        run, vo=HOSTILE, experiments=(HOSTILE,), versions={HOSTILE: HOSTILE}, options={HOSTILE: HOSTILE}
    )
    make([write(tmp_path, [run, bad, known, *rest])], tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    page = Page(text)
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert "img" not in {tag for tag, _ in page.elements}
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
    assert not [a for tag, a in page.elements if tag == "a" and str(a.get("href")).startswith("javascript")]
    head, _ = unpack(text)
    assert any("</script>" in part for part in head["texts"])
    for site in (tmp_path / "sites").iterdir():
        elements = Page(site.read_text(encoding="utf-8")).elements
        assert not {tag for tag, _ in elements} & {"script", "img", "link", "iframe"}
        assert not [a for _, a in elements if any(name.startswith("on") for name in a)]
    ET.fromstring((tmp_path / "junit.xml").read_bytes())  # noqa: S314  # what we have just written
    json.loads((tmp_path / "verdict.json").read_text())


def test_junit_counts(tmp_path: Path, broken_run: list[Row]) -> None:
    lost = [row for row in broken_run if not (isinstance(row, TestRow) and row.cell == "OHRID-B.root")]
    make([write(tmp_path, lost)], tmp_path)
    root = ET.fromstring((tmp_path / "junit.xml").read_bytes())  # noqa: S314  # what we have just written
    total = {
        name: sum(int(suite.get(name, "0")) for suite in root) for name in ("tests", "failures", "errors")
    }
    assert total["tests"] == 1742
    assert total["failures"] == 12
    assert total["errors"] == 2 + sum(
        isinstance(row, TestRow) and row.cell == "OHRID-B.root" for row in broken_run
    )
    skipped = root.findall(".//skipped")
    assert all("example.org/issues/2131" in str(element.text) for element in skipped)


def test_ten_thousand_rows_stay_small(tmp_path: Path, green_run: list[Row]) -> None:
    run, *tests = (row for row in green_run if isinstance(row, (RunRow, TestRow)))
    many = [
        replace(row, nodeid=f"{row.nodeid[:-1]}-{copy}]", seconds=row.seconds + copy / 7)
        for copy in range(6)
        for row in tests
        if isinstance(row, TestRow)
    ]
    make([write(tmp_path, [run, *many])], tmp_path)
    assert len(many) > 10_000
    assert (tmp_path / "index.html").stat().st_size < 1_000_000


def test_thousands_of_long_reasons_stay_small(tmp_path: Path, green_run: list[Row]) -> None:
    tests = [
        replace(row, outcome="failed", nodeid=f"{row.nodeid}-{copy}", reason=os.urandom(2000).hex())
        for copy in range(2)
        for row in green_run
        if isinstance(row, TestRow)
    ]
    make([write(tmp_path, [green_run[0], *tests])], tmp_path)
    assert (tmp_path / "index.html").stat().st_size < 1_000_000


def test_invalid_utf8_and_junk_lines(tmp_path: Path, green_run: list[Row]) -> None:
    path = write(tmp_path, green_run)
    path.write_bytes(b"\xff\xfe\x00junk\n" + path.read_bytes() + b"[1,2]\n\n{")
    built = make([path], tmp_path)
    assert built.verdict.word == "GREEN"
    assert "3 notes on what could not be read" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").touch()
    assert make([tmp_path], tmp_path).verdict.exit_code == 3


def test_unwritable_directory_is_a_usage_error(tmp_path: Path, green_run: list[Row]) -> None:
    path = write(tmp_path, green_run)
    with pytest.raises(UsageError, match="--report-dir"):
        make([path], path)


def test_building_twice_gives_the_same(tmp_path: Path, broken_run: list[Row]) -> None:
    path = write(tmp_path, broken_run)
    pages = []
    for _ in range(2):
        make([path], tmp_path)
        pages.append((tmp_path / "index.html").read_bytes())
    assert pages[0] == pages[1]


def test_what_changed_in_the_coverage(tmp_path: Path, green_run: list[Row]) -> None:
    run = green_run[0]
    assert isinstance(run, RunRow)
    assert make([write(tmp_path, green_run)], tmp_path).change.since == ""
    fewer = replace(
        run,
        run_id="r2",
        started="2026-11-23T02:00:00+00:00",
        planned={**run.planned, "rename": 40},
        unsupported=(
            *run.unsupported,
            replace(run.unsupported[0], capability="rename", endpoint="COMO-A.davs"),
        ),
        endpoints=run.endpoints[1:],
    )
    path = write(tmp_path, [fewer, *(replace(row, run_id="r2") for row in green_run[1:])])
    for _ in range(2):
        change = make([path], tmp_path).change
        assert change.since == run.started
        assert change.lines == (
            f"rename: 40 tests planned, before {run.planned['rename']} ({40 - run.planned['rename']:+d})",
            f"endpoint gone: {run.endpoints[0].id}",
            "no longer declared: rename at COMO-A.davs",
        )


def test_another_version_of_a_server_is_shown(tmp_path: Path, green_run: list[Row]) -> None:
    run = green_run[0]
    assert isinstance(run, RunRow)
    said = ["XrootD/v5.5.3", "", "XrootD/v5.6.9", "XrootD/v5.7.0"]  # once the door did not answer
    lines = []
    for number, software in enumerate(said):
        ends = (replace(run.endpoints[0], software=software), *run.endpoints[1:])
        one = replace(run, run_id=f"r{number}", endpoints=ends)
        path = write(tmp_path, [one, *(replace(row, run_id=one.run_id) for row in green_run[1:])])
        lines.append(make([path], tmp_path).change.lines)
    told = f"{run.endpoints[0].id}: software XrootD/v5.7.0, before XrootD/v5.6.9"
    assert lines == [(), (), (), (told,)]
    page = (tmp_path / "sites" / f"{run.endpoints[0].site}.html").read_text()
    assert "XrootD/v5.7.0" in page


def test_numbers_of_other_tests_are_not_compared(tmp_path: Path, green_run: list[Row]) -> None:
    run = green_run[0]
    assert isinstance(run, RunRow)
    runs = [
        replace(run, run_id="r2", options={"tests": "suites"}),
        replace(run, run_id="r3", options={"tests": "suites/access"}, planned={"access": 1}, unsupported=()),
    ]
    for one in runs:
        change = make(
            [write(tmp_path, [one, *(replace(row, run_id=one.run_id) for row in green_run[1:])])], tmp_path
        )
    assert change.change.lines == ("other tests were asked for: tests suites/access, before tests suites",)


def test_broken_coverage_file_is_forgotten(tmp_path: Path, green_run: list[Row]) -> None:
    (tmp_path / "coverage.json").write_text('{"current": 7}')
    assert make([write(tmp_path, green_run)], tmp_path).change.since == ""
