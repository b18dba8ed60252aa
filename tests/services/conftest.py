"""A lake of two sites with a Rucio, and how its services are ended and started again."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pytest_datalake.clients.rucio import Login, Rucio
from pytest_datalake.errors import ServiceError
from pytest_datalake.lake import composition
from pytest_datalake.lake.keeper import answers
from pytest_datalake.matrix.load import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_datalake.clients.rucio import RucioAuth

MATRIX = """\
version: 1
lake: embedded
vo: escape
experiments: [ska, lofar]
qos_classes: {A: fast disk}
services: {fts: {}, rucio: {}}
sites:
"""

SITE = """\
  {name}:
    rses:
      {name}-A:
        technology: xrootd
        qos: A
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer, rule]
        endpoints:
          - protocol: davs
            auth: [token-scope, token-group, x509-voms]
            tpc: {{active: [pull, push], passive: [pull, push]}}
"""

_SECONDS_TO_ANSWER = 40


class RucioLake:
    """A running lake of COMO and GARDA."""

    def __init__(self, home: Path, *, detached: bool) -> None:
        matrix = parse(MATRIX + "".join(SITE.format(name=name) for name in ("COMO", "GARDA")), "two.yaml")
        self.state_dir = home / "state"
        self._home = home
        self.lake = composition.up(matrix, self.state_dir, detached=detached, progress=lambda _line: None)
        self._plans = {
            one["name"]: one for one in json.loads((self.state_dir / "plan.json").read_text())["processes"]
        }
        self._started: list[subprocess.Popen[bytes]] = []

    @property
    def pids(self) -> dict[str, int]:
        """Service -> its process."""
        return {name: one["pid"] for name, one in self.lake.status()["services"].items()}

    def log_in(self, name: str = "ska", auth: RucioAuth = "userpass", *, timeout: float = 20) -> Rucio:
        """Rucio as somebody."""
        matrix = self.lake.matrix
        identity = matrix.identity(name)
        login = Login(
            account=identity.account,
            auth=auth,
            username=identity.username,
            password=Path(identity.password_file).read_text(),
            certificate=identity.certificate,
            key=identity.key,
            proxy=identity.proxy,
        )
        url = dict(matrix.services)["rucio"]
        return Rucio(url, login, ca_file=matrix.trust.ca_file, scratch=self._home, timeout=timeout)

    def kill(self, service: str) -> None:
        """End a service and all that it started at once."""
        process = psutil.Process(self.pids[service])
        for one in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            process.wait(timeout=10)

    def start_again(self, service: str) -> None:
        """Start a service as the keeper did, and wait until it answers."""
        plan = self._plans[service]
        with Path(plan["output"]).open("ab") as output:
            self._started.append(
                subprocess.Popen(
                    plan["command"],
                    env=plan["environment"],
                    cwd=plan["working_directory"],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            )
        deadline = time.monotonic() + _SECONDS_TO_ANSWER
        while not all(answers(*door) for door in plan["ready"]):
            assert time.monotonic() < deadline, f"{service} does not answer again"

    def close(self) -> None:
        """Stop everything."""
        for one in self._started:
            one.send_signal(signal.SIGTERM)
        self.lake.down()
        for one in self._started:
            one.wait()


@pytest.fixture
def rucio_lake() -> Iterator[RucioLake]:
    # not tmp_path: its parents are closed to other accounts, and too long for unix sockets
    home = Path(tempfile.mkdtemp(prefix="rucio-", dir="/var/tmp"))
    home.chmod(0o711)
    lake = None
    try:
        lake = RucioLake(home, detached=True)
        yield lake
    finally:
        if lake is not None:
            lake.close()
        shutil.rmtree(home)


@pytest.fixture
def answers_again() -> Callable[[Rucio], Any]:
    """Waits until a Rucio whose database was away serves again; the calls in between fail as services do."""

    def wait(rucio: Rucio) -> None:
        deadline = time.monotonic() + _SECONDS_TO_ANSWER
        while True:
            try:
                rucio.whoami()
            except ServiceError:
                assert time.monotonic() < deadline
            else:
                return

    return wait
