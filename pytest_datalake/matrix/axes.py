"""Which cells and links a matrix has, and why others are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from pytest_datalake.matrix.model import Auth, Cell, Link, Mode

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Endpoint, Matrix

LINK_AUTHS: tuple[Auth, ...] = ("token-scope", "x509-voms", "x509")
"""What can authorise a copy between two sites, the preferred first.

WLCG token transfers ask for storage scopes and not for groups, and no site lets the anonymous user write.
"""


def cells(matrix: Matrix) -> tuple[Cell, ...]:
    """Every endpoint by every auth that it declares, sorted by id."""
    every = (Cell(endpoint=endpoint, auth=auth) for endpoint in matrix.endpoints for auth in endpoint.auth)
    return tuple(sorted(every, key=lambda cell: cell.id))


def links(matrix: Matrix) -> tuple[Link, ...]:
    """Every genuine third-party copy that both ends declare, sorted by id."""
    found = []
    for source in matrix.endpoints:
        for destination in matrix.endpoints:
            if source.rse == destination.rse or source.family != destination.family:
                continue
            modes = _modes(source, destination)
            if modes:
                found += [
                    Link(source=source, destination=destination, auth=auth, declared_modes=modes)
                    for auth in _shared_auths(source, destination)
                ]
    return tuple(sorted(found, key=lambda link: link.id))


def streamed_links(matrix: Matrix) -> tuple[Link, ...]:
    """One link for each ordered pair of endpoints whose families differ, sorted by id.

    No third-party copy exists between families: the bytes pass through the client, which shows the first of
    ``LINK_AUTHS`` that both ends know.
    """
    found = []
    for source in matrix.endpoints:
        for destination in matrix.endpoints:
            if source.rse == destination.rse or source.family == destination.family:
                continue
            auths = _shared_auths(source, destination)
            if auths:
                found.append(Link(source=source, destination=destination, auth=auths[0], streamed=True))
    return tuple(sorted(found, key=lambda link: link.id))


def can_be_delegated(link: Link) -> bool:
    """Whether a transfer manager can show what the link asks for.

    It holds proxies and tokens; doors that take the user's own certificate alone refuse a proxy of it.
    """
    return link.auth != "x509"


def detours(matrix: Matrix, link: Link) -> tuple[Endpoint, ...]:
    """Endpoints of third RSEs by way of which two third-party copies of the link's auth join its ends."""
    return tuple(
        one
        for one in matrix.endpoints
        if one.rse not in {link.source.rse, link.destination.rse}
        and not why_not(link.source, one, link.auth)
        and not why_not(one, link.destination, link.auth)
    )


def why_not(source: Endpoint, destination: Endpoint, auth: Auth) -> str:
    """Why there is no third-party copy from one endpoint to another by an auth; empty where there is one."""
    if source.rse == destination.rse:
        return f"both ends are {source.rse}"
    if source.family != destination.family:
        return (
            f"no third-party copy between families: {source.id} speaks {source.family}, "
            f"{destination.id} speaks {destination.family}"
        )
    if not _modes(source, destination):
        return (
            f"nobody moves the bytes: {destination.id} cannot pull from {source.id}, "
            f"and {source.id} cannot push to {destination.id} (tpc.active and tpc.passive)"
        )
    return _why_not_by(auth, source, destination)


def _why_not_by(auth: Auth, source: Endpoint, destination: Endpoint) -> str:
    if auth not in LINK_AUTHS:
        return f"{auth} does not authorise a third-party copy"
    unknown = [endpoint.id for endpoint in (source, destination) if not _takes(endpoint, auth)]
    if unknown:
        return f"{' and '.join(unknown)} {'do' if len(unknown) > 1 else 'does'} not accept {auth}"
    if auth not in source.auth and auth not in destination.auth:
        return f"neither end knows {auth}: {source.id} and {destination.id} are object stores"
    return ""


def _modes(source: Endpoint, destination: Endpoint) -> tuple[Mode, ...]:
    """The third-party copies in which one end is active and the other passive, pull first."""
    active_end = {"pull": destination, "push": source}
    passive_end = {"pull": source, "push": destination}
    return tuple(
        mode
        for mode in get_args(Mode)
        if mode in active_end[mode].tpc.active and mode in passive_end[mode].tpc.passive
    )


def _shared_auths(source: Endpoint, destination: Endpoint) -> list[Auth]:
    """The link auths that one end knows and the other takes, the preferred first."""
    return [
        auth
        for auth in LINK_AUTHS
        if (auth in source.auth or auth in destination.auth)
        and _takes(source, auth)
        and _takes(destination, auth)
    ]


def _takes(endpoint: Endpoint, auth: Auth) -> bool:
    """An object store knows nothing but its access keys, and takes part in any copy by them."""
    return auth in endpoint.auth or (endpoint.protocol == "s3s" and "access-key" in endpoint.auth)
