"""Facts about files on this machine."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.drivers.api import Algorithm

_BLOCK = 1 << 20


def checksum_of(path: Path, algorithm: Algorithm) -> str:
    """The file's checksum in lower-case hexadecimal digits, with leading zeros."""
    digest = hashlib.md5(usedforsecurity=False)
    adler = 1
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            if algorithm == "md5":
                digest.update(block)
            else:
                adler = zlib.adler32(block, adler)
    return digest.hexdigest() if algorithm == "md5" else f"{adler:08x}"
