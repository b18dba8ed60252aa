"""Results of a made-up lake, of any size, with the faults that lakes have: for the report's pages."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.report.results import ResultsFile
from pytest_datalake.report.rows import (
    EndpointRow,
    EndRow,
    KnownIssueRow,
    MatrixReference,
    Outcome,
    RunRow,
    TestRow,
    UnsupportedRow,
)
from tests.report.making import STARTED, row_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_datalake.report.rows import Row

RUN = "20261122t020000-5e7d1c"
PROTOCOLS = ("davs", "root", "gsiftp")
AUTHS = ("token-scope", "token-group", "x509-voms", "x509")
LAYERS = ("direct", "fts", "rule")
EXPERIMENTS = ("ska", "lofar", "lhc", "lsst", "magic")
TECHNOLOGIES = ("xrootd", "apache", "dcache", "storm", "gridftp")
CAPABILITIES = (
    "access",
    "list",
    "mkdir",
    "rename",
    "ranged-read",
    "adler32",
    "authorisation",
    "qos",
    "cache",
)
PASSED_BUT = 0.997
LOST_BUT = 0.999

ISSUE = KnownIssueRow(
    reason="partial reads end one byte early",
    reference="https://example.org/issues/2131",
    until="2026-12-10",
    location="site_matrix.yaml:88",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large a lake is: sites, and layers that its links are tested in."""

    sites: int
    layers: tuple[str, ...] = ("direct",)


SHAPES = {1_000: Shape(sites=9), 10_000: Shape(sites=28), 100_000: Shape(sites=50, layers=LAYERS)}
"""By the number of tests; links come first, tests at single endpoints fill it up."""


def write_results(path: Path, tests: int) -> None:
    """Write the results of so many tests as a run would."""
    with ResultsFile(path, fresh=True) as results:
        for row in results_of(tests):
            results.write(row)


def results_of(tests: int) -> list[Row]:
    """The rows of a run of so many tests, one of ``SHAPES``."""
    shape = SHAPES[tests]
    dice = random.Random(tests)  # noqa: S311  # made-up measurements
    endpoints = [
        EndpointRow(
            id=f"SITE{number:02}-{'AB'[number % 2]}.{protocol}",
            site=f"SITE{number:02}",
            rse=f"SITE{number:02}-{'AB'[number % 2]}",
            technology=TECHNOLOGIES[number % len(TECHNOLOGIES)],
            qos="AB"[number % 2],
            protocol=protocol,
        )
        for number in range(shape.sites)
        for protocol in PROTOCOLS
    ]
    rows = list(itertools.islice(_rows(shape, endpoints, dice), tests))
    run = RunRow(
        run_id=RUN,
        started=STARTED,
        matrix=MatrixReference(path="large_lake.yaml", digest="9f2ab4d17c60e5d8"),
        versions={"pytest-datalake": "0.1.0"},
        endpoints=tuple(endpoints),
        planned=dict(Counter(row.capability for row in rows)),
        links=len({row.link for row in rows if row.link}),
        unsupported=(UnsupportedRow(capability="qos", endpoint=endpoints[0].id, reason="disk only"),),
        vo="escape",
        experiments=EXPERIMENTS,
    )
    return [run, *rows, EndRow(run_id=RUN, finished="2026-11-22T05:41:12+00:00", exit_code=1)]


def _rows(shape: Shape, endpoints: list[EndpointRow], dice: random.Random) -> Iterator[TestRow]:
    for layer, protocol, auth in itertools.product(shape.layers, PROTOCOLS, AUTHS):
        doors = [end for end in endpoints if end.protocol == protocol]
        for source, destination in itertools.permutations(doors, 2):
            yield _link(source, destination, auth, layer, dice)
    for number in itertools.count():
        for capability, end, auth in itertools.product(CAPABILITIES, endpoints, AUTHS):
            yield _cell(end, auth, capability, number, dice)


