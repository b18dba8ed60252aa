"""How a site and its links did over time, as far as there is more than one run to tell it from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_datalake.report.history.facts import Availability, History
    from pytest_datalake.report.rows import EndpointRow

LINKS_SHOWN = 12
_WEEK, _MONTH = timedelta(days=7), timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverTime:
    """What the runs of a month say about one site.

    Attributes:
        runs: how many there are, this one among them; with one, nothing else here is worth showing.
        since: ISO time of the oldest of them.
        longer: they began more than a week ago.
        today: ISO date of this run.
        availability: of the site.
        unsteady: links that work in some runs and not in others, the worst first.
        never: links that worked in none.
    """

    runs: int = 0
    since: str = ""
    longer: bool = False
    today: str = ""
    availability: Availability
    unsteady: tuple[Availability, ...] = ()
    never: tuple[Availability, ...] = ()

    @classmethod
    def of(
        cls, site: str, history: History, availability: Availability, ends: Mapping[str, EndpointRow]
    ) -> OverTime:
        """What a history says.

        Args:
            site: whose page it is for.
            history: of all sites and links; may be empty.
            availability: of the site.
            ends: endpoints by id.
        """
        times = [datetime.fromisoformat(run.started) for run in history.runs]
        month = [time for time in times if time > times[-1] - _MONTH]
        if len(month) < 2:
            return cls(runs=len(month), availability=availability)
        links = [
            link
            for link in history.links
            if any(end in ends and ends[end].site == site for end in link.name.split(" → "))
        ]
        changing = [link for link in links if link.status == "flaky" or len(_shares(link)) > 1]
        worst = sorted(changing, key=lambda link: (link.days30 or 0, link.name))
        return cls(
            runs=len(month),
            since=month[0].isoformat(),
            longer=month[0] <= times[-1] - _WEEK,
            today=times[-1].date().isoformat(),
            availability=availability,
            unsteady=tuple(worst[:LINKS_SHOWN]),
            never=tuple(link for link in links if _shares(link) == {0})[:LINKS_SHOWN],
        )

    def last_good(self, *, faulty: bool) -> str:
        """The last day on which nothing was the site's fault; empty where none is known.

        Args:
            faulty: something is its fault in this run, so that today is no such day.
        """
        good = [day.date for day in self.availability.days if day.availability == 1]
        return next((date for date in reversed(good) if not (faulty and date >= self.today)), "")


def first_day(entry: Availability) -> str:
    """The first day on which something was tested."""
    return next((day.date for day in entry.days if day.availability is not None), "")


def _shares(entry: Availability) -> set[float]:
    return {day.availability for day in entry.days if day.availability is not None}
