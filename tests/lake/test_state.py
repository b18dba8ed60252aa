"""A state directory is there for as long as something is in it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pytest_datalake.lake.state import StateDirectory

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_stays_of_an_empty_directory(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "state")
    with state.locked():
        assert state.path.is_dir()
        assert not state.is_alive()
    assert not state.path.exists()


def test_what_was_written_stays(tmp_path: Path) -> None:
    state = StateDirectory(tmp_path / "state")
    with state.locked():
        state.record.write_text("{}")
    assert state.record.exists()
    with state.locked():
        state.wipe()
    assert not state.path.exists()


def test_only_one_at_a_time_though_the_lock_comes_and_goes(tmp_path: Path) -> None:
    taken = threading.Lock()

    def come_and_go(_number: int) -> bool:
        state = StateDirectory(tmp_path / "state")
        with state.locked():
            alone = taken.acquire(blocking=False)
            state.record.write_text("{}")
            state.wipe()
            if alone:
                taken.release()
            return alone

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(come_and_go, range(400)))
    assert not (tmp_path / "state").exists()


def test_asking_for_a_lake_makes_nothing(tmp_path: Path) -> None:
    assert not StateDirectory(tmp_path / "state").is_alive()
    assert not list(tmp_path.iterdir())
