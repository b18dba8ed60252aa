"""Doors that let the wrong people in, or must not let somebody in any more, turn red."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import LakeOf

AREAS = "suites/authorisation/test_areas.py"
MEMBER_WORKS = f"{AREAS}::test_member_writes_reads_and_removes_in_the_own_area"
CREDENTIALS = "suites/authorisation/test_credentials.py"


def test_area_open_to_another_group_turns_red(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="xrootd", LEMAN="xrootd")
    for group, area in (("ska", "lofar"), ("lofar", "ska")):
        own = f"g /escape/{group} /escape/{group} a\n"
        lake.edit("LEMAN-A", "authdb", own, f"g /escape/{group} /escape/{group} a /escape/{area} a\n")
    lake.restart("LEMAN-A")
    trespasses = ("test_other_experiments_file_is_not_read", "test_other_experiments_file_is_not_removed")
    verdict = lake.run(*(f"{AREAS}::{name}" for name in trespasses), MEMBER_WORKS, "--protocol", "davs")
    # a storage scope of a token opens what it names, whatever groups may do
    verdict.is_red(
        lambda row: row.touches("LEMAN-A") and row.test in trespasses and row.auth != "token-scope",
        red=4,
        green=14,
        because="was done; it should have been refused",
    )


def test_area_closed_to_its_own_group_turns_red(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="xrootd", LEMAN="xrootd")
    lake.edit("LEMAN-A", "authdb", "g /escape/ska /escape/ska a\n", "")
    lake.restart("LEMAN-A")
    trespasses = [f"test_other_experiments_file_is_not_{done}" for done in ("read", "renamed", "removed")]
    verdict = lake.run(*(f"{AREAS}::{name}" for name in trespasses), MEMBER_WORKS)
    # one cell of LEMAN's is tested by ska; at the others lofar looks for the file that ska is to put there
    by_ska = ("LEMAN-A.root", "token-group")
    verdict.is_red(
        lambda row: (
            row.touches("LEMAN-A")
            and row.auth != "token-scope"
            and (row.test in trespasses) is ((row.where, row.auth) != by_ska)
        ),
        red=10,
        green=38,
        because="permission denied|permission refused",
    )
    assert {row.identity for row in verdict.rows if row.outcome == "failed"} == {"ska"}
    assert list(verdict.faults.values()) == ["LEMAN refuses access for ska where rights come with groups"]


def test_door_that_takes_expired_tokens_turns_red(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="apache", LEMAN="apache")
    checks = {
        "lua/apache_door.lua": (
            'if not r.user then return apache2.AUTHZ_DENIED_NO_USER end\n    who = "bearer " .. r.user',
            'who = "bearer"',
        ),
        "lua/apache_token.lua": (
            'or now >= claim.exp then return "expired" end',
            'then return "expired" end',
        ),
    }
    for name, (check, nothing) in checks.items():
        lake.edit("LEMAN-A", name, check, nothing)
    lake.restart("LEMAN-A")
    tests = ("test_expired_token_is_refused", "test_token_for_another_audience_is_refused")
    verdict = lake.run(*(f"{CREDENTIALS}::{name}" for name in tests))
    verdict.is_red(
        lambda row: row.touches("LEMAN-A") and row.test == "test_expired_token_is_refused",
        red=2,
        green=6,
        because="was done; it should have been refused",
    )


def test_door_that_takes_revoked_certificates_turns_red(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="apache", LEMAN="apache")
    lake.edit("LEMAN-A", "httpd.conf", "SSLCARevocationCheck chain", "SSLCARevocationCheck none")
    lake.restart("LEMAN-A")
    verdict = lake.run(f"{CREDENTIALS}::test_revoked_certificate_is_refused")
    verdict.is_red(
        lambda row: row.touches("LEMAN-A"),
        red=1,
        green=1,
        because="was done; it should have been refused as denied",
    )


def test_revoked_user_turns_red_where_certificates_count(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="gridftp", GARDA="gridftp", LEMAN="apache")
    lake.revoke("ska")
    lake.restart("LEMAN-A")
    verdict = lake.run(MEMBER_WORKS, "--vo", "ska")
    verdict.is_red(
        lambda row: row.auth.startswith("x509"),
        red=3,
        green=2,
        because="certificate revoked|530-globus_xio: Authentication Error",
    )
