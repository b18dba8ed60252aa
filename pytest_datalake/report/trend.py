"""Availability, day by day, as a small drawing that needs no script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from pytest_datalake.report.history.facts import Availability

_WIDTH, _HEIGHT = 4, 22


def trend(entry: Availability) -> Markup:
    """A bar a day; days on which something was unavailable also differ in form, not in colour alone."""
    bars = []
    for number, day in enumerate(entry.days):
        left = number * (_WIDTH + 1)
        if day.availability is None:
            bars.append(f'<rect class="none" x="{left}" y="{_HEIGHT - 2}" width="{_WIDTH}" height="2"/>')
            continue
        height = max(2, round(_HEIGHT * day.availability))
        kind = "good" if day.availability >= 1 else "part"
        if height < _HEIGHT:
            bars.append(f'<rect class="lost" x="{left}" y="0" width="{_WIDTH}" height="{_HEIGHT - height}"/>')
        bars.append(
            f'<rect class="{kind}" x="{left}" y="{_HEIGHT - height}" width="{_WIDTH}" height="{height}"/>'
        )
    if not bars:
        return Markup("")
    width = len(entry.days) * (_WIDTH + 1) - 1
    tested = [day for day in entry.days if day.availability is not None]
    spoken = (
        f"{len(tested)} days tested, {sum(day.availability == 1 for day in tested)} of them without a loss"
    )
    return Markup(  # noqa: S704  # numbers and fixed words
        f'<svg class="trend" viewBox="0 0 {width} {_HEIGHT}" width="{width}" height="{_HEIGHT}" role="img" '
        f'aria-label="{spoken}">{"".join(bars)}</svg>'
    )
