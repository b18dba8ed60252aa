"""Free TCP ports, kept by one lake for as long as it lives.

A port is ours while a socket exists that is named after it in Linux's abstract namespace (unix(7)). The
kernel drops the name with the last process that holds the socket, so a claim cannot outlive a killed lake.
Ports come from outside the ephemeral range: no outgoing connection can take one between the claim and the
bind.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

from pytest_datalake.errors import EngineError

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000
_HIGHEST = 65_535


@dataclass(frozen=True, slots=True)
class Claim:
    """A TCP port and the socket that keeps other lakes off it."""

    port: int
    holder: socket.socket

    def release(self) -> None:
        """Give the port back, unless another process holds a copy of the socket."""
        self.holder.close()


def candidates() -> list[int]:
    """Ports outside the kernel's ephemeral range, in random order so that lakes seldom meet."""
    try:
        low, high = (int(word) for word in _EPHEMERAL.read_text().split())
    except (OSError, ValueError):
        low, high = 32_768, 60_999
    ports = [*range(_LOWEST, low), *range(high + 1, _HIGHEST + 1)] or [*range(_LOWEST, _HIGHEST + 1)]
    SystemRandom().shuffle(ports)
    return ports


def is_free(port: int) -> bool:
    """Whether a server can bind the port on every address of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections in TIME_WAIT are no obstacle, another listener is.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104  # XRootD binds all addresses
            probe.listen(1)
        except OSError:
            return False
    return True


def claim(count: int) -> list[Claim]:
    """Claim ``count`` ports.

    Raises:
        EngineError: the machine has not that many free ports outside the ephemeral range.
    """
    claims: list[Claim] = []
    for port in candidates():
        if len(claims) == count:
            break
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            holder.bind(f"\0pytest-datalake-port-{port}")
        except OSError:
            holder.close()
            continue
        if is_free(port):
            claims.append(Claim(port, holder))
        else:
            holder.close()
    if len(claims) < count:
        for one in claims:
            one.release()
        raise EngineError(
            f"the lake needs {count} free TCP ports outside the ephemeral range and found {len(claims)}; "
            f"stop other servers, or narrow {_EPHEMERAL}"
        )
    return claims
