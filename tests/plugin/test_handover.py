"""The controller's lake reaches every worker that asks, whatever happens to the others."""

from __future__ import annotations

import socket
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.errors import EngineError
from pytest_datalake.fixtures.handover import Doorkeeper, ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def doorkeeper() -> Iterator[Doorkeeper]:
    doorkeeper = Doorkeeper()
    doorkeeper.refuse("it rains")
    yield doorkeeper
    doorkeeper.close()


def leave_at_once(doorkeeper: Doorkeeper) -> None:
    with socket.socket(socket.AF_UNIX) as worker:
        worker.connect(doorkeeper.address)


def leave_before_the_answer(doorkeeper: Doorkeeper) -> None:
    Client(doorkeeper.address, family="AF_UNIX", authkey=doorkeeper.key).close()


def be_a_stranger(doorkeeper: Doorkeeper) -> None:
    with pytest.raises(AuthenticationError):
        Client(doorkeeper.address, family="AF_UNIX", authkey=b"wrong")


@pytest.mark.parametrize("before", [leave_at_once, leave_before_the_answer, be_a_stranger])
def test_worker_that_goes_does_not_close_the_door(
    doorkeeper: Doorkeeper, before: Callable[[Doorkeeper], None]
) -> None:
    for _ in range(5):
        before(doorkeeper)
        with pytest.raises(EngineError, match="there is no lake to test: it rains"):
            ask(doorkeeper.address, doorkeeper.key)
