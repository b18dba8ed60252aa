"""Worker processes, forked from one small process that has loaded gfal2 and done nothing with it.

A fork takes milliseconds, where a fresh interpreter with gfal2 takes a tenth of a second; and it needs no
file that an account without rights cannot read.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import resource
import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_LONGEST = 1 << 20


@dataclass(eq=False, slots=True)
class Child:
    """One worker process as the service sees it."""

    pid: int
    handle: int
    connection: socket.socket

    def kill(self) -> None:
        """SIGKILL; what it was doing stops, at our end."""
        try:
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)
        except ProcessLookupError:
            pass
        finally:
            os.close(self.handle)
            self.connection.close()


class Nursery:
    """Starts workers. To be made before the process has threads.

    Args:
        prepare: called once in the new process, to become the account that workers run as.
    """

    def __init__(self, prepare: Callable[[], None]) -> None:
        self._control, there = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            self._control.close()
            try:
                _tend(there, prepare)
            finally:
                os._exit(0)
        there.close()
        self.pid = pid

    def new(self, environment: dict[str, str]) -> Child:
        """A fresh worker with just that environment."""
        ours, theirs = socket.socketpair()
        with theirs:
            request = json.dumps(environment).encode()
            self._control.sendall(len(request).to_bytes(4, "big"))
            socket.send_fds(self._control, [request[:1]], [theirs.fileno()])
            self._control.sendall(request[1:])
        answer, handles, _, _ = socket.recv_fds(self._control, 64, 1)
        return Child(pid=int(answer), handle=handles[0], connection=ours)

    def close(self) -> None:
        """End the nursery and, by that, every worker."""
        self._control.close()
        os.waitpid(self.pid, 0)


def _tend(control: socket.socket, prepare: Callable[[], None]) -> None:
    """Fork as asked until the service has gone; workers die with this process."""
    from pytest_datalake.lake.fts import worker  # loads gfal2

    logging.getLogger().setLevel(logging.ERROR)  # gfal2 tells a lot; what failed stands in the reports
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for workers: they leave no zombies
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold secrets
    parent = os.getppid()
    prepare()
    _die_with(parent)
    while True:
        size = _exactly(control, 4)
        if not size:
            return
        first, handles, _, _ = socket.recv_fds(control, 1, 1)
        environment = json.loads(first + _exactly(control, int.from_bytes(size, "big") - 1))
        connection = socket.socket(fileno=handles[0])
        tender = os.getpid()
        pid = os.fork()
        if pid == 0:
            control.close()
            try:
                _die_with(tender)
                os.environ.clear()
                os.environ.update(environment)
                worker.serve(connection)
            finally:
                os._exit(0)
        connection.close()
        handle = os.pidfd_open(pid)
        socket.send_fds(control, [str(pid).encode()], [handle])
        os.close(handle)


def _exactly(control: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = control.recv(min(count - len(found), _LONGEST))
        if not piece:
            return b""
        found += piece
    return found


def _die_with(parent: int) -> None:
    """Have the kernel end this process when its parent dies, however it dies (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
