"""Bad doors in the place of a good one."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PIECE = 65_536


@contextlib.contextmanager
def tarpit(doors: Iterable[tuple[str, int]]) -> Iterator[None]:
    """A door that accepts every connection and never says a word."""
    with contextlib.ExitStack() as closing:
        for door in doors:
            # the kernel accepts for it, and nobody ever reads
            closing.enter_context(_listen(door))
        yield


@contextlib.contextmanager
def trickle(doors: Iterable[tuple[str, int]], port: int, *, quick_bytes: int) -> Iterator[None]:
    """A door that passes everything on to ``port`` but answers with a byte a second.

    Args:
        doors: where to listen.
        port: of the real door, on the same hosts.
        quick_bytes: of each connection's answers are sent at full speed: enough for a login.
    """
    ended = threading.Event()
    with contextlib.ExitStack() as closing:
        threads = []
        for host, own_port in doors:
            listener = closing.enter_context(_listen((host, own_port)))
            threads.append(threading.Thread(target=_serve, args=(listener, (host, port), quick_bytes, ended)))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()


def _listen(door: tuple[str, int]) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # connections of the daemon that was here before may be in TIME_WAIT
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(door)
    listener.listen(128)
    return listener


def _serve(
    listener: socket.socket, target: tuple[str, int], quick_bytes: int, ended: threading.Event
) -> None:
    """Carry the bytes of all connections of one door, in one thread, until the end."""
    with contextlib.closing(_Carrier(listener, target, quick_bytes)) as carrier:
        while not ended.is_set():
            carrier.turn(0.1)


class _Carrier:
    def __init__(self, listener: socket.socket, target: tuple[str, int], quick_bytes: int) -> None:
        self._listener = listener
        self._target = target
        self._quick_bytes = quick_bytes
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._left: dict[socket.socket, int] = {}
        self._slow: dict[socket.socket, socket.socket] = {}
        self._next_byte = time.monotonic()

    def turn(self, seconds: float) -> None:
        """Wait at most that long for something to carry."""
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._listener:
                self._accept()
            else:
                self._carry(key.fileobj, key.data)  # type: ignore[arg-type]  # we register sockets alone
        if time.monotonic() >= self._next_byte:
            self._next_byte = time.monotonic() + 1
            for answering, client in list(self._slow.items()):
                self._pass_on(answering, client, 1)

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            if key.fileobj is not self._listener:
                key.fileobj.close()  # type: ignore[union-attr]  # we register sockets alone
        for answering in self._slow:
            answering.close()
        self._selector.close()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            answering = socket.create_connection(self._target)
        except OSError:
            client.close()
            return
        self._selector.register(client, selectors.EVENT_READ, answering)
        self._selector.register(answering, selectors.EVENT_READ, client)
        self._left[answering] = self._quick_bytes

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        quick = min(_PIECE, self._left.get(source, _PIECE))
        sent = self._pass_on(source, target, quick)
        if source in self._left and sent:
            self._left[source] -= sent
            if self._left[source] == 0:
                self._selector.unregister(source)
                self._slow[source] = target

    def _pass_on(self, source: socket.socket, target: socket.socket, size: int) -> int:
        try:
            piece = source.recv(size)
            target.sendall(piece)
        except OSError:
            piece = b""
        if not piece:
            self._drop(source)
            self._drop(target)
        return len(piece)

    def _drop(self, one: socket.socket) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(one)
        self._slow.pop(one, None)
        self._left.pop(one, None)
        one.close()
