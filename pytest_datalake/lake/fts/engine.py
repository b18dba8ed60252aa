"""The thread that lets files start, within the limits, and hears how they end."""

from __future__ import annotations

import errno
import logging
import os
import selectors
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_datalake.lake.fts import states
from pytest_datalake.lake.fts.attempt import Order, Report
from pytest_datalake.lake.fts.orders import NoCredentialError
from pytest_datalake.lake.fts.pool import Pool, Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_datalake.lake.fts.attempt import Action
    from pytest_datalake.lake.fts.config import Settings
    from pytest_datalake.lake.fts.lifecycle import Lifecycle
    from pytest_datalake.lake.fts.limits import Limits
    from pytest_datalake.lake.fts.messenger import Messenger
    from pytest_datalake.lake.fts.model import File
    from pytest_datalake.lake.fts.nursery import Nursery
    from pytest_datalake.lake.fts.orders import Orders

_log = logging.getLogger(__name__)

_QUEUED = ("SUBMITTED", "FORCE_START")
_PREPARATION_SECONDS = 300.0
"""For everything before the copy; each call has its own, shorter time."""
_GRACE_SECONDS = 60.0
"""After its own time-out, until a copy is stopped from outside."""
_LONGEST_SLEEP = 5.0
_WORKERS_FOR_TAPE = 8


@dataclass(eq=False, slots=True)
class Task:
    """An order that a worker is busy with. ``then`` is the report that waits for a clean-up."""

    file: File
    order: Order
    worker: Worker
    deadline: float
    cleared: bool = False
    then: Report | None = None


