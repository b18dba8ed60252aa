"""Which known issues, if any, cover a test, and which of its failures they excuse."""

from __future__ import annotations

import re
from datetime import date
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pytest_datalake.matrix.model import KnownIssue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_datalake.matrix.model import Cell, Downtime, Endpoint, Link

AXES = ("site", "rse", "technology", "protocol", "auth", "qos")
"""What an entry can match; for links also with ``source_`` or ``destination_`` before it."""

MATCH_KEYS = (*AXES, *(f"source_{axis}" for axis in AXES), *(f"destination_{axis}" for axis in AXES))


def covering(
    issues: Iterable[KnownIssue],
    *,
    cell: Cell | None = None,
    link: Link | None = None,
    capability: str,
    requirement: str = "",
) -> tuple[KnownIssue, ...]:
    """The entries that cover a test, expired or not, in the order of the file.

    On a link, a key without ``source_`` or ``destination_`` matches when either end has the value, and
    ``auth`` is that of the link; ``source_auth`` and ``destination_auth`` are what the two ends are shown.
    A test without cell and link is covered only by an entry without ``match``.
    """
    return tuple(
        issue
        for issue in issues
        if (not issue.capability or fnmatchcase(capability, issue.capability))
        and (not issue.requirement or fnmatchcase(requirement, issue.requirement))
        and fits(issue.match, cell=cell, link=link)
    )


def excusing(issues: Iterable[KnownIssue], reason: str) -> KnownIssue | None:
    """The first of the entries that a failure with this reason is due to; None: it is something else."""
    return next((issue for issue in issues if re.search(issue.symptom, reason)), None)


def expired(issue: KnownIssue, today: date) -> bool:
    """Whether the day named by ``until`` has come."""
    return bool(issue.until) and today >= date.fromisoformat(issue.until)


def fits(match: Iterable[tuple[str, str]], *, cell: Cell | None = None, link: Link | None = None) -> bool:
    """Whether a cell or link shows all values that the ``match`` of an entry asks for."""
    return all(
        any(fnmatchcase(value, pattern) for value in _values(key, cell, link)) for key, pattern in match
    )


def where(entry: KnownIssue | Downtime) -> str:
    """What an entry says of where it holds, such as ``site COMO, source protocol davs``."""
    said = [f"{key.replace('_', ' ')} {pattern}" for key, pattern in entry.match]
    if isinstance(entry, KnownIssue):
        limits = {"capability": entry.capability, "requirement": entry.requirement}
        said += [f"{name} {pattern}" for name, pattern in limits.items() if pattern]
    return ", ".join(said)


def _values(key: str, cell: Cell | None, link: Link | None) -> list[str]:
    """What a cell or link shows under a key of ``match``."""
    end, _, axis = key.rpartition("_")
    if cell is not None:
        return [] if end else [cell.auth if axis == "auth" else _value(cell.endpoint, axis)]
    if link is None:
        return []
    ends = {"source": [link.source], "destination": [link.destination]}.get(
        end, [link.source, link.destination]
    )
    if axis == "auth":
        return [link.auth_at(endpoint) for endpoint in ends] if end else [link.auth]
    return [_value(endpoint, axis) for endpoint in ends]


def _value(endpoint: Endpoint, axis: str) -> str:
    return str(getattr(endpoint, axis))
