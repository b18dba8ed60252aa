"""Between which RSEs Rucio has files copied: by one transfer, by several, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_datalake.matrix import axes
from pytest_datalake.matrix.model import Link

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Endpoint, Matrix, Protocol

ROUTABLE: tuple[Protocol, ...] = ("davs", "root")
"""Protocols over which Rucio 41 sends files, the preferred first; gsiftp is no longer among them.

``rucio.common.constants.SUPPORTED_PROTOCOLS`` of release 41.
"""


def direct(matrix: Matrix) -> set[tuple[str, str]]:
    """Ordered pairs of RSEs that share a protocol of Rucio's, in which one end can move the bytes."""
    return {(link.source.rse, link.destination.rse) for link in _candidates(matrix)}


def can_be_passed_through(endpoint: Endpoint) -> bool:
    """Whether files may be brought to its RSE on their way to another one."""
    return endpoint.protocol in ROUTABLE and bool(endpoint.tpc.active)


def rule_links(matrix: Matrix) -> tuple[Link, ...]:
    """One link for each ordered pair of RSEs between which Rucio can bring a file, sorted by id.

    It stands for the pair: its protocol and auth are those that Rucio prefers. A pair without a direct way is
    there as ``multihop`` where a third RSE has one from the first and to the second.
    """
    best: dict[tuple[str, str], Link] = {}
    for link in sorted(_candidates(matrix), key=_rank):
        best.setdefault((link.source.rse, link.destination.rse), link)
    return tuple(sorted([*best.values(), *_multihops(matrix, set(best))], key=lambda link: link.id))


def unroutable(matrix: Matrix) -> tuple[tuple[Endpoint, Endpoint, str], ...]:
    """Ordered pairs of RSEs, a door of each, between which no rule can bring a file, and why; sorted."""
    doors: dict[str, Endpoint] = {}
    for endpoint in sorted(matrix.endpoints, key=lambda one: one.id):
        doors.setdefault(endpoint.rse, endpoint)
    joined = {(link.source.rse, link.destination.rse) for link in rule_links(matrix)}
    return tuple(
        (source, destination, _no_route(matrix, source.rse, destination.rse))
        for source in doors.values()
        for destination in doors.values()
        if source.rse != destination.rse and (source.rse, destination.rse) not in joined
    )


def _no_route(matrix: Matrix, *rses: str) -> str:
    doors = {rse: [one for one in matrix.endpoints if one.rse == rse] for rse in rses}
    spoken = {rse: ", ".join(sorted({one.protocol for one in doors[rse]})) for rse in rses}
    text = f"no route: Rucio sends files by {' and '.join(ROUTABLE)}; "
    if all(any(one.protocol in ROUTABLE for one in doors[rse]) for rse in rses):
        return f"{text}neither end moves the bytes, and no third RSE joins them by what both accept"
    return text + " and ".join(f"{rse} speaks {protocols}" for rse, protocols in spoken.items())


def _candidates(matrix: Matrix) -> list[Link]:
    return [
        link
        for link in axes.links(matrix)
        if link.source.protocol == link.destination.protocol and link.source.protocol in ROUTABLE
    ]


def _rank(link: Link) -> tuple[int, int, str]:
    return ROUTABLE.index(link.source.protocol), axes.LINK_AUTHS.index(link.auth), link.id


def _multihops(matrix: Matrix, known: set[tuple[str, str]]) -> list[Link]:
    doors: dict[str, Endpoint] = {}
    for endpoint in sorted(matrix.endpoints, key=lambda one: one.id):
        if endpoint.protocol in ROUTABLE:
            doors.setdefault(endpoint.rse, endpoint)
    between = {one.rse for one in matrix.endpoints if can_be_passed_through(one)}
    found = []
    for source in doors.values():
        for destination in doors.values():
            pair = source.rse, destination.rse
            shared = [auth for auth in axes.LINK_AUTHS if auth in source.auth and auth in destination.auth]
            if pair in known or source.rse == destination.rse or not shared:
                continue
            if any((source.rse, rse) in known and (rse, destination.rse) in known for rse in between):
                found.append(Link(source=source, destination=destination, auth=shared[0], multihop=True))
    return found
