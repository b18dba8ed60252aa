"""A lake that is only busy, and not broken, is green."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import LakeOf

ARRIVES = "suites/transfer/test_links.py::test_file_arrives_intact"
MEMBER_WORKS = "suites/authorisation/test_areas.py::test_member_writes_reads_and_removes_in_the_own_area"
EXPIRED = "suites/authorisation/test_credentials.py::test_expired_token_is_refused"


@pytest.fixture
def busy_processors() -> Iterator[None]:
    """Two processes for each processor that do nothing but count; they end with this process."""
    with contextlib.ExitStack() as ends:
        for _ in range(2 * (os.cpu_count() or 1)):
            command = ["setpriv", "--pdeathsig", "KILL", "sh", "-c", "while :; do :; done"]
            process = ends.enter_context(subprocess.Popen(command, stdin=subprocess.DEVNULL))
            ends.callback(process.kill)
        yield


@pytest.mark.usefixtures("busy_processors")
def test_healthy_lake_is_green_under_full_load(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="xrootd", GARDA="apache", LEMAN="gridftp")
    lake.run(ARRIVES, MEMBER_WORKS, EXPIRED, "--cells", "smoke").is_green(tests=9)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
def test_a_door_that_ended_or_hung_of_itself_is_started_again_and_the_run_repeated(
    lake_of: LakeOf, sign: signal.Signals
) -> None:
    lake = lake_of(COMO="xrootd")
    os.kill(lake.pid("COMO-A"), sign)
    with pytest.warns(UserWarning, match="hung or ended {'COMO-A'"):
        verdict = lake.run(MEMBER_WORKS, "--protocol", "davs", "--budget", "5")
    verdict.is_green(tests=3)
