"""What the answers of services say, and how faults are put into words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.report.blame.attribution import blame
from pytest_datalake.report.blame.contrast import listed
from pytest_datalake.report.blame.texts import accused
from pytest_datalake.report.rows import TestRow
from tests.report.test_blame import copies, lake, only_tests

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_datalake.report.rows import EndpointRow, Row


def test_what_works_beside_it_is_listed_as_one_writes_it() -> None:
    names = ["lhc", "lofar", "magic", "ska"]
    assert [listed(names[:count]) for count in range(5)] == [
        "",
        "lhc",
        "lhc and lofar",
        "lhc, lofar and magic",
        "lhc, lofar, magic and 1 more",
    ]


def test_a_service_in_trouble_is_told_apart_from_the_tests_own_errors(green_run: list[Row]) -> None:
    tests = only_tests(green_run)
    down = "ServiceError: the transfer manager https://fts:8446 did not answer GET /whoami"
    for number in (3, 5, 8):
        tests[number] = replace(tests[number], outcome="error", reason=down)
    tests[9] = replace(tests[9], outcome="error", reason="EngineError: no broker")
    service, engine = blame(tests, [])
    assert (service.kind, service.count, service.sites) == ("service", 3, ())
    assert service.sentence.startswith("a central service is in trouble: the transfer manager ")
    assert (engine.kind, engine.count) == ("engine", 1)


def test_thin_evidence_is_gathered_by_what_the_texts_blame() -> None:
    endpoints = lake(8)
    tests = copies(endpoints, lambda _copy: False)
    text = "copy davs://a -> davs://b: Copy failed (3rd pull). Remote side failed with status code 403"
    for number, row in enumerate(tests):
        if row.source == "S1-A.davs" and row.destination in {"S3-A.davs", "S6-A.davs"} and number % 2:
            tests[number] = replace(row, outcome="failed", reason=text)
    (fault,) = blame(tests, endpoints)
    assert (fault.kind, fault.where, fault.sites, fault.count) == ("single", "S1-A.davs", ("S1",), 2)
    assert (fault.sentence, fault.of) == ("S1-A.davs refuses access in single copies", 28)
    assert "only their answers tell" in fault.evidence[0]


@pytest.mark.parametrize(
    ("reason", "blamed"),
    [
        ("the copy was neither done nor refused: HTTP 400: Request unknown", "S1-A.davs"),
        (
            "at the destination is 0 bytes, not nothing, though the active end said '403 forbidden'",
            "S3-A.davs",
        ),
    ],
)
def test_a_case_of_a_copy_blames_who_answered_or_who_kept_the_file(reason: str, blamed: str) -> None:
    row = TestRow(
        run_id="r",
        nodeid="t",
        source="S1-A.davs",
        destination="S3-A.davs",
        evidence={"mode": "push"},
        reason=reason,
    )
    assert accused(row) == blamed


def test_a_copy_that_should_have_been_refused_blames_the_end_that_let_it_be() -> None:
    said = "was done; it should have been refused as denied (copy root://a//ska/x -> root://b//lofar/y)"
    row = TestRow(run_id="r", nodeid="t", source="A.root", destination="B.root", reason=said)
    assert accused(replace(row, evidence={"granted_by": "A.root"})) == "A.root"


def test_each_case_of_a_table_is_a_test_of_its_own() -> None:
    endpoints = lake(6)
    doors = [one.id for one in endpoints]
    tests = [
        TestRow(
            run_id="r",
            nodeid=f"{case} {door}",
            test="test_case",
            requirement=case,
            clause="RFC",
            cell=door,
            site=door.partition("-")[0],
            auth="token-scope",
            capability="authorisation",
            outcome="failed" if case == "path-prefix" else "passed",
            reason="was done; it should have been refused (HTTP 200)" if case == "path-prefix" else "",
        )
        for door in doors
        for case in ("path-prefix", "expired", "audience", "version")
    ]
    (fault,) = blame(tests, endpoints)
    assert "“path-prefix”" in fault.sentence
    assert fault.count == fault.of == len(doors)


def at_doors(
    endpoints: list[EndpointRow],
    fails: Callable[[TestRow], bool],
    *,
    auths: tuple[str, ...] = ("token-scope",),
    identities: tuple[str, ...] = ("ska",),
) -> list[TestRow]:
    """Four tests at every door by every auth as every identity."""
    rows = [
        TestRow(
            run_id="r",
            nodeid=f"{test} {door.id} {auth} {identity}",
            test=test,
            cell=door.id,
            site=door.site,
            protocol=door.protocol,
            auth=auth,
            identity=identity,
            capability="access",
            outcome="passed",
        )
        for door in endpoints
        for auth in auths
        for identity in identities
        for test in ("test_rename", "test_read", "test_list", "test_remove")
    ]
    return [replace(row, outcome="failed", reason="HTTP 403") if fails(row) else row for row in rows]


def test_rules_for_groups_that_are_wrong_at_one_place_are_one_fault() -> None:
    def fails(row: TestRow) -> bool:
        return row.site == "S1" and row.identity == "ska" and row.auth in {"token-group", "x509-voms"}

    endpoints, auths = lake(4), ("token-scope", "token-group", "x509-voms", "x509")
    (fault,) = blame(at_doors(endpoints, fails, auths=auths, identities=("ska", "lofar")), endpoints)
    assert fault.sentence == "S1 refuses access for ska where rights come with groups"
    assert "the same with token-scope and x509 work: 16 of 16" in fault.contrast


def test_what_a_fixture_did_by_another_credential_counts_as_that() -> None:
    def fails(row: TestRow) -> bool:
        return row.site == "S1" and row.auth != "token-scope"

    endpoints, auths = lake(4), ("token-scope", "x509-voms", "anonymous")
    tests = [
        replace(row, evidence={"failed_auth": "x509-voms"}) if fails(row) else row
        for row in at_doors(endpoints, fails, auths=auths)
    ]
    (fault,) = blame(tests, endpoints)
    assert fault.sentence == "S1 refuses X.509"


def test_a_test_that_fails_over_one_protocol_is_not_told_as_if_all_failed_there() -> None:
    endpoints = lake(6)
    tests = at_doors(endpoints, lambda row: row.test == "test_rename" and row.protocol == "root")
    (fault,) = blame(tests, endpoints)
    assert fault.sentence == "the test “rename” fails at all storage over root"


def test_thin_evidence_of_several_sorts_is_one_fault() -> None:
    endpoints = lake(8)
    tests = copies(endpoints, lambda _copy: False)
    refused, late = "SOURCE HTTP 403", "SOURCE timed out"
    answers = {"S3-A.davs": refused, "S4-A.davs": refused, "S6-A.davs": late}
    for number, row in enumerate(tests):
        if row.source == "S1-A.davs" and row.auth == "x509-voms" and row.destination in answers:
            tests[number] = replace(row, outcome="failed", reason=answers[row.destination])
    faults = [fault for fault in blame(tests, endpoints) if fault.kind == "single"]
    assert len({fault.key for fault in faults}) == len(faults)
    assert sum(fault.count for fault in blame(tests, endpoints)) == 3


def test_a_rule_that_is_stuck_names_the_end_of_its_transfer() -> None:
    row = TestRow(run_id="r", nodeid="n", source="A.davs", destination="B.davs", auth="token-scope")
    for end, named in (("SOURCE", "A.davs"), ("DESTINATION", "B.davs"), ("TRANSFER", "")):
        for wrapping in ("", "RequestErrMsg.TRANSFER_FAILED:"):
            said = f"rule 4d3c is STUCK: {wrapping}{end} [13] Permission refused"
            assert accused(replace(row, reason=said)) == named
