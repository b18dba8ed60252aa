"""Makes everything that is read out of results files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.errors import UsageError
from pytest_datalake.report import coverage_change, requirements
from pytest_datalake.report.exports.monitoring import PRODUCER, documents
from pytest_datalake.report.exports.prometheus import metrics
from pytest_datalake.report.files import write_whole
from pytest_datalake.report.history import record
from pytest_datalake.report.index import page
from pytest_datalake.report.junit import junit
from pytest_datalake.report.reading import each_run, merge, read_rows
from pytest_datalake.report.requirements import requirements_page
from pytest_datalake.report.site_page import site_pages
from pytest_datalake.report.verdict import judge

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_datalake.report.coverage_change import CoverageChange
    from pytest_datalake.report.history.facts import History
    from pytest_datalake.report.verdict import Verdict

SITES = "sites"
"""Where the pages of the sites are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What a report says.

    Attributes:
        verdict: the verdict and what explains it.
        change: what changed in the declared coverage.
        history: what earlier runs say.
        files: what was written.
    """

    verdict: Verdict
    change: CoverageChange
    history: History
    files: tuple[Path, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """What a terminal shows, the verdict lines last."""
        since = f"declared coverage since {self.change.since}: "
        return (
            *(since + line for line in self.change.lines),
            *self.history.notes,
            *self.history.transitions,
            *self.verdict.lines,
        )


def make(paths: Sequence[Path], report_dir: Path, *, producer: str = PRODUCER) -> Built:
    """Write everything that is read: the pages, and the files for other programs; add to the history.

    Pages of sites that are no longer tested are removed.

    Args:
        paths: results files, or directories that hold a ``results.jsonl``.
        report_dir: where to write; made where there is none.
        producer: name of the data in ``monitoring.json``.

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
            "verdict.json": _json(verdict.to_json()),
            "metrics.prom": metrics(results, verdict, history).encode("utf-8"),
            "monitoring.json": _json(documents(results, verdict, history, producer)),
        }
        if text := requirements_page(results, verdict):
            written[requirements.PAGE] = text.encode("utf-8")
        else:
            (report_dir / requirements.PAGE).unlink(missing_ok=True)
        for name, text in site_pages(results, verdict, history).items():
            written[f"{SITES}/{name}"] = text.encode("utf-8")
        (report_dir / SITES).mkdir(exist_ok=True)
        for name, content in written.items():
            write_whole(report_dir / name, content)
        for old in (report_dir / SITES).glob("*.html"):
            if f"{SITES}/{old.name}" not in written:
                old.unlink()
    except OSError as error:
        raise UsageError(
            f"cannot write the report to {report_dir}: {error.strerror}. "
            "Name another directory with --report-dir."
        ) from error
    files = tuple(report_dir / name for name in written)
    return Built(verdict=verdict, change=change, history=history, files=files)


def _json(document: object) -> bytes:
    return json.dumps(document, indent=1).encode("ascii") + b"\n"
