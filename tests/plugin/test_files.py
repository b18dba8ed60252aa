"""What a run writes, and what it does not."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from tests.plugin.conftest import LAKE, UPLOAD

if TYPE_CHECKING:
    from tests.plugin.conftest import Playground

COPY = """
import pytest
pytestmark = pytest.mark.capability("transfer")

def test_copy(link, test_file, copy_between):
    arrived = copy_between(test_file(size="1 KiB", at=link.source), link)
    assert arrived.mode in link.declared_modes
    assert arrived.difference is None
    assert "ALPHA" not in link.destination.site, "ALPHA takes nothing"
"""


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["alone", "workers"])
def test_run_writes_its_report(playground: Playground, workers: list[str]) -> None:
    playground.suite(UPLOAD)
    playground.suite(COPY, "test_copy.py")
    ran = playground.run("suites", *workers)
    reports = playground.path / "reports"
    assert {path.name for path in reports.iterdir()} >= {
        *("results.jsonl", "index.html", "pytest.html", "junit.xml", "verdict.json")
    }
    assert [row["type"] for row in ran.rows] == ["run", *["test"] * 5, "end"]
    assert len({row["run_id"] for row in ran.rows}) == 1
    run, end = ran.rows[0], ran.rows[-1]
    assert run["planned"] == {"access": 3, "transfer": 2}
    assert run["links"] == 2
    assert run["vo"] == "escape"
    assert run["experiments"] == ["ska", "lofar"]
    assert {one["id"] for one in run["endpoints"]} == {"ALPHA-A.memory", "BETA-B.memory"}
    assert run["matrix"]["path"].endswith("matrix.yaml")
    assert end["counts"] == {"passed": 4, "failed": 1}
    verdict = json.loads((reports / "verdict.json").read_text())
    assert (verdict["word"], verdict["exit_code"]) == ("RED", 1)
    assert list(verdict["lines"])[-2:] == ran.lines[-2:]
    ran.ends_with(
        "TRANSFER MATRIX RED 1/2 links, 0 known issues, 1 new failure",
        "DATA LAKE RED 4/5 tests, 0 known issues, 1 new failure",
    )
    assert "ALPHA takes nothing" in (reports / "index.html").read_text()
    suites = ET.parse(reports / "junit.xml").getroot()  # noqa: S314  # our own file
    assert len(suites.findall(".//testcase")) == 5
    assert len(suites.findall(".//failure")) == 1
    page = (reports / "pytest.html").read_text()
    assert "test_copy" in page
    assert "RED" in page
    copied = next(row for row in ran.tests.values() if row["outcome"] == "passed" and row["source"])
    assert copied["evidence"]["mode"] in {"pull", "push"}
    assert copied["evidence"]["bytes"] == 1024
    assert re.match(
        r"unset BEARER_TOKEN; voms-proxy-init --voms escape:/escape/\w+\n"
        r"head -c 1024 /dev/urandom > /tmp/sent && gfal-copy --force --parent file:///tmp/sent '(\S+)' && "
        r"gfal-copy --force --parent --copy-mode (pull|push) '\1' '(\S+)'; gfal-rm '\3'; gfal-rm '\1'  "
        r"# or: pytest ",
        copied["reproduce"],
    ), copied["reproduce"]


def test_no_secret_reaches_the_report(playground: Playground) -> None:
    playground.suite(UPLOAD)
    playground.run()
    files = [path for path in (playground.path / "reports").rglob("*") if path.is_file()]
    assert len(files) > 8
    for path in files:
        assert b"experiment:ska" not in path.read_bytes(), path


def test_named_html_page_is_left_to_pytest_html(playground: Playground) -> None:
    playground.suite(UPLOAD)
    ran = playground.run("suites", "--html=page.html", "-n2")
    assert ran.code == 0, ran.text
    assert (playground.path / "page.html").exists()
    assert not (playground.path / "reports/pytest.html").exists()


def test_without_pytest_html_all_else_is_written(playground: Playground) -> None:
    playground.suite(UPLOAD)
    ran = playground.run("suites", "-p", "no:html", "-p", "no:html_fixtures")
    assert ran.code == 0, ran.text
    assert (playground.path / "reports/index.html").exists()
    assert not (playground.path / "reports/pytest.html").exists()


def test_verdict_comes_last_also_when_quiet(playground: Playground) -> None:
    playground.suite(UPLOAD)
    playground.run("suites", "-q").ends_with("DATA LAKE GREEN 3/3 tests, 0 known issues, 0 new failures")


def test_second_run_tells_what_changed_in_the_coverage(playground: Playground) -> None:
    playground.suite(UPLOAD)
    playground.run()
    kept = playground.path / "reports"
    kept.rename(playground.path / "kept")
    playground.matrix(LAKE.replace("access, list, mkdir,", "access, list,", 1))
    playground.suite(f"{UPLOAD}\n@pytest.mark.requires('mkdir')\ndef test_mkdir(cell): ...\n")
    ran = playground.run("suites", last=["--report-dir=kept"])
    assert "declared coverage since" in ran.text
    assert ran.code == 0


def test_nothing_is_left_on_the_lake(playground: Playground) -> None:
    playground.suite(UPLOAD)
    playground.suite(COPY, "test_copy.py")
    playground.run("suites", "-n2")
    assert not (playground.path / "state").exists()
