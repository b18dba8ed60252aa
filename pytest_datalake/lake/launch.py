"""How this machine lets daemons be started, and the start of a keeper."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_datalake.errors import EngineError, UsageError
from pytest_datalake.lake.keeper import SYSTEM_BUNDLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_datalake.lake.daemons.api import Account, Process
    from pytest_datalake.lake.ports import Claim
    from pytest_datalake.lake.state import StateDirectory

STATE_VARIABLE = "PYTEST_DATALAKE_STATE"
"""Marks every daemon with its state directory, so that leftovers of a killed keeper can be found."""

_FIRST_ACCOUNT = 30_000
_PRIVATE_MOUNTS = ("unshare", "--mount", "--propagation", "private")


class PortTakenError(EngineError):
    """Another server took a port between the claim and the start: worth another try with other ports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the lake can do here.

    Attributes:
        drops: daemons can run under accounts of their own.
        mounts: the keeper can lay our CA bundle over the system's, in a mount namespace of its own.
        renames: the keeper can give the daemons another host name, in a UTS namespace of its own.
        resolves: the machine's own name has an IPv4 address, without which XRootD does not start.
    """

    drops: bool
    mounts: bool
    renames: bool
    resolves: bool

    @classmethod
    def probe(cls) -> Machine:
        """Find out, by trying."""
        root = os.geteuid() == 0
        return cls(
            drops=root,
            mounts=root
            and SYSTEM_BUNDLE.is_file()
            and _works(
                "unshare", "--mount", "--propagation", "private", "mount", "--bind", *[SYSTEM_BUNDLE] * 2
            ),
            renames=root and _works("unshare", "--uts", "hostname", "localhost"),
            resolves=_own_name_resolves(),
        )

    def demand_host_name(self) -> None:
        """Raise ``UsageError`` where the machine's name neither resolves nor can be hidden from daemons."""
        if not self.resolves and not self.renames:
            raise UsageError(
                f"this machine's own name, {socket.gethostname()}, has no IPv4 address, without which XRootD "
                f"does not start: add the line '127.0.0.1 {socket.gethostname()}' to /etc/hosts"
            )

    def account(self, number: int) -> Account:
        """The account of the site of that number, from 1."""
        from pytest_datalake.lake.daemons.api import Account

        if self.drops:
            return Account(uid=_FIRST_ACCOUNT + number, gid=_FIRST_ACCOUNT + number, drop=True)
        return Account(uid=os.geteuid(), gid=os.getegid(), drop=False)


def _works(*command: str | Path) -> bool:
    if shutil.which(str(command[0])) is None:
        return False
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode == 0


def _own_name_resolves() -> bool:
    try:
        socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    except OSError:
        return False
    return True


def process_plan(name: str, process: Process, account: Account, state: StateDirectory) -> dict[str, Any]:
    """One process as the keeper reads it: under its account, and told to end should the keeper be killed."""
    drop: tuple[str, ...] = ()
    if account.drop and not process.as_root:
        drop = ("--reuid", str(account.uid), "--regid", str(account.gid), "--clear-groups")
    return {
        "name": name,
        # setpriv asks for the signal after the change of account, which would clear it (prctl(2)).
        "command": ["setpriv", "--pdeathsig", "TERM", *drop, "--", *process.command],
        "environment": {**process.environment, STATE_VARIABLE: str(state.path)},
        "working_directory": str(process.working_directory or process.log.parent),
        "ready": [list(door) for door in process.ready],
        "log": str(process.log),
        "output": str(process.log.with_name(f"{process.name}.out")),
        "config": str(process.config),
    }


def keep(
    state: StateDirectory,
    claims: Sequence[Claim],
    machine: Machine,
    *,
    detached: bool,
    on_ready: Callable[[str], None],
) -> subprocess.Popen[bytes] | None:
    """Start a keeper on the plan in the state directory; returns when every daemon answers.

    Returns the keeper where it is this process's child, that is, where it is not detached.

    Args:
        state: holds the plan; its keeper lock is taken by the keeper.
        claims: ports that the keeper holds for as long as it lives.
        machine: what can be done here.
        detached: the lake outlives this process; otherwise it ends with it, however this process ends.
        on_ready: called with a process's name when it answers.

    Raises:
        PortTakenError: see there.
        EngineError: a daemon did not come up; the message ends with its last words.
    """
    listening, telling = os.pipe()
    command = [
        sys.executable,
        "-P",
        "-m",
        "pytest_datalake.lake.keeper",
        str(state.path),
        f"--report={telling}",
    ]
    if not detached:
        command.append("--bound")
    if machine.mounts or machine.renames:
        command = ["unshare", "--mount", "--uts", "--propagation", "private", *command]
    if detached:
        command = ["setsid", "--fork", *command]  # init's child, not ours: nobody here will wait for it
    with state.keeper_log.open("ab") as log:
        try:
            keeper = subprocess.Popen(
                command,
                env={
                    "PATH": os.environ.get("PATH", os.defpath),
                    "PYTHONPATH": str(Path(__file__).parents[2]),
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                cwd=state.path,
                stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[telling, *(claim.holder.fileno() for claim in claims)],
                start_new_session=True,
            )
        finally:
            os.close(telling)
    if detached:
        keeper.wait()
    try:
        with os.fdopen(listening) as report:
            is_up = _comes_up(report, on_ready)
    except BaseException:  # nobody listens any more: the keeper ends at its next word
        _let_go(keeper)
        raise
    if is_up:
        return None if detached else keeper
    _let_go(keeper)
    words = state.keeper_log.read_text(errors="replace").strip().splitlines()[-8:]
    raise EngineError(
        "\n  ".join([f"the lake's keeper ended before the lake was up; {state.keeper_log} ends:", *words])
    )


def _comes_up(report: Iterable[str], on_ready: Callable[[str], None]) -> bool:
    """Follow what a keeper says until the lake is up; False where the keeper ends without a word."""
    for line in report:
        event = json.loads(line)
        match event["event"]:
            case "ready":
                on_ready(event["name"])
            case "up":
                return True
            case "failed":
                fault = PortTakenError if event["kind"] == "port" else EngineError
                raise fault(event["reason"])
    return False


def _let_go(keeper: subprocess.Popen[bytes]) -> None:
    if keeper.stdin is not None:
        keeper.stdin.close()
    keeper.wait()
