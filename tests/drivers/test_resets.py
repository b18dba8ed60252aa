"""A read over root whose connection is reset is made once more, and no second time."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_datalake.matrix.model import Matrix
    from tests.drivers.conftest import Brokers, Wallet

PATIENCE = 30.0


@contextmanager
def resetting(port: int, times: int, *, rudely: bool = True) -> Iterator[int]:
    """A port before a server's that resets so many connections, and lets all others through."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(16) as threads:
        stopping = threading.Event()
        opened: list[socket.socket] = []

        def serve() -> None:
            for number in itertools.count():
                client, _ = listener.accept()
                if stopping.is_set():
                    client.close()
                    return
                client.settimeout(PATIENCE)
                if number < times:
                    client.recv(1)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", int(rudely), 0))
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", port), PATIENCE)
                opened.extend((client, server))
                threads.submit(pass_on, client, server)
                threads.submit(pass_on, server, client)

        threads.submit(serve)
        try:
            yield listener.getsockname()[1]
        finally:
            stopping.set()
            socket.create_connection(listener.getsockname()).close()
            for one in opened:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
    for one in opened:
        one.close()


def pass_on(source: socket.socket, destination: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            destination.sendall(data)
        destination.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("rudely", [True, False])
def test_one_reset_costs_nothing_and_is_told(
    lake: Matrix, lake_brokers: Brokers, wallet: Wallet, *, rudely: bool
) -> None:
    door = lake.endpoint("ALPHA-A.root")
    with resetting(door.port, 1, rudely=rudely) as port:
        desk = lake_brokers.start((replace(door, port=port),))
        assert desk.pool.stat(desk.endpoint, "/ska", wallet.token("ska", door)).is_directory
        assert desk.pool.connections_reset == 1
        desk.broker.stop()


def test_a_door_that_resets_every_connection_is_out_of_order(
    lake: Matrix, lake_brokers: Brokers, wallet: Wallet
) -> None:
    door = lake.endpoint("ALPHA-A.root")
    with resetting(door.port, 1000) as port:
        desk = lake_brokers.start((replace(door, port=port),))
        with pytest.raises(StorageError) as refusal:
            desk.pool.stat(desk.endpoint, "/ska", wallet.token("ska", door))
        assert refusal.value.kind == "unreachable"
        desk.broker.stop()