def _link(
    source: EndpointRow, destination: EndpointRow, auth: str, layer: str, dice: random.Random
) -> TestRow:
    outcome, reason = _link_outcome(source, destination, auth, layer, dice)
    name = f"{source.id}-to-{destination.id}-by-{auth}"
    nodeid = f"suites/transfer/test_{layer}.py::test_file_arrives_intact[{name}]"
    file = f"escape/ska/pytest-datalake/{RUN}/{dice.getrandbits(64):016x}/arrived"
    urls = [f"{end.protocol}://{end.site.lower()}.example.org:1094/{file}" for end in (source, destination)]
    evidence = {
        "protocol": destination.protocol,
        "auth": auth,
        "source_url": urls[0],
        "destination_url": urls[1],
    }
    if outcome == "passed":
        evidence |= {"bytes": 1_048_576, "mode": "pull", "checksum": f"adler32:{dice.getrandbits(32):08x}"}  # type: ignore[dict-item]
    return row_at(
        destination,
        auth,
        nodeid,
        run_id=RUN,
        capability="transfer",
        requirement="wlcg-tpc-1.0" if destination.protocol == "davs" else "",
        layer=layer,
        outcome=outcome,
        reason=f"copy {urls[0]} -> {urls[1]}: {reason}" if reason else "",
        details=f"E   StorageError: {reason} {dice.getrandbits(160):040x}" if outcome == "failed" else "",
        seconds=round(dice.lognormvariate(0.5, 0.8), 3),
        source=source.id,
        destination=destination.id,
        identity=dice.choice(EXPERIMENTS),
        evidence=evidence,
        reproduce=f"gfal-copy --copy-mode pull '{urls[0]}' '{urls[1]}'  # or: pytest '{nodeid}'",
    )


def _link_outcome(
    source: EndpointRow, destination: EndpointRow, auth: str, layer: str, dice: random.Random
) -> tuple[Outcome, str]:
    """A site that is down, one that refuses tokens, one that is full, flaky links, lost tests."""
    if "SITE07" in {source.site, destination.site}:
        return "failed", "Connection refused (ECONNREFUSED)"
    if destination.site == "SITE03" and auth.startswith("token") and destination.protocol == "davs":
        return "failed", "Copy failed (3rd pull). Last attempt: HTTP 403 : permission refused (EACCES)"
    if destination.site == "SITE05" and layer != "direct":
        return "failed", "HTTP 507 : Insufficient Storage (ENOSPC)"
    if dice.random() > PASSED_BUT:
        return "failed", "Connection reset by peer (ECONNRESET)"
    if dice.random() > LOST_BUT:
        return "not-run", "the run ended before this test"
    return "passed", ""


def _cell(end: EndpointRow, auth: str, capability: str, number: int, dice: random.Random) -> TestRow:
    test = f"test_{capability.replace('-', '_')}_{number}"
    nodeid = f"suites/{capability}/test_{capability}.py::{test}[{end.id}-by-{auth}]"
    outcome: Outcome = "passed"
    reason, issue = "", None
    if end.site == "SITE07":
        outcome, reason = (
            "failed",
            f"stat {end.protocol}://site07.example.org/x: Connection refused (ECONNREFUSED)",
        )
    elif capability == "ranged-read" and end.technology == "gridftp":
        outcome, reason, issue = "known-issue", ISSUE.reason, ISSUE
    elif dice.random() > PASSED_BUT:
        outcome, reason = "error", "EngineError: the client process did not answer in 32 s"
    return row_at(
        end,
        auth,
        nodeid,
        run_id=RUN,
        capability=capability,
        requirement="wlcg-token-1.2" if capability == "authorisation" else "",
        outcome=outcome,
        reason=reason,
        known_issue=issue,
        seconds=round(dice.uniform(0.02, 0.5), 3),
        cell=end.id,
        identity=dice.choice(EXPERIMENTS),
        evidence={"bytes": 65536, "protocol": end.protocol, "auth": auth},
    )
