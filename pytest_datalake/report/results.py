"""Writes ``results.jsonl``: one row a line, each line one write: a crash loses at most the last one."""

from __future__ import annotations

import fcntl
import json
import os
from typing import TYPE_CHECKING

from pytest_datalake.errors import EngineError, UsageError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from pytest_datalake.report.rows import Row

FILE_NAME = "results.jsonl"


class ResultsFile:
    """Appends rows to a results file.

    Args:
        path: the file; its directory is made where there is none.
        fresh: start an empty file; else rows are added after those that are there.

    Raises:
        UsageError: the file cannot be opened for writing, or another run is writing to it.
    """

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, flags, 0o666)
            self._be_alone()
            if fresh:
                os.ftruncate(self._descriptor, 0)
        except OSError as error:
            raise UsageError(
                f"cannot write results to {path}: {error.strerror}. Name another directory with --report-dir."
            ) from error
        size = os.fstat(self._descriptor).st_size
        self._after_torn_line = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"

    def _be_alone(self) -> None:
        """The lock ends with the process, however it ends."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise UsageError(
                f"another run is writing to {self.path}: wait for its end, or name another directory with "
                "--report-dir"
            ) from error

    def write(self, row: Row) -> None:
        """Append one row; it is with the operating system when this returns.

        Raises:
            EngineError: the row could not be written, as on a full disk.
        """
        line = json.dumps(row.to_json(), separators=(",", ":"), default=str).encode("ascii") + b"\n"
        if self._after_torn_line:
            line = b"\n" + line
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            raise EngineError(f"cannot write to {self.path}: {error.strerror}") from error
        self._after_torn_line = written < len(line)
        if self._after_torn_line:
            raise EngineError(f"cannot write to {self.path}: only {written} of {len(line)} bytes went in")

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> ResultsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
