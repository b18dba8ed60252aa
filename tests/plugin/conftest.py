"""Whole runs of pytest with the plugin, over lakes that exist in the broker's memory only."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pytest_datalake.drivers.ledger import read_intents
from pytest_datalake.matrix.load import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


INI = """\
[pytest]
strict = true
filterwarnings = error
addopts = --import-mode=importlib
datalake_suites = suites
"""

HEAD = """\
version: 1
vo: escape
experiments: [ska, lofar]
qos_classes: [A, B]
auth:
  identities:
    ska: {experiment: ska, proxy: ska.proxy, certificate: ska.proxy}
    lofar: {experiment: lofar, proxy: lofar.proxy, certificate: lofar.proxy}
"""

EVERYTHING = "access, list, mkdir, rename, ranged-read, adler32, md5, authorisation, transfer"


def rse(
    name: str, *, qos: str = "A", auth: str = "x509-voms", supports: str = EVERYTHING, more: str = ""
) -> str:
    """An RSE at a site of its own: ``flips`` is the RSE FLIPS-A at FLIPS, whose host has that fault."""
    site = name.upper()
    return f"""\
  {site}:
    rses:
      {site}-{qos}:
        technology: memory
        qos: {qos}
        supports: [{supports}]
        {more or "limits: {concurrent: 16}"}
        endpoints:
          - protocol: memory
            host: {name}
            auth: [{auth}]
            tpc: {{active: [pull, push], passive: [pull, push]}}
"""


def matrix_of(*rses: str, head: str = HEAD, tail: str = "") -> str:
    return f"{head}sites:\n{''.join(rses)}{tail}"


LAKE = matrix_of(rse("alpha", auth="anonymous, x509-voms"), rse("beta", qos="B", auth="x509, x509-voms"))
"""Two healthy sites: 4 cells, one of them anonymous, and 2 links."""

UPLOAD = """
import pytest
pytestmark = pytest.mark.capability("access")

def test_upload(storage, test_file, evidence):
    stored = test_file(size="1 KiB", at=storage)
    assert storage.read(stored.path, offset=0, length=2000) == stored.content.bytes()
    evidence["bytes"] = stored.size
