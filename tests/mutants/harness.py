"""A small lake of real daemons that can be broken from outside, and the suites run against it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pytest_datalake.lake import composition
from pytest_datalake.lake.keeper import answers
from pytest_datalake.lake.pki import Authorities
from pytest_datalake.lake.revival import end_at_once
from pytest_datalake.matrix.load import load

from .health import serves, threads, unfinished, warn
from .verdicts import Row, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_datalake.matrix.model import Endpoint, Matrix

ROOT = Path(__file__).parents[2]

_SECONDS_TO_ANSWER = 40
_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
"""What a command begins with that is to end with this process, however that ends."""

_SECONDS_TO_RUN = 240


class SmallLake:
    """One lake; every fault injected through it is undone when ``undo`` is closed.

    The lake is bound to this process: it ends with it, however it ends.
    """

    def __init__(self, matrix_file: Path, state_dir: Path, undo: contextlib.ExitStack) -> None:
        self.undo = undo
        self._matrix_file = matrix_file
        self._reports = state_dir.with_name("reports")
        self._lake = composition.up(load(matrix_file), state_dir, detached=False, progress=lambda _line: None)
        undo.callback(self._lake.down)
        self._status = self._lake.status()
        self._services: dict[str, int] = {}
        self._broken: set[str] = set()
        self._changes: dict[str, str | None] = {}
        plan = json.loads((state_dir / "plan.json").read_text())
        self._plans: dict[str, dict[str, Any]] = {one["name"]: one for one in plan["processes"]}
        self._running: dict[str, psutil.Process] = {
            name: psutil.Process(self._facts(name)["processes"][name]["pid"])
            for name in self._plans
            if "/" in name
        }

    # What there is.

    @property
    def matrix(self) -> Matrix:
        """The matrix with hosts, ports and identities filled in."""
        return self._lake.matrix

    @property
    def fetches_keys(self) -> bool:
        """Whether doors fetch the issuer's keys, or were given them at the start."""
        return bool(self._status["issuer_keys"] == "fetched")

    def directory(self, rse: str) -> Path:
        """Where the RSE's configuration lies."""
        return self.data(rse).parent

    def data(self, rse: str) -> Path:
        """The RSE's data directory."""
        return Path(self._facts(rse)["root"])

    def doors(self, rse: str) -> list[tuple[str, int]]:
        """Addresses at which the RSE's daemon is reached."""
        return [(host, port) for host, port in self._plans[self._daemon(rse)]["ready"]]

    @property
    def jobs(self) -> Path:
        """The transfer manager's database."""
        return self._lake.state_dir / "fts" / "data" / "fts.db"

    def endpoints(self, rse: str) -> list[Endpoint]:
        """The RSE's endpoints with hosts and ports filled in."""
        return [one for one in self._lake.matrix.endpoints if one.rse == rse]

    def pid(self, rse: str) -> int:
        """Of the RSE's daemon."""
        return self._running[self._daemon(rse)].pid

    def account(self, rse: str) -> int:
        """The uid that the RSE's daemon runs under."""
        return int(self._running[self._daemon(rse)].uids().effective)

    # Faults.

    def kill(self, rse: str) -> None:
        """End the daemon at once."""
        self._broken.add(rse)
        end_at_once(self.pid(rse))

    def freeze(self, rse: str) -> None:
        """Stop the daemon where it is; the kernel goes on accepting connections for it."""
        self._broken.add(rse)
        for process in self._tree(rse):
            process.send_signal(signal.SIGSTOP)
            # or the lake's end would wait for it
            self.undo.callback(_signal, process, signal.SIGCONT)

    def edit(self, rse: str, name: str, old: str, new: str) -> None:
        """Replace a text, which must be there once, in a file of the RSE's directory."""
        path = self.directory(rse) / name
        content = path.read_text()
        assert content.count(old) == 1, f"{path} must have one {old!r} to break:\n{content}"
        path.write_text(content.replace(old, new))

    def place(self, rse: str, name: str, content: str) -> Path:
        """Write an executable that the RSE's daemon may run."""
        path = self.directory(rse) / name
        path.write_text(content)
        path.chmod(0o700)
        os.chown(path, *[self.directory(rse).stat().st_uid] * 2)
        return path

    def restart(self, rse: str) -> None:
        """End the daemon, start it as the keeper did, where the keeper did, and wait until it answers."""
        self.kill(rse)
        name = self._daemon(rse)
        plan = self._plans[name]
        with Path(plan["output"]).open("ab") as output:
            daemon = subprocess.Popen(
                [*self._into_lake(), *plan["command"]],
                env=plan["environment"],  # marks it as the lake's: its end takes this daemon along
                cwd=plan["working_directory"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._running[name] = psutil.Process(daemon.pid)
        self.undo.callback(self._forget, rse, daemon)
        self._wait_for_doors(rse, daemon.pid)
        self._broken.discard(rse)

    def move(self, rse: str, configuration: str, port: int) -> None:
        """Have the daemon listen on another port, so that something else can listen on its own."""
        name = self._daemon(rse)
        was = self.doors(rse)[0][1]
        self.edit(rse, configuration, f"xrd.port {was}\n", f"xrd.port {port}\n")
        ready = [[host, port] for host, _ in self.doors(rse)]
        self._plans[name] = {**self._plans[name], "ready": ready}
        self.restart(rse)

    def stop_service(self, name: str) -> None:
        """End a service at once."""
        end_at_once(self._services.get(name) or self._status["services"][name]["pid"])
        self._changes[name] = None

    def change_services(self, changes: dict[str, str]) -> None:
        """Have services run with their code changed, and all others as they are, on a shared lake."""
        for name in {*self._changes, *changes}:
            if self._changes.get(name, "") != changes.get(name, ""):
                self.replace_service(name, changes.get(name, ""))

    def replace_service(self, name: str, changes: str) -> None:
        """End a service, and start it again with its code changed by a few lines of Python.

        A module of ours is run after these lines; in a script they come last, before it begins to work.
        """
        plan = self._plans[name]
        self.stop_service(name)
        program = Path(plan["working_directory"]) / "changed.py"
        words = _after(plan["command"], "--")
        if "-m" in words:
            (interpreter, _, module), arguments = words[:3], words[3:]
            start = f"import runpy\nrunpy.run_module({module!r}, run_name='__main__')\n"
            program.write_text(f"{changes}\n{start}")
        else:
            interpreter = words[0]
            number = next(place for place, word in enumerate(words) if word.endswith(".py"))
            before, begin, work = Path(words[number]).read_text().partition('\nif __name__ == "__main__":')
            program.write_text(f"{before}\n{changes}\n{begin}{work}")
            arguments = words[number + 1 :]
        with Path(plan["output"]).open("ab") as output:
            daemon = subprocess.Popen(
                [*_WITH_US, *self._into_lake(), interpreter, str(program), *arguments],
                env=plan["environment"],
                cwd=plan["working_directory"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.undo.callback(daemon.wait)
        self.undo.callback(daemon.kill)
        self._services[name], self._changes[name] = daemon.pid, changes
        deadline = time.monotonic() + _SECONDS_TO_ANSWER
        with _watched(daemon.pid) as life:
            while not all(answers(*door) for door in plan["ready"]):
                ended, _, _ = select.select([life], [], [], 0.02)
                assert not ended, f"{name} ended: {Path(plan['log']).read_text()[-2000:]}"
                assert time.monotonic() < deadline, f"{name} does not answer"

    def fill_disk(self, rse: str) -> None:
        """Lay a small and full file system over the RSE's data, seen by the lake's daemons alone.

        Skips the test where the lake has no mount namespace of its own.
        """
        if not self._into_lake():
            pytest.skip("only root can lay a full file system over an RSE's data")
        data = self.data(rse)
        uid = data.stat().st_uid
        areas = [path.relative_to(data) for path in data.glob("*/*")]
        options = f"size=256k,mode=0700,uid={uid},gid={uid}"
        self._in_lake("mount", "-t", "tmpfs", "-o", options, "full", data)
        owner = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
        for area in areas:
            self._in_lake(*owner, "mkdir", "--parents", data / area)
        ballast = f"head --bytes=1M /dev/zero > '{data}/ballast'"
        filled = subprocess.run([*self._into_lake(), "sh", "-c", ballast], capture_output=True, check=False)
        assert b"No space left" in filled.stderr, filled.stderr

    def revoke(self, identity: str) -> None:
        """Put the certificate of an identity on the authority's revocation list."""
        certificate = self._lake.matrix.identity(identity).certificate
        Authorities.load(self._lake.state_dir / "pki").revoke(Path(certificate).read_bytes())

    # What the suites say.

    def run(self, *arguments: str, workers: int = 2) -> Verdict:
        """Run suites against this lake as a user would, and read what they left.

        Once more, with a warning, where a daemon crashed or hung meanwhile that nobody had broken, or where
        the run did not end: such a run says nothing. Fails where that happens again.
        """
        for _ in range(2):
            before = len(self._lake.crashes())
            verdict, stuck = None, ""
            try:
                verdict = self._run(*arguments, workers=workers)
            except subprocess.TimeoutExpired as error:
                stuck = f"the run did not end; {unfinished(self.jobs)}; {error.stdout!r:.2000}"
            crashed = [one.process for one in self._lake.crashes()[before:]]
            self._running |= self._started_again(crashed)
            whole = [rse for rse in self._rses() if rse not in self._broken]
            hung = {rse: threads(self.pid(rse)) for rse in whole if not self._serves(rse)}
            if verdict and not hung and not crashed:
                return verdict
            trouble = f"of themselves crashed {crashed}, hung or ended {hung}; {stuck}"
            warn(trouble)
            for rse in hung:
                self.restart(rse)
        raise AssertionError(f"twice, one run after the other: {trouble}")

    def _run(self, *arguments: str, workers: int) -> Verdict:
        shutil.rmtree(self._reports, ignore_errors=True)
        given = {
            "--matrix": self._matrix_file,
            "--state-dir": self._lake.state_dir,
            "--report-dir": self._reports,
            "-n": workers,
        }
        command = ["setpriv", "--pdeathsig", "TERM", sys.executable, "-m", "pytest"]
        command += ["-p", "no:cacheprovider", "-q"]
        command += [str(word) for pair in given.items() for word in pair]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        done = subprocess.run(
            [*command, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS_TO_RUN,
            text=True,
            check=False,
        )
        results = self._reports / "results.jsonl"
        assert results.exists(), done.stdout
        documents = [json.loads(line) for line in results.read_text().splitlines()]
        verdict = json.loads((self._reports / "verdict.json").read_text())
        return Verdict(
            rows=tuple(Row.read(one) for one in documents if one["type"] == "test"),
            exit_code=done.returncode,
            word=verdict["word"],
            output=done.stdout,
            faults={fault["key"]: fault["sentence"] for fault in verdict["faults"]},
        )

    def _facts(self, name: str) -> dict[str, Any]:
        rse = name.partition("/")[0]
        facts: dict[str, Any] = next(
            site["rses"][rse] for site in self._status["sites"].values() if rse in site["rses"]
        )
        return facts

    def _started_again(self, names: list[str]) -> dict[str, psutil.Process]:
        """Daemons that the keeper started again after a crash."""
        self._status = self._lake.status()
        pids = {name: self._facts(name)["processes"][name]["pid"] for name in names if "/" in name}
        return {name: psutil.Process(pid) for name, pid in pids.items() if psutil.pid_exists(pid)}

    def _rses(self) -> list[str]:
        return sorted({endpoint.rse for endpoint in self._lake.matrix.endpoints})

    def _serves(self, rse: str) -> bool:
        """Whether the daemon answers; what speaks no HTTPS is not asked."""
        https = any(endpoint.protocol == "davs" for endpoint in self.endpoints(rse))
        return not https or all(serves(*door) for door in self.doors(rse))

    def _daemon(self, rse: str) -> str:
        """Name of the process that serves the RSE's door."""
        return next(name for name in self._plans if name.startswith(f"{rse}/"))

    def _tree(self, rse: str) -> list[psutil.Process]:
        try:
            daemon = self._running[self._daemon(rse)]
            return [daemon, *daemon.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _into_lake(self) -> list[str]:
        """What a command must begin with to run where the lake's daemons do."""
        keeper = self._status["keeper"]["pid"]
        own, theirs = (Path(f"/proc/{who}/ns/mnt").readlink() for who in ("self", keeper))
        return [] if own == theirs else ["nsenter", "--mount", "--uts", "--target", str(keeper), "--"]

    def _in_lake(self, *command: str | Path) -> None:
        subprocess.run([*self._into_lake(), *command], check=True)

    def _wait_for_doors(self, rse: str, pid: int) -> None:
        deadline = time.monotonic() + _SECONDS_TO_ANSWER
        with _watched(pid) as life:
            while not all(answers(*door) for door in self.doors(rse)):
                ended, _, _ = select.select([life], [], [], 0.02)
                log = Path(self._plans[self._daemon(rse)]["log"])
                assert not ended, f"{rse} ended instead of answering: {log.read_text()[-2000:]}"
                assert time.monotonic() < deadline, f"{rse} does not answer: {log.read_text()[-2000:]}"

    def _forget(self, rse: str, daemon: subprocess.Popen[bytes]) -> None:
        if daemon.poll() is None:
            self.kill(rse)
        daemon.wait()


def _after(words: list[str], mark: str) -> list[str]:
    return words[words.index(mark) + 1 :]


@contextlib.contextmanager
def _watched(pid: int) -> Iterator[int]:
    """A descriptor that can be read when the process has ended (pidfd_open(2))."""
    life = os.pidfd_open(pid)
    try:
        yield life
    finally:
        os.close(life)


def _signal(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
