"""Which end of a copy opens the connection is part of what is at fault; and how often is said truly."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_datalake.report.blame.attribution import blame
from pytest_datalake.report.blame.texts import mode_of
from pytest_datalake.report.commands import commands_of
from tests.report.test_blame import copies, lake

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_datalake.report.blame.fault import Fault
    from pytest_datalake.report.rows import EndpointRow, TestRow

COPY = "copy davs://a/x -> davs://b/y: Copy failed (3rd {}). Last attempt: "
REFUSED = COPY + "copy HTTP 400 : Server Error (EHOSTDOWN)"
UNREACHED = COPY + "Transfer failure: Couldn't connect to server (EIO)"


def both_modes(
    endpoints: list[EndpointRow], fails: Callable[[str, str, str], bool], reason: str
) -> list[TestRow]:
    """Every copy by pull and by push; ``fails`` is asked by source's site, destination's site and mode."""
    rows = []
    for row in copies(endpoints, lambda _copy: False):
        for mode in ("pull", "push"):
            source, destination = row.source.partition("-")[0], row.destination.partition("-")[0]
            failed = fails(source, destination, mode)
            rows.append(
                replace(
                    row,
                    nodeid=f"{row.nodeid} {mode}",
                    outcome="failed" if failed else "passed",
                    reason=reason.format(mode) if failed else "",
                    evidence=row.evidence | ({} if failed else {"mode": mode}),
                )
            )
    return rows


def only(tests: list[TestRow], endpoints: list[EndpointRow]) -> Fault:
    (fault,) = blame(tests, endpoints)
    return fault


def test_a_site_that_cannot_pull_is_said_to_fail_in_pull_mode() -> None:
    endpoints = lake(4, ("davs",))
    tests = both_modes(endpoints, lambda _, to, mode: (to, mode) == ("S1", "pull"), REFUSED)
    fault = only(tests, endpoints)
    assert fault.sentence == "S1 fails as destination in pull mode"
    assert (fault.count, fault.of, fault.sites, fault.confidence) == (6, 6, ("S1",), "certain")
    assert fault.alternatives == ()
    assert "the same in push mode work: 6 of 6" in fault.contrast
    assert fault.evidence[0] == (
        "all 6 copies failed, with S0, S2 and S3 at the other end, by token-scope and x509-voms, "
        "in one and the same test"
    )


def test_who_cannot_connect_to_whom_is_one_fault_in_both_directions() -> None:
    endpoints = lake(4)
    blocked = {("S1", "S0", "pull"), ("S0", "S1", "push")}
    tests = both_modes(endpoints, lambda *copy: copy in blocked, UNREACHED)
    fault = only(tests, endpoints)
    assert (fault.sentence, fault.count, fault.of) == ("S0 cannot connect to S1", 8, 8)
    assert (fault.kind, fault.sites) == ("link", ("S0", "S1"))
    assert "connections the other way work: 8 of 8" in fault.contrast


def test_now_and_then_is_what_passes_and_fails_under_the_same_conditions() -> None:
    endpoints = lake(4)
    tests = [
        replace(row, test=f"test_{number}")
        for number, row in enumerate(both_modes(endpoints, lambda _, to, __: to == "S1", REFUSED))
    ]
    to_s1 = [row for row in tests if row.outcome == "failed"][::8]
    passing = [
        replace(
            row,
            nodeid=f"{row.nodeid} again",
            outcome="passed",
            reason="",
            evidence=row.evidence | {"mode": mode_of(row)},
        )
        for row in to_s1
    ]
    others = [replace(row, test=f"{row.test}_other") for row in passing]
    assert only([*tests, *others], endpoints).sentence == "S1 fails as destination in some tests"
    assert only([*tests, *passing], endpoints).sentence == "S1 fails as destination now and then"


def test_where_nobody_can_connect_a_plain_check_comes_first() -> None:
    endpoints = lake(2, ("davs",))
    tests = both_modes(endpoints, lambda *_: True, UNREACHED)
    pull, push = tests[0], tests[2]
    assert commands_of(pull).plain == f"nc -vz {pull.source} 1  # at {pull.destination}"
    assert commands_of(replace(push, reason="stat root://h.x//a: Connection refused", source="")).plain == (
        "nc -vz h.x 1094"
    )
    assert commands_of(replace(pull, reason=REFUSED.format("pull"))).plain == ""
