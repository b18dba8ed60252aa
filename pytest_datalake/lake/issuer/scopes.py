"""Which scopes a client gets: decided on whole path components, refused rather than narrowed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from pytest_datalake.lake.issuer.config import Client

STORAGE_ACTIONS = ("storage.read", "storage.create", "storage.modify", "storage.stage")
"""WLCG token profile, "Capability based authorization: scope"."""

_GROUPS = "wlcg.groups"
_GROUP = re.compile(r"(?:/[a-zA-Z0-9][a-zA-Z0-9_.-]*)+")  # WLCG token profile, "wlcg.groups"
_PATH = re.compile(r"(?:[A-Za-z0-9/._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*")  # RFC 3986, 3.3


class ScopeRefusedError(Exception):
    """The client may not have this scope, or nobody may; says why, for ``error_description``."""


def granted(client: Client, requested: str) -> tuple[str, ...]:
    """The scopes of a request, each once, in their order.

    Raises ``ScopeRefusedError`` if a single one of them is not for this client.
    """
    wanted = tuple(dict.fromkeys(requested.split()))
    if not wanted:
        raise ScopeRefusedError("a scope is needed: a token without one would open nothing")
    for scope in wanted:
        _check(client, scope)
    return wanted


def groups_in_token(client: Client, scopes: tuple[str, ...]) -> tuple[str, ...]:
    """The ``wlcg.groups`` claim: groups asked for by name first, in that order, then all others by name."""
    asked = [scope for scope in scopes if scope == _GROUPS or scope.startswith(_GROUPS + ":")]
    if not asked:
        return ()
    first = [scope.removeprefix(_GROUPS + ":") for scope in asked if scope != _GROUPS]
    return tuple(dict.fromkeys([*first, *sorted(client.groups)]))


def path_components(path: str) -> tuple[str, ...]:
    """The decoded components of a scope's path; ``ScopeRefusedError`` for one that is not plain and absolute.

    Paths are URL-escaped (WLCG token profile); a dot component or an escaped slash would let a later reader
    see another path than the one that was checked.
    """
    if not path.startswith("/") or not _PATH.fullmatch(path):
        raise ScopeRefusedError("the path of a scope must be absolute and URL-escaped")
    inner = path[1:].removesuffix("/")
    if not inner:
        return ()
    try:
        components = tuple(unquote(component, errors="strict") for component in inner.split("/"))
    except UnicodeDecodeError as error:
        raise ScopeRefusedError("the path of a scope must be UTF-8") from error
    if any(component in ("", ".", "..") or "/" in component or "\0" in component for component in components):
        raise ScopeRefusedError("the path of a scope must have no empty, dot or slash-bearing components")
    return components


def _check(client: Client, scope: str) -> None:
    if scope in ("openid", _GROUPS, *client.scopes):
        return
    action, has_argument, argument = scope.partition(":")
    if action == _GROUPS:
        if not _GROUP.fullmatch(argument) or argument not in client.groups:
            raise ScopeRefusedError("client is not in a group that was asked for")
    elif action in STORAGE_ACTIONS:
        if not has_argument:
            raise ScopeRefusedError("a storage scope needs a path")
        if not _lies_in(argument, client.areas):
            raise ScopeRefusedError("client may not have a storage scope for a path that was asked for")
    else:
        raise ScopeRefusedError("a scope that was asked for is not known here")


def _lies_in(path: str, areas: tuple[str, ...]) -> bool:
    components = path_components(path)
    return any(components[: len(area)] == area for area in map(path_components, areas))
