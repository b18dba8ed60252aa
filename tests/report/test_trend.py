"""A month is drawn day by day, in a few bytes, and told to those who do not see it."""

from __future__ import annotations

import re

from pytest_datalake.report.history.facts import Availability, Day
from pytest_datalake.report.trend import trend


def drawn(*shares: float | None) -> dict[str, int]:
    days = tuple(Day(date=f"2026-11-{number:02}", availability=one) for number, one in enumerate(shares, 1))
    svg = str(trend(Availability(name="COMO", days=days)))
    return {kind: path.count("M") for kind, path in re.findall(r'<path class="(\w+)" d="([^"]*)"', svg)}


def test_every_day_has_its_bar() -> None:
    assert drawn(1, 0.5, None, 1, 0) == {"good": 2, "lost": 2, "part": 2, "none": 1}
    assert drawn() == {}


def test_a_month_of_losses_is_small() -> None:
    days = tuple(Day(date=f"2026-11-{number:02}", availability=number / 31) for number in range(1, 31))
    svg = str(trend(Availability(name="COMO", days=days)))
    assert len(svg) < 1_500
    assert 'aria-label="30 days tested, 0 of them without a loss"' in svg
