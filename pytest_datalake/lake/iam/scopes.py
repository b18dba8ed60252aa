"""Which scopes may be had: decided on whole path components, refused rather than narrowed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STORAGE_ACTIONS = ("storage.read", "storage.create", "storage.modify", "storage.stage", "storage.poll")
"""WLCG token profile, "Capability-based Authorization: scope"."""

ADMINISTRATION = (
    "scim:read",
    "scim:write",
    "registration:read",
    "registration:write",
    "iam:admin.read",
    "iam:admin.write",
)
"""Scopes of INDIGO IAM that only its administrators get."""

PLAIN = (
    "openid", "profile", "email", "offline_access", "wlcg", "wlcg:1.0", "host.auth",
    "compute.read", "compute.modify", "compute.create", "compute.cancel", *ADMINISTRATION,
)  # fmt: skip

GROUPS = "wlcg.groups"
CAPABILITY_SET = "wlcg.capabilityset"
GROUP_NAME = re.compile(r"(?:/[a-zA-Z0-9][a-zA-Z0-9_.-]*)+")  # WLCG token profile, "wlcg.groups"
_PATH = re.compile(r"(?:[A-Za-z0-9/._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*")  # RFC 3986, 3.3
_UNESCAPED = "!$&'()*+,;=:@"


class ScopeRefusedError(Exception):
    """This scope is not for whoever asks, or for nobody; says why, for ``error_description``."""

    error = "invalid_scope"


class NotEntitledError(ScopeRefusedError):
    """A group or capability set of others was asked for (WLCG token profile, 3.1 and 3.3)."""

    error = "access_denied"


def normalised(requested: str, *, also: Iterable[str] = ()) -> tuple[str, ...]:
    """The scopes of a request, each once and in their order, with paths as RFC 3986, 6 has them.

    Args:
        requested: separated by blanks.
        also: further plain scopes that are known, such as ``fts``.

    Raises:
        ScopeRefusedError: one of them is not known, or its path is not absolute and plain.
    """
    known = {*PLAIN, GROUPS, *also}
    return tuple(dict.fromkeys(_normalised(scope, known) for scope in requested.split()))


def _normalised(scope: str, known: set[str]) -> str:
    if scope in known:
        return scope
    action, has_argument, argument = scope.partition(":")
    if action in (GROUPS, CAPABILITY_SET) and GROUP_NAME.fullmatch(argument):
        return scope
    if action in STORAGE_ACTIONS:
        if not has_argument:
            raise ScopeRefusedError("a storage scope needs a path")
        components = path_components(argument)
        path = "/" + "/".join(quote(component, safe=_UNESCAPED) for component in components)
        return f"{action}:{path}{'/' if components and argument.endswith('/') else ''}"
    raise ScopeRefusedError("a scope that was asked for is not known here")


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


def covers(allowed: str, wanted: str) -> bool:
    """Whether having the one scope means having the other: ``storage.read:/a`` covers ``storage.read:/a/b``.

    Both have been normalised.
    """
    if allowed == wanted or (allowed == GROUPS and wanted.startswith((f"{GROUPS}:", f"{CAPABILITY_SET}:"))):
        return True
    action, _, path = allowed.partition(":")
    other, _, below = wanted.partition(":")
    if action != other or action not in STORAGE_ACTIONS:
        return False
    outer, inner = path_components(path), path_components(below)
    if outer == inner:  # "/a/" is the directory alone, "/a" what is called so, whatever it is
        return not path.endswith("/") or below.endswith("/") or not outer
    return inner[: len(outer)] == outer


def demand_covered(wanted: Iterable[str], allowed: Sequence[str], *, who: str) -> None:
    """Raise ``ScopeRefusedError`` unless each scope is covered by one that is allowed."""
    for scope in wanted:
        if not any(covers(one, scope) for one in allowed):
            raise ScopeRefusedError(f"{who} may not have a scope that was asked for")


def groups_claim(scopes: Iterable[str], default: Sequence[str], optional: Iterable[str]) -> tuple[str, ...]:
    """The ``wlcg.groups`` claim (WLCG token profile, 3.1).

    Groups asked for by name stand in the order in which they were asked for; the default groups stand where
    the plain scope does, or at the end; none is told twice.

    Args:
        scopes: that were asked for.
        default: groups that are told whether asked for or not, in their order.
        optional: groups that are told only when asked for.

    Raises:
        NotEntitledError: a group was asked for that is not among these.
    """
    asked = [scope for scope in scopes if scope == GROUPS or scope.startswith(f"{GROUPS}:")]
    if asked and GROUPS not in asked:
        asked.append(GROUPS)
    known = {*default, *optional}
    found: list[str] = []
    for scope in asked:
        if scope == GROUPS:
            found += default
            continue
        group = scope.removeprefix(f"{GROUPS}:")
        if group not in known:
            raise NotEntitledError("a group was asked for that the user is not in")
        found.append(group)
    return tuple(dict.fromkeys(found))
