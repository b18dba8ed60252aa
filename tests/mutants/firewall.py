"""Rules on the way between two sites: each site's daemon runs under an account of its own."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS = 20


@contextlib.contextmanager
def cut(*, account: int, port: int) -> Iterator[None]:
    """Refuse the connections of one account to one port.

    Skips the test where rules cannot be made.
    """
    with _table(
        "add chain inet {table} out {{ type filter hook output priority 0; }}",
        f"add rule inet {{table}} out tcp dport {port} meta skuid {account} reject with tcp reset",
    ):
        yield


@contextlib.contextmanager
def slow(*, account: int, port: int, kilobytes_per_second: int) -> Iterator[None]:
    """Let only so much come from one port to the connections of one account.

    Skips the test where rules cannot be made.
    """
    with _table(
        "add chain inet {table} out {{ type filter hook output priority 0; }}",
        "add chain inet {table} in {{ type filter hook input priority 0; }}",
        f"add rule inet {{table}} out tcp dport {port} ct state new meta skuid {account} ct mark set {port}",
        # whole segments of a loopback device, 64 KiB, must pass now and then
        f"add rule inet {{table}} in ct mark {port} tcp sport {port} "
        f"limit rate over {kilobytes_per_second} kbytes/second burst 80 kbytes drop",
    ):
        yield


@contextlib.contextmanager
def _table(*commands: str) -> Iterator[None]:
    """A table that belongs to a process of ours: the kernel removes it with that process, however it ends."""
    if os.geteuid() != 0:
        pytest.skip("only root can make firewall rules")
    table = f"mutants_{os.getpid()}"
    with subprocess.Popen(
        ["nft", "--interactive"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as nft:
        try:
            said = _tell(nft, f"add table inet {table} {{ flags owner; }}")
            if said:
                pytest.skip(f"this machine lets no firewall rule be made: {said}")
            for command in commands:
                said = _tell(nft, command.format(table=table))
                assert not said, said
            yield
        finally:
            nft.terminate()


def _tell(nft: subprocess.Popen[bytes], command: str) -> str:
    """Give nft a command; returns its complaint, empty when there is none."""
    assert nft.stdin is not None
    assert nft.stdout is not None
    end = "describe ct mark"  # says something in one line, so that silence before it means success
    nft.stdin.write(f"{command}\n{end}\n".encode())
    nft.stdin.flush()
    said = b""
    while not (b"ct expression" in said and said.endswith(b"\n")):
        ready, _, _ = select.select([nft.stdout], [], [], _SECONDS)
        piece = os.read(nft.stdout.fileno(), 65_536) if ready else b""
        if not piece:
            break
        said += piece
    return said.decode(errors="replace").partition("ct expression")[0].strip()
