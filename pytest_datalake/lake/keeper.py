"""The process that the daemons of one lake live under, and die with.

``python -m pytest_datalake.lake.keeper STATE_DIR --report FD [--bound]`` starts what STATE_DIR/plan.json
lists, says on FD what becomes of it (one JSON object a line), and then watches. It is the subreaper of
everything below it (prctl(2), PR_SET_CHILD_SUBREAPER), so a daemon that forks away is still found and
stopped. It stops on SIGTERM and SIGINT and, when bound, when its standard input ends: the kernel sees to
that however its starter dies.

A process that crashes is started again, as Debian's units of XRootD and Apache have it (systemd.service(5),
Restart=on-abort), a few times at most. One that exits or is killed stays dead: somebody meant it.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import datetime as dt
import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

import psutil

from pytest_datalake.lake import ports
from pytest_datalake.lake.state import StateDirectory, read_json, write_json

logger = logging.getLogger("pytest_datalake.lake.keeper")

_PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""

CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})
"""Signals that a process brings upon itself."""

MOST_RESTARTS = 3
"""How often a process is started again in the life of a lake."""

SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
"""The CA file compiled into Debian's libcurl; libscitokens 0.7 lets no option change it."""


class StartError(Exception):
    """A daemon could not be started.

    Attributes:
        kind: ``"port"`` where another server took a port between the claim and the start, so that other ports
            may do; else ``"daemon"``.
    """

    def __init__(self, message: str, kind: Literal["daemon", "port"] = "daemon") -> None:
        super().__init__(message)
        self.kind = kind