class Engine(threading.Thread):
    """Runs until ``stop``."""

    def __init__(
        self,
        settings: Settings,
        lifecycle: Lifecycle,
        orders: Orders,
        limits: Limits,
        nursery: Nursery,
        messenger: Messenger,
    ) -> None:
        super().__init__(name="engine", daemon=True)
        self._settings = settings
        self._lifecycle = lifecycle
        self._store = lifecycle.store
        self._orders = orders
        self._limits = limits
        self._messenger = messenger
        self._pool = Pool(nursery, settings.workers + _WORKERS_FOR_TAPE)
        self._tasks: dict[int, Task] = {}
        self._selector = selectors.DefaultSelector()
        self._waking, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._selector.register(self._waking, selectors.EVENT_READ, None)
        self._stopping = False
        self._turn = 0

    def wake(self) -> None:
        """Something has changed: look again. May be called from any thread."""
        try:
            os.write(self._wake, b"!")
        except BlockingIOError:
            return  # it will wake up anyway

    def stop(self) -> None:
        """End the thread; what workers are doing is done again after the next start."""
        self._stopping = True
        self.wake()
        self.join()

    def in_flight(self) -> dict[str, int]:
        """Workers busy with copies and with tape."""
        actions = Counter(task.order.action for task in list(self._tasks.values()))
        return {"active": actions["transfer"], "staging": actions["stage"] + actions["archive"]}

    def recover(self) -> int:
        """Queue again what a killed service was doing; the number of files."""
        running = self._store.in_states(states.RUNNING)
        for file in running:
            self._lifecycle.requeue(file)
        return len(running)

    def run(self) -> None:
        """Look, start, wait; again and again."""
        while not self._stopping:
            try:
                self._lifecycle.expire()
                self._stop_canceled()
                self._start_waiting()
                self._messenger.deliver()
                self._wait()
                self._stop_late()
                self._pool.retire()
            except Exception:  # noqa: BLE001  # one bad file must not stop all others
                _log.exception("the engine met a fault of its own and goes on")
                time.sleep(0.1)

    def _wait(self) -> None:
        now = time.time()
        pause = _LONGEST_SLEEP
        if (earliest := self._store.earliest(now)) is not None:
            pause = min(pause, max(earliest - now, 0.01))
        for key, _ in self._selector.select(pause):
            if key.data is None:
                os.read(self._waking, 4096)
            else:
                self._hear(key.data)

    def _start_waiting(self) -> None:
        storages = self._limits.storages()
        for file in self._choose(storages):
            self._begin("transfer", file, storages)
        room = _WORKERS_FOR_TAPE - sum(
            task.order.action in {"stage", "archive"} for task in self._tasks.values()
        )
        if room > 0:
            for file in self._store.in_states(["STAGING", "ARCHIVING"]):
                if room > 0 and file.file_id not in self._tasks and file.not_before <= time.time():
                    self._begin("archive" if file.file_state == "ARCHIVING" else "stage", file, storages)
                    room -= 1

    def _choose(self, storages: dict[str, dict[str, Any]]) -> Iterator[File]:
        """Files that may start now: the links take turns, each with its most urgent file first."""
        now = time.time()
        room = self._limits.room(
            [task.file for task in self._tasks.values() if task.order.action == "transfer"], storages
        )
        links = self._store.queued_links(_QUEUED, now)
        if not links or not room.free:
            return
        self._turn = (self._turn + 1) % len(links)
        queues = [
            iter(self._store.next_of_link(_QUEUED, source, destination, now, room.free))
            for source, destination in [*links[self._turn :], *links[: self._turn]]
        ]
        while queues and room.free:
            for queue in list(queues):
                file = next(queue, None)
                if file is None or not room.take(file):
                    queues.remove(queue)
                elif file.file_id in self._tasks:  # the rest of an attempt that was stopped is being removed
                    room.give_back(file)
                else:
                    yield file

    def _begin(self, action: Action, file: File, storages: dict[str, dict[str, Any]]) -> None:
        job = self._store.job(file.job_id) if action == "archive" else self._lifecycle.ready(file)
        if job is None:
            return
        others = self._store.files([job.job_id]) if job.job_type == "H" else [file]
        try:
            order = self._orders.make(
                action,
                job,
                file,
                last_hop=states.is_last_hop(job, file, others),
                left_behind=self._store.left_behind(file.file_id),
                storages=storages,
            )
        except NoCredentialError as error:
            self._lifecycle.ended(file.file_id, error.report)
            return
        seconds = _PREPARATION_SECONDS if action == "transfer" else order.seconds + _GRACE_SECONDS
        self._assign(file, order, seconds)

    def _assign(self, file: File, order: Order, seconds: float, then: Report | None = None) -> None:
        worker = self._pool.take(self._orders.needed(order))
        task = Task(file=file, order=order, worker=worker, deadline=time.monotonic() + seconds, then=then)
        self._tasks[file.file_id] = task
        self._selector.register(worker.child.connection, selectors.EVENT_READ, task)
        try:
            worker.send(order)
        except OSError:
            self._lost(task)

    def _hear(self, task: Task) -> None:
        events = task.worker.receive()
        if events is None:
            self._lost(task)
            return
        for event in events:
            match event["event"]:
                case "started":
                    if task.order.action == "transfer":
                        self._lifecycle.active(task.file.file_id, task.worker.child.pid)
                case "cleared":
                    task.cleared = True
                    self._store.clear_attempt(task.file.file_id)
                    task.deadline = time.monotonic() + event["seconds"] + _GRACE_SECONDS
                    try:
                        task.worker.go_on()
                    except OSError:
                        self._lost(task)
                        return
                case "done":
                    self._done(task, Report(**event["report"]))

    def _done(self, task: Task, report: Report) -> None:
        self._forget(task)
        self._pool.give_back(task.worker)
        self._conclude(task, report)

    def _conclude(self, task: Task, report: Report) -> None:
        file_id = task.file.file_id
        if task.order.action == "clean-up":
            if report.scope:
                _log.warning("file %d: its destination could not be removed: %s", file_id, report.text)
            else:
                self._store.end_attempt(file_id)
            report = task.then or report
        elif task.order.action == "transfer":
            self._store.end_attempt(file_id)
        self._lifecycle.ended(file_id, report)

    def _stop_canceled(self) -> None:
        copying = [task for task in self._tasks.values() if task.order.action != "clean-up"]
        if not copying:
            return
        states_now = self._store.file_states([task.file.file_id for task in copying])
        for task in copying:
            if states_now.get(task.file.file_id) == "CANCELED":
                self._abandon(task, Report(scope="TRANSFER", code=errno.ECANCELED, text="Transfer canceled"))

    def _stop_late(self) -> None:
        now = time.monotonic()
        for task in [task for task in self._tasks.values() if task.deadline < now]:
            text = "operation timeout: the transfer outlived its time and was stopped"
            self._abandon(task, Report(scope="TRANSFER", code=errno.ETIMEDOUT, text=text, phase="TRANSFER"))

    def _lost(self, task: Task) -> None:
        text = (
            "the process of this transfer died, in libgfal2 or a library below it: it was forcefully killed"
        )
        self._abandon(task, Report(scope="TRANSFER", code=errno.EIO, text=text, phase="TRANSFER"))

    def _abandon(self, task: Task, report: Report) -> None:
        """Stop the worker, and have another one remove what it was writing."""
        self._forget(task)
        self._pool.discard(task.worker)
        if task.cleared and task.order.cleans_up:
            order = Order(
                action="clean-up",
                source=task.order.source,
                destination=task.order.destination,
                source_credential=task.order.source_credential,
                destination_credential=task.order.destination_credential,
            )
            self._assign(task.file, order, _GRACE_SECONDS, then=report)
        else:
            self._conclude(task, report)

    def _forget(self, task: Task) -> None:
        self._selector.unregister(task.worker.child.connection)
        del self._tasks[task.file.file_id]
