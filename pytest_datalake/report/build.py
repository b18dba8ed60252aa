"""Makes everything that is read out of results files."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_datalake.errors import UsageError
from pytest_datalake.report import coverage_change
from pytest_datalake.report.history import record
from pytest_datalake.report.index import page
from pytest_datalake.report.junit import junit
from pytest_datalake.report.reading import each_run, merge, read_rows
from pytest_datalake.report.site_page import site_pages
from pytest_datalake.report.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_datalake.report.coverage_change import CoverageChange
    from pytest_datalake.report.verdict import Verdict

SITES = "sites"
"""Where the pages of the sites are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a report says.

    Attributes:
        verdict: the verdict and what explains it.
        change: what changed in the declared coverage.
        files: what was written.
    """

    verdict: Verdict
    change: CoverageChange
    files: tuple[Path, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """What a terminal shows, the verdict lines last."""
        since = f"declared coverage since {self.change.since}: "
        return (*(since + line for line in self.change.lines), *self.verdict.lines)


def make(paths: Sequence[Path], report_dir: Path) -> Built:
    """Write ``index.html``, ``sites/``, ``junit.xml``, ``verdict.json`` and ``coverage.json``.

    Pages of sites that are no longer tested are removed.

    Args:
        paths: results files, or directories that hold a ``results.jsonl``.
        report_dir: where to write; made where there is none.

    Raises:
        UsageError: results cannot be read, or the directory cannot be written to.
    """
    rows, notes = read_rows(paths)
    results = merge(rows, notes)
    verdict = judge(results)
    try:
        report_dir.mkdir(parents=True, exist_ok=True)
        history = record.update(report_dir, each_run(rows), results, verdict.faults)
        change = coverage_change.update(report_dir, results.run)
        written = {
            "index.html": page(results, verdict, change, history).encode("utf-8"),
            "junit.xml": junit(results),
            "verdict.json": json.dumps(verdict.to_json(), indent=1).encode("ascii") + b"\n",
        }
        for name, text in site_pages(results, verdict, history).items():
            written[f"{SITES}/{name}"] = text.encode("utf-8")
        (report_dir / SITES).mkdir(exist_ok=True)
        for name, content in written.items():
            _replace(report_dir / name, content)
        for old in (report_dir / SITES).glob("*.html"):
            if f"{SITES}/{old.name}" not in written:
                old.unlink()
    except OSError as error:
        raise UsageError(
            f"cannot write the report to {report_dir}: {error.strerror}. "
            "Name another directory with --report-dir."
        ) from error
    return Built(verdict=verdict, change=change, files=tuple(report_dir / name for name in written))


def build(paths: Sequence[Path], report_dir: Path) -> int:
    """Like ``make``; returns the exit code of the run."""
    return make(paths, report_dir).verdict.exit_code


def _replace(path: Path, content: bytes) -> None:
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
