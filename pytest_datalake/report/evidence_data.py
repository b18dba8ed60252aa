"""The evidence behind a page's cells, packed so that ten thousand tests stay small.

JSON, gzipped, in base64: nothing in it can end the script element it stands in, whatever a server answered.
"""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING, Any

from pytest_datalake.report.rows import SEVERITY, TestRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_datalake.report.panels import Group

TEXT_BUDGET = 700_000
"""Characters of distinct long texts in one page."""

_LEFT_OUT = "(left out to keep this page small: see results.jsonl)"


class _Texts:
    """Each distinct text once, within a budget."""

    def __init__(self) -> None:
        self.all: list[str] = [""]
        self._positions = {"": 0}
        self._left = TEXT_BUDGET

    def position(self, text: str) -> int:
        if text not in self._positions and self._left < len(text):
            text = _LEFT_OUT
        if text not in self._positions:
            self._left -= len(text)
            self._positions[text] = len(self.all)
            self.all.append(text)
        return self._positions[text]


def pack(tests: Sequence[TestRow], groups: Sequence[Group]) -> str:
    """The document that the page's script unpacks: texts, groups (name, title, tests), and tests."""
    texts = _Texts()
    packed: dict[int, list[Any]] = {}
    for position in sorted(range(len(tests)), key=lambda position: -SEVERITY[tests[position].outcome]):
        packed[position] = _pack(tests[position], texts)
    document = {
        "texts": texts.all,
        "groups": [[group.name, group.title, group.tests] for group in groups],
        "tests": [packed[position] for position in range(len(tests))],
    }
    data = json.dumps(document, separators=(",", ":")).encode("ascii")
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode("ascii")


def _pack(row: TestRow, texts: _Texts) -> list[Any]:
    """A test as a list; repeated texts are positions, the node id in the command is a placeholder."""
    facts = {"seconds": round(row.seconds, 3), "identity": row.identity, "layer": row.layer}
    facts |= row.evidence
    issue = row.known_issue
    why = [issue.reason, issue.reference, issue.until] if issue else []
    return [
        row.outcome,
        texts.position(row.test or row.nodeid),
        texts.position(row.capability),
        texts.position(row.requirement),
        texts.position(row.reason),
        {str(name): value for name, value in facts.items() if value not in ("", None)},
        row.nodeid if len(row.nodeid) < 1000 else row.nodeid[:1000],
        texts.position(row.reproduce.replace(row.nodeid, "\0") if row.nodeid else row.reproduce),
        texts.position(row.details),
        [texts.position(text) for text in why],
    ]
