"""Ends processes of a running lake by SIGKILL, and starts them again as its keeper did.

The keeper starts again what crashed, but nothing that was killed: that shows as dead. This is for tests of
what a death costs.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from pytest_datalake.errors import EngineError
from pytest_datalake.lake.keeper import answers, last_words, session_of
from pytest_datalake.lake.state import StateDirectory, read_json

if TYPE_CHECKING:
    from pytest_datalake.lake.running import Lake

_SECONDS = 60
_PAUSE = 0.05
_MOMENT = 0.001
_STILL = {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}


def end_at_once(pid: int) -> None:
    """Send SIGKILL to a process that leads a session and to all that it started; wait until they have ended.

    What it starts while it dies would go on: a worker that keeps the port open, or a backend of PostgreSQL
    that keeps its memory from the next one. So it is stopped before its children are counted.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        process.suspend()
        deadline = time.monotonic() + _SECONDS
        while process.status() not in _STILL and time.monotonic() < deadline:
            time.sleep(_MOMENT)
        _kill([process, *process.children(recursive=True)])
    _kill([one for one in psutil.process_iter() if session_of(one) == pid])


def _kill(processes: list[psutil.Process]) -> None:
    with contextlib.ExitStack() as lives:
        watched = []
        for one in processes:
            with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
                watched.append(os.pidfd_open(one.pid))
                lives.callback(os.close, watched[-1])
                one.kill()
        for life in watched:  # readable when the process has ended, even if nobody has waited for it
            select.select([life], [], [], _SECONDS)


class Services:
    """The central services of a lake that runs on this machine.

    Args:
        lake: up; what is started again is ended with it.
    """

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        plan = read_json(StateDirectory(lake.state_dir).plan)
        self._plans: dict[str, dict[str, Any]] = {one["name"]: one for one in plan["processes"]}
        self._again: dict[str, subprocess.Popen[bytes]] = {}

    def pid(self, name: str) -> int:
        """Of the process that serves now, or served last."""
        if name in self._again:
            return self._again[name].pid
        return int(self._lake.status()["services"][name]["pid"])

    def kill(self, name: str) -> None:
        """End a service, and all that it started, at once."""
        end_at_once(self.pid(name))
        if name in self._again:
            self._again[name].wait()

    def start(self, name: str) -> None:
        """Start a service that was killed, and wait until it answers.

        Raises:
            EngineError: it ends, or does not answer.
        """
        plan = self._plans[name]
        with Path(plan["output"]).open("ab") as output:
            service = subprocess.Popen(
                [*self._into_lake(), *plan["command"]],
                env=plan["environment"],  # marks it as the lake's: its end takes this process along
                cwd=plan["working_directory"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._again[name] = service
        deadline = time.monotonic() + _SECONDS
        while not all(answers(*door) for door in plan["ready"]):
            if service.poll() is not None or time.monotonic() > deadline:
                raise EngineError(f"{name} does not answer after it was started again\n{last_words(plan)}")
            time.sleep(_PAUSE)

    def close(self) -> None:
        """End what was started again."""
        for name in self._again:
            self.kill(name)

    def _into_lake(self) -> list[str]:
        """What a command must begin with to run where the lake's own processes do."""
        keeper = self._lake.status()["keeper"]["pid"]
        own, theirs = (Path(f"/proc/{who}/ns/mnt").readlink() for who in ("self", keeper))
        return [] if own == theirs else ["nsenter", "--mount", "--uts", "--target", str(keeper), "--"]
