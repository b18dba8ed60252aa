"""Lakes of one or two XRootD sites, in directories that daemons under accounts of their own can reach."""

from __future__ import annotations

import os
import select
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.lake.running import adopt
from pytest_datalake.matrix.load import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_datalake.matrix.model import Matrix

SMALL = """\
version: 1
lake: embedded
vo: escape
experiments: [ska, lofar]
qos_classes: {A: fast disk}
sites:
"""

SITE = """\
  {name}:
    rses:
      {name}-A:
        technology: xrootd
        qos: A
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer]
        endpoints:
          - protocol: davs
            auth: [token-scope, token-group, x509-voms]
            tpc: {{active: [pull, push], passive: [pull, push]}}
          - protocol: root
            auth: [token-scope, token-group, x509-voms]
            tpc: {{active: [pull], passive: [pull]}}
"""


def matrix_text(*sites: str) -> str:
    return SMALL + "".join(SITE.format(name=name) for name in sites)


@pytest.fixture(scope="module")
def directories() -> Iterator[Callable[[], Path]]:
    """Makes state directories; what runs in them is stopped at the end, whatever the tests did."""
    made: list[Path] = []

    def make() -> Path:
        # not tmp_path: its parents are closed to other accounts, and too long for unix sockets
        outer = Path(tempfile.mkdtemp(prefix="lake-", dir="/var/tmp"))
        outer.chmod(0o711)
        made.append(outer)
        return outer / "state"

    yield make
    for outer in made:
        lake = adopt(outer / "state")
        if lake is not None:
            lake.down()
        shutil.rmtree(outer)


@pytest.fixture
def state_dir(directories: Callable[[], Path]) -> Path:
    return directories()


@pytest.fixture(scope="session")
def lake_of() -> Callable[..., str]:
    """Text of a matrix with an XRootD at each site."""
    return matrix_text


@pytest.fixture(scope="session")
def one_site() -> Matrix:
    return parse(matrix_text("COMO"), "one.yaml")


class Watched:
    """Processes whose end can be waited for, also when they are not our children."""

    def __init__(self, *pids: int) -> None:
        self._handles = {pid: os.pidfd_open(pid) for pid in pids}

    def running_after(self, seconds: float) -> set[int]:
        """Those that still run after at most that time; a zombie has ended."""
        waiting = dict(self._handles)
        poller = select.poll()
        for handle in waiting.values():
            poller.register(handle, select.POLLIN)
        while waiting and (ended := poller.poll(seconds * 1000)):
            for handle, _ in ended:
                poller.unregister(handle)
                waiting = {pid: one for pid, one in waiting.items() if one != handle}
        return set(waiting)

    def close(self) -> None:
        for handle in self._handles.values():
            os.close(handle)


@pytest.fixture
def watch() -> Iterator[Callable[..., Watched]]:
    watched: list[Watched] = []

    def start(*pids: int) -> Watched:
        watched.append(Watched(*pids))
        return watched[-1]

    yield start
    for one in watched:
        one.close()
