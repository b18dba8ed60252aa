"""What a Rucio leaves behind: nothing when all is killed, and no secret in a log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from pytest_datalake.lake.running import tidy

if TYPE_CHECKING:
    from .conftest import RucioLake

_SECONDS = 10


def test_a_killed_keeper_and_database_leave_nothing(own_rucio_lake: RucioLake) -> None:
    state = own_rucio_lake.state_dir
    identifier = (state / "rucio/database/cluster/postmaster.pid").read_text().splitlines()[6].split()[1]
    assert identifier in _shared_memory()
    keeper = psutil.Process(own_rucio_lake.lake.status()["keeper"]["pid"])
    below = [keeper, *keeper.children(recursive=True)]
    os.kill(own_rucio_lake.pid("postgresql"), signal.SIGKILL)  # it cannot tidy up after itself
    keeper.kill()
    psutil.wait_procs([keeper], timeout=_SECONDS)
    tidy(state)
    _, left = psutil.wait_procs(below, timeout=_SECONDS)
    assert not left
    deadline = time.monotonic() + _SECONDS
    while identifier in _shared_memory():  # until the last process that holds it has ended
        assert time.monotonic() < deadline, "shared memory is left"
    assert not (state / "rucio").exists()


def test_secrets_are_in_no_log(rucio_lake: RucioLake) -> None:
    rucio_lake.log_in()
    rucio_lake.log_in("ska", "x509_proxy")
    matrix = rucio_lake.lake.matrix
    secrets = [Path(one.password_file).read_text() for one in matrix.identities]
    issuers = json.loads((rucio_lake.state_dir / "rucio/etc/idpsecrets.json").read_text())
    secrets.append(issuers["lake"]["client_secret"])
    secrets.append((rucio_lake.state_dir / "fts/broker-password").read_text())
    logs = list(rucio_lake.state_dir.rglob("*.out"))
    assert logs
    for log in logs:
        content = log.read_text(errors="replace")
        assert not [one for one in secrets if one in content], log


def _shared_memory() -> set[str]:
    """Ids of the machine's System V shared memory (second column of ipcs(1))."""
    listed = subprocess.run(["ipcs", "--shmems"], capture_output=True, text=True, check=True).stdout
    return {words[1] for line in listed.splitlines() if len(words := line.split()) > 5}
