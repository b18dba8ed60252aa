"""The right faults are named, and the innocent are not."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_datalake.report.blame.attribution import blame
from pytest_datalake.report.rows import EndpointRow, KnownIssueRow, TestRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_datalake.report.blame.fault import Fault
    from pytest_datalake.report.rows import Outcome, Row

INFERRED = {"place", "link", "service", "test"}
REFUSED = "copy davs://a -> davs://b: TRANSFER ERROR: HTTP 403 : Permission refused"


class Copy(NamedTuple):
    source: EndpointRow
    destination: EndpointRow
    auth: str


def only_tests(rows: Iterable[Row]) -> list[TestRow]:
    return [row for row in rows if isinstance(row, TestRow)]


def lake(sites: int, protocols: tuple[str, ...] = ("davs", "root")) -> list[EndpointRow]:
    return [
        EndpointRow(
            id=f"S{number}-A.{protocol}",
            site=f"S{number}",
            rse=f"S{number}-A",
            technology="xrootd",
            qos="A",
            protocol=protocol,
        )
        for number in range(sites)
        for protocol in protocols
    ]


def copies(
    endpoints: list[EndpointRow],
    fails: Callable[[Copy], bool],
    reason: str = "failed",
) -> list[TestRow]:
    return [
        TestRow(
            run_id="r",
            nodeid=f"{source.id} {destination.id} {auth}",
            test="test_arrives",
            capability="transfer",
            layer="direct",
            outcome="failed" if fails(Copy(source, destination, auth)) else "passed",
            reason=reason,
            source=source.id,
            destination=destination.id,
            site=destination.site,
            auth=auth,
            identity=("ska", "lofar")[number // 2 % 2],
            evidence={
                "source_url": f"davs://{source.id}:1/x",
                "destination_url": f"davs://{destination.id}:1/x",
            },
        )
        for number, (source, destination, auth) in enumerate(
            (source, destination, auth)
            for source in endpoints
            for destination in endpoints
            for auth in ("token-scope", "x509-voms")
            if source.protocol == destination.protocol and source.site != destination.site
        )
    ]


def inferred(faults: Iterable[Fault]) -> list[str]:
    return [fault.where for fault in faults if fault.kind in INFERRED]


def test_the_faults_that_were_made_are_found(broken_run: list[Row]) -> None:
    faults = blame(only_tests(broken_run), broken_run[0].endpoints)  # type: ignore[union-attr]
    assert [(fault.kind, fault.where) for fault in faults] == [
        ("place", "OHRID over davs as destination with tokens"),
        ("single", "SAIMAA-A.gsiftp → VANERN-B.gsiftp"),
        ("matrix", "the matrix"),
        ("engine", "the test run"),
        ("not-run", "the test run"),
    ]
    (ohrid, saimaa, *_) = faults
    assert ohrid.sentence == "OHRID refuses tokens as destination over davs"
    assert (ohrid.count, ohrid.of, ohrid.confidence, ohrid.sites) == (10, 10, "certain", ("OHRID",))
    assert "the same with X.509 work: 9 of 9" in ohrid.contrast
    assert saimaa.sites == ("SAIMAA", "VANERN")


def test_a_dead_source_is_not_its_destinations_fault(green_run: list[Row]) -> None:
    tests = [
        replace(row, outcome="failed", reason="connection reset")
        if row.source == "GARDA-A.root" and not row.streamed
        else row
        for row in only_tests(green_run)
    ]
    (fault,) = blame(tests, green_run[0].endpoints)  # type: ignore[union-attr]
    assert fault.where.startswith("GARDA-A.root as source")
    assert fault.sites == ("GARDA",)


def test_a_dead_site_is_one_fault_and_not_its_partners(green_run: list[Row]) -> None:
    def touches(row: TestRow) -> bool:
        return any(end.startswith("INARI-") for end in (row.source, row.destination, row.cell))

    tests = [
        replace(row, outcome="failed", reason="Connection refused") if touches(row) else row
        for row in only_tests(green_run)
    ]
    (fault,) = blame(tests, green_run[0].endpoints)  # type: ignore[union-attr]
    assert (fault.where, fault.sentence) == ("INARI", "INARI cannot be reached")
    assert fault.count == sum(map(touches, tests))


def test_everything_red_is_one_central_fault(green_run: list[Row]) -> None:
    tests = [replace(row, outcome="failed", reason="no token") for row in only_tests(green_run)]
    (fault,) = blame(tests, green_run[0].endpoints)  # type: ignore[union-attr]
    assert (fault.kind, fault.sites, fault.count) == ("service", (), len(tests))
    assert fault.sentence.startswith("everything fails")


def test_all_tokens_red_is_the_issuers_fault(green_run: list[Row]) -> None:
    tests = [
        replace(row, outcome="failed", reason="HTTP 401") if row.auth.startswith("token-") else row
        for row in only_tests(green_run)
    ]
    (fault,) = blame(tests, green_run[0].endpoints)  # type: ignore[union-attr]
    assert (fault.kind, fault.key) == ("service", "lake:family=tokens")
    assert "X.509" in fault.contrast


@pytest.mark.parametrize("sites", [4, 6, 10])
def test_three_faults_at_once(sites: int) -> None:
    def fails(copy: Copy) -> bool:
        source, destination, auth = copy
        return (
            (destination.site == "S0" and auth == "token-scope")
            or (source.site == "S1" and source.protocol == "root")
            or (source.site, destination.site) == ("S2", "S3")
        )

    endpoints = lake(sites)
    assert set(inferred(blame(copies(endpoints, fails, REFUSED), endpoints))) == {
        "S0 as destination with tokens",
        "S1 over root as source",
        "S2 → S3",
    }


def test_one_failure_is_nobodys_fault() -> None:
    endpoints = lake(6)
    tests = copies(endpoints, lambda _copy: False)
    tests[7] = replace(tests[7], outcome="failed", reason="connection reset")
    (fault,) = blame(tests, endpoints)
    assert (fault.kind, fault.confidence, fault.count) == ("single", "", 1)
    assert len(fault.sites) == 2


def test_two_sites_cannot_be_told_apart() -> None:
    endpoints = lake(2)
    tests = copies(endpoints, lambda copy: copy.source.site == "S0")
    (fault,) = blame(tests, endpoints)
    assert fault.confidence == "ambiguous"
    assert {fault.where, *fault.alternatives} >= {"S0 as source", "S1 as destination"}
    assert "ambiguous: or " in fault.line


@pytest.mark.parametrize(("end", "named"), [("SOURCE", "S0 as source"), ("DESTINATION", "S1 as destination")])
def test_error_texts_decide_what_the_pattern_leaves_open(end: str, named: str) -> None:
    endpoints = lake(2)
    reason = f"copy davs://a -> davs://b: {end} [13] permission denied"
    (fault,) = blame(copies(endpoints, lambda copy: copy.source.site == "S0", reason), endpoints)
    assert (fault.where, fault.confidence) == (named, "likely")
    assert any("error texts decide" in line for line in fault.evidence)


def test_error_texts_that_disagree_are_told() -> None:
    endpoints = lake(6)
    reason = "copy davs://a -> davs://b: SOURCE [13] permission denied"
    tests = copies(endpoints, lambda copy: copy.destination.site == "S0", reason)
    (fault,) = blame(tests, endpoints)
    assert fault.where == "S0 as destination"
    assert fault.disagreement.startswith("20 of 20 error texts blame another: S")


def test_a_full_destination_is_told_though_the_text_says_transfer() -> None:
    endpoints = lake(6)
    reason = "copy davs://a -> davs://b: TRANSFER ERROR: Copy failed (3rd pull). Last attempt: HTTP 507"
    tests = copies(endpoints, lambda copy: copy.destination.site == "S0", reason)
    (fault,) = blame(tests, endpoints)
    assert fault.sentence == "S0 has no space left as destination"
    assert not fault.disagreement
    assert any("20 of 20 answers point" in line for line in fault.evidence)


def test_a_group_that_is_refused_at_one_place() -> None:
    endpoints = lake(8)
    tests = copies(endpoints, lambda _copy: False)
    tests = [
        replace(row, outcome="failed", reason=REFUSED)
        if row.identity == "ska" and row.destination.startswith("S3")
        else row
        for row in tests
    ]
    assert inferred(blame(tests, endpoints)) == ["S3 as destination for ska"]


def cells(endpoints: list[EndpointRow], fails: Callable[[int, str], bool], *, once: int = 0) -> list[TestRow]:
    """Sixty tests at every endpoint, and others that ran at one alone."""
    every = [(number, end) for number in range(60) for end in endpoints]
    alone = [(60 + number, endpoints[number % len(endpoints)]) for number in range(once)]
    return [
        TestRow(
            run_id="r",
            nodeid=f"{number} {end.id}",
            test=f"test_{number}",
            capability="access",
            layer="direct",
            outcome="failed" if fails(number, end.id) else "passed",
            reason="wrong",
            cell=end.id,
            site=end.site,
            auth="token-scope",
        )
        for number, end in (*every, *alone)
    ]


def test_what_fails_wherever_it_runs_is_certain_tests_and_not_the_lake() -> None:
    endpoints = lake(4, ("davs",))
    faults = blame(cells(endpoints, lambda number, _end: number % 7 == 0, once=60), endpoints)
    assert {fault.kind for fault in faults} == {"test", "single"}
    assert sum(fault.count for fault in faults if fault.kind == "test") == 9 * 4


def test_a_lake_that_fails_now_and_then_is_one_central_fault() -> None:
    endpoints, dice = lake(4), random.Random(4)  # noqa: S311  # simulation
    fault = blame(cells(endpoints, lambda _number, _end: dice.random() < 0.2, once=60), endpoints)[0]
    assert fault.kind == "service"


def test_a_refusal_that_came_does_not_show_that_a_place_works() -> None:
    endpoints = lake(6)
    tests = copies(endpoints, lambda copy: "S0" in {copy.source.site, copy.destination.site})
    refused = [
        replace(
            row,
            nodeid=f"{row.nodeid} refused",
            test="test_refused",
            outcome="passed",
            evidence={"refusal": "x"},
        )
        for row in tests
    ]
    assert inferred(blame([*tests, *refused], endpoints)) == ["S0"]


def test_known_issues_and_errors_are_nobodys_fault(green_run: list[Row]) -> None:
    issue = KnownIssueRow(reason="slow", until="2026-01-01", location="site_matrix.yaml:3")
    outcomes: list[Outcome] = ["known-issue", "error", "not-run", "fixed", "failed"]
    tests = [
        replace(row, outcome=outcomes[number % 5], known_issue=issue if number % 5 in {0, 3, 4} else None)
        if row.destination == "COMO-A.davs"
        else row
        for number, row in enumerate(only_tests(green_run))
    ]
    faults = blame(tests, green_run[0].endpoints)  # type: ignore[union-attr]
    assert {fault.kind for fault in faults} == {"matrix", "engine", "not-run"}
    assert not any(fault.sites for fault in faults)


def test_a_lake_of_sixty_six_sites_takes_seconds() -> None:
    dice = random.Random(1)  # noqa: S311  # made-up noise
    endpoints = lake(66)
    tests = copies(endpoints, lambda copy: copy.destination.site == "S7" or dice.random() < 0.01)
    started = time.perf_counter()
    found = inferred(blame(tests, endpoints))
    assert time.perf_counter() - started < 60
    assert found == ["S7 as destination"]


def test_scattered_failures_end(green_run: list[Row]) -> None:
    tests = [
        replace(row, nodeid=f"{row.nodeid}-{copy}", outcome="failed" if (position + copy) % 3 else "passed")
        for copy in range(6)
        for position, row in enumerate(only_tests(green_run))
    ]
    faults = blame(tests, ())
    assert sum(fault.count for fault in faults) == sum(row.outcome == "failed" for row in tests)


ids = st.sampled_from(["", "A-A.davs", "B-A.davs", "B-A.root", "C-B.davs", "odd"])
rows = st.builds(
    lambda number, outcome, source, destination, cell, auth, reason: TestRow(
        run_id="r",
        nodeid=str(number),
        outcome=outcome,
        source=source,
        destination=destination,
        cell=cell,
        auth=auth,
        reason=reason,
        capability="transfer",
    ),
    st.integers(0, 99),
    st.sampled_from(["passed", "failed", "error", "known-issue", "fixed", "not-run"]),
    ids,
    ids,
    ids,
    st.sampled_from(["", "token-scope", "x509-voms", "access-key"]),
    st.sampled_from(["", "SOURCE [13] no", "copy a://b -> c://d: HTTP 507", "put davs://x:1/y: reset"])
    | st.text(),
)


@given(tests=st.lists(rows, max_size=40))
def test_every_result_that_is_not_green_is_attributed_once(tests: list[TestRow]) -> None:
    faults = blame(tests, ())
    attributed = [position for fault in faults for position in fault.tests]
    bad = [
        position
        for position, row in enumerate(tests)
        if row.outcome in {"failed", "error", "fixed", "not-run"}
    ]
    assert sorted(attributed) == bad
    for fault in faults:
        assert fault.count == len(fault.tests)
        assert fault.of >= fault.count
        assert fault.sentence
        assert fault.line
    assert len({fault.key for fault in faults}) == len(faults)


@given(tests=st.lists(rows, max_size=30), dice=st.randoms(use_true_random=False))
def test_the_order_of_results_does_not_matter(tests: list[TestRow], dice: random.Random) -> None:
    mixed = tests.copy()
    dice.shuffle(mixed)
    assert {fault.key for fault in blame(tests, ())} == {fault.key for fault in blame(mixed, ())}


@settings(max_examples=40)
@given(
    sites=st.integers(5, 9),
    site=st.integers(0, 4),
    role=st.sampled_from(["source", "destination", "any"]),
    auth=st.sampled_from(["", "token-scope", "x509-voms"]),
    protocol=st.sampled_from(["", "davs", "root"]),
)
def test_any_hard_fault_of_a_place_is_named_alone(
    sites: int, site: int, role: str, auth: str, protocol: str
) -> None:
    def fails(copy: Copy) -> bool:
        source, destination, used = copy
        ends = {"source": {source.site}, "destination": {destination.site}}.get(
            role, {source.site, destination.site}
        )
        return f"S{site}" in ends and auth in {"", used} and protocol in {"", source.protocol}

    endpoints = lake(sites)
    (fault,) = blame(copies(endpoints, fails), endpoints)
    assert fault.sites == (f"S{site}",)
    assert (f"as {role}" in fault.where) == (role != "any")
    assert ("with" in fault.where) == bool(auth)
    assert ("over" in fault.where) == bool(protocol)
