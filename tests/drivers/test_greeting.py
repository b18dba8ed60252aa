"""Servers are asked what they are, and nothing that they answer does harm."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.drivers.greeting import greeting, greetings

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Endpoint, Matrix


@pytest.fixture
def by_ftp(lake: Matrix) -> Endpoint:
    return lake.endpoint("CHARLIE-A.gsiftp")


def answering(endpoint: Endpoint, reply: bytes) -> str:
    """What is made of a server that says that, and no more."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(reply)

        talking = threading.Thread(target=answer)
        talking.start()
        said = greeting(replace(endpoint, host="127.0.0.1", port=server.getsockname()[1]))
        talking.join()
    return said


def test_doors_tell_name_and_version(lake: Matrix) -> None:
    told = greetings(lake.endpoint(name) for name in ("ALPHA-A.davs", "ALPHA-A.root", "CHARLIE-A.gsiftp"))
    assert set(told) == {"ALPHA-A.davs", "CHARLIE-A.gsiftp"}, "xroot tells strangers nothing"
    assert told["ALPHA-A.davs"].startswith("XrootD/v5.")
    assert "GridFTP Server" in told["CHARLIE-A.gsiftp"]


def test_a_dead_door_tells_nothing(by_ftp: Endpoint) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    dead = replace(by_ftp, host="127.0.0.1", port=port)
    assert (
        greetings([dead, replace(dead, id="B", protocol="davs"), replace(dead, id="C", protocol="root")])
        == {}
    )


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        pytest.param(b"220 server\x1b[2J\x00 ready\r\n220 more\r\n", "server[2J ready", id="control"),
        pytest.param(b"220 " + b"x" * 5000, "x" * 120, id="long"),
        pytest.param(b"500 go away\r\n", "", id="another protocol"),
        pytest.param(b"", "", id="nothing"),
    ],
)
def test_what_a_server_says_is_short_and_plain(by_ftp: Endpoint, reply: bytes, said: str) -> None:
    assert answering(by_ftp, reply) == said
