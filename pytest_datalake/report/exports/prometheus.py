"""``metrics.prom``: gauges for the textfile collector of Prometheus' node exporter.

Text format 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from pytest_datalake.report.downtimes import holding
from pytest_datalake.report.verdict import outcome_by_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_datalake.report.history.facts import History
    from pytest_datalake.report.reading import Results
    from pytest_datalake.report.verdict import Verdict

_Sample = tuple[str, dict[str, str], float]
"""Name, labels, value."""

_MEANINGS = {
    "run_started_seconds": "Unix time at which the newest run started.",
    "run_finished_seconds": "Unix time at which it ended; absent where it was killed.",
    "exit_code": "0 green, 1 red, 2 interrupted, 3 incomplete, 5 nothing selected.",
    "verdict": "1 for the word that holds: GREEN, RED or INCOMPLETE.",
    "tests": "Tests by outcome.",
    "links": "Third-party links by outcome.",
    "link_passed": "1 where all tests on a link passed.",
    "site_faults": "Faults that a site has to act on.",
    "site_downtime": "1 where a downtime of a site, or of a part of it, held when the run began.",
    "site_status": "1 for the status that holds, with hysteresis: ok, flaky, broken or unknown.",
    "site_availability": "Share of tests that passed, without the faults of others, 0 to 1.",
    "fault": "Number of tests that a fault is to blame for.",
}


def metrics(results: Results, verdict: Verdict, history: History) -> str:
    """The file as text."""
    samples: dict[str, list[_Sample]] = defaultdict(list)
    for sample in _samples(results, verdict, history):
        samples[sample[0]].append(sample)
    lines = []
    for name, found in samples.items():
        lines.append(f"# HELP datalake_{name} {_MEANINGS[name]}")
        lines.append(f"# TYPE datalake_{name} gauge")
        for _, labels, value in found:
            told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
            lines.append(
                f"datalake_{name}{{{told}}} {value:.15g}" if told else f"datalake_{name} {value:.15g}"
            )
    return "\n".join(lines) + "\n"


def _samples(results: Results, verdict: Verdict, history: History) -> Iterator[_Sample]:
    for name, moment in (
        ("run_started_seconds", verdict.started),
        ("run_finished_seconds", verdict.finished),
    ):
        try:
            yield name, {}, datetime.fromisoformat(moment).timestamp()
        except ValueError:
            continue
    yield "exit_code", {}, verdict.exit_code
    for word in ("GREEN", "RED", "INCOMPLETE"):
        yield "verdict", {"word": word}, word == verdict.word
    for name, counts in (("tests", verdict.tests), ("links", verdict.links)):
        for outcome, count in asdict(counts).items() if counts else ():
            if outcome != "planned":
                yield name, {"outcome": outcome}, count
    for (source, destination, auth), outcome in outcome_by_link(results.tests).items():
        labels = {"source": source, "destination": destination, "auth": auth}
        yield "link_passed", labels, outcome == "passed"
    for site in sorted({endpoint.site for endpoint in results.endpoints} - {""}):
        yield "site_faults", {"site": site}, sum(site in fault.sites for fault in verdict.faults)
    for site in sorted(
        {site for held in holding(results.run.downtimes, verdict.started) for site in held.sites}
    ):
        yield "site_downtime", {"site": site}, 1
    yield from _of_history(history)
    for fault in verdict.faults:
        yield "fault", {"key": fault.key, "kind": fault.kind, "sites": " ".join(fault.sites)}, fault.count


def _of_history(history: History) -> Iterator[_Sample]:
    for entry in history.sites:
        for status in ("ok", "flaky", "broken", "unknown"):
            yield "site_status", {"site": entry.name, "status": status}, status == entry.status
        for window, share in (("7d", entry.days7), ("30d", entry.days30)):
            if share is not None:
                yield "site_availability", {"site": entry.name, "window": window}, share


def _escaped(text: str) -> str:
    plain = "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text[:300])
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
