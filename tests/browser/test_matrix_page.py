"""The matrix page of a real nightly run, read, clicked and typed at in a real browser."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from selenium.webdriver.common.keys import Keys

from pytest_datalake.report.rows import OUTCOMES
from pytest_datalake.report.signs import GLYPHS, LETTERS

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.report.reading import Results
    from pytest_datalake.report.rows import TestRow
    from tests.browser.chromium import Window


@pytest.fixture
def page(window: Window, nightly: Path) -> Window:
    window.open(nightly / "index.html")
    return window


def bad(results: Results) -> list[TestRow]:
    return [row for row in results.tests if row.outcome != "passed"]


def listed(page: Window) -> int:
    """How many tests the list of results says it has."""
    text = page.text("#results-count")
    return 0 if text == "None." else int(text.split()[0].replace(",", ""))


def show_all_panels(page: Window) -> None:
    """Scroll to every panel of the matrix, so that it is drawn."""
    for number in range(page.run("return document.querySelectorAll('#panels figure').length")):
        page.wait(
            "const panel = document.querySelectorAll('#panels figure')[arguments[0]];"
            "panel.scrollIntoView({behavior: 'instant'}); return panel.querySelector('table');",
            number,
        )


def test_one_look_says_what_broke(page: Window) -> None:
    assert page.text("h1").endswith("Red")
    assert page.texts(".headline dd")[:2] == ["288/294", "2,173/2,179"]
    assert page.run("return document.querySelector('h1').getBoundingClientRect().bottom < 200")
    assert page.run("return document.querySelector('#faults li').getBoundingClientRect().top < innerHeight")


def test_it_loads_nothing_and_nothing_is_forbidden(page: Window) -> None:
    assert page.run("return performance.getEntriesByType('resource').length") == 0
    assert page.complaints() == []


def test_a_fault_leads_to_its_tests(page: Window) -> None:
    count = int(page.texts("#faults [data-fault]")[0].split()[0])
    page.click("#faults [data-fault]")
    assert page.text("#panel-body > .share").startswith(f"{count} test")
    assert len(page.texts("#panel .test")) == count
    assert "Remote side failed with status code 403" in page.texts("#panel .reason")[0]
    page.press(Keys.ESCAPE)
    page.wait("return !document.getElementById('panel').open")


def test_all_faults_together_hold_all_that_is_not_green(page: Window, nightly_results: Results) -> None:
    counts = [int(text.split()[0]) for text in page.texts("#faults [data-fault]")]
    assert sum(counts) == len(bad(nightly_results))


def test_every_link_has_a_square(page: Window, nightly_results: Results) -> None:
    show_all_panels(page)
    squares = Counter(
        page.run("return [...document.querySelectorAll('#panels td:not(.o)')].map(td => td.className[0])")
    )
    links = Counter[tuple[object, bool]]()
    for row in nightly_results.tests:
        if row.link:
            links[row.link, row.streamed] += row.outcome == "failed"
    assert squares["p"] + squares["f"] == len(links)
    assert squares["f"] == sum(count > 0 for count in links.values()) == 6


def test_the_panel_with_failures_comes_first(page: Window) -> None:
    assert "http" in page.texts("#panels figcaption")[0]
    assert "x509-voms" in page.texts("#panels figcaption")[0]


def test_a_square_shows_the_evidence_and_has_an_address(page: Window, nightly: Path) -> None:
    page.click("#matrix .overview a.f")
    page.wait("return document.querySelector('#panels td.f')")
    page.click("#panels td.f")
    title = page.text("#panel-title")
    assert re.fullmatch(r"\S+\.davs → \S+\.davs by x509-voms", title)
    by_hand, again = page.texts("#panel .command")
    assert by_hand.startswith("gfal-copy --copy-mode pull 'davs://")
    assert again.startswith("pytest 'suites/transfer/test_links.py::")
    address = page.run("return location.hash")
    page.open(nightly / "index.html", address)
    assert page.text("#panel-title") == title
    page.click("#close")
    assert page.run("return location.hash") == ""


def test_a_passed_square_says_what_was_moved(page: Window, nightly_results: Results) -> None:
    row = next(row for row in nightly_results.tests if row.link and row.evidence.get("bytes") == 1_048_576)
    query = {"test": row.test, "source": row.source, "destination": row.destination, "auth": row.auth}
    page.run("location.hash = arguments[0]", f"evidence?{urlencode(query)}")
    facts = page.wait(
        "return Object.fromEntries([...document.querySelectorAll('#panel dt')]"
        ".map(name => [name.innerText, name.nextSibling.innerText]))"
    )
    assert facts["bytes"] == "1 MiB (1,048,576 bytes)"
    assert facts["checksum"] == row.evidence["checksum"]
    assert facts["identity"] == row.identity


def test_the_keyboard_walks_and_opens(page: Window) -> None:
    page.click("#matrix .overview a.f")
    page.wait("return document.querySelector('#panels td.f')")
    page.run("document.querySelector('#panels td[tabindex=\"0\"]').focus()")
    first = page.run("return document.activeElement.getAttribute('aria-label')")
    page.press(Keys.ARROW_RIGHT)
    second = page.run("return document.activeElement.getAttribute('aria-label')")
    assert first.split(",")[0] == second.split(",")[0]
    assert first != second
    assert page.texts("#tip")
    page.press(Keys.ENTER)
    assert page.text("#panel-title").startswith(second.split(",")[0].split()[0])
    page.press(Keys.ESCAPE)
    page.wait("return !document.getElementById('panel').open")
    assert page.run("return document.activeElement.getAttribute('aria-label')") == second


def test_everything_that_can_be_clicked_can_be_reached_by_tab(page: Window) -> None:
    unreachable = page.run(
        "return [...document.querySelectorAll('button, a, select, input, summary, [data-fault]')]"
        ".filter(element => element.tabIndex < 0 && element.offsetParent).length"
    )
    assert unreachable == 0


@pytest.mark.parametrize(
    ("axis", "value"),
    [("site", "GARDA"), ("protocol", "gsiftp"), ("auth", "x509-voms"), ("qos", "C"), ("experiment", "lsst")],
)
def test_filters_keep_what_fits(page: Window, nightly_results: Results, axis: str, value: str) -> None:
    ends = {end.id: end for end in nightly_results.run.endpoints}

    def fits(row: TestRow) -> bool:
        if axis == "experiment":
            return row.identity == value
        if axis == "auth":
            return row.auth == value
        touched = [ends[name] for name in (row.source, row.destination, row.cell) if name]
        return any(getattr(end, axis) == value for end in touched)

    kept = [row for row in nightly_results.tests if fits(row)]
    page.choose(axis, value)
    count, not_green = len(kept), sum(row.outcome != "passed" for row in kept)
    assert page.text("#filtered") == f"{count:,} tests, {not_green} not green"
    assert listed(page) == not_green


def test_a_site_shows_its_row_and_column_only(page: Window, nightly: Path) -> None:
    page.choose("site", "LADOGA")
    assert page.texts("#sites td:first-child b") == ["LADOGA"]
    assert page.texts("#grids figcaption b")[0] == "LADOGA: capabilities by endpoint and auth"
    show_all_panels(page)
    labels = page.run(
        "return [...document.querySelectorAll('#panels td:not(.o)[aria-label]')].map(td => td.ariaLabel)"
    )
    assert labels
    assert all("LADOGA" in label.split(":")[0] for label in labels)
    page.open(nightly / "index.html", page.run("return location.hash"))
    assert page.run("return document.getElementById('filter-site').value") == "LADOGA"
    page.click("#clear")
    assert len(page.texts("#sites td:first-child b")) == 10


def test_what_passed_is_listed_on_demand(page: Window, nightly_results: Results) -> None:
    assert listed(page) == len(bad(nightly_results))
    page.click("#passed")
    assert listed(page) == len(nightly_results.tests)
    assert page.texts("#results-body .badge")[0] == "✗ failed"
    assert len(page.texts("#results-body tr")) == 100
    page.click("#results-more")
    assert len(page.texts("#results-body tr")) == 200


def test_results_are_found_by_words(page: Window) -> None:
    page.click("#search")
    page.press("garda-c ohrid 403")
    page.wait("return document.getElementById('results-count').innerText === '1 test'")
    page.click("#results-body .where")
    assert page.text("#panel-title") == "GARDA-C.davs → OHRID-B.davs by x509-voms"


def test_capabilities_lead_to_their_tests(page: Window, nightly_results: Results) -> None:
    find = "[...document.querySelectorAll('#grids td.p')].find(td => td.ariaLabel.startsWith(arguments[0]))"
    label = page.run(f"return {find}.ariaLabel", "authorisation, ")
    site = re.fullmatch(r"authorisation, (\w+): .*", label)
    assert site
    page.run(f"{find}.click()", label)
    count = sum(row.capability == "authorisation" and row.site == site[1] for row in nightly_results.tests)
    assert page.text("#panel-body > .share") == f"{count} tests"


def test_each_site_has_its_page(page: Window) -> None:
    names = page.texts("#sites td:first-child b")
    assert len(names) == 10
    page.click("#sites td:first-child a")
    assert names[0] in page.driver.title


def test_dark_and_light(window: Window, nightly: Path) -> None:
    grounds = []
    for dark in (False, True):
        window.open(nightly / "index.html", dark=dark)
        color = window.run("return getComputedStyle(document.body).backgroundColor")
        grounds.append(sum(int(part) for part in re.findall(r"\d+", color)))
    assert grounds[0] > 3 * 200 > 3 * 60 > grounds[1]


def test_a_phone_need_not_scroll_sideways(window: Window, nightly: Path) -> None:
    for name in ("index.html", "sites/COMO.html"):
        window.open(nightly / name, width=390)
        assert window.run("return document.documentElement.scrollWidth") <= 390


def test_outcomes_differ_in_more_than_colour(page: Window) -> None:
    signs = page.run(
        "return [...document.querySelectorAll('.legend i:not(:empty)')].map(sign => sign.innerText)"
    )
    assert signs == ["✓", "✗"]
    assert len(set(GLYPHS.values())) == len(set(LETTERS.values())) == len(OUTCOMES)
