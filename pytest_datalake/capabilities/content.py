"""File contents that can be made again anywhere: from a name and a size."""

from __future__ import annotations

import hashlib
import random
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_BLOCK = 1 << 20


def parse_size(text: str | int) -> int:
    """Bytes of "64 MiB", "0 B" or 1024. Raises ``UsageError`` for anything else."""
    if isinstance(text, int):
        return text
    match = re.fullmatch(r"\s*(\d+)\s*([A-Za-z]+)\s*", text)
    if match is None or match[2].upper() not in _UNITS:
        raise UsageError(f"{text!r} is not a size; write it like '1 MiB' or '0 B'")
    return int(match[1]) * _UNITS[match[2].upper()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A local file with known bytes.

    Attributes:
        size: bytes.
        adler32: RFC 1950 checksum, eight lower-case hexadecimal digits.
        md5: RFC 1321 digest, lower-case hexadecimal.
    """

    path: Path
    size: int
    adler32: str
    md5: str

    def checksum(self, algorithm: str) -> str:
        """The checksum of that name, "adler32" or "md5"."""
        return self.adler32 if algorithm == "adler32" else self.md5

    def bytes(self, offset: int = 0, length: int | None = None) -> bytes:
        """The bytes from ``offset`` on."""
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read() if length is None else file.read(length)


def describe_file(path: Path) -> Content:
    """Size and checksums of a local file, computed here and never asked of a server."""
    adler, md5, size = 1, hashlib.md5(usedforsecurity=False), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            adler = zlib.adler32(block, adler)
            md5.update(block)
            size += len(block)
    return Content(path=path, size=size, adler32=f"{adler:08x}", md5=md5.hexdigest())


def make_content(directory: Path, *, size: int, seed: str) -> Content:
    """Write ``size`` pseudo-random bytes that depend on ``seed`` alone."""
    path = directory / f"{hashlib.sha256(seed.encode()).hexdigest()[:16]}-{size}"
    generator = random.Random(seed)  # noqa: S311  # reproducible, not secret
    with path.open("wb") as file:
        remaining = size
        while remaining:
            block = generator.randbytes(min(_BLOCK, remaining))
            file.write(block)
            remaining -= len(block)
    return describe_file(path)


def make_content_with_leading_zero(directory: Path, *, seed: str) -> Content:
    """A small file whose adler32 begins with a zero digit: implementations drop it."""
    path = directory / f"{hashlib.sha256(seed.encode()).hexdigest()[:16]}-zero"
    number = 0
    while True:
        data = f"{number} {seed} ".encode() * 20
        if f"{zlib.adler32(data):08x}".startswith("0"):
            path.write_bytes(data)
            return describe_file(path)
        number += 1


def first_difference(left: Path, right: Path) -> int | None:
    """Offset of the first byte in which two files differ; None when they are equal."""
    offset = 0
    with left.open("rb") as one, right.open("rb") as other:
        while True:
            a, b = one.read(_BLOCK), other.read(_BLOCK)
            if a != b:
                for index, (x, y) in enumerate(zip(a, b, strict=False)):
                    if x != y:
                        return offset + index
                return offset + min(len(a), len(b))
            if not a:
                return None
            offset += len(a)
