"""``monitoring.json``: documents for collectors such as CERN's MONIT: the run, each site, link and fault.

What MONIT asks for (https://monit-docs.web.cern.ch/metrics/http/): flat JSON objects with the strings
``producer`` and ``type``, a ``type_prefix`` of ``raw``, ``agg`` or ``enr``, an ``_id``, and a ``timestamp``
in whole milliseconds, UTC. Documents of one type all have the same keys.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_datalake.errors import EngineError, UsageError
from pytest_datalake.report.downtimes import holding
from pytest_datalake.report.reasons import cause
from pytest_datalake.report.verdict import outcome_by_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_datalake.report.history.facts import History
    from pytest_datalake.report.reading import Results
    from pytest_datalake.report.rows import Outcome
    from pytest_datalake.report.verdict import Verdict

PRODUCER = "datalake"
_SECONDS = 30

_STATUS: dict[Outcome, str] = {
    "passed": "ok",
    "known-issue": "warning",
    "downtime": "downtime",
    "fixed": "warning",
    "failed": "error",
    "error": "unknown",
    "not-run": "unknown",
}
_OF_HISTORY = {"ok": "ok", "flaky": "warning", "broken": "error", "unknown": "unknown"}
_OF_WORD = {"GREEN": "ok", "RED": "error", "INCOMPLETE": "unknown"}


def documents(
    results: Results, verdict: Verdict, history: History, producer: str = PRODUCER
) -> list[dict[str, Any]]:
    """The documents; their ``status`` is ``ok``, ``warning``, ``error``, ``downtime`` or ``unknown``."""
    run = results.run
    common = {
        "producer": producer,
        "type_prefix": "raw",
        "timestamp": _milliseconds(verdict.finished or verdict.started),
        "run_id": run.run_id,
        "vo": run.vo,
    }
    return [
        {**common, "type": f"datalake_{kind}", "_id": f"{run.run_id}:{kind}:{name}", "name": name, **rest}
        for kind, name, rest in _contents(results, verdict, history)
    ]


def post(found: list[dict[str, Any]], url: str, *, user: str = "", password: str = "") -> None:
    """Send documents as one JSON list.

    Args:
        found: the documents.
        url: of the collector, without credentials in it.
        user: for HTTP basic authentication; empty: none.
        password: of that user.

    Raises:
        UsageError: the address is none, or holds a password.
        EngineError: the collector did not take them.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"cannot post to {parts.scheme}://{parts.hostname or ''}: not an http(s) address")
    if parts.password or parts.username:
        raise UsageError(f"the address of {parts.hostname} holds credentials; put them into the environment")
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    if user:
        headers["Authorization"] = "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")
    request = urllib.request.Request(  # noqa: S310  # http or https, see above
        url, data=json.dumps(found).encode("ascii"), headers=headers, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310  # as above
            return
    except (OSError, urllib.error.URLError) as error:
        why = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else str(error)
        raise EngineError(
            f"the collector at {parts.hostname} did not take {len(found)} documents: {why}. "
            "The report itself is written."
        ) from error


def _contents(
    results: Results, verdict: Verdict, history: History
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Kind, name and further fields of each document."""
    run = results.run
    yield (
        "run",
        "run",
        {
            "status": _OF_WORD[verdict.word],
            "word": verdict.word,
            "exit_code": verdict.exit_code,
            "tests": verdict.tests.planned,
            "tests_passed": verdict.tests.passed,
            "tests_in_downtime": verdict.tests.downtime,
            "links": verdict.links.planned if verdict.links else 0,
            "links_passed": verdict.links.passed if verdict.links else 0,
            "faults": len(verdict.faults),
            "detail": verdict.lines[-1],
        },
    )
    down = {site for held in holding(run.downtimes, run.started) for site in held.sites}
    for entry in history.sites:
        own = [fault.sentence for fault in verdict.faults if entry.name in fault.sites]
        yield (
            "site",
            entry.name,
            {
                "status": _OF_HISTORY[entry.status],
                "availability_7d": entry.days7,
                "availability_30d": entry.days30,
                "downtime": entry.name in down,
                "faults": len(own),
                "detail": "; ".join(own),
            },
        )
    site_of = {endpoint.id: endpoint.site for endpoint in results.endpoints}
    for (source, destination, auth), outcome in outcome_by_link(results.tests).items():
        yield (
            "link",
            f"{source}___{destination}___{auth}",
            {
                "status": _STATUS[outcome],
                "src_endpoint": source,
                "dst_endpoint": destination,
                "src_site": site_of.get(source, ""),
                "dst_site": site_of.get(destination, ""),
                "auth": auth,
                "outcome": outcome,
            },
        )
    for fault in verdict.faults:
        yield (
            "fault",
            fault.key,
            {
                "status": "error" if fault.outcome in {"failed", "fixed"} else "unknown",
                "kind": fault.kind,
                "confidence": fault.confidence,
                "sites": " ".join(fault.sites),
                "tests": fault.of,
                "tests_failed": fault.count,
                "since": history.faults.get(fault.key, ""),
                "detail": f"{fault.sentence}: {cause(fault.reason)}",
            },
        )


def _milliseconds(moment: str) -> int:
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return 0
    parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    return int(parsed.timestamp()) * 1000
