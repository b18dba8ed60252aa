"""Fixtures of the transfer manager's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fts.making import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "fts.db")
    yield made
    made.store.close()
