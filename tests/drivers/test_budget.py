"""No call outlives its budget by more than two seconds, even at a door that accepts and never answers."""

from __future__ import annotations

import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest

from pytest_datalake.drivers.api import Credential
from pytest_datalake.errors import EngineError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_datalake.drivers.api import Verb
    from pytest_datalake.matrix.model import Endpoint, Matrix, Protocol
    from tests.drivers.conftest import Brokers, Desk, Wallet

BUDGET = 1.0
NOBODY = Credential()
TOKEN = Credential(kind="token", token="not-a-token")
START = 20.0
"""Seconds that starting a client process may take on a busy machine; no part of a call's budget."""


class Tarpit:
    """A door that accepts connections and never says a word."""

    def __init__(self, listener: socket.socket, template: Endpoint) -> None:
        self._listener = listener
        self._template = template
        self._callers: list[socket.socket] = []

    def door(self, protocol: Protocol) -> Endpoint:
        host, port = ("localhost" if protocol == "root" else "127.0.0.1"), self._listener.getsockname()[1]
        return replace(self._template, id=f"TARPIT.{protocol}", protocol=protocol, host=host, port=port)

    def wait_for_callers(self, count: int) -> None:
        self._listener.settimeout(START)
        self._callers += [self._listener.accept()[0] for _ in range(count)]

    def close(self) -> None:
        for caller in self._callers:
            caller.close()


@pytest.fixture
def tarpit(memory_endpoint: Callable[[str], Endpoint]) -> Iterator[Tarpit]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        pit = Tarpit(listener, memory_endpoint("tarpit"))
        yield pit
        pit.close()


def seconds_until_timeout(desk: Desk, endpoint: Endpoint, credential: Credential) -> float:
    started = time.monotonic()
    with pytest.raises(StorageError) as stopped:
        desk.pool.stat(endpoint, "/ska/x", credential, budget=BUDGET)
    assert stopped.value.kind == "timeout", stopped.value
    return time.monotonic() - started


@pytest.mark.parametrize(
    ("protocol", "how"), [("davs", "token"), ("root", "token"), ("gsiftp", "x509"), ("s3s", "nobody")]
)
def test_a_tarpit_holds_a_call_no_longer_than_its_budget(
    lake_brokers: Brokers,
    wallet: Wallet,
    tarpit: Tarpit,
    protocol: Protocol,
    how: str,
) -> None:
    endpoint = tarpit.door(protocol)
    credential = {"token": TOKEN, "nobody": NOBODY, "x509": wallet.proxy("ska")}[how]
    desk = lake_brokers.start((endpoint,))
    assert seconds_until_timeout(desk, endpoint, credential) < START + BUDGET + 2.0
    if desk.pool.statistics()["processes"]["killed"] == 0:  # the process is still there: no start in the time
        assert seconds_until_timeout(desk, endpoint, credential) < BUDGET + 2.0


def test_memory_hangs_no_longer_than_its_budget(
    brokers: Brokers, memory_endpoint: Callable[[str], Endpoint]
) -> None:
    endpoint = memory_endpoint("hangs")
    assert seconds_until_timeout(brokers.start((endpoint,)), endpoint, NOBODY) < BUDGET + 2.0


@pytest.mark.parametrize(
    ("verb", "kinds"), [("mkdir", ["other", "timeout"]), ("stat", ["timeout", "timeout"])]
)
def test_a_crash_loses_one_call_at_most(
    brokers: Brokers, tarpit: Tarpit, verb: Verb, kinds: list[str]
) -> None:
    endpoint = tarpit.door("davs")
    desk = brokers.start((endpoint,), processes=2)

    def call(name: str) -> StorageError:
        with pytest.raises(StorageError) as failed:
            desk.pool.call(verb, endpoint, f"/ska/pytest-datalake/run/{name}", TOKEN, budget=4.0)
        return failed.value

    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(call, name) for name in ("one", "other")]
        tarpit.wait_for_callers(2)
        psutil.Process(desk.broker.pid).children()[0].send_signal(signal.SIGSEGV)
        results = [one.result() for one in calls]
    assert sorted(error.kind for error in results) == kinds
    assert any("SIGSEGV" in str(error) for error in results) == (verb == "mkdir")
    assert desk.pool.statistics()["processes"]["crashed"] == 1


def listening_on(port: int) -> psutil.Process:
    listening = [one for one in psutil.net_connections("tcp4") if one.status == psutil.CONN_LISTEN]
    return next(psutil.Process(one.pid) for one in listening if port in one.laddr)


def connected_to(port: int, children_of: int) -> psutil.Process:
    """The child that has a connection to that port, as soon as there is one."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        for child in psutil.Process(children_of).children():
            if any(port in one.raddr for one in child.net_connections("tcp")):
                return child
    pytest.fail(f"no client process connected to port {port}")


def test_a_call_that_was_made_again_after_a_crash_says_so(
    lake: Matrix, lake_brokers: Brokers, wallet: Wallet
) -> None:
    endpoint = lake.endpoint("ALPHA-A.davs")
    desk = lake_brokers.start((endpoint,))
    server = listening_on(endpoint.port)
    server.suspend()
    try:
        with ThreadPoolExecutor(1) as threads:
            call = threads.submit(desk.pool.stat, endpoint, "/ska", wallet.token("ska", endpoint))
            connected_to(endpoint.port, desk.broker.pid).send_signal(signal.SIGSEGV)
            server.resume()
            assert call.result(START).is_directory
    finally:
        server.resume()
    assert desk.pool.client_crashes == 1


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_everything_ends_with_the_broker(brokers: Brokers, tarpit: Tarpit, end: str) -> None:
    endpoint = tarpit.door("davs")
    desk = brokers.start((endpoint,))
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(desk.pool.stat, endpoint, "/ska/x", TOKEN, budget=60.0)
        tarpit.wait_for_callers(1)
        children = psutil.Process(desk.broker.pid).children()
        assert children
        if end == "kill":
            psutil.Process(desk.broker.pid).kill()
        else:
            desk.broker.stop()
        assert isinstance(hanging.exception(START), EngineError)
    assert not psutil.wait_procs(children, timeout=START)[1]