"""

__all__ = ["load"]  # C extensions survive runs in this process only when they were loaded before

PATIENCE = 240.0
"""Seconds until a run that has started must have done something, or ended, on a machine that is busy."""

SUITES = Path(__file__).parents[2] / "suites"


@dataclass(frozen=True)
class Ran:
    """What a run left: exit code, what it printed, and its result rows."""

    code: int
    lines: list[str]
    errors: list[str]
    rows: list[dict[str, Any]]

    @property
    def text(self) -> str:
        return "\n".join([*self.lines, *self.errors])

    @property
    def tests(self) -> dict[str, dict[str, Any]]:
        """Result rows by the part of the node id after the file."""
        return {row["nodeid"].partition("::")[2]: row for row in self.rows if row["type"] == "test"}

    @property
    def outcomes(self) -> dict[str, str]:
        return {name: row["outcome"] for name, row in self.tests.items()}

    @property
    def cells(self) -> dict[str, set[str]]:
        """The ids of the cells and links that each function was collected or ran for."""
        found: dict[str, set[str]] = {}
        for line in self.lines:
            match = re.match(r"(?:\S+/)?test_\w+\.py::(\w+)\[(.*)\]$", line)
            if match is not None:
                found.setdefault(match[1], set()).add(match[2])
        return found

    def ends_with(self, *lines: str) -> None:
        assert tuple(self.lines[-len(lines) :]) == lines, self.text


class Playground:
    """A directory with a matrix and suites; its temporary directory is its own and ends empty."""

    def __init__(
        self, pytester: pytest.Pytester, temporary: Path, setenv: Callable[[str, str], None]
    ) -> None:
        self.path = pytester.path
        self.setenv = setenv
        self.temporary = temporary
        self._pytester = pytester
        (self.path / "pytest.ini").write_text(INI)
        for name in ("ska", "lofar"):
            (self.path / f"{name}.proxy").write_text(f"experiment:{name}")
        self.matrix(LAKE)

    def matrix(self, text: str) -> None:
        (self.path / "matrix.yaml").write_text(text)

    def suite(self, text: str, name: str = "test_it.py") -> None:
        path = self.path / "suites" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def real_suites(self, *names: str) -> None:
        for name in names:
            shutil.copytree(SUITES / name, self.path / "suites" / name)

    def command(self, *arguments: str) -> list[str]:
        return [
            sys.executable,
            *("-m", "pytest", *(arguments or ("suites",)), "--matrix=matrix.yaml", "--state-dir=state"),
        ]

    def run(self, *arguments: str, last: list[str] | None = None) -> Ran:
        """Run pytest on the suites, or on what is named; ``last`` overrules our own arguments."""
        shutil.rmtree(self.path / "reports", ignore_errors=True)
        done = self._pytester.run(*self.command(*arguments), *(last or []), timeout=PATIENCE)
        return self.ran(int(done.ret), done.outlines, done.errlines)

    def plain(self, *arguments: str) -> Ran:
        """Run pytest without any option of ours."""
        done = self._pytester.run(sys.executable, "-m", "pytest", *arguments, timeout=PATIENCE)
        return self.ran(int(done.ret), done.outlines, done.errlines)

    def ran(self, code: int, lines: list[str], errors: list[str]) -> Ran:
        results = self.path / "reports/results.jsonl"
        rows = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
        return Ran(code, lines, errors, rows)

    def collect(self, *arguments: str) -> Ran:
        """Only collect: the lines of the answer are node ids."""
        done = self._pytester.runpytest_inprocess(
            *self.command("suites", "--collect-only", "-q", *arguments)[3:]
        )
        return self.ran(int(done.ret), done.outlines, done.errlines)

    def start(self, *arguments: str, last: list[str] | None = None) -> subprocess.Popen[bytes]:
        """Start pytest as the leader of a process group."""
        # a shell's background jobs ignore SIGINT, and so would what they start
        command = ["env", "--default-signal=INT", *self.command(*arguments), *(last or [])]
        process: subprocess.Popen[bytes] = self._pytester.popen(
            command, start_new_session=True, stdin=subprocess.DEVNULL
        )
        return process

    def wait_for(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Until something is written into the named pipe of that name; fail when the process ends first."""
        pipe = os.open(self.path / name, os.O_RDONLY | os.O_NONBLOCK)
        handle = os.pidfd_open(process.pid)
        try:
            ready, _, _ = select.select([pipe, handle], [], [], PATIENCE)
        finally:
            os.close(pipe)
            os.close(handle)
        if pipe not in ready:
            process.kill()
            output, errors = process.communicate(timeout=30)
            pytest.fail(f"no word of {name}:\n{output.decode()}{errors.decode()}")

    def left_on_the_lake(self) -> int:
        """Directories that the ledger says something of a run may be in."""
        return len(read_intents(self.path / "state/ledger.sqlite"))

    def processes(self) -> list[psutil.Process]:
        """Those that were started by runs here: their temporary directory is this one's."""
        mine = []
        for process in psutil.process_iter():
            try:
                words = [*process.cmdline(), *process.environ().values()]
            except psutil.Error:  # of somebody else, or gone
                continue
            if process.pid != os.getpid() and any(str(self.temporary) in word for word in words):
                mine.append(process)
        return mine


@pytest.fixture
def playground(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Playground]:
    # not below pytester's path, which is too long for unix sockets
    temporary = Path(tempfile.mkdtemp(prefix="playground-"))
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    for name in [name for name in os.environ if name.startswith(("PYTEST_XDIST", "PYTEST_ADDOPTS"))]:
        monkeypatch.delenv(name)
    here = Playground(pytester, temporary, monkeypatch.setenv)
    yield here
    left = here.processes()
    _, alive = psutil.wait_procs(left, timeout=5)
    for process in alive:
        process.kill()
    files = [path.name for path in temporary.iterdir()]
    shutil.rmtree(temporary)
    assert not alive
    assert not files
