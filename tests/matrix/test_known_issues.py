"""Which entries cover which test, which failures they excuse, and until when."""

from __future__ import annotations

from datetime import date

import pytest

from pytest_datalake.matrix.known_issues import covering, excusing, expired
from pytest_datalake.matrix.model import Cell, Endpoint, KnownIssue, Link

STORE = Endpoint(
    id="S-B.s3s", site="S", rse="S-B", technology="swift", qos="B", protocol="s3s", auth=("access-key",)
)
DISK = Endpoint(
    id="D-A.davs", site="D", rse="D-A", technology="xrootd", qos="A", protocol="davs", auth=("token-scope",)
)
LINK = Link(source=STORE, destination=DISK, auth="token-scope", declared_modes=("pull",))
CELL = Cell(endpoint=DISK, auth="token-scope")


def issue(
    capability: str = "", requirement: str = "", until: str = "", symptom: str = "", **match: str
) -> KnownIssue:
    return KnownIssue(
        match=tuple(match.items()),
        capability=capability,
        requirement=requirement,
        reason="r",
        reference="https://example.org",
        until=until,
        symptom=symptom,
    )


@pytest.mark.parametrize(
    ("entry", "on_cell", "on_link"),
    [
        (issue(site="D"), True, True),
        (issue(site="S"), False, True),
        (issue(technology="x*", qos="A"), True, True),
        (issue(technology="swift", rse="D-*"), False, True),
        (issue(source_site="S", destination_site="D"), False, True),
        (issue(source_site="D"), False, False),
        (issue(auth="token-scope"), True, True),
        (issue(auth="access-key"), False, False),
        (issue(source_auth="access-key", destination_auth="token-*"), False, True),
        (issue(destination_protocol="s3s"), False, False),
        (issue(site="d"), False, False),
        (issue(site="D", capability="trans*"), True, True),
        (issue(site="D", capability="access"), False, False),
        (issue(requirement="wlcg-4.?"), True, True),
        (issue(requirement="wlcg"), False, False),
    ],
)
def test_what_an_entry_covers(entry: KnownIssue, on_cell: object, on_link: object) -> None:
    on_this_cell = covering([entry], cell=CELL, capability="transfer", requirement="wlcg-4.2")
    on_this_link = covering([entry], link=LINK, capability="transfer", requirement="wlcg-4.2")
    assert bool(on_this_cell) is on_cell
    assert bool(on_this_link) is on_link


def test_several_entries_cover_a_test_in_the_order_of_the_file() -> None:
    first, second = issue(site="D"), issue(site="*")
    assert covering([first, issue(site="X"), second], cell=CELL, capability="access") == (first, second)


def test_a_test_of_no_place_is_covered_only_by_an_entry_of_no_place() -> None:
    anywhere = issue(requirement="r1")
    found = covering([issue(site="*"), anywhere], capability="access", requirement="r1")
    assert found == (anywhere,)


def test_an_entry_excuses_the_failure_that_it_is_about() -> None:
    crash, stale, anything = issue(symptom=r"died by SIG\w+"), issue(symptom="still that of"), issue()
    assert excusing([crash, stale], "read root://h//f: the client process died by SIGSEGV") is crash
    assert excusing([crash, stale], "the checksum is still that of the old file") is stale
    assert excusing([crash, stale], "b'wrong' == b'bytes'") is None
    assert excusing([crash, anything], "b'wrong' == b'bytes'") is anything
    assert excusing([], "b'wrong' == b'bytes'") is None


def test_an_entry_expires_on_its_day() -> None:
    assert not expired(issue(), date(2999, 1, 1))
    assert not expired(issue(until="2030-01-02"), date(2030, 1, 1))
    assert expired(issue(until="2030-01-02"), date(2030, 1, 2))
