"""``requirements.html``: which site keeps to which requirement, in one file without scripts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.report.page import render
from pytest_datalake.report.reasons import cause
from pytest_datalake.report.rows import SEVERITY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_datalake.report.reading import Results
    from pytest_datalake.report.rows import Outcome, TestRow
    from pytest_datalake.report.verdict import Verdict

PAGE = "requirements.html"

LEVELS = {
    "MUST": "A site that does otherwise fails.",
    "1.3": "A MUST that version 1.3 of the WLCG profile brought; what a site does is noted.",
    "SHOULD": "What a site does is noted.",
    "INFO": "Both are right; what a site does is noted.",
    "": "Of tests beside the conformance table.",
}
_HINT = 140


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How one site keeps to one requirement.

    Attributes:
        outcome: the worst of the tests at the site's doors.
        deviates: all passed, but the site does otherwise than it should or may.
        doors: how many tests there were.
        hint: what was found, for the worst of them.
    """

    outcome: Outcome
    deviates: bool
    doors: int
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementLine:
    """One requirement, with what each site makes of it; None where it was not tried."""

    requirement: str
    clause: str
    sites: tuple[Kept | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """The requirements of one level."""

    level: str
    meaning: str
    lines: tuple[RequirementLine, ...]


def chapters(tests: Iterable[TestRow], sites: Sequence[str]) -> tuple[Chapter, ...]:
    """The grid of requirements and sites, by level, in the order of the results."""
    found: dict[str, dict[tuple[str, str], dict[str, list[TestRow]]]] = defaultdict(dict)
    for row in tests:
        if in_grid(row):
            lines = found[row.level if row.level in LEVELS else ""]
            lines.setdefault((row.requirement, row.clause), defaultdict(list))[row.site].append(row)
    return tuple(
        Chapter(
            level=level,
            meaning=LEVELS[level],
            lines=tuple(
                RequirementLine(
                    requirement=requirement,
                    clause=clause,
                    sites=tuple(_kept(rows[site]) if site in rows else None for site in sites),
                )
                for (requirement, clause), rows in found[level].items()
            ),
        )
        for level in LEVELS
        if level in found
    )


def requirements_page(results: Results, verdict: Verdict) -> str:
    """The page as text; empty where no requirement was tested."""
    sites = sorted({row.site for row in results.tests if in_grid(row)})
    found = chapters(results.tests, sites)
    if not found:
        return ""
    return render(
        "requirements.html.j2",
        styles=("base.css", "site.css", "requirements.css"),
        run=results.run,
        verdict=verdict,
        sites=sites,
        chapters=found,
    )


def _kept(rows: Sequence[TestRow]) -> Kept:
    worst = max(rows, key=lambda row: (SEVERITY[row.outcome], _deviates(row)))
    said = cause(worst.reason, _HINT) or str(worst.evidence.get("found", ""))[:_HINT]
    where = worst.cell or f"{worst.source} > {worst.destination}"
    return Kept(
        outcome=worst.outcome,
        deviates=worst.outcome == "passed" and _deviates(worst),
        doors=len(rows),
        hint=f"{where} by {worst.auth}: {said}" if said else where,
    )


def in_grid(row: TestRow) -> bool:
    """Copies are their destination's, and only those of the conformance table are in the grid."""
    return bool(row.requirement) and (bool(row.level) or not row.link)


def _deviates(row: TestRow) -> bool:
    return row.evidence.get("conformance") == "deviates"
