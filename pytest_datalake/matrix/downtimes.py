"""Which declared downtimes hold at a time, and for which tests."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

from pytest_datalake.matrix.known_issues import fits
from pytest_datalake.matrix.model import Cell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_datalake.matrix.model import Downtime, Endpoint, Link


def moment(text: str) -> datetime | None:
    """An ISO 8601 time that names its zone; None for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def covering(
    downtimes: Iterable[Downtime], at: datetime, *, cell: Cell | None = None, link: Link | None = None
) -> Downtime | None:
    """The downtime that a test at this time falls into, the one that ends last; None: there is none.

    Keys of ``match`` mean what they mean for known issues. A test of no place is in no downtime.
    """
    if cell is None and link is None:
        return None
    holding = [one for one in downtimes if _begun(one, at) and not over(one, at)]
    return max((one for one in holding if fits(one.match, cell=cell, link=link)), key=_end, default=None)


def announced(downtimes: Iterable[Downtime], at: datetime) -> tuple[Downtime, ...]:
    """Those that hold or are still to come, the earliest first."""
    return tuple(sorted((one for one in downtimes if not over(one, at)), key=_start))


def sites(downtime: Downtime, endpoints: Iterable[Endpoint]) -> tuple[str, ...]:
    """The sites that it is about, sorted: with an endpoint where it holds, or that is the end of a link."""
    ends: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for key, pattern in downtime.match:
        end, _, axis = key.rpartition("_")
        ends[end].append((axis, pattern))
    doors = [Cell(endpoint=endpoint, auth=auth) for endpoint in endpoints for auth in endpoint.auth]
    return tuple(
        sorted({door.endpoint.site for door in doors for match in ends.values() if fits(match, cell=door)})
    )


def over(downtime: Downtime, at: datetime) -> bool:
    """Whether it has ended: it means nothing any more."""
    return at >= _end(downtime)


def _begun(downtime: Downtime, at: datetime) -> bool:
    return at >= _start(downtime)


def _start(downtime: Downtime) -> datetime:
    return datetime.fromisoformat(downtime.start)


def _end(downtime: Downtime) -> datetime:
    return datetime.fromisoformat(downtime.end)
