"""Workers that are busy, and idle ones that may be used again by orders of the same key."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_datalake.lake.fts.attempt import Order
    from pytest_datalake.lake.fts.nursery import Child, Nursery
    from pytest_datalake.lake.fts.orders import Needed

_IDLE_SECONDS = 30.0


@dataclass(eq=False, slots=True)
class Worker:
    """One process, and what it sent that is not a whole line yet."""

    key: str
    child: Child
    pending: bytes = b""
    idle_since: float = field(default=0.0)

    def send(self, order: Order) -> None:
        """Give it something to do. Raises ``OSError`` where it is gone."""
        self.child.connection.sendall(order.to_line())

    def go_on(self) -> None:
        """Let it begin the copy. Raises ``OSError`` where it is gone."""
        self.child.connection.sendall(b"{}\n")

    def receive(self) -> list[dict[str, Any]] | None:
        """What it said; None: it died."""
        try:
            piece = self.child.connection.recv(65_536)
        except OSError:
            return None
        if not piece:
            return None
        *lines, self.pending = (self.pending + piece).split(b"\n")
        return [json.loads(line) for line in lines]


class Pool:
    """Keeps idle workers for a while, the most recently used ones longest.

    Args:
        nursery: starts workers.
        most: processes, busy or idle; a busy one is never stopped for another.
    """

    def __init__(self, nursery: Nursery, most: int) -> None:
        self._nursery = nursery
        self._most = most
        self._idle: list[Worker] = []
        self.busy = 0

    def take(self, needed: Needed) -> Worker:
        """A worker for an order of that key."""
        self.busy += 1
        for worker in reversed(self._idle):
            if worker.key == needed.key:
                self._idle.remove(worker)
                return worker
        while self._idle and len(self._idle) + self.busy > self._most:
            self._idle.pop(0).child.kill()
        return Worker(needed.key, self._nursery.new(dict(needed.environment)))

    def give_back(self, worker: Worker) -> None:
        """The worker has nothing to do any more."""
        self.busy -= 1
        worker.idle_since = time.monotonic()
        self._idle.append(worker)

    def discard(self, worker: Worker) -> None:
        """The worker died, or must."""
        self.busy -= 1
        worker.child.kill()

    def retire(self) -> None:
        """Stop workers that have been idle for long."""
        limit = time.monotonic() - _IDLE_SECONDS
        while self._idle and self._idle[0].idle_since < limit:
            self._idle.pop(0).child.kill()
