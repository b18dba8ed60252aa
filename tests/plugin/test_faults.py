"""The real suites go red where the lake is broken, and only there."""

from __future__ import annotations

import re

from tests.plugin.conftest import Playground, matrix_of, rse

FAULTS = {
    "flips": {
        "test_upload_is_read_back_whole",
        "test_range_is_that_part_of_the_file",
        "test_file_arrives_intact",
    },
    "truncates": {"test_file_arrives_intact", "test_file_is_pushed"},
    "open": {
        "test_other_experiments_file_is_not_read",
        "test_other_experiments_area_is_not_written",
        "test_identity_without_rights_at_the_destination_writes_nothing",
    },
    "streams": {"test_file_arrives_intact", "test_file_is_pushed"},
    "lies": {"test_adler32_is_that_of_the_bytes", "test_file_arrives_intact"},
    "full": {"test_upload_is_read_back_whole", "test_file_arrives_intact"},
    "refuses": {"test_upload_is_read_back_whole", "test_file_arrives_intact"},
}
"""Fault of an RSE -> tests that must see it, there or on a link with it."""


def test_each_fault_makes_its_cells_red_and_no_others(playground: Playground) -> None:
    playground.matrix(matrix_of(rse("alpha"), rse("beta"), *(rse(fault) for fault in FAULTS)))
    playground.real_suites("access", "authorisation", "transfer")
    functions = sorted(set().union(*FAULTS.values()))
    ran = playground.run("suites", "-n2", "--cells=full", "-k", " or ".join(functions))
    assert ran.code == 1, ran.text
    assert set(ran.outcomes.values()) == {"passed", "failed"}
    red: dict[str, set[str]] = {fault: set() for fault in FAULTS}
    for name, outcome in ran.outcomes.items():
        places = {place.lower() for place in re.findall(r"([A-Z]+)-A\.memory", name)}
        if places <= {"alpha", "beta"}:
            assert outcome == "passed", name
        elif outcome == "failed" and len(places - {"alpha", "beta"}) == 1:
            red[(places - {"alpha", "beta"}).pop()].add(name.partition("[")[0])
    for fault, tests in FAULTS.items():
        assert red[fault] >= tests, fault


def test_healthy_lake_is_green(playground: Playground) -> None:
    playground.matrix(matrix_of(rse("alpha", auth="anonymous, x509-voms"), rse("beta")))
    playground.real_suites("access", "authorisation", "transfer")
    ran = playground.run("suites", "-n2", "-k", "not size and not large")
    assert ran.lines[-2] == "TRANSFER MATRIX GREEN 2/2 links, 0 known issues, 0 new failures", ran.text
    assert ran.code == 0


def test_hanging_door_fails_within_its_budget(playground: Playground) -> None:
    playground.matrix(matrix_of(rse("alpha"), rse("hangs")))
    playground.real_suites("access")
    ran = playground.run("suites", "--budget=1", "-k", "test_stat_tells or test_removed_file")
    slow = [row for name, row in ran.tests.items() if "HANGS" in name]
    assert [row["outcome"] for row in slow] == ["failed", "failed"]
    for row in slow:
        assert "no answer within 1.0" in row["reason"]
        assert row["seconds"] < 6
    assert {row["outcome"] for name, row in ran.tests.items() if "HANGS" not in name} == {"passed"}
    assert ran.code == 1
