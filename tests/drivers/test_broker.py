"""The broker's own promises: guard, ledger, budgets, politeness, single flight, and what memory can fake."""

from __future__ import annotations

import socket
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.drivers import wire
from pytest_datalake.drivers.api import Credential
from pytest_datalake.drivers.pool import Pool
from pytest_datalake.errors import EngineError, StorageError
from pytest_datalake.matrix.model import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_datalake.matrix.model import Endpoint
    from tests.drivers.conftest import Brokers, Desk

SKA = Credential(kind="token", token="experiment:ska")
LOFAR = Credential(kind="token", token="experiment:lofar")
AREA = "/ska/pytest-datalake"


@pytest.fixture
def local(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    return file


def rows(desk: Desk) -> list[tuple[str, ...]]:
    with sqlite3.connect(desk.ledger) as database:
        found: list[tuple[str, ...]] = database.execute(
            "SELECT run_id, endpoint, url, identity_json FROM intents"
        ).fetchall()
    database.close()
    return found


@pytest.mark.parametrize(
    "path",
    [
        "/ska/file",
        "/ska/pytest-datalake",
        "/ska/pytest-datalake-2/run/file",
        f"{AREA}/../file",
        f"{AREA}/run/./file",
        f"{AREA}//file",
        f"{AREA}/run/new\nline",
        "ska/pytest-datalake/run/file",
        "/other/pytest-datalake/run/file",
    ],
)
def test_the_guard_refuses_what_is_not_ours(memory_desk: Desk, local: Path, path: str) -> None:
    desk, endpoint = memory_desk, memory_desk.endpoint
    run = f"{AREA}/{local.parent.name}"
    mine = f"{run}/file"
    desk.pool.put(endpoint, mine, SKA, local=local)
    attempts: list[Callable[[], object]] = [
        lambda: desk.pool.put(endpoint, path, SKA, local=local),
        lambda: desk.pool.mkdir(endpoint, path, SKA),
        lambda: desk.pool.remove(endpoint, path, SKA),
        lambda: desk.pool.rmdir(endpoint, path, SKA),
        lambda: desk.pool.rename(endpoint, path, SKA, new_path=f"{run}/new"),
        lambda: desk.pool.rename(endpoint, mine, SKA, new_path=path),
        lambda: desk.pool.copy(endpoint, mine, SKA, new_endpoint=endpoint, new_path=path, mode="pull"),
    ]
    for attempt in attempts:
        with pytest.raises(EngineError, match="path guard"):
            attempt()
    assert desk.pool.list(endpoint, run, SKA) == ["file"]


def test_the_guard_knows_other_hosts(
    brokers: Brokers, memory_endpoint: Callable[..., Endpoint], local: Path
) -> None:
    desk = brokers.start((memory_endpoint("open"),))
    with pytest.raises(EngineError, match="path guard"):
        desk.pool.put(memory_endpoint("elsewhere"), f"{AREA}/run/file", SKA, local=local)


def test_reading_is_allowed_anywhere(brokers: Brokers, memory_endpoint: Callable[..., Endpoint]) -> None:
    endpoint = memory_endpoint("open")
    assert brokers.start((endpoint,)).pool.stat(endpoint, "", SKA).is_directory


def test_a_row_is_written_before_anything_is_created(
    brokers: Brokers, memory_endpoint: Callable[..., Endpoint], local: Path
) -> None:
    endpoint = memory_endpoint("refuses")
    desk = brokers.start((endpoint,))
    desk.pool.statistics()
    assert rows(desk) == []
    for name in ("run-1/a", "run-1/b", "run-2/deep/c"):
        with pytest.raises(StorageError):
            desk.pool.put(endpoint, f"{AREA}/{name}", SKA, local=local)
    with pytest.raises(StorageError):
        desk.pool.remove(endpoint, f"{AREA}/run-3/a", SKA)
    found = rows(desk)
    assert [(run, where) for run, _, where, _ in found] == [
        (run, endpoint.url(f"{AREA}/{run}/")) for run in ("run-1", "run-2")
    ]
    assert SKA.token not in str(found)


def test_the_socket_is_private(memory_desk: Desk) -> None:
    assert stat.S_IMODE(Path(memory_desk.broker.socket).stat().st_mode) == 0o600


def test_limits_hold_over_all_clients_and_nobody_waits_for_ever(
    brokers: Brokers, memory_endpoint: Callable[..., Endpoint]
) -> None:
    left = replace(memory_endpoint("hangs-1"), rse="LEFT")
    right = replace(memory_endpoint("hangs-2"), rse="RIGHT")
    limits = {"LEFT": Limits(concurrent=2), "RIGHT": Limits(concurrent=3)}
    desk = brokers.start((left, right), limits=limits)

    def copy(ends: tuple[Endpoint, Endpoint]) -> str:
        pool = Pool(desk.broker.socket)
        try:
            pool.copy(
                ends[0],
                "/ska/x",
                SKA,
                new_endpoint=ends[1],
                new_path=f"{AREA}/run/x",
                mode="pull",
                budget=0.2,
            )
        except StorageError as error:
            return error.kind
        finally:
            pool.close()
        return ""

    with ThreadPoolExecutor(12) as threads:
        kinds = list(threads.map(copy, [(left, right), (right, left)] * 6))
    assert kinds == ["timeout"] * 12
    rses = desk.pool.statistics()["rses"]
    assert (rses["LEFT"]["most_running"], rses["LEFT"]["calls"], rses["LEFT"]["running"]) == (2, 12, 0)
    assert rses["RIGHT"]["most_running"] == 2


def test_a_client_that_goes_away_frees_its_turn(
    brokers: Brokers, memory_endpoint: Callable[..., Endpoint]
) -> None:
    hanging = replace(memory_endpoint("hangs"), rse="ONE")
    healthy = replace(memory_endpoint("open"), rse="ONE")
    desk = brokers.start((hanging, healthy), limits={"ONE": Limits(concurrent=1)})
    call = wire.Call(verb="stat", endpoint=hanging, path="/ska", credential=SKA, budget=600.0)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(desk.broker.socket)
        client.sendall(wire.encode(wire.to_message(call)))
        while desk.pool.statistics()["rses"].get("ONE", {}).get("running") != 1:
            pass
    assert desk.pool.stat(healthy, "", SKA, budget=20.0).is_directory


def test_calls_with_one_key_are_made_once(
    brokers: Brokers, memory_endpoint: Callable[..., Endpoint], local: Path
) -> None:
    endpoint = memory_endpoint("healthy")
    desk = brokers.start((endpoint,))

    def put(_: int) -> None:
        desk.pool.put(endpoint, f"{AREA}/run/shared", SKA, local=local, once="shared")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(put, range(16)))
    assert desk.pool.statistics()["rses"]["MEMORY"]["calls"] == 1


