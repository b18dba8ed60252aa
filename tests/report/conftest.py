"""A made-up lake of ten sites with results as a run would write them."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.matrix.model import FAMILY
from pytest_datalake.report.rows import (
    EndpointRow,
    EndRow,
    KnownIssueRow,
    MatrixReference,
    RunRow,
    TestRow,
    UnsupportedRow,
)
from tests.report.making import STARTED, row_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_datalake.report.rows import Row

STORAGE = {
    "BALATON": [("B", "gridftp")],
    "BODENSEE": [("A", "xrootd"), ("B", "swift")],
    "COMO": [("A", "xrootd"), ("B", "xrootd")],
    "GARDA": [("A", "xrootd"), ("C", "xrootd")],
    "INARI": [("A", "apache")],
    "LADOGA": [("A", "xrootd")],
    "LEMAN": [("A", "xrootd"), ("B", "apache")],
    "OHRID": [("B", "xrootd")],
    "SAIMAA": [("A", "gridftp")],
    "VANERN": [("B", "gridftp")],
}
DOORS = {"xrootd": ("davs", "root"), "apache": ("davs",), "gridftp": ("gsiftp",), "swift": ("s3s",)}
AUTHS = {
    "davs": ("anonymous", "token-scope", "token-group", "x509-voms"),
    "root": ("anonymous", "token-scope", "token-group", "x509-voms"),
    "gsiftp": ("x509-voms",),
    "s3s": ("anonymous", "access-key"),
}
CAPABILITIES = ("access", "list", "mkdir", "rename", "ranged-read", "adler32", "authorisation")

FAMILIES: dict[str, str] = {str(protocol): family for protocol, family in FAMILY.items()}

ENDPOINTS = tuple(
    EndpointRow(
        id=f"{site}-{qos}.{door}",
        site=site,
        rse=f"{site}-{qos}",
        technology=technology,
        qos=qos,
        protocol=door,
    )
    for site, storage in STORAGE.items()
    for qos, technology in storage
    for door in DOORS[technology]
)


def link_row(
    source: EndpointRow,
    destination: EndpointRow,
    auth: str,
    *,
    test: str,
    streamed: bool,
    dice: random.Random,
) -> TestRow:
    name = f"{source.id}-to-{destination.id}-by-{auth}"
    nodeid = f"suites/transfer/test_{'streamed' if streamed else 'link'}.py::{test}[{name}]"
    return row_at(
        destination,
        auth,
        nodeid,
        run_id="r1",
        capability="transfer",
        requirement="HTTP-TPC 2.1" if destination.protocol == "davs" else "",
        seconds=round(dice.uniform(0.2, 3), 3),
        source=source.id,
        destination=destination.id,
        identity="ska",
        streamed=streamed,
        evidence={
            "bytes": 1_048_576,
            "checksum": f"adler32:{dice.getrandbits(32):08x}",
            "mode": "streamed" if streamed else dice.choice(["pull", "push"]),
            "protocol": destination.protocol,
            "auth": auth,
        },
    )


def links(dice: random.Random) -> Iterator[TestRow]:
    for source, destination in itertools.permutations(ENDPOINTS, 2):
        if source.rse == destination.rse:
            continue
        ends = {source.technology, destination.technology}
        same = FAMILIES[source.protocol] == FAMILIES[destination.protocol]
        if same and ("xrootd" in ends or ends == {"gridftp"}):
            auths = (
                ("x509-voms",)
                if source.protocol == "gsiftp"
                else ("token-scope",)
                if "swift" in ends
                else ("token-scope", "x509-voms")
            )
            for auth in auths:
                yield link_row(
                    source, destination, auth, test="test_file_arrives_intact", streamed=False, dice=dice
                )
        elif source.protocol != destination.protocol and dice.random() < 0.2:
            yield link_row(
                source, destination, "x509-voms", test="test_streamed_copy", streamed=True, dice=dice
            )


def cells(dice: random.Random) -> Iterator[TestRow]:
    for end in ENDPOINTS:
        for auth in AUTHS[end.protocol]:
            for capability in CAPABILITIES:
                if end.technology == "swift" and capability in {"mkdir", "rename", "adler32"}:
                    continue
                for number in range(4 if capability in {"access", "authorisation"} else 2):
                    test = f"test_{capability.replace('-', '_')}_{number}"
                    nodeid = f"suites/{capability}/test_{capability}.py::{test}[{end.id}-by-{auth}]"
                    yield row_at(
                        end,
                        auth,
                        nodeid,
                        run_id="r1",
                        capability=capability,
                        requirement="WLCG-JWT 1.2" if capability == "authorisation" else "",
                        seconds=round(dice.uniform(0.02, 0.5), 3),
                        cell=end.id,
                        identity="lofar",
                        evidence={"bytes": 65536, "protocol": end.protocol, "auth": auth},
                    )


ISSUE = KnownIssueRow(
    reason="the door accepts a token whose audience is another site's",
    reference="https://example.org/issues/2131",
    until="2027-06-01",
    location="site_matrix.yaml:88",
)


def break_some(row: TestRow, dice: random.Random) -> TestRow:  # noqa: PLR0911  # one a fault
    """A destination that refuses tokens, one broken link, a known issue, one lost test, an engine error."""
    if row.destination == "OHRID-B.davs" and row.auth == "token-scope" and not row.streamed:
        return replace(
            row,
            outcome="failed",
            reason=f"HTTP 403 : Permission refused for /escape/ska/r1/{dice.getrandbits(40):x}: "
            "token lacks storage.create for this path",
            details="Traceback ...\nStorageError: denied",
        )
    if (row.source, row.destination, row.auth) == ("SAIMAA-A.gsiftp", "VANERN-B.gsiftp", "x509-voms"):
        return replace(
            row, outcome="failed", reason="checksum of the copy is 00000001, of the source 5d1f09c2"
        )
    if row.source == "COMO-A.root" and row.destination == "GARDA-C.root" and row.auth == "token-scope":
        return replace(row, outcome="not-run", reason="the run ended before this test")
    if row.test == "test_authorisation_2" and row.auth == "token-group" and row.protocol == "root":
        return replace(row, outcome="known-issue", reason=ISSUE.reason, known_issue=ISSUE)
    if row.cell == "BODENSEE-B.s3s" and row.test == "test_list_0" and row.auth == "access-key":
        return replace(row, outcome="error", reason="TimeoutError: the client process did not answer in 32 s")
    if row.cell == "INARI-A.davs" and row.test == "test_rename_1" and row.auth == "token-scope":
        return replace(row, outcome="fixed", reason="a known issue passes now: remove it", known_issue=ISSUE)
    return row


def make_run(tests: list[TestRow], **changes: object) -> list[Row]:
    planned = Counter(row.capability for row in tests)
    run = RunRow(
        run_id="r1",
        started=STARTED,
        matrix=MatrixReference(path="site_matrix.yaml", digest="9f2ab4d17c60e5d8" * 4),
        versions={"pytest-datalake": "0.1.0", "gfal2": "2.21.2", "xrootd": "5.5.3"},
        endpoints=ENDPOINTS,
        planned=dict(planned),
        links=len({row.link for row in tests if row.link and not row.streamed}),
        unsupported=tuple(
            UnsupportedRow(
                capability=name, endpoint="BODENSEE-B.s3s", reason=f"BODENSEE-B does not declare {name}"
            )
            for name in ("adler32", "mkdir", "rename")
        ),
        options={"cells": "", "globs": "{}"},
        vo="escape",
        experiments=("ska", "lofar", "lhc", "lsst", "magic"),
    )
    end = EndRow(run_id="r1", finished="2026-11-22T02:07:41+00:00", exit_code=1, counts={})
    return [replace(run, **changes), *tests, end]  # type: ignore[arg-type]


def lake_tests(*, broken: bool, seed: int = 1) -> list[TestRow]:
    dice = random.Random(seed)  # noqa: S311  # made-up measurements
    tests = [*links(dice), *cells(dice)]
    return [break_some(row, dice) for row in tests] if broken else tests


@pytest.fixture
def green_run() -> list[Row]:
    return make_run(lake_tests(broken=False))


@pytest.fixture
def broken_run() -> list[Row]:
    return make_run(lake_tests(broken=True))
