"""A lake of two sites with a Rucio, and how its services are ended and started again."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from pytest_datalake.clients.rucio import Rucio
from pytest_datalake.clients.rucio_login import Login
from pytest_datalake.errors import ServiceError
from pytest_datalake.lake import composition
from pytest_datalake.lake.revival import Services
from pytest_datalake.matrix.load import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_datalake.clients.rucio_login import RucioAuth

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
_CONNECTIONS = 12
"""New ones, so many that either process of Rucio's server will have got one."""


class RucioLake:
    """A running lake of COMO and GARDA."""

    def __init__(self, home: Path, *, detached: bool) -> None:
        matrix = parse(MATRIX + "".join(SITE.format(name=name) for name in ("COMO", "GARDA")), "two.yaml")
        self.state_dir = home / "state"
        self._home = home
        self.lake = composition.up(matrix, self.state_dir, detached=detached, progress=lambda _line: None)
        self._services = Services(self.lake)

    def pid(self, service: str) -> int:
        """Of the process that serves now."""
        return self._services.pid(service)

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
        self._services.kill(service)

    def start_again(self, service: str) -> None:
        """Start a service as the keeper did, and wait until it answers."""
        self._services.start(service)

    def wait_until_rucio_answers(self) -> None:
        """After its database was away: each of Rucio's processes fails once for every old connection."""
        deadline = time.monotonic() + _SECONDS_TO_ANSWER
        in_a_row = 0
        while in_a_row < _CONNECTIONS:
            try:
                self.log_in().whoami()
            except ServiceError:
                assert time.monotonic() < deadline
                in_a_row = 0
            else:
                in_a_row += 1

    def heartbeats(self) -> dict[str, str]:
        """When each of Rucio's daemons was last heard of, to the second, as Rucio says it."""
        url, ca_file = dict(self.lake.matrix.services)["rucio"], self.lake.matrix.trust.ca_file
        robot = self.lake.matrix.identity("robot")
        with requests.Session() as session:
            session.verify, session.cert = ca_file, (robot.certificate, robot.key)
            session.trust_env = False  # REQUESTS_CA_BUNDLE would count for more
            who = session.get(f"{url}/auth/x509", headers={"X-Rucio-Account": "root"}, timeout=20)
            shown = {"X-Rucio-Auth-Token": who.headers["X-Rucio-Auth-Token"]}
            answer = session.get(f"{url}/heartbeats", headers=shown, timeout=20)
        answer.raise_for_status()
        return {f"{one['readable']} {one['thread_name']}": one["updated_at"] for one in answer.json()}

    def close(self) -> None:
        """Stop everything."""
        self._services.close()
        self.lake.down()


@contextmanager
def _running(*, detached: bool) -> Iterator[RucioLake]:
    # not tmp_path: its parents are closed to other accounts, and too long for unix sockets
    home = Path(tempfile.mkdtemp(prefix="rucio-", dir="/var/tmp"))
    home.chmod(0o711)
    lake = None
    try:
        lake = RucioLake(home, detached=detached)
        yield lake
    finally:
        if lake is not None:
            lake.close()
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def rucio_lake() -> Iterator[RucioLake]:
    """Shared: a test that kills one of its services starts that again."""
    with _running(detached=False) as lake:
        yield lake


@pytest.fixture
def own_rucio_lake() -> Iterator[RucioLake]:
    """For a test that ends the lake itself."""
    with _running(detached=True) as lake:
        yield lake
