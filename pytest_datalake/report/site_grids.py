"""A site's row and column of the matrix, and its capabilities, as grids."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.matrix.model import FAMILY
from pytest_datalake.report.blame.texts import sort_of
from pytest_datalake.report.reasons import cause
from pytest_datalake.report.rows import SEVERITY, EndpointRow, Outcome, TestRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_HINT = 140


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """The worst of some tests, and what it says; ``few``: less than half of them are not green."""

    outcome: Outcome
    hint: str = ""
    few: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GridRow:
    """One line: what is on its left, in two columns, and a square or None for each column."""

    label: str
    detail: str
    first: bool
    squares: tuple[Square | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Squares by row and column."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[GridRow, ...]


_Key = tuple[str, str]
_Cells = dict[_Key, dict[str, list[TestRow]]]


def link_grids(tests: Iterable[TestRow], ends: Mapping[str, EndpointRow], site: str) -> tuple[Grid, ...]:
    """The links of a site: its endpoints down, once as source and once as destination, partners across.

    Args:
        tests: those that touch the site.
        ends: endpoints by id.
        site: whose page it is.
    """
    found: dict[tuple[str, str], _Cells] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for row in tests:
        if not row.link:
            continue
        source, destination = ends[row.source], ends[row.destination]
        family = "streamed" if row.streamed else FAMILY.get(destination.protocol, destination.protocol)  # type: ignore[call-overload]
        cells = found[row.layer or "direct", str(family)]
        if source.site == site:
            cells[_name(source), f"{row.auth} →"][_name(destination)].append(row)
        if destination.site == site:
            cells[_name(destination), f"{row.auth} ←"][_name(source)].append(row)
    return tuple(
        _grid(family if layer == "direct" else f"{family}, {layer}", cells, discreet=True)
        for (layer, family), cells in sorted(found.items())
    )


def capability_grid(tests: Iterable[TestRow]) -> Grid | None:
    """What was tested at a site's endpoints, by auth; None where nothing was."""
    cells: _Cells = defaultdict(lambda: defaultdict(list))
    for row in tests:
        if not row.link:
            cells[row.cell or row.rse or row.site, row.auth][row.capability or "other"].append(row)
    return _grid("", cells) if cells else None


def _grid(title: str, cells: _Cells, *, discreet: bool = False) -> Grid:
    columns = sorted({column for squares in cells.values() for column in squares})
    rows, before = [], None
    for (label, detail), squares in sorted(cells.items()):
        line = tuple(
            _square(squares[column], discreet=discreet) if column in squares else None for column in columns
        )
        rows.append(GridRow(label=label, detail=detail, first=label != before, squares=line))
        before = label
    return Grid(title=title, columns=tuple(columns), rows=tuple(rows))


def _square(rows: Sequence[TestRow], *, discreet: bool) -> Square:
    """``discreet``: the other end may be the one that lets in whom it should not, and is not told of here."""
    worst = max(rows, key=lambda row: SEVERITY[row.outcome])
    if worst.outcome == "passed":
        return Square(outcome="passed")
    bad = sum(row.outcome != "passed" for row in rows)
    hint = "" if discreet and sort_of(worst.reason) == "lax" else cause(worst.reason, _HINT)
    return Square(outcome=worst.outcome, hint=hint, few=2 * bad < len(rows))


def _name(end: EndpointRow) -> str:
    return f"{end.rse} {end.protocol}"
