"""A small lake of real daemons, brokers, and the doors that the driver contract is held against."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.credentials.tokens import TokenSource
from pytest_datalake.drivers import broker
from pytest_datalake.drivers.api import Credential, Environment
from pytest_datalake.drivers.pool import Pool
from pytest_datalake.drivers.service import Settings
from pytest_datalake.lake import composition
from pytest_datalake.matrix.load import load
from pytest_datalake.matrix.model import Endpoint, Tpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_datalake.matrix.model import Limits, Matrix

MATRIX = """
version: 1
lake: embedded
vo: escape
experiments: [ska, lofar]
qos_classes: {A: fast disk}
sites:
  ALPHA:
    rses:
      ALPHA-A:
        technology: xrootd
        qos: A
        supports: &posix [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer]
        endpoints: &xrootd
          - protocol: davs
            auth: [anonymous, token-scope, token-group, x509-voms]
            tpc: {active: [pull, push], passive: [pull, push]}
          - protocol: root
            auth: [anonymous, token-scope, token-group, x509-voms]
            tpc: {active: [pull], passive: [pull]}
  BRAVO:
    rses:
      BRAVO-A: {technology: xrootd, qos: A, supports: *posix, endpoints: *xrootd}
  CHARLIE:
    rses:
      CHARLIE-A: &gridftp
        technology: gridftp
        qos: A
        supports: *posix
        endpoints:
          - protocol: gsiftp
            auth: [x509-voms]
            tpc: {active: [push], passive: [push]}
  DELTA:
    rses:
      DELTA-A: *gridftp
  ECHO:
    rses:
      ECHO-A:
        technology: apache
        qos: A
        supports: *posix
        endpoints:
          - protocol: davs
            auth: [anonymous, token-scope, token-group, x509]
            tpc: {passive: [pull, push]}
  FOXTROT:
    rses:
      FOXTROT-A:
        technology: swift
        qos: A
        supports: [access, list, ranged-read, md5, transfer]
        endpoints:
          - protocol: s3s
            auth: [anonymous, access-key]
            tpc: {passive: [pull, push]}
"""

AREAS = ("/ska", "/lofar")


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A broker of its own and a client of it."""

    broker: broker.Broker
    pool: Pool
    ledger: Path
    endpoint: Endpoint


class Brokers:
    """Starts brokers; all are gone at the end of the test."""

    def __init__(self, directory: Path, environment: Environment, stack: ExitStack) -> None:
        self._directory = directory
        self._environment = environment
        self._stack = stack

    def start(
        self,
        endpoints: tuple[Endpoint, ...],
        *,
        processes: int = 8,
        limits: dict[str, Limits] | None = None,
        ledger: str = "",
    ) -> Desk:
        home = Path(tempfile.mkdtemp(prefix="b", dir=self._directory))
        settings = Settings(
            environment=replace(self._environment, scratch=str(home)),
            allowed=tuple(one.url(f"{area}/pytest-datalake/") for one in endpoints for area in AREAS),
            limits=limits or {},
            ledger=ledger or str(home / "ledger.sqlite"),
            processes=processes,
        )
        running = broker.start(settings, socket=home / "s", log=home / "log")
        self._stack.callback(running.stop)
        pool = Pool(running.socket)
        self._stack.callback(pool.close)
        return Desk(broker=running, pool=pool, ledger=home / "ledger.sqlite", endpoint=endpoints[0])


def memory(host: str = "healthy") -> Endpoint:
    tpc = Tpc(active=("pull", "push"), passive=("pull", "push"))
    return Endpoint(
        id="MEMORY.memory",
        site="MEMORY",
        rse="MEMORY",
        technology="memory",
        qos="A",
        protocol="memory",
        host=host,
        port=1,
        prefix="/escape",
        tpc=tpc,
    )


@pytest.fixture(scope="session")
def short_directory() -> Iterator[Path]:
    """A private directory whose path leaves room for a socket's name."""
    directory = Path(tempfile.mkdtemp(prefix="drivers-", dir="/var/tmp"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def lake() -> Iterator[Matrix]:
    directory = Path(tempfile.mkdtemp(prefix="drivers-lake-", dir="/var/tmp"))
    directory.chmod(0o711)  # the daemons pass it under accounts of their own
    (directory / "site_matrix.yaml").write_text(MATRIX)
    matrix = load(directory / "site_matrix.yaml")
    try:
        running = composition.up(matrix, directory / "state", detached=False, progress=lambda _: None)
        try:
            yield running.matrix
        finally:
            running.down()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def memory_endpoint() -> Callable[[str], Endpoint]:
    """Makes an endpoint of the in-memory storage; the host's name says what is wrong with it."""
    return memory


@pytest.fixture(scope="session")
def no_lake() -> Environment:
    """What a client knows that needs no lake."""
    return Environment(ca_directory="/nonexistent", ca_file="", scratch="")


@pytest.fixture(scope="session")
def lake_environment(lake: Matrix) -> Environment:
    """What a client knows of the small lake."""
    return Environment(ca_directory=lake.trust.ca_directory, ca_file=lake.trust.ca_file, scratch="")


@pytest.fixture
def brokers(short_directory: Path, no_lake: Environment) -> Iterator[Brokers]:
    """Starts brokers for a test of its own; they know of no lake."""
    with ExitStack() as stack:
        yield Brokers(short_directory, no_lake, stack)


@pytest.fixture
def lake_brokers(short_directory: Path, lake_environment: Environment) -> Iterator[Brokers]:
    """Starts brokers for a test of its own that trust the small lake."""
    with ExitStack() as stack:
        yield Brokers(short_directory, lake_environment, stack)


@pytest.fixture(scope="session")
def memory_desk(short_directory: Path, no_lake: Environment) -> Iterator[Desk]:
    """A broker for memory endpoints, shared by tests that only read and write."""
    with ExitStack() as stack:
        yield Brokers(short_directory, no_lake, stack).start((memory(),))


@pytest.fixture(scope="session")
def lake_desk(short_directory: Path, lake: Matrix, lake_environment: Environment) -> Iterator[Desk]:
    """A broker for the small lake, shared by tests that only read and write."""
    with ExitStack() as stack:
        yield Brokers(short_directory, lake_environment, stack).start(lake.endpoints)


class Wallet:
    """Credentials of the small lake's identities."""

    def __init__(self, matrix: Matrix) -> None:
        self._matrix = matrix

    def token(self, name: str, endpoint: Endpoint) -> Credential:
        source = TokenSource(self._matrix.trust, self._matrix.identity(name))
        scope = " ".join(f"storage.{right}:/{name}" for right in ("read", "create", "modify"))
        return Credential(kind="token", token=source.token(audience=endpoint.audience, scope=scope))

    def proxy(self, name: str) -> Credential:
        return Credential(kind="x509", proxy=self._matrix.identity(name).proxy)

    def access_key(self, name: str) -> Credential:
        keys = json.loads(Path(self._matrix.identity(name).access_key_file).read_text())
        return Credential(kind="access-key", **keys)


@pytest.fixture(scope="session")
def wallet(lake: Matrix) -> Wallet:
    return Wallet(lake)
