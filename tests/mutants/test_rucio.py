"""A Rucio that asks for nothing, forgets what it asked for or has sizes wrong turns its rules red."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from .midrun import run_while

if TYPE_CHECKING:
    from .conftest import LakeOf
    from .harness import SmallLake

BROUGHT = "suites/rucio/test_rules.py::test_rule_brings_the_file"
DIRECT = ("suites/transfer/test_links.py::test_file_arrives_intact", "--auth", "token-scope")
"""Copies that pass Rucio by: what is wrong with it must leave them green."""
SOON = ("--budget", "12")
"""A rule is waited for five times as long as a call: no need to wait for minutes."""

SUBMITS_NOTHING = 'del DAEMONS["conveyor-submitter"]'

LOSES_ONE_IN_TEN = """
from datetime import datetime
from rucio.core import transfer
from rucio.core.request import get_request

def update_transfer_state(tt_status_report, *args, **kwargs):
    if get_request(tt_status_report.request_id)["created_at"] < started:
        return honest(tt_status_report, *args, **kwargs)  # of an earlier run over this lake
    if tt_status_report.request_id not in seen:
        seen.append(tt_status_report.request_id)
    return 0 if tt_status_report.request_id in seen[::10] else honest(tt_status_report, *args, **kwargs)

seen, started = [], datetime.utcnow()
honest, transfer.update_transfer_state = transfer.update_transfer_state, update_transfer_state
"""

REGISTERS_A_WRONG_SIZE = """
from rucio.core import replica, rse

def add_replicas(rse_id, files, *args, **kwargs):
    if rse.get_rse_name(rse_id=rse_id, session=kwargs["session"]) == "COMO-A":
        files = [{**one, "bytes": one["bytes"] + 1} for one in files]
    return honest(rse_id, files, *args, **kwargs)

honest, replica.add_replicas = replica.add_replicas, add_replicas
"""


IS_OUT_OF_ORDER = """
def with_subject(environ, start_response):
    start_response("500 Internal Server Error", [("Content-Type", "text/plain"), ("Content-Length", "0")])
    return [b""]
"""

ANSWERS_TOO_LATE = """
import threading

def with_subject(environ, start_response):
    threading.Event().wait(120)
    return rucio(environ, start_response)
"""


@pytest.fixture(scope="module")
def lake(shared_lake_of: LakeOf) -> SmallLake:
    return shared_lake_of("fts", "rucio", COMO="xrootd", GARDA="xrootd")


def test_healthy_rucio_is_green(lake: SmallLake) -> None:
    lake.change_services({})
    # without the test that puts up a lake of its own
    lake.run("suites/rucio", workers=4).is_green(tests=18)


def test_rules_that_nobody_submits_turn_red(lake: SmallLake) -> None:
    lake.change_services({"rucio-daemons": SUBMITS_NOTHING})
    verdict = lake.run(BROUGHT, *DIRECT, *SOON)
    verdict.is_red(lambda row: row.test == "test_rule_brings_the_file", red=2, green=4, because="REPLICATING")


def test_transfers_that_the_poller_loses_turn_red(lake: SmallLake) -> None:
    lake.change_services({"rucio-daemons": LOSES_ONE_IN_TEN})
    verdict = lake.run(BROUGHT, *SOON)
    red = [row for row in verdict.rows if row.outcome == "failed"]
    assert (len(red), len(verdict.rows), verdict.word) == (1, 2, "RED"), json.dumps(
        [row.reason for row in verdict.rows], indent=1
    )
    assert "REPLICATING" in red[0].reason


def test_files_registered_with_a_wrong_size_turn_red(lake: SmallLake) -> None:
    lake.change_services({"rucio": REGISTERS_A_WRONG_SIZE})
    verdict = lake.run(BROUGHT)
    verdict.is_red(
        lambda row: row.where.startswith("COMO-A"),
        red=1,
        green=1,
        because="file size is 1048577 but stat returned 1048576",
    )


@pytest.mark.parametrize("changes", [IS_OUT_OF_ORDER, ANSWERS_TOO_LATE], ids=["500", "slow"])
def test_rucio_in_trouble_is_an_error_of_its_own(lake: SmallLake, changes: str) -> None:
    lake.change_services({"rucio": changes})
    started = time.monotonic()
    verdict = lake.run(BROUGHT, *DIRECT, "--budget", "5")
    assert time.monotonic() - started < 120
    rules = [row for row in verdict.rows if row.test == "test_rule_brings_the_file"]
    assert [row.outcome for row in rules] == ["error"] * 2
    assert all("Rucio at https://localhost" in row.reason for row in rules), verdict.output
    assert all(row.outcome == "passed" for row in verdict.rows if row not in rules)
    assert (verdict.word, verdict.exit_code) == ("INCOMPLETE", 3)


@pytest.mark.parametrize("service", ["rucio", "rucio-daemons"])
def test_service_killed_in_mid_run_is_nobody_elses_fault(lake: SmallLake, service: str) -> None:
    lake.change_services({})
    verdict = run_while(lake, lambda: lake.replace_service(service, ""), BROUGHT, *DIRECT, jobs=2)
    others = [row for row in verdict.rows if row.outcome != "passed"]
    assert {row.outcome for row in others} <= {"error"}, json.dumps([row.reason for row in others], indent=1)
    assert all("Rucio at https://localhost" in row.reason for row in others)
