"""A lake that is up: what it is, how it is, and its end."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psutil

from pytest_datalake.errors import EngineError
from pytest_datalake.lake.launch import STATE_VARIABLE
from pytest_datalake.lake.state import StateDirectory, read_json

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.matrix.model import Matrix

_SECONDS_TO_STOP = 20

CLIENT_SETTINGS = {
    "XRD_CONNECTIONWINDOW": "3",
    "XRD_CONNECTIONRETRY": "1",
    "XRD_STREAMERRORWINDOW": "5",
    "XRD_REQUESTTIMEOUT": "60",
}
"""Without these an XRootD client waits for minutes at a dead door."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """A process of a lake crashed. The keeper has started it again, but for the fourth crash and later ones.

    Attributes:
        process: its name, such as ``COMO-A/xrootd``.
        how: such as ``killed by SIGSEGV``.
        at: ISO 8601 time, UTC, in seconds.
    """

    process: str
    how: str
    at: str

    def __str__(self) -> str:
        return f"{self.process} crashed at {self.at}: {self.how}"


class Lake:
    """One running lake.

    Attributes:
        state_dir: its state directory.
        adopted: it was running already; whoever adopts a lake does not take it down.
    """

    def __init__(
        self, state: StateDirectory, *, adopted: bool, keeper: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.state_dir = state.path
        self.adopted = adopted
        self._state = state
        self._keeper = keeper

    @cached_property
    def matrix(self) -> Matrix:
        """The matrix with hosts, ports, identities and trust filled in."""
        from pytest_datalake.matrix.load import load  # YAML is slow to load

        return load(self._state.matrix)

    @property
    def digest(self) -> str:
        """Digest of the matrix that the lake was started from."""
        return str(self._description["digest"])

    @cached_property
    def _description(self) -> dict[str, Any]:
        return read_json(self._state.description)

    def status(self) -> dict[str, Any]:
        """What runs where, as ``datalake status --json`` prints it; no secrets."""
        record = read_json(self._state.record)
        described = self._description
        processes: dict[str, dict[str, Any]] = record.get("processes", {})
        services = {}
        for name, service in described["services"].items():
            services[name] = {
                "url": service["url"],
                **_condition(processes, service["process"]),
                "log": service["log"],
                "config": service["config"],
            }
        sites: dict[str, dict[str, Any]] = {}
        for name, rse in described["rses"].items():
            condition = _condition(processes, rse["processes"][0])
            site = sites.setdefault(rse["site"], {"rses": {}})
            site["rses"][name] = {
                "technology": rse["technology"],
                "qos": rse["qos"],
                "root": rse["root"],
                "processes": {one: _condition(processes, one) for one in rse["processes"]},
                "endpoints": [{**endpoint, **condition} for endpoint in rse["endpoints"]],
            }
        return {
            "state_dir": str(self.state_dir),
            "matrix": str(self._state.matrix),
            "phase": record.get("phase", "unknown") if self._state.is_alive() else "stopped",
            "keeper": {"pid": record.get("pid"), "log": str(self._state.keeper_log)},
            "issuer_keys": described["issuer_keys"],
            "env": self.environment,
            "services": services,
            "sites": dict(sorted(sites.items())),
            "identities": described["identities"],
        }

    def crashes(self) -> tuple[Crash, ...]:
        """What crashed while the lake was up, oldest first."""
        processes = read_json(self._state.record).get("processes", {})
        found = [
            Crash(process=name, how=one["how"], at=one["at"])
            for name, record in processes.items()
            for one in record["crashes"]
        ]
        return tuple(sorted(found, key=lambda one: one.at))

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables with which command line clients trust this lake."""
        trust = self._description["trust"]
        return {
            "X509_CERT_DIR": trust["ca_directory"],
            "X509_VOMS_DIR": trust["voms_directory"],
            **dict.fromkeys(("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"), trust["ca_file"]),
            **CLIENT_SETTINGS,
        }

    def memory(self) -> float:
        """MiB that the lake's processes hold, shared pages counted once (PSS)."""
        total = 0
        keeper = read_json(self._state.record).get("pid")
        try:
            processes = [psutil.Process(keeper), *psutil.Process(keeper).children(recursive=True)]
        except psutil.Error:
            return 0.0
        for process in processes:
            try:
                total += process.memory_full_info().pss
            except psutil.Error:
                continue
        return total / 2**20

    def down(self) -> None:
        """Stop the lake and remove what it left in the state directory.

        Raises:
            EngineError: the keeper did not end.
        """
        with self._state.locked():
            if self._state.is_alive():
                stop_keeper(int(read_json(self._state.record)["pid"]))
            if self._keeper is not None:
                if self._keeper.stdin is not None:
                    self._keeper.stdin.close()
                self._keeper.wait()
            end_leftovers(self._state)
            self._state.wipe()


def adopt(state_dir: Path) -> Lake | None:
    """The lake that runs in the directory; None where none does. Waits for one that is just starting."""
    state = StateDirectory(state_dir)
    if not state.is_alive():
        return None
    with state.locked():
        return Lake(state, adopted=True) if state.is_alive() else None


def tidy(state_dir: Path) -> None:
    """Remove what a dead lake left in its directory, should there be anything."""
    state = StateDirectory(state_dir)
    if state.description.exists():
        with state.locked():
            if not state.is_alive():
                end_leftovers(state)
                state.wipe()


def abandon(state: StateDirectory) -> None:
    """End a lake that is coming up, and nobody wants any more; whoever calls has its directory locked."""
    if "pid" in (record := read_json(state.record)):
        stop_keeper(int(record["pid"]))  # it may have come up in the meantime
    state.wait_for_end()
    end_leftovers(state)
    state.wipe()


def stop_keeper(pid: int) -> None:
    """Ask a keeper to end its lake, and wait until it has.

    Raises:
        EngineError: it did not end in time.
    """
    try:
        keeper = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(keeper, signal.SIGTERM)
        ended, _, _ = select.select([keeper], [], [], _SECONDS_TO_STOP)
    except ProcessLookupError:
        return
    finally:
        os.close(keeper)
    if not ended:
        raise EngineError(f"the lake's keeper, process {pid}, did not end within {_SECONDS_TO_STOP} s")


def end_leftovers(state: StateDirectory) -> None:
    """Kill daemons that outlived their keeper, which only a SIGKILL of the keeper can bring about."""
    mark = str(state.path)
    for process in psutil.process_iter():
        try:
            if process.environ().get(STATE_VARIABLE) == mark:
                process.kill()
        except psutil.Error:
            continue
    _free_shared_memory(state.path)


def _free_shared_memory(state: Path) -> None:
    """Remove the shared memory (shmget(2)) of databases that were killed: it outlives all processes.

    The seventh line of ``postmaster.pid`` has its key and its id (PostgreSQL, miscadmin.h).
    """
    for file in state.glob("*/database/cluster/postmaster.pid"):
        lines = file.read_text().splitlines()
        if len(lines) >= 7 and len(lines[6].split()) == 2:
            command = ["ipcrm", "--shmem-id", lines[6].split()[1]]
            subprocess.run(command, capture_output=True, check=False)  # it may have gone with its server


def _condition(processes: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    record = processes.get(name, {"pid": None, "ended": "not started", "crashes": []})
    return {part: record[part] for part in ("pid", "ended", "crashes")}
