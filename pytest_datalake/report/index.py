"""``index.html``: the matrix page, one file that loads nothing from anywhere.

The verdict, the faults, the sites and the known issues are plain HTML, readable without scripts. The grids
and the list of results are drawn by the script, out of a packed table of all results.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_datalake.report.downtimes import downtimes
from pytest_datalake.report.evidence_data import SIZE_LIMIT, data, endpoints_of
from pytest_datalake.report.fault_cards import cards
from pytest_datalake.report.known_issues import known_issues
from pytest_datalake.report.page import lasted, render
from pytest_datalake.report.requirements import PAGE, in_grid
from pytest_datalake.report.signs import met
from pytest_datalake.report.site_lines import site_lines
from pytest_datalake.report.trend import trend

if TYPE_CHECKING:
    from pytest_datalake.report.coverage_change import CoverageChange
    from pytest_datalake.report.history.facts import History
    from pytest_datalake.report.reading import Results
    from pytest_datalake.report.rows import RunRow
    from pytest_datalake.report.verdict import Verdict

SCRIPTS = (
    "dom.js",
    "table.js",
    "query.js",
    "squares.js",
    "matrix.js",
    "grids.js",
    "evidence.js",
    "results.js",
    "main.js",
)
PAGE_LIMIT = 1_000_000
"""Bytes of the whole page, as far as leaving texts out goes."""

FAULTS_SHOWN = 24
OTHERS_SHOWN = 100
LINKS_SHOWN = 20


def page(results: Results, verdict: Verdict, change: CoverageChange, history: History) -> str:
    """The page as text.

    Args:
        results: what was found.
        verdict: what it came to.
        change: of the declared coverage.
        history: of earlier runs; may be empty.
    """
    run = results.run
    endpoints = endpoints_of(run.endpoints, results.tests)
    site_of = {endpoint.id: endpoint.site for endpoint in endpoints}
    faults = cards(verdict.faults, results.tests, site_of, history)
    numbers = {row.nodeid: number for number, row in enumerate(results.tests)}
    extra: dict[str, Any] = {
        "faults": [fault.tests for fault in verdict.faults],
        "changes": {
            name: [numbers[nodeid] for nodeid in getattr(history.changes, name)]
            for name in ("failing", "still", "fixed")
        },
        "unsupported": _unsupported(run),
        "past": {
            numbers[nodeid]: [past.last_success, past.first_failure, past.recent, past.state, past.status]
            for nodeid, past in history.tests.items()
            if nodeid in numbers
        },
    }
    lines = site_lines(results, endpoints, faults, history)
    clear = [card for card in faults if not card.unclear]
    others = [*clear[FAULTS_SHOWN:], *(card for card in faults if card.unclear)]
    unsteady = [link for link in history.links if link.days30 is not None and link.days30 < 1]
    draw = partial(
        render,
        "index.html.j2",
        styles=("base.css", "index.css"),
        scripts=SCRIPTS,
        run=run,
        verdict=verdict,
        change=change,
        history=history,
        before=history.runs[-2] if len(history.runs) > 1 else None,
        notes=(*results.notes, *history.notes),
        lasted=lasted(verdict.started, verdict.finished),
        faults=clear[:FAULTS_SHOWN],
        others=others[:OTHERS_SHOWN],
        more_others=len(others) - OTHERS_SHOWN,
        sites=lines,
        requirements=PAGE if any(map(in_grid, results.tests)) else "",
        pages={line.site: line.page for line in lines},
        links=sorted(unsteady, key=lambda link: (link.days7 is None, link.days7, link.days30))[:LINKS_SHOWN],
        more_links=len(unsteady) - LINKS_SHOWN,
        known=known_issues(results.tests, run.started),
        downtimes=downtimes(results.tests, run.downtimes, run.started),
        trend=trend,
        met=met(results.tests),
    )
    room = PAGE_LIMIT - len(draw(data="").encode("utf-8"))
    return draw(data=data(results.tests, endpoints, _experiments(run), extra, min(room, SIZE_LIMIT)))


def _experiments(run: RunRow) -> dict[str, str]:
    """Experiment by identity; where a run does not say so, an identity has its experiment's name."""
    return {name: name for name in run.experiments} | run.identities


def _unsupported(run: RunRow) -> dict[str, list[str]]:
    found = defaultdict(list)
    for item in run.unsupported:
        found[item.capability].append(item.endpoint)
    return dict(found)
