"""What of a matrix a run is about: selection by globs, and covers that stand for the whole."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from itertools import combinations
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from pytest_datalake.errors import UsageError
from pytest_datalake.matrix import axes, routes
from pytest_datalake.matrix.model import AUTHS, Cell, Endpoint, Link, Matrix
from pytest_datalake.matrix.words import listed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

Level = Literal["smoke", "pairwise", "full"]
Item = TypeVar("Item", Cell, Link)
Globs = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the user asked for: globs by axis, of which a leading ``!`` excludes.

    Attributes:
        vo: the VO, or experiments of it to act as.
        cells: how much of what is selected.
    """

    site: Globs = ()
    rse: Globs = ()
    protocol: Globs = ()
    auth: Globs = ()
    qos: Globs = ()
    vo: Globs = ()
    capability: Globs = ()
    cells: Level = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The part of a matrix that a run is about; everything is sorted as in the matrix.

    Attributes:
        endpoints: those of the cells and of both ends of the links.
        unroutable: pairs of RSEs, a door of each, that no rule joins, and why.
        capabilities: of those that the matrix declares.
        experiments: names of the experiments to act as.
    """

    endpoints: tuple[Endpoint, ...]
    cells: tuple[Cell, ...]
    links: tuple[Link, ...]
    streamed_links: tuple[Link, ...]
    rule_links: tuple[Link, ...]
    unroutable: tuple[tuple[Endpoint, Endpoint, str], ...]
    capabilities: frozenset[str]
    experiments: tuple[str, ...]

    def cells_for(self, capability: str) -> tuple[Cell, ...]:
        """The cells whose RSE declares a capability; none when it is not selected."""
        if capability not in self.capabilities:
            return ()
        return tuple(cell for cell in self.cells if capability in cell.endpoint.supports)

    def links_for(self, capability: str) -> tuple[Link, ...]:
        """The links whose RSEs both declare a capability; none when it is not selected."""
        if capability not in self.capabilities:
            return ()
        return tuple(
            link for link in self.links if capability in link.source.supports & link.destination.supports
        )


def matches(value: str, globs: Iterable[str]) -> bool:
    """Whether a value fits one of the globs, or there are only exclusions, and none of these excludes it."""
    wanted = [glob for glob in globs if not glob.startswith("!")]
    return not _excluded(value, globs) and (not wanted or any(fnmatchcase(value, glob) for glob in wanted))


def select(matrix: Matrix, selection: Selection | None = None) -> Selected:
    """Cut the matrix down to what was asked for, and to the cover that ``selection.cells`` names.

    A link is selected when one of its ends fits every axis, and nothing excludes the other: ``--site A`` is
    the row and the column of A.

    Raises:
        UsageError: a glob matches nothing in this matrix; names the nearest value.
    """
    selection = selection or Selection()
    _refuse_globs_without_match(matrix, selection)
    ends = _Ends(matrix, selection)
    cells = tuple(
        cell for cell in axes.cells(matrix) if ends.fits(cell.endpoint) and matches(cell.auth, selection.auth)
    )
    links = tuple(link for link in axes.links(matrix) if ends.touched_by(link))
    streamed = tuple(link for link in axes.streamed_links(matrix) if ends.touched_by(link))
    rules = tuple(link for link in routes.rule_links(matrix) if ends.touched_by(link))
    cells, links, streamed, rules = (
        cover(cells, selection.cells),
        cover(links, selection.cells),
        cover(streamed, selection.cells),
        cover(rules, selection.cells),
    )
    used = {cell.endpoint.id for cell in cells}
    used.update(end.id for link in (*links, *streamed) for end in (link.source, link.destination))
    every_capability = _values(matrix, "capability")
    names = [experiment.name for experiment in matrix.experiments]
    return Selected(
        endpoints=tuple(endpoint for endpoint in matrix.endpoints if endpoint.id in used),
        cells=cells,
        links=links,
        streamed_links=streamed,
        rule_links=rules,
        unroutable=tuple(
            pair for pair in routes.unroutable(matrix) if ends.fits(pair[0]) or ends.fits(pair[1])
        ),
        capabilities=frozenset(name for name in every_capability if matches(name, selection.capability)),
        experiments=tuple(name for name in names if _experiment_fits(name, matrix.vo, selection.vo)),
    )


def cover(items: Sequence[Item], level: str, *, turn: int = 0) -> tuple[Item, ...]:
    """A part of the items, in their order, that stands for all of them; the same part every time.

    Args:
        items: cells or links, in a stable order.
        level: "full" is everything. In "pairwise" every two values that occur together in the full list occur
            together in the cover (cells: technology, protocol, auth, QoS; links: technologies of both ends,
            protocols, auth), and every RSE of the full list occurs. "smoke" has one item for each technology
            and protocol, or for each two technologies and their family. "turns" is for many tests of the same
            sort: it has one item of each kind as well, but another one in each turn.
        turn: number of the turn.

    Raises:
        UsageError: there is no such level.
    """
    if level == "turns":
        return tuple(members[turn % len(members)] for members in _by_kind(items))
    if level not in get_args(Level):
        raise UsageError(f"'{level}' is no cover: choose one of {listed(get_args(Level))}")
    if level == "full":
        return tuple(items)
    picked = _smoke(items) if level == "smoke" else _pairwise(items)
    return tuple(items[index] for index in sorted(picked))


class _Ends:
    """Which endpoints fit, and which are excluded; worked out once for each endpoint, not for each link."""

    def __init__(self, matrix: Matrix, selection: Selection) -> None:
        by_axis = {axis: getattr(selection, axis) for axis in ("site", "rse", "protocol", "qos")}
        self._auth = selection.auth
        self._excluded = {
            endpoint.id
            for endpoint in matrix.endpoints
            if any(_excluded(getattr(endpoint, axis), globs) for axis, globs in by_axis.items())
        }
        self._fitting = {
            endpoint.id
            for endpoint in matrix.endpoints
            if all(matches(getattr(endpoint, axis), globs) for axis, globs in by_axis.items())
        }

    def fits(self, endpoint: Endpoint) -> bool:
        return endpoint.id in self._fitting

    def touched_by(self, link: Link) -> bool:
        ids = {link.source.id, link.destination.id}
        if ids & self._excluded or not ids & self._fitting:
            return False
        if not self._auth:
            return True
        shown = {link.auth, link.auth_at(link.source), link.auth_at(link.destination)}
        return not any(_excluded(auth, self._auth) for auth in shown) and any(
            matches(auth, self._auth) for auth in shown
        )


def _excluded(value: str, globs: Iterable[str]) -> bool:
    return any(glob.startswith("!") and fnmatchcase(value, glob[1:]) for glob in globs)


def _experiment_fits(name: str, vo: str, globs: Globs) -> bool:
    wanted = [glob for glob in globs if not glob.startswith("!")]
    excluded = _excluded(name, globs) or _excluded(vo, globs)
    return not excluded and (not wanted or matches(name, wanted) or matches(vo, wanted))


def _refuse_globs_without_match(matrix: Matrix, selection: Selection) -> None:
    complaints = []
    for axis in (one.name for one in fields(selection) if one.name != "cells"):
        values = sorted(_values(matrix, axis))
        for glob in getattr(selection, axis):
            pattern = glob.removeprefix("!")
            if not any(fnmatchcase(value, pattern) for value in values):
                nearest = difflib.get_close_matches(pattern.strip("*"), values, n=1, cutoff=0.5)
                hint = f"did you mean '{nearest[0]}'?" if nearest else f"there is: {', '.join(values)}"
                complaints.append(
                    f"--{axis} '{glob}' matches nothing in {matrix.path or 'the matrix'}; {hint}"
                )
    if complaints:
        raise UsageError("\n".join(complaints))


def _values(matrix: Matrix, axis: str) -> Collection[str]:
    """Everything that a glob of an axis can match."""
    if axis == "vo":
        return {matrix.vo, *(experiment.name for experiment in matrix.experiments)}
    if axis == "auth":
        return {auth for endpoint in matrix.endpoints for auth in endpoint.auth}
    if axis == "capability":
        return {name for endpoint in matrix.endpoints for name in endpoint.supports}
    return {getattr(endpoint, axis) for endpoint in matrix.endpoints}


def _ends_of(item: Cell | Link) -> tuple[Endpoint, ...]:
    return (item.endpoint,) if isinstance(item, Cell) else (item.source, item.destination)


def _factors(item: Cell | Link) -> tuple[str, ...]:
    """The values whose pairs a pairwise cover holds."""
    ends = _ends_of(item)
    technologies = tuple(end.technology for end in ends)
    protocols = ">".join(end.protocol for end in ends)
    return (*technologies, protocols, item.auth, *((item.qos,) if isinstance(item, Cell) else ()))


def _kind(item: Cell | Link) -> tuple[str, ...]:
    """What a smoke test has one item of."""
    ends = _ends_of(item)
    if isinstance(item, Cell):
        return (item.endpoint.technology, item.endpoint.protocol)
    return tuple(end.technology for end in ends) + tuple(end.family for end in ends)


def _by_kind(items: Sequence[Item]) -> list[list[Item]]:
    kinds: dict[tuple[str, ...], list[Item]] = {}
    for item in items:
        kinds.setdefault(_kind(item), []).append(item)
    return list(kinds.values())


def _smoke(items: Sequence[Cell | Link]) -> set[int]:
    """One item of each kind; auths and RSEs in turn, and the anonymous user last of all."""
    kinds: dict[tuple[str, ...], list[int]] = {}
    for index, item in enumerate(items):
        kinds.setdefault(_kind(item), []).append(index)
    uses: Counter[str] = Counter()
    picked = set()
    for members in kinds.values():

        def burden(index: int) -> tuple[bool, int, int, int, int]:
            item = items[index]
            rse_uses = sum(uses[end.rse] for end in _ends_of(item))
            return item.auth == "anonymous", uses[item.auth], rse_uses, AUTHS.index(item.auth), index

        best = min(members, key=burden)
        picked.add(best)
        uses.update([items[best].auth, *(end.rse for end in _ends_of(items[best]))])
    return picked


def _pairwise(items: Sequence[Cell | Link]) -> set[int]:
    """Greedy: again and again the values that hold most missing pairs, where the RSEs are used least."""
    classes: dict[tuple[str, ...], list[int]] = {}
    for index, item in enumerate(items):
        classes.setdefault(_factors(item), []).append(index)
    pairs = {factors: frozenset(combinations(enumerate(factors), 2)) for factors in classes}
    missing = set().union(*pairs.values())
    uses: Counter[str] = Counter()
    picked: set[int] = set()

    def pick(candidates: Iterable[int]) -> None:
        best = min(
            candidates, key=lambda index: (sum(uses[end.rse] for end in _ends_of(items[index])), index)
        )
        picked.add(best)
        uses.update(end.rse for end in _ends_of(items[best]))

    while missing:
        richest = max(classes, key=lambda factors: len(pairs[factors] & missing))
        missing -= pairs[richest]
        pick(classes[richest])
    holders: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        for end in _ends_of(item):
            holders.setdefault(end.rse, []).append(index)
    for rse, indices in sorted(holders.items()):
        if not uses[rse]:
            pick(indices)
    return picked
