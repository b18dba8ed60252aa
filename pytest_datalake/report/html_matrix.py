"""The transfer matrix as plain tables with styles of their own, to stand in pytest-html's page."""

from __future__ import annotations

from collections import defaultdict
from html import escape
from typing import TYPE_CHECKING

from pytest_datalake.matrix.model import FAMILY
from pytest_datalake.report.rows import SEVERITY, Outcome
from pytest_datalake.report.signs import GLYPHS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_datalake.report.rows import TestRow

MOST_SQUARES = 4_000
"""Above that only the counts are shown: every square is a node of the page."""

_COLOURS: dict[Outcome, str] = {
    "passed": "#d5ebe0;color:#14583f",
    "failed": "#c2361f;color:#fff",
    "error": "#6a3fa0;color:#fff",
    "known-issue": "#f3d27a;color:#4a3500",
    "downtime": "#c6ccd4;color:#2b333d",
    "fixed": "#1f6fb5;color:#fff",
    "not-run": "#fff;color:#4a5563;outline:1px solid #4a5563",
}
_SQUARE = "width:20px;min-width:20px;height:20px;padding:0;text-align:center;font-weight:700;background:"
_UPRIGHT = "writing-mode:vertical-rl;transform:rotate(180deg);font-weight:400;border:0;padding:0"

_Links = dict[tuple[str, str], "Outcome"]


def html_matrix(tests: Iterable[TestRow]) -> list[str]:
    """A table for each layer, protocol family and auth; or one with the counts, where that is too much."""
    panels = _panels(tests)
    if not panels:
        return []
    if sum(len(links) for links in panels.values()) > MOST_SQUARES:
        return [_counts(panels)]
    drawn = "".join(_panel(title, links) for title, links in sorted(panels.items()))
    return [f'<div style="display:flex;flex-wrap:wrap;gap:8px 28px;font-size:11px">{drawn}</div>']


def _panels(tests: Iterable[TestRow]) -> dict[tuple[str, str], _Links]:
    panels: dict[tuple[str, str], _Links] = defaultdict(dict)
    for row in tests:
        if row.link is None:
            continue
        family = "streamed" if row.streamed else FAMILY.get(row.protocol, row.protocol)  # type: ignore[call-overload]
        title = f"{family}" if row.layer in {"", "direct"} else f"{row.layer} {family}"
        links = panels[title, row.auth]
        before = links.get((row.source, row.destination), "passed")
        if SEVERITY[row.outcome] >= SEVERITY[before]:
            links[row.source, row.destination] = row.outcome
    return panels


def _panel(title: tuple[str, str], links: _Links) -> str:
    sources = sorted({source for source, _ in links})
    destinations = sorted({destination for _, destination in links})
    head = "".join(
        f'<th style="border:0;padding:2px"><span style="{_UPRIGHT}">{escape(name)}</span></th>'
        for name in destinations
    )
    lines = "".join(
        f'<tr><th style="border:0;padding:0 6px 0 0;text-align:right;font-weight:400">{escape(source)}</th>'
        + "".join(
            _square(links.get((source, destination)), source, destination) for destination in destinations
        )
        + "</tr>"
        for source in sources
    )
    return (
        f"<div><p><strong>{escape(' '.join(title))}</strong> {_share(links)}</p>"
        f'<table style="border-collapse:separate;border-spacing:2px;width:auto">'
        f'<tr><td style="border:0">source ↓ destination →</td>{head}</tr>{lines}</table></div>'
    )


def _square(outcome: Outcome | None, source: str, destination: str) -> str:
    if outcome is None:
        return '<td style="border:0"></td>'
    words = escape(f"{source} → {destination}: {outcome}")
    return f'<td style="border:0;{_SQUARE}{_COLOURS[outcome]}" title="{words}">{GLYPHS[outcome]}</td>'


def _counts(panels: Mapping[tuple[str, str], _Links]) -> str:
    lines = "".join(
        f"<tr><td>{escape(kind)}</td><td>{escape(auth)}</td><td>{_share(links)}</td></tr>"
        for (kind, auth), links in sorted(panels.items())
    )
    return (
        '<table style="width:auto"><tr><th>links</th><th>auth</th><th>passed</th></tr>' + lines + "</table>"
    )


def _share(links: _Links) -> str:
    return f"{sum(outcome == 'passed' for outcome in links.values()):,}/{len(links):,}"
