"""The matrix page of a hundred thousand results: small, drawn on demand, and still usable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.chromium import Window

MOST_ELEMENTS = 40_000
"""On the page at any time; all squares together would be a hundred thousand."""


@pytest.fixture
def page(window: Window, large: Path) -> Window:
    window.open(large)
    return window


def elements(page: Window) -> int:
    return int(page.run("return document.querySelectorAll('*').length"))


def test_it_stays_below_a_megabyte(large: Path) -> None:
    assert large.stat().st_size < 1_000_000


def test_everything_is_counted(page: Window) -> None:
    assert page.texts(".headline dd")[1].endswith("/100,000")
    assert page.complaints() == []
    assert elements(page) < MOST_ELEMENTS


def test_squares_are_drawn_where_one_looks_and_taken_down_behind(page: Window) -> None:
    panels = page.run("return document.querySelectorAll('#panels figure').length")
    assert panels == 36
    for number in range(0, panels, 5):
        squares = page.wait(
            "const panel = document.querySelectorAll('#panels figure')[arguments[0]];"
            "panel.scrollIntoView({behavior: 'instant'});"
            "return panel.querySelectorAll('td:not(.o)').length;",
            number,
        )
        assert squares > 2_000
        assert elements(page) < MOST_ELEMENTS


def test_one_site_and_its_faults(page: Window) -> None:
    page.choose("site", "SITE07")
    said = page.text("#filtered").replace(",", "")
    kept, not_green = said.split()[0], said.split()[2]
    assert int(kept) >= int(not_green) > 3_000
    page.click("#passed")
    page.click("#results-body .where")
    assert "ECONNREFUSED" in page.texts("#panel .reason")[0]


def test_a_square_of_the_last_panel_opens(page: Window) -> None:
    page.wait(
        "const panel = [...document.querySelectorAll('#panels figure')].at(-1);"
        "panel.scrollIntoView({behavior: 'instant'}); return panel.querySelector('td.p');"
    )
    page.run("[...document.querySelectorAll('#panels figure')].at(-1).querySelector('td.p').click()")
    assert page.text("#panel-body > .share") == "1 test"
    assert " → " in page.text("#panel-title")


def test_the_layers_of_the_same_links_stand_side_by_side(page: Window) -> None:
    groups = page.run(
        "return [...document.querySelectorAll('#panels > div')].map(group =>"
        " [...group.querySelectorAll('figcaption')].map(caption => caption.innerText))"
    )
    assert len(groups) == 12
    for captions in groups:
        kinds = {" ".join(caption.split()[:2]) for caption in captions}
        assert len(kinds) == 1
        assert [caption.split(maxsplit=2)[2].rsplit(maxsplit=1)[0] for caption in captions] == [
            "direct",
            "by FTS",
            "by rule",
        ]
    assert page.texts("#panels-summary thead th") == ["direct", "by FTS", "by rule"]
    assert len(page.texts("#panels-summary tbody tr")) == 12


def test_known_issues_are_listed_on_demand(page: Window) -> None:
    def listed() -> int:
        return int(page.text("#results-count").split()[0].replace(",", ""))

    before = listed()
    page.click("#expected")
    known = listed() - before
    assert f"{known:,}" == page.texts(".headline div:nth-child(4) dd")[0]
    assert known > 100
