"""A lake with Rucio and a transfer manager: as one that runs elsewhere, and under runs that are killed."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pytest_datalake.clients.fts import FtsClient
from pytest_datalake.clients.rucio import Rucio
from pytest_datalake.clients.rucio_login import Login
from pytest_datalake.matrix.load import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]

HEAD = """\
version: 1
lake: embedded
vo: escape
experiments: [ska, lofar]
qos_classes: [A]
services: {fts: {}, rucio: {}}
sites:
"""

SITE = """\
  {site}:
    rses:
      {site}-A:
        technology: xrootd
        qos: A
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer, rule]
        endpoints:
          - protocol: davs
            auth: [token-scope, token-group, x509-voms]
            tpc: {{active: [pull, push], passive: [pull, push]}}
"""

STAT = "suites/access/test_files.py::test_stat_tells_the_size"
COPIES = "suites/fts/test_links.py::test_file_arrives_intact"
RULES = "suites/rucio/test_rules.py::test_rule_brings_the_file"
_SECONDS = 90


class WholeLake:
    """COMO and GARDA, and what a test starts there: in a directory of its own, with temporary files in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.state = home / "state"
        self.temporary = home / "tmp"
        self.temporary.mkdir(mode=0o700)
        self.embedded = home / "lake.yaml"
        self.embedded.write_text(HEAD + "".join(SITE.format(site=site) for site in ("COMO", "GARDA")))
        self._environment = {
            name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")
        }
        self._environment["TMPDIR"] = str(self.temporary)

    def datalake(self, command: str, *options: str) -> str:
        words = [sys.executable, "-m", "pytest_datalake.cli", command, *options]
        words += ["--matrix", str(self.embedded), "--state-dir", str(self.state)]
        done = subprocess.run(words, env=self._environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *tests: str, matrix: Path, state: Path) -> subprocess.Popen[str]:
        shutil.rmtree(self.home / "reports", ignore_errors=True)
        words = [sys.executable, "-m", "pytest", *tests, "-p", "no:cacheprovider", "-q", "-n", "2"]
        words += ["--matrix", str(matrix), "--state-dir", str(state), "--report-dir", f"{self.home}/reports"]
        return subprocess.Popen(
            words,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> list[dict[str, Any]]:
        """The rows of the tests of a run that is green."""
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output
        return [row for row in self.rows() if row["type"] == "test"]

    def rows(self) -> list[dict[str, Any]]:
        """What the last run has written so far."""
        return [json.loads(line) for line in (self.home / "reports/results.jsonl").read_text().splitlines()]

    def kill_when(self, ready: Callable[[], bool], process: subprocess.Popen[str]) -> list[psutil.Process]:
        """SIGKILL for pytest alone, as soon as something is the case; what ran for the lake then."""
        life = os.pidfd_open(process.pid)
        deadline = time.monotonic() + _SECONDS
        while not ready():
            ended, _, _ = select.select([life], [], [], 0.02)
            assert not ended, process.communicate()[0]
            assert time.monotonic() < deadline
        os.close(life)
        daemons = self.daemons()
        process.kill()
        process.communicate(timeout=_SECONDS)
        _, left = psutil.wait_procs(_that_know(self.temporary), timeout=_SECONDS)
        assert not left
        return daemons

    def files(self) -> list[Path]:
        """What lies in the areas of the experiments."""
        found = self.state.glob("rse/*/data/escape/*/pytest-datalake/*/**/*")
        return [path for path in found if path.is_file()]

    def daemons(self) -> list[psutil.Process]:
        """Everything that runs for the lake."""
        return _that_know(self.state)


def _that_know(path: Path) -> list[psutil.Process]:
    """Processes of others than us that have a path in their command or environment."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:  # gone
            continue
        if process.pid != os.getpid() and any(str(path) in word for word in words):
            found.append(process)
    return found


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    # not tmp_path: its parents are closed to other accounts, and too long for unix sockets
    directory = Path(tempfile.mkdtemp(prefix="whole-", dir="/var/tmp"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def lake(home: Path) -> Iterator[WholeLake]:
    whole = WholeLake(home)
    whole.datalake("up")
    yield whole
    whole.datalake("down")
    assert not whole.daemons()
    assert not whole.state.exists()


@pytest.fixture(scope="module")
def elsewhere(lake: WholeLake) -> Path:
    """The matrix of the lake as somebody would write it who did not start it."""
    path = lake.home / "elsewhere.yaml"
    path.write_text(lake.datalake("status", "--matrix-file"))
    assert "embedded" not in path.read_text()
    return path


def test_suites_are_green_on_a_lake_elsewhere(lake: WholeLake, elsewhere: Path) -> None:
    authorisation = (f"suites/authorisation/test_{name}.py" for name in ("areas", "credentials"))
    tests = ("suites/access/test_files.py", *authorisation, "suites/transfer/test_links.py")
    services = ("suites/fts/test_links.py", "suites/fts/test_service.py", "suites/rucio/test_accounts.py")
    ledger = lake.home / "ledger"
    every = ("--cells", "smoke", "--allow-disruptive", "-k", "not large and not size and not revoked")
    rows = lake.finish(lake.start(*tests, *services, RULES, *every, matrix=elsewhere, state=ledger))
    passed = [row for row in rows if row["outcome"] == "passed"]
    assert {row["layer"] for row in passed} == {"direct", "fts", "rule"}
    assert {row["capability"] for row in passed} == {"access", "authorisation", "transfer", "rule"}
    names = {row["nodeid"].partition("::")[2].partition("[")[0] for row in passed}
    assert names >= {
        "test_expired_token_is_refused",  # made with keys of the lake's authorities
        "test_message_agrees_with_the_job",
        "test_banned_storage_is_refused_until_the_ban_is_lifted",
    }
    assert not lake.files()
    assert not ledger.exists()


def test_killed_run_leaves_no_job_no_rule_and_no_file(lake: WholeLake, elsewhere: Path) -> None:
    ledger = lake.home / "ledger"
    killed = lake.start(RULES, COPIES, matrix=elsewhere, state=ledger)

    def all_is_asked_for() -> bool:
        return {path.name for path in lake.temporary.glob("*/scratch/**/*.json")} >= {
            "rules.json",
            "ahead.json",
        }

    lake.kill_when(all_is_asked_for, killed)
    assert lake.files()
    run_id = lake.rows()[0]["run_id"]
    lake.finish(lake.start(STAT, "--cells", "smoke", matrix=elsewhere, state=ledger))
    assert not list(lake.temporary.glob("pytest-datalake-*"))
    matrix = load(elsewhere)
    for name in ("ska", "lofar"):
        member = matrix.identity(name)
        url = dict(matrix.services)["fts"]
        assert not FtsClient(url, proxy=member.proxy, ca_file=matrix.trust.ca_file).unfinished()
        login = Login(account=member.account, auth="x509_proxy", proxy=member.proxy)
        rucio = Rucio(
            dict(matrix.services)["rucio"],
            login,
            ca_file=matrix.trust.ca_file,
            scratch=lake.temporary,
            timeout=30,
        )
        deadline = time.monotonic() + _SECONDS
        while rucio.names(name, f"pytest-datalake/{run_id}/*"):
            assert time.monotonic() < deadline, "Rucio keeps names of the killed run"
    assert not lake.files()


def test_own_lake_ends_with_a_killed_run(home: Path) -> None:
    (home / "own").mkdir()
    own = WholeLake(home / "own")
    killed = own.start(STAT, matrix=own.embedded, state=own.state)
    daemons = own.kill_when((own.home / "reports/results.jsonl").exists, killed)
    assert len(daemons) > 10
    _, left = psutil.wait_procs(daemons, timeout=20)
    assert not left
    own.datalake("down")
    assert not own.state.exists()
