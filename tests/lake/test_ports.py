from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pytest_datalake.errors import EngineError
from pytest_datalake.lake import ports


def test_two_lakes_never_get_the_same_port(monkeypatch: pytest.MonkeyPatch) -> None:
    few = ports.candidates()[:12]
    monkeypatch.setattr(ports, "candidates", lambda: list(few))
    mine = ports.claim(4)
    yours = ports.claim(4)
    try:
        assert not {one.port for one in mine} & {one.port for one in yours}
    finally:
        for one in [*mine, *yours]:
            one.release()


def test_a_released_port_can_be_claimed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = ports.claim(1)
    first.release()
    monkeypatch.setattr(ports, "candidates", lambda: [first.port])
    (second,) = ports.claim(1)
    second.release()
    assert second.port == first.port


def test_a_port_with_a_server_is_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(ports, "candidates", lambda: [server.getsockname()[1]])
        with pytest.raises(EngineError, match="1 free TCP ports"):
            ports.claim(1)


def test_ports_lie_outside_the_ephemeral_range() -> None:
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert not [port for port in ports.candidates() if low <= port <= high]
