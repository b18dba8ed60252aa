"""The lake of an ordinary user: when root runs the tests, another account really starts it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

MATRIX = """\
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
        supports: &all [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer]
        endpoints:
          - protocol: davs
            auth: [token-scope, token-group, x509-voms]
            tpc: {active: [pull, push], passive: [pull, push]}
          - {protocol: root, auth: [token-scope, x509-voms]}
  INARI:
    rses:
      INARI-A:
        technology: apache
        qos: A
        supports: *all
        endpoints:
          - {protocol: davs, auth: [token-scope, x509], tpc: {passive: [pull, push]}}
  SAIMAA:
    rses:
      SAIMAA-A:
        technology: gridftp
        qos: A
        supports: *all
        endpoints:
          - {protocol: gsiftp, auth: [x509-voms]}
"""

TESTS = (
    "suites/authorisation/test_areas.py::test_member_writes_reads_and_removes_in_the_own_area",
    "suites/authorisation/test_areas.py::test_other_experiments_area_is_not_written",
    "suites/authorisation/test_credentials.py::test_expired_token_is_refused",
    "suites/transfer/test_links.py::test_file_arrives_intact",
)


class OrdinaryUser:
    """Somebody who is not root, with a home, and this clone in sight wherever it lies."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._is_root = os.geteuid() == 0
        self.uid = os.getpid() % 1000 + 31_000 if self._is_root else os.geteuid()
        self._clone = home.with_name("clone") if self._is_root else ROOT
        self._interpreter = Path(sys.executable)
        if self._is_root:
            os.chown(home, self.uid, self.uid)
            self._clone.mkdir()
            self._interpreter = self._environment(home.with_name("environment"))

    def _environment(self, directory: Path) -> Path:
        """Our packages below Debian's interpreter: the one that we run in may lie in a home of root's."""
        (directory / "bin").mkdir(parents=True)
        (directory / "lib/python3.11").mkdir(parents=True)
        (directory / "pyvenv.cfg").write_text("home = /usr/bin\n")
        (directory / "bin/python").symlink_to("/usr/bin/python3.11")
        ours = Path(pytest.__file__).parents[1]
        assert ours.is_relative_to(ROOT), "the environment is to lie in the clone, as make setup has it"
        (directory / "lib/python3.11/site-packages").symlink_to(self._clone / ours.relative_to(ROOT))
        return directory / "bin/python"

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Have Python run a module from the clone."""
        command: list[str | Path] = [self._interpreter, "-m", *words]
        if self._is_root:
            become = f"setpriv --reuid {self.uid} --regid {self.uid} --clear-groups"
            script = f'mount --bind "$1" "$2" && shift && cd "$1" && shift && exec {become} -- "$@"'
            private = ("unshare", "--mount", "--propagation", "private")
            command = [*private, "sh", "-c", script, "sh", ROOT, self._clone, *command]
        return subprocess.run(
            command,
            cwd=ROOT,
            env={
                "PATH": os.defpath,
                "HOME": str(self.home),
                "TMPDIR": str(self.home),  # whoever has no name in passwd shares a directory in /tmp
                "PYTHONPATH": str(self._clone),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def processes(self) -> list[psutil.Process]:
        """What runs under the account, where it is not our own."""
        if not self._is_root:
            return []
        return [one for one in psutil.process_iter(["uids"]) if one.info["uids"].real == self.uid]


@pytest.fixture
def user() -> Iterator[OrdinaryUser]:
    # a short path, for unix sockets
    outer = Path(tempfile.mkdtemp(prefix="user-", dir="/var/tmp"))
    outer.chmod(0o755)
    home = outer / "home"
    home.mkdir(mode=0o700)
    yield OrdinaryUser(home)
    shutil.rmtree(outer)


def test_suites_are_green_on_the_lake_of_an_ordinary_user(user: OrdinaryUser) -> None:
    (user.home / "lake.yaml").write_text(MATRIX)
    where = ("--matrix", user.home / "lake.yaml", "--report-dir", user.home / "reports")
    plain = ("-p", "no:cacheprovider", "-q", "-n", "2")
    done = user.run("pytest", *TESTS, "--cells", "smoke", *plain, *where)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = (user.home / "reports/results.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["type"] == "test"]
    known = [row for row in rows if row["outcome"] == "known-issue"]
    assert {row["rse"] for row in known} == {"SAIMAA-A"}
    assert {row["known_issue"]["location"] for row in known} == {"the lake of an ordinary user"}
    passed = [row for row in rows if row["outcome"] == "passed"]
    assert {row["protocol"] for row in passed} >= {"davs", "root", "gsiftp"}
    assert {row["auth"] for row in passed} >= {"token-scope", "x509", "x509-voms"}
    assert not user.processes()
    assert not list((user.home / ".local/state/pytest-datalake").iterdir())
