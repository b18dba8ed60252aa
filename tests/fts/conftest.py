"""Fixtures of the transfer manager's tests."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.fts.making import Bench
from tests.fts.small_lake import SmallLake

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "fts.db")
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def lake() -> Iterator[SmallLake]:
    """Three XRootD sites and a transfer manager."""
    # not tmp_path: its parents are closed to other accounts, and too long for unix sockets
    home = Path(tempfile.mkdtemp(prefix="fts-", dir="/var/tmp"))
    home.chmod(0o711)
    try:
        small = SmallLake(home)
        try:
            yield small
        finally:
            small.close()
    finally:
        shutil.rmtree(home)
