"""Packs a table of many rows into a text that a page can hold: a column at a time, each text once.

The text is base64 of gzip of: the length of a JSON head (4 bytes, little endian), the head, padded so that
it and the length fill a multiple of 4 bytes, and the columns one after another, each at a multiple of 4.
In the head, ``columns`` says for each name ``[bytes a number, offset after the head]``.
"""

from __future__ import annotations

import base64
import gzip
import json
import sys
from array import array
from typing import TYPE_CHECKING, Any

from pytest_datalake.report.redaction import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_KINDS = ((1, "B"), (2, "H"), (4, "I"))


class Texts:
    """Each distinct text once, and no more of them than fit a budget of characters.

    Args:
        budget: characters of all texts together.
    """

    LEFT_OUT = 1

    def __init__(self, budget: int) -> None:
        self.all: list[str] = ["", "(left out to keep this page small: see results.jsonl)"]
        self._positions = {"": 0}
        self._left = budget

    def position(self, text: str) -> int:
        """Where a text stands; ``LEFT_OUT`` where the budget is spent."""
        known = self._positions.get(text)
        if known is not None:
            return known
        if self._left < len(text):
            return self.LEFT_OUT
        self._left -= len(text)
        self._positions[text] = len(self.all)
        self.all.append(without_secrets(text))
        return len(self.all) - 1


def pack(head: Mapping[str, Any], columns: Mapping[str, Sequence[int]]) -> str:
    """The packed table. Numbers are unsigned and below 2**32."""
    body = bytearray()
    places: dict[str, tuple[int, int]] = {}
    for name, numbers in columns.items():
        largest = max(numbers, default=0)
        size, kind = next((size, kind) for size, kind in _KINDS if largest < 1 << 8 * size)
        values = array(kind, numbers)
        if sys.byteorder == "big":
            values.byteswap()
        places[name] = (size, len(body))
        body += values.tobytes()
        body += bytes(-len(body) % 4)
    text = json.dumps({**head, "columns": places}, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 4)
    plain = len(text).to_bytes(4, "little") + text + bytes(body)
    return base64.b64encode(gzip.compress(plain, 7, mtime=0)).decode("ascii")
