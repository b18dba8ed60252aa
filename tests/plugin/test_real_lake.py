"""Runs over one real XRootD, killed in the middle: no process stays, and the next run removes the files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from pytest_datalake.lake.running import adopt
from tests.plugin.conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.plugin.conftest import Playground

LAKE = """\
version: 1
lake: embedded
vo: escape
experiments: [ska, lofar]
qos_classes: [A]
sites:
  COMO:
    rses:
      COMO-A:
        technology: xrootd
        qos: A
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer]
        endpoints:
          - {protocol: root, auth: [x509-voms]}
"""

BLOCKING = """
import os, threading
import pytest
pytestmark = pytest.mark.capability("access")

@pytest.mark.parametrize("number", range(8))
def test_one(storage, test_file, number, pytestconfig):
    test_file(size="1 KiB", at=storage, name="below/file")
    try:
        pipe = os.open(pytestconfig.rootpath / "begun", os.O_WRONLY | os.O_NONBLOCK)
        os.write(pipe, b"x")
    except OSError:
        pass  # somebody else has told already
    threading.Event().wait(60)
"""

PASSING = """
import pytest
pytestmark = pytest.mark.capability("access")

def test_upload(storage, test_file):
    stored = test_file(size="1 KiB", at=storage)
    assert storage.read(stored.path, offset=0, length=2000) == stored.content.bytes()
"""


CRASHING = """
import os, signal, threading
from pathlib import Path
import pytest
from pytest_datalake.lake.running import adopt
pytestmark = pytest.mark.capability("access")

def test_crash(storage, request):
    lake = adopt(Path(request.config.option.datalake_state_dir))
    (door,) = lake.status()["sites"]["COMO"]["rses"]["COMO-A"]["endpoints"]
    os.kill(door["pid"], signal.SIGSEGV)
    pause = threading.Event()
    while not lake.crashes():
        pause.wait(0.05)
"""


@pytest.fixture
def state_dir() -> Iterator[Path]:
    # daemons under accounts of their own must be able to enter it
    outer = Path(tempfile.mkdtemp(prefix="lake-", dir="/var/tmp"))
    outer.chmod(0o711)
    yield outer / "state"
    lake = adopt(outer / "state")
    if lake is not None:
        lake.down()
    shutil.rmtree(outer)


def files(state_dir: Path) -> list[Path]:
    """What lies in the areas of the experiments."""
    return [path for path in (state_dir / "rse/COMO-A/data").rglob("*") if "pytest-datalake/" in str(path)]


def test_killed_runs_leave_nothing_on_a_lake_that_lives_on(playground: Playground, state_dir: Path) -> None:
    playground.matrix(LAKE)
    datalake = [sys.executable, "-m", "pytest_datalake.cli"]
    where = ["--matrix", str(playground.path / "matrix.yaml"), "--state-dir", str(state_dir)]
    subprocess.run([*datalake, "up", *where], check=True, capture_output=True, timeout=PATIENCE)
    os.mkfifo(playground.path / "begun")
    for number in (signal.SIGKILL, signal.SIGTERM):
        playground.suite(BLOCKING)
        process = playground.start("suites", "-n4", last=[f"--state-dir={state_dir}"])
        playground.wait_for("begun", process)
        assert files(state_dir)
        process.send_signal(number)
        output, _ = process.communicate(timeout=PATIENCE)
        _, alive = psutil.wait_procs(playground.processes(), timeout=40)
        assert not alive, output.decode()
    assert process.returncode == 2, output.decode()
    assert not files(state_dir)
    playground.suite(PASSING)
    ran = playground.run("suites", last=[f"--state-dir={state_dir}"])
    assert ran.code == 0, ran.text
    assert not files(state_dir)
    assert "crashed" not in ran.text
    playground.suite(CRASHING)
    ran = playground.run("suites", last=[f"--state-dir={state_dir}"])
    assert "COMO-A/xrootd crashed at " in ran.text
    verdict = json.loads((playground.path / "reports" / "verdict.json").read_text())
    assert [line.rpartition(": ")[2] for line in verdict["crashes"]] == ["killed by SIGSEGV"]
    status = subprocess.run(
        [*datalake, "status", "--json", *where], check=True, capture_output=True, timeout=PATIENCE
    )
    assert list(json.loads(status.stdout)["sites"]) == ["COMO"]


def test_control_c_while_the_lake_comes_up_leaves_nothing(playground: Playground, state_dir: Path) -> None:
    playground.matrix(LAKE)
    playground.suite(PASSING)
    process = playground.start("suites", last=[f"--state-dir={state_dir}"])
    assert process.stdout is not None
    assert any(b"starting 1 RSEs" in line for line in process.stdout)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2, output + errors
    assert not state_dir.exists()


def test_own_lake_needs_nothing_of_the_machines_trust(
    playground: Playground, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    playground.matrix(LAKE.replace("[x509-voms]", "[token-scope, x509-voms]"))
    playground.suite(PASSING)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "X509_CERT_DIR"):
        monkeypatch.setenv(name, "/nonsense")
    ran = playground.run("suites", "-n2", last=[f"--state-dir={state_dir}"])
    assert set(ran.outcomes.values()) == {"passed"}, ran.text
    assert len(ran.outcomes) == 2
    assert ran.code == 0
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "X509_CERT_DIR"):
        monkeypatch.delenv(name)
    assert playground.run("suites", last=[f"--state-dir={state_dir}"]).code == 0
