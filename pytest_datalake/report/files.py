"""Files: their names for people, and how they are written where somebody may be reading."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def file_name(path: str) -> str:
    """The name of a file, without where it was on the tester's machine."""
    return path.replace("\\", "/").rpartition("/")[2]


def write_whole(path: Path, content: bytes) -> None:
    """Whole or not at all: a web server may be reading the file."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
