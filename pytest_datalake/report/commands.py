"""How somebody repeats a test: with the protocol's own client, and with pytest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.report.blame.texts import mode_of
from pytest_datalake.report.reasons import unreachable

if TYPE_CHECKING:
    from pytest_datalake.report.rows import TestRow

_OR = "  # or: "
_BETWEEN = re.compile(r"(?<=') (?=')")
_ADDRESS = re.compile(r"([a-z][a-z0-9+]*)://\[?([\w.:-]+?)\]?(?::(\d+))?(?=[/\s]|$)", re.ASCII)
_PORTS = {"davs": "443", "https": "443", "s3s": "443", "root": "1094", "gsiftp": "2811"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """How to repeat a test.

    Attributes:
        plain: a check that needs no credential, where nobody could connect; may be empty.
        by_hand: with the protocol's own client, a command a line; may be empty.
        pytest: with the test itself.
    """

    plain: str = ""
    by_hand: str
    pytest: str


def commands_of(row: TestRow) -> Commands:
    """The commands in a row."""
    again = f"pytest '{row.nodeid}'"
    by_hand, mark, rest = row.reproduce.partition(_OR)
    if not mark and by_hand.startswith("pytest "):
        return Commands(plain=_plain(row), by_hand="", pytest=by_hand)
    lines = _BETWEEN.sub(" \\\n    ", by_hand.replace(" && ", " &&\n").replace("; gfal-rm", "\ngfal-rm"))
    return Commands(plain=_plain(row), by_hand=lines, pytest=rest or again)


def _plain(row: TestRow) -> str:
    """Whether a connection can be had at all."""
    if not unreachable(row.reason):
        return ""
    url, at = row.reason, ""
    if mode := mode_of(row):
        passive, active = ("source", row.destination) if mode == "pull" else ("destination", row.source)
        url, at = str(row.evidence.get(f"{passive}_url", "")), f"  # at {active}"
    found = _ADDRESS.search(url)
    port = found and (found[3] or _PORTS.get(found[1]))
    return f"nc -vz {found[2]} {port}{at}" if found and port else ""
