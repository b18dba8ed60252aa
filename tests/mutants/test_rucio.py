"""A Rucio that asks for nothing, forgets what it asked for or has sizes wrong turns its rules red."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import LakeOf

BROUGHT = "suites/rucio/test_rules.py::test_rule_brings_the_file"
DIRECT = ("suites/transfer/test_links.py::test_file_arrives_intact", "--auth", "token-scope")
"""Copies that pass Rucio by: what is wrong with it must leave them green."""
SOON = ("--budget", "12")
"""A rule is waited for five times as long as a call: no need to wait for minutes."""

SUBMITS_NOTHING = 'del DAEMONS["conveyor-submitter"]'

LOSES_ONE_IN_TEN = """
from rucio.core import transfer

def update_transfer_state(tt_status_report, *args, **kwargs):
    if tt_status_report.request_id not in seen:
        seen.append(tt_status_report.request_id)
    return 0 if tt_status_report.request_id in seen[::10] else honest(tt_status_report, *args, **kwargs)

seen = []
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


def test_healthy_rucio_is_green(lake_of: LakeOf) -> None:
    lake = lake_of("fts", "rucio", COMO="xrootd", GARDA="xrootd")
    lake.run("suites/rucio", "--allow-disruptive", workers=4).is_green(tests=15)


def test_rules_that_nobody_submits_turn_red(lake_of: LakeOf) -> None:
    lake = lake_of("fts", "rucio", COMO="xrootd", GARDA="xrootd")
    lake.replace_service("rucio-daemons", SUBMITS_NOTHING)
    verdict = lake.run(BROUGHT, *DIRECT, *SOON)
    verdict.is_red(lambda row: row.test == "test_rule_brings_the_file", red=2, green=4, because="REPLICATING")


def test_transfers_that_the_poller_loses_turn_red(lake_of: LakeOf) -> None:
    lake = lake_of("fts", "rucio", COMO="xrootd", GARDA="xrootd", LEMAN="xrootd")
    lake.replace_service("rucio-daemons", LOSES_ONE_IN_TEN)
    verdict = lake.run(BROUGHT, *SOON, workers=4)
    red = [row for row in verdict.rows if row.outcome == "failed"]
    assert (len(red), len(verdict.rows), verdict.word) == (1, 6, "RED"), json.dumps(
        [row.reason for row in verdict.rows], indent=1
    )
    assert "REPLICATING" in red[0].reason


def test_files_registered_with_a_wrong_size_turn_red(lake_of: LakeOf) -> None:
    lake = lake_of("fts", "rucio", COMO="xrootd", GARDA="xrootd", LEMAN="xrootd")
    lake.replace_service("rucio", REGISTERS_A_WRONG_SIZE)
    verdict = lake.run(BROUGHT, workers=4)
    verdict.is_red(
        lambda row: row.where.startswith("COMO-A"),
        red=2,
        green=4,
        because="file size is 1048577 but stat returned 1048576",
    )