class Keeper:
    """Starts, watches and stops the processes of a plan."""

    def __init__(self, state: StateDirectory, *, report: int, bound: bool) -> None:
        self._state = state
        self._plan = read_json(state.plan)
        self._report: int | None = report
        self._stopping = False
        self._children: dict[int, tuple[str, subprocess.Popen[bytes]]] = {}
        self._record: dict[str, Any] = {"pid": os.getpid(), "phase": "starting", "processes": {}}
        self._selector = selectors.DefaultSelector()
        wake_up, self._wake = os.pipe()
        os.set_blocking(wake_up, False)
        os.set_blocking(self._wake, False)
        self._selector.register(wake_up, selectors.EVENT_READ, "signal")
        if bound:
            self._selector.register(sys.stdin.fileno(), selectors.EVENT_READ, "starter")

    def run(self) -> int:
        """Keep the lake until told to stop. Returns the exit status: 1 where it did not come up."""
        become_subreaper()
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop_soon)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        status = 0
        try:
            self._start()
            self._wait_until_ready()
            if not self._stopping:
                self._enter("ready")
                self._say({"event": "up"})
        except StartError as error:
            status = 1
            logger.error("%s", error)  # noqa: TRY400  # the message says it all
            self._enter("failed")
            self._say({"event": "failed", "kind": error.kind, "reason": str(error)})
            self._stopping = True
        self._hang_up()
        while not self._stopping:
            self._wait(None)
        self._stop()
        return status

    def _stop_soon(self, number: int, _frame: object) -> None:
        logger.info("stopping on %s", signal.Signals(number).name)
        self._stopping = True

    def _say(self, event: dict[str, str]) -> None:
        if self._report is not None:
            try:
                os.write(self._report, json.dumps(event).encode() + b"\n")
            except OSError:
                logger.info("stopping: whoever started this lake went away before it was up")
                self._stopping = True

    def _hang_up(self) -> None:
        if self._report is not None:
            os.close(self._report)
            self._report = None

    def _enter(self, phase: str) -> None:
        self._record["phase"] = phase
        write_json(self._state.record, self._record)

    def _start(self) -> None:
        if self._plan["hostname"]:
            socket.sethostname(self._plan["hostname"])
        for process in self._plan["processes"]:
            self._start_one(process)
        self._enter("starting")

    def _start_one(self, process: dict[str, Any]) -> None:
        for _host, port in process["ready"]:
            if not ports.is_free(port):
                raise StartError(f"{process['name']}: port {port} is taken by another server", "port")
        self._launch(process)

    def _launch(self, process: dict[str, Any]) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        output = os.open(process["output"], flags, 0o600)
        try:
            child = subprocess.Popen(
                process["command"],
                env=process["environment"],
                cwd=process["working_directory"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        except OSError as error:
            raise StartError(f"{process['name']} cannot be started: {error}") from None
        finally:
            os.close(output)
        self._children[child.pid] = (process["name"], child)
        record = self._record["processes"].setdefault(process["name"], {"crashes": []})
        record.update(pid=child.pid, ended="")

    def _wait_until_ready(self) -> None:
        pending = {
            process["name"]: [(host, port) for host, port in process["ready"]]
            for process in self._plan["processes"]
        }
        plans = {process["name"]: process for process in self._plan["processes"]}
        deadline = time.monotonic() + self._plan["budget"]
        while pending and not self._stopping:
            self._demand_alive()
            for name, doors in list(pending.items()):
                pending[name] = [door for door in doors if not answers(*door)]
                if not pending[name]:
                    del pending[name]
                    self._say({"event": "ready", "name": name})
            if pending and time.monotonic() > deadline:
                name, doors = next(iter(pending.items()))
                raise StartError(
                    f"{name} does not answer on port {doors[0][1]} after {self._plan['budget']} s\n"
                    f"{last_words(plans[name])}"
                )
            if pending:
                self._wait(0.02)
        if not self._stopping:
            self._reap()
            self._demand_alive()  # also those that answered: a port may be open before all is loaded

    def _demand_alive(self) -> None:
        for process in self._plan["processes"]:
            ended = self._record["processes"][process["name"]]["ended"]
            if ended and ended != "exit status 0":  # 0: it may have forked away
                raise StartError(f"{process['name']} did not start: {ended}\n{last_words(process)}")

    def _wait(self, timeout: float | None) -> None:
        """Sleep until a signal, the end of the starter, or the time-out (seconds)."""
        for key, _events in self._selector.select(timeout):
            if os.read(key.fd, 4096) == b"":
                logger.info("stopping: the process that started this lake has ended")
                self._selector.unregister(key.fd)
                self._stopping = True
        self._reap()

    def _reap(self) -> None:
        changed = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid not in self._children:
                continue  # a daemon's orphan
            name, child = self._children.pop(pid)
            child.returncode = os.waitstatus_to_exitcode(status)
            ended = how_it_ended(child.returncode)
            self._record["processes"][name]["ended"] = ended
            changed = True
            if not self._stopping:
                moment = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
                logger.warning("%s ended by itself at %s: %s", name, moment, ended)
                if -child.returncode in CRASHES and self._record["phase"] == "ready":
                    self._record["processes"][name]["crashes"].append({"how": ended, "at": moment})
                    self._start_again(name, pid)
        if changed and not self._stopping:
            write_json(self._state.record, self._record)

    def _start_again(self, name: str, pid: int) -> None:
        """After a crash: end what the process has left, which may hold its port, and start it."""
        left = [one for one in descendants() if session_of(one) == pid]
        for one in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(left, timeout=_GRACE)
        crashes = len(self._record["processes"][name]["crashes"])
        if crashes > MOST_RESTARTS:
            logger.error("%s crashed %d times and is not started again", name, crashes)
            return
        try:
            self._launch(next(one for one in self._plan["processes"] if one["name"] == name))
        except StartError as error:
            logger.error("%s", error)  # noqa: TRY400  # the message says it all
        else:
            logger.warning("%s is started again, time %d of %d", name, crashes, MOST_RESTARTS)

    def _stop(self) -> None:
        if self._record["phase"] != "failed":
            self._enter("stopping")
        asked: set[int] = set()
        deadline = time.monotonic() + _GRACE
        give_up = deadline + _GRACE
        while remaining := descendants():
            now = time.monotonic()
            if now > give_up:
                logger.error("cannot stop %s", ", ".join(str(one.pid) for one in remaining))
                break
            for one in remaining:
                try:
                    if now > deadline:
                        one.kill()
                    elif one.pid not in asked:
                        asked.add(one.pid)
                        one.terminate()
                except psutil.NoSuchProcess:
                    continue
            self._wait(0.05)
        self._reap()  # those that ended since the last look
        if self._record["phase"] != "failed":
            self._enter("stopped")


def become_subreaper() -> None:
    """Inherit the orphans of every process below this one."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def descendants() -> list[psutil.Process]:
    """Every process below this one that still runs; a zombie has ended."""
    living = []
    for one in psutil.Process().children(recursive=True):
        try:
            if one.status() != psutil.STATUS_ZOMBIE:
                living.append(one)
        except psutil.NoSuchProcess:
            continue
    return living


def session_of(process: psutil.Process) -> int:
    """Number of the session (setsid(2)) it belongs to; 0 where it has just ended."""
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return 0


def answers(host: str, port: int) -> bool:
    """Whether a server accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=0.5):
            return True
    except OSError:
        return False


def how_it_ended(returncode: int) -> str:
    """An exit code as people say it."""
    if returncode >= 0:
        return f"exit status {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


def last_words(process: dict[str, Any]) -> str:
    """The ends of a process's log and output, for the message about its end."""
    parts = []
    for path in dict.fromkeys((process["log"], process["output"])):
        try:
            lines = Path(path).read_text(errors="replace").splitlines()[-8:]
        except OSError:
            continue
        if lines:
            parts.append(f"{path} ends:\n" + "\n".join(f"  {line}" for line in lines))
    return "\n".join(parts) or f"nothing was written to {process['log']}"


def trust_own_issuer(bundle: str) -> None:
    """Lay our CA bundle over the system's, for the daemons alone: we have a mount namespace of our own."""
    subprocess.run(["mount", "--bind", bundle, str(SYSTEM_BUNDLE)], check=True)


def main(arguments: list[str] | None = None) -> int:
    """Run a keeper; see the module's docstring."""
    parser = argparse.ArgumentParser(prog="pytest_datalake.lake.keeper", description=__doc__)
    parser.add_argument("state_dir", type=Path)
    parser.add_argument("--report", type=int, required=True, metavar="FD", help="where to say what happens")
    parser.add_argument("--bound", action="store_true", help="stop when standard input ends")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    state = StateDirectory(options.state_dir)
    life = state.hold_for_life()
    try:
        bundle = read_json(state.plan)["bundle"]
        if bundle:
            trust_own_issuer(bundle)
        return Keeper(state, report=options.report, bound=options.bound).run()
    finally:
        os.close(life)


if __name__ == "__main__":
    sys.exit(main())
