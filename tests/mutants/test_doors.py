"""Doors that are shut, silent or slow turn red what goes through them, in time, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_datalake.lake import ports

from .doors import tarpit, trickle

if TYPE_CHECKING:
    from .conftest import LakeOf

ARRIVES = "suites/transfer/test_links.py::test_file_arrives_intact"
STAT = "suites/access/test_files.py::test_stat_tells_the_size"
READ_BACK = "suites/access/test_files.py::test_upload_is_read_back_whole"

SHORT = 12
"""Seconds that a call may take: nothing waits longer for a silent door, and a good one needs far less."""


def test_killed_daemon_turns_all_its_links_red(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="xrootd", GARDA="xrootd", LEMAN="xrootd")
    lake.kill("LEMAN-A")
    verdict = lake.run(ARRIVES, "--auth", "token-scope")
    verdict.is_red(
        lambda row: row.touches("LEMAN-A"),
        red=8,
        green=4,
        because="could not connect to server|connection error",
    )


def test_frozen_daemon_turns_its_links_red_in_time(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="xrootd", GARDA="xrootd", LEMAN="xrootd")
    lake.freeze("LEMAN-A")
    verdict = lake.run(ARRIVES, "--auth", "token-scope", "--budget", str(SHORT), workers=4)
    verdict.is_red(
        lambda row: row.touches("LEMAN-A"), red=8, green=4, because="timed? ?out|expired|no answer within"
    )
    # a link that ends at the frozen door has put its file at a good one before
    assert max(row.seconds for row in verdict.rows) < 2 * (SHORT + 2)


def test_door_that_never_answers_turns_its_cells_red_in_time(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="xrootd", LEMAN="xrootd")
    lake.kill("LEMAN-A")
    with tarpit(lake.doors("LEMAN-A")):
        verdict = lake.run(STAT, "--auth", "token-scope", "--budget", str(SHORT), workers=4)
    verdict.is_red(
        lambda row: row.touches("LEMAN-A"), red=2, green=2, because="timed? ?out|expired|no answer within"
    )
    assert max(row.seconds for row in verdict.rows) < SHORT + 2 + SHORT


def test_door_that_sends_a_byte_a_second_turns_downloads_red(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="xrootd", LEMAN="xrootd")
    doors = lake.doors("LEMAN-A")
    (claim,) = ports.claim(1)
    lake.undo.callback(claim.release)
    lake.move("LEMAN-A", "xrootd.cfg", claim.port)
    with trickle(doors, claim.port, quick_bytes=200_000):
        verdict = lake.run(STAT, READ_BACK, "--auth", "token-scope", "--budget", str(SHORT), workers=4)
    verdict.is_red(
        lambda row: row.touches("LEMAN-A") and row.test == "test_upload_is_read_back_whole",
        red=2,
        green=6,
        because="timed? ?out|expired|no answer within",
    )
