"""Links lead somewhere, generated parts are current, and what is claimed elsewhere is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_datalake import plugin, reference

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def _anchors(text: str) -> set[str]:
    """As GitHub makes them from headings."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in _LINK.findall(document.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), f"{document.name}: {target} is not there"
        if anchor:
            assert anchor in _anchors(path.read_text(encoding="utf-8")), f"{document.name}: {target}"


def test_reference_pages_are_current() -> None:
    for page in reference.PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        assert reference.renew(text) == text, f"{page} is old; run: python -m pytest_datalake.reference"


def test_every_fixture_is_described() -> None:
    text = (ROOT / "docs/reference/markers-and-fixtures.md").read_text(encoding="utf-8")
    assert {name for name in plugin.__all__ if f"### {name}\n" in text} == set(plugin.__all__)


def test_every_how_to_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in ROOT.glob("docs/**/*.md"):
        assert f"({page.relative_to(ROOT)})" in text


def test_makefile_explains_every_target_that_people_use() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    explained = set(re.findall(r"^make (\w+)", done.stdout, re.MULTILINE))
    assert {"nightly", "test", "setup", "lint", "bench", "clean"} <= explained


def test_benchmarks_can_be_asked_for_help() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "--links" in done.stdout