def test_a_failure_is_not_kept_for_a_key(
    brokers: Brokers, memory_endpoint: Callable[..., Endpoint], local: Path
) -> None:
    endpoint = memory_endpoint("full")
    desk = brokers.start((endpoint,))
    for _ in range(2):
        with pytest.raises(StorageError) as refused:
            desk.pool.put(endpoint, f"{AREA}/run/x", SKA, local=local, once="x")
        assert refused.value.kind == "no-space"
    assert desk.pool.statistics()["rses"]["MEMORY"]["calls"] == 2


@pytest.mark.parametrize("limits", [Limits(max_files=2), Limits(max_bytes=25)])
def test_an_rse_gets_no_more_than_its_budget(
    brokers: Brokers, memory_endpoint: Callable[..., Endpoint], local: Path, limits: Limits
) -> None:
    endpoint = memory_endpoint("healthy")
    desk = brokers.start((endpoint,), limits={endpoint.rse: limits})
    for name in "ab":
        desk.pool.put(endpoint, f"{AREA}/run/{name}", SKA, local=local)
    with pytest.raises(EngineError, match=r"limits\.max_"):
        desk.pool.put(endpoint, f"{AREA}/run/c", SKA, local=local)
    assert desk.pool.list(endpoint, f"{AREA}/run", SKA) == ["a", "b"]


def test_a_broker_that_cannot_start_says_why(
    brokers: Brokers, memory_endpoint: Callable[..., Endpoint]
) -> None:
    endpoint = replace(memory_endpoint("healthy"), rse="MEMORY")
    with pytest.raises(EngineError, match="did not start"):
        brokers.start((endpoint,), ledger="/nonexistent/ledger")


def test_a_pool_without_a_broker_says_so(tmp_path: Path, memory_endpoint: Callable[..., Endpoint]) -> None:
    with pytest.raises(EngineError, match="no broker"):
        Pool(tmp_path / "nothing").stat(memory_endpoint("healthy"), "/ska", SKA)


class TestMemoryFaults:
    """What the in-memory storage fakes, so that the plugin's own tests can see a lake fail."""

    @pytest.fixture
    def desk(self, brokers: Brokers, memory_endpoint: Callable[..., Endpoint]) -> Desk:
        names = ("healthy", "flips", "truncates", "open", "streams", "lies")
        return brokers.start(tuple(memory_endpoint(name) for name in names))

    def test_another_experiment_is_refused(
        self, desk: Desk, memory_endpoint: Callable[..., Endpoint], local: Path
    ) -> None:
        for credential in (LOFAR, Credential()):
            with pytest.raises(StorageError) as refused:
                desk.pool.put(memory_endpoint("healthy"), f"{AREA}/run/x", credential, local=local)
            assert refused.value.kind == "denied"
        desk.pool.put(memory_endpoint("open"), f"{AREA}/run/x", LOFAR, local=local)

    def test_a_flipped_byte_keeps_its_checksum(
        self, desk: Desk, memory_endpoint: Callable[..., Endpoint], local: Path
    ) -> None:
        endpoint, path = memory_endpoint("flips"), f"{AREA}/run/x"
        desk.pool.put(endpoint, path, SKA, local=local, checksum="adler32:0aff020e")
        assert desk.pool.checksum(endpoint, path, SKA, algorithm="adler32") == "0aff020e"
        assert desk.pool.read(endpoint, path, SKA, offset=0, length=10) != local.read_bytes()

    def test_copies(self, desk: Desk, memory_endpoint: Callable[..., Endpoint], local: Path) -> None:
        source, path = memory_endpoint("healthy"), f"{AREA}/run/x"
        desk.pool.put(source, path, SKA, local=local)
        for name, mode, size in (("open", "push", 10), ("streams", "streamed", 10), ("truncates", "push", 5)):
            there = memory_endpoint(name)
            facts = desk.pool.copy(source, path, SKA, new_endpoint=there, new_path=path, mode="push")
            assert (facts.mode, desk.pool.stat(there, path, SKA).size) == (mode, size)
        for name in ("truncates", "lies"):
            there, checksum = memory_endpoint(name), "adler32:0aff020e"
            with pytest.raises(StorageError) as refused:
                desk.pool.copy(
                    source,
                    path,
                    SKA,
                    new_endpoint=there,
                    new_path=path,
                    mode="push",
                    overwrite=True,
                    checksum=checksum,
                )
            assert refused.value.kind == "checksum"
