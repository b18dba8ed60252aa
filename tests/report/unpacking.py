"""What the script of the matrix page sees in its packed table."""

from __future__ import annotations

import base64
import gzip
import json
import re
import sys
from array import array
from typing import Any

KINDS = {1: "B", 2: "H", 4: "I"}


def unpack(page: str) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """Head and columns."""
    packed = re.search(r'id="data">([^<]*)<', page)
    assert packed
    plain = gzip.decompress(base64.b64decode(packed[1]))
    start = 4 + int.from_bytes(plain[:4], "little")
    head = json.loads(plain[4:start])
    columns = {}
    for name, (size, offset) in head["columns"].items():
        values = array(KINDS[size], plain[start + offset : start + offset + size * head["count"]])
        if sys.byteorder == "big":
            values.byteswap()
        columns[name] = values.tolist()
    return head, columns
