"""``index.html``: the matrix page, one file that loads nothing from anywhere.

The grids and tables are plain HTML, readable without scripts; the script shows the evidence behind a cell.
The content security policy allows just our style and our script, by hash, and no connection at all.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from pytest_datalake.report.evidence_data import pack
from pytest_datalake.report.panels import Grids
from pytest_datalake.report.problems import NOT_GREEN, one_line
from pytest_datalake.report.rows import OUTCOMES, SEVERITY, KnownIssueRow, Outcome

if TYPE_CHECKING:
    from pytest_datalake.report.coverage_change import CoverageChange
    from pytest_datalake.report.reading import Results
    from pytest_datalake.report.verdict import Verdict

TEMPLATES = Path(__file__).parent / "templates"

ROWS_SHOWN = 200
GLYPHS: dict[Outcome, str] = {
    "passed": "✓",
    "failed": "✗",
    "error": "!",
    "known-issue": "K",
    "fixed": "↑",
    "not-run": "\N{EN DASH}",
}
LETTERS: dict[Outcome, str] = {
    "passed": "p",
    "failed": "f",
    "error": "e",
    "known-issue": "k",
    "fixed": "x",
    "not-run": "n",
}
MEANINGS: dict[Outcome, str] = {
    "passed": "passed",
    "failed": "failed: the lake did not do what it declares",
    "error": "error: the test engine or its environment failed",
    "known-issue": "known issue: failed as the matrix says",
    "fixed": "fixed: a known issue that no longer fails",
    "not-run": "planned, but without a result",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedRow:
    """One line of the table of what is not green."""

    outcome: Outcome
    test: str
    capability: str
    requirement: str
    where: str
    sites: str
    reason: str
    reproduce: str
    group: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIssueLine:
    """One entry of the matrix and how many tests it was applied to."""

    issue: KnownIssueRow
    count: int
    where: str
    web: bool


def page(results: Results, verdict: Verdict, change: CoverageChange) -> str:
    """The page as text."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    style = (TEMPLATES / "index.css").read_text(encoding="utf-8")
    script = (TEMPLATES / "index.js").read_text(encoding="utf-8")
    grids = Grids(results)
    bad = sorted(
        (row for row in results.tests if row.outcome in NOT_GREEN),
        key=lambda row: (-SEVERITY[row.outcome], row.site, row.nodeid),
    )
    ends = {endpoint.id: endpoint.site for endpoint in results.run.endpoints}
    failed = [
        FailedRow(
            outcome=row.outcome,
            test=one_line(row.test or row.nodeid, 120),
            capability=row.capability,
            requirement=row.requirement,
            where=grids.place(row)[1]
            if row.link
            else f"{row.cell or row.rse or row.site} {row.auth}".strip(),
            sites=" ".join(sorted({row.site, ends.get(row.source, "")} - {""})),
            reason=one_line(row.reason, 300),
            reproduce=one_line(row.reproduce, 600),
            group=grids.number(row),
        )
        for row in bad[:ROWS_SHOWN]
    ]
    data = pack(results.tests, grids.groups)
    return environment.get_template("index.html.j2").render(
        run=results.run,
        verdict=verdict,
        change=change,
        notes=results.notes,
        started=_readable(verdict.started),
        lasted=_lasted(verdict.started, verdict.finished),
        grids=grids,
        failed=failed,
        not_shown=len(bad) - len(failed),
        known=_known(results, grids),
        sites=sorted({endpoint.site for endpoint in results.run.endpoints} - {""}),
        outcomes=OUTCOMES,
        glyph=GLYPHS,
        letter=LETTERS,
        meaning=MEANINGS,
        style=Markup(style),  # noqa: S704  # a file of this package
        script=Markup(script),  # noqa: S704  # a file of this package
        style_hash=_hash(style),
        script_hash=_hash(script),
        data=data,
    )


def _known(results: Results, grids: Grids) -> list[KnownIssueLine]:
    where: dict[KnownIssueRow, list[str]] = defaultdict(list)
    for row in results.tests:
        if row.outcome in {"known-issue", "fixed"}:
            where[row.known_issue or KnownIssueRow(reason=one_line(row.reason))].append(grids.place(row)[1])
    lines = []
    for issue, places in sorted(where.items(), key=lambda item: -len(item[1])):
        distinct = sorted(set(places))
        more = f" and {len(distinct) - 4} more" if len(distinct) > 4 else ""
        web = issue.reference.startswith(("https://", "http://"))
        lines.append(
            KnownIssueLine(issue=issue, count=len(places), where="; ".join(distinct[:4]) + more, web=web)
        )
    return lines


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _readable(moment: str) -> str:
    try:
        return datetime.fromisoformat(moment).strftime("%-d %B %Y, %H:%M %Z").strip()
    except ValueError:
        return moment


def _lasted(started: str, finished: str) -> str:
    try:
        seconds = int((datetime.fromisoformat(finished) - datetime.fromisoformat(started)).total_seconds())
    except (ValueError, TypeError):
        return ""
    return f"{seconds // 60} min {seconds % 60:02d} s" if seconds >= 60 else f"{seconds} s"
