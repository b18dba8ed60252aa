"""Ctrl-C, SIGTERM and SIGKILL: one clear end, and nothing stays behind."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.plugin.conftest import PATIENCE, matrix_of, rse

if TYPE_CHECKING:
    import subprocess

    from tests.plugin.conftest import Playground, Ran

BLOCKING = """
import os, threading
import pytest
pytestmark = pytest.mark.capability("access")

@pytest.mark.parametrize("number", range(16))
def test_one(storage, number, pytestconfig):
    storage.mkdir()
    try:
        pipe = os.open(pytestconfig.rootpath / "begun", os.O_WRONLY | os.O_NONBLOCK)
        os.write(pipe, b"x")
    except OSError:
        pass  # somebody else has told already
    threading.Event().wait(60)
"""


def begin(playground: Playground, *arguments: str) -> subprocess.Popen[bytes]:
    """A run that is in the middle of a test."""
    os.mkfifo(playground.path / "begun")
    playground.suite(BLOCKING)
    process = playground.start("suites", *arguments)
    playground.wait_for("begun", process)
    return process


def end(playground: Playground, process: subprocess.Popen[bytes]) -> Ran:
    output, errors = process.communicate(timeout=PATIENCE)
    return playground.ran(process.returncode, output.decode().splitlines(), errors.decode().splitlines())


def check(ran: Ran) -> None:
    assert ran.code == 2, ran.text
    assert "Traceback" not in ran.text
    assert "INTERNALERROR" not in ran.text
    assert ran.lines[-2] == "the run was interrupted"
    assert ran.lines[-1].startswith("DATA LAKE INCOMPLETE 0/16 tests")
    assert len(ran.tests) == 16
    assert ran.rows[-1]["interrupted"] is True


@pytest.mark.parametrize("workers", [[], ["-n8"]], ids=["alone", "workers"])
def test_control_c_ends_with_a_report(playground: Playground, workers: list[str]) -> None:
    playground.matrix(matrix_of(rse("alpha")))
    process = begin(playground, *workers)
    os.killpg(process.pid, signal.SIGINT)
    check(end(playground, process))
    assert playground.left_on_the_lake() == 0


def test_sigterm_ends_with_a_report(playground: Playground) -> None:
    playground.matrix(matrix_of(rse("alpha")))
    process = begin(playground, "-n2")
    process.terminate()
    check(end(playground, process))
    assert playground.left_on_the_lake() == 0


@pytest.mark.parametrize("workers", [[], ["-n32"]], ids=["alone", "workers"])
def test_second_control_c_gives_up_the_sweep(playground: Playground, workers: list[str]) -> None:
    playground.matrix(matrix_of(rse("alpha")))
    (playground.path / "conftest.py").write_text(
        "import os, threading\n"
        "from pytest_datalake.capabilities import sweep\n"
        "def slow(storage):\n"
        "    os.write(os.open(os.environ['SWEEPING'], os.O_WRONLY), b'x')\n"
        "    storage.list()\n"
        "    while True:\n"
        "        storage.list()\n"
        "sweep._remove_root = slow\n"
    )
    os.mkfifo(playground.path / "sweeping")
    playground.setenv("SWEEPING", str(playground.path / "sweeping"))
    process = begin(playground, *workers)
    os.killpg(process.pid, signal.SIGINT)
    playground.wait_for("sweeping", process)
    os.killpg(process.pid, signal.SIGINT)
    ran = end(playground, process)
    check(ran)
    assert "could not sweep; the next run will" in ran.text
    assert playground.left_on_the_lake() > 0


def test_sigkill_leaves_no_process_and_the_next_run_tidies_up(playground: Playground) -> None:
    playground.matrix(matrix_of(rse("alpha")))
    process = begin(playground, "-n2")
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(playground.processes(), timeout=40)
    assert not alive
    assert [path.name for path in playground.temporary.iterdir()]
    (playground.path / "begun").unlink()
    playground.suite("def test_nothing(cell): ...")
    assert playground.run().code == 0
    assert playground.left_on_the_lake() == 0
