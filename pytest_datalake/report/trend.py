"""Availability, day by day, as a small drawing that needs no script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from pytest_datalake.report.history.facts import Availability

_WIDTH, _HEIGHT = 4, 22


def trend(entry: Availability) -> Markup:
    """A bar a day; days on which something was unavailable also differ in form, not in colour alone."""
    bars: dict[str, str] = {}

    def draw(kind: str, left: int, top: int, height: int) -> None:
        bars[kind] = bars.get(kind, "") + f"M{left} {top}h{_WIDTH}v{height}h-{_WIDTH}z"

    for number, day in enumerate(entry.days):
        left = number * (_WIDTH + 1)
        if day.availability is None:
            draw("none", left, _HEIGHT - 2, 2)
            continue
        height = max(2, round(_HEIGHT * day.availability))
        if height < _HEIGHT:
            draw("lost", left, 0, _HEIGHT - height)
        draw("good" if day.availability >= 1 else "part", left, _HEIGHT - height, height)
    if not bars:
        return Markup("")
    paths = "".join(f'<path class="{kind}" d="{path}"/>' for kind, path in bars.items())
    width = len(entry.days) * (_WIDTH + 1) - 1
    tested = [day for day in entry.days if day.availability is not None]
    spoken = (
        f"{len(tested)} days tested, {sum(day.availability == 1 for day in tested)} of them without a loss"
    )
    return Markup(  # noqa: S704  # numbers and fixed words
        f'<svg class="trend" viewBox="0 0 {width} {_HEIGHT}" width="{width}" height="{_HEIGHT}" role="img" '
        f'aria-label="{spoken}">{paths}</svg>'
    )
