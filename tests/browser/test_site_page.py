"""A site's page, as its administrator opens it from a mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.report.reading import Results
    from tests.browser.chromium import Window


@pytest.fixture
def faulty(nightly: Path) -> Path:
    """The page of a site that has something to mend."""
    pages = sorted((nightly / "sites").iterdir())
    return next(path for path in pages if "<h2>What to mend" in path.read_text(encoding="utf-8"))


def test_it_says_what_to_mend_and_how_to_see_it(window: Window, faulty: Path) -> None:
    window.open(faulty)
    assert faulty.stem in window.text(".lake")
    assert "to mend" in window.text("h1")
    assert "403" in window.texts(".mend .said")[0]
    commands = window.texts(".mend > pre")
    assert commands[0].startswith("gfal-copy ")
    assert commands[1].startswith("pytest 'suites/")
    assert window.run("return document.querySelector('.mend').getBoundingClientRect().top < innerHeight")


def test_it_has_no_scripts_and_loads_nothing(window: Window, faulty: Path) -> None:
    window.open(faulty)
    assert window.run("return document.scripts.length") == 0
    assert window.run("return performance.getEntriesByType('resource').length") == 0
    assert window.complaints() == []


def test_all_tests_of_a_fault_unfold(window: Window, faulty: Path) -> None:
    window.open(faulty)
    if not window.run("return document.querySelector('.mend details').open"):
        window.click(".mend summary")
    assert faulty.stem in window.texts(".mend details td:first-child")[0]


def test_every_site_is_named_on_its_own_page(window: Window, nightly: Path, nightly_results: Results) -> None:
    sites = {end.site for end in nightly_results.run.endpoints}
    assert {path.stem for path in (nightly / "sites").iterdir()} == sites
    for site in sorted(sites)[:3]:
        window.open(nightly / "sites" / f"{site}.html")
        assert window.driver.title.startswith(f"{site} · ")
