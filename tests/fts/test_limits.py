"""How many copies may run at a time, and how an http copy is done."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_datalake.lake.fts.limits import Room
from pytest_datalake.lake.fts.model import File, storage_of
from pytest_datalake.lake.fts.orders import copy_mode


def a_file(source: str, destination: str, state: str = "SUBMITTED") -> File:
    return File(
        file_id=1, job_id="j", file_index=0, file_state=state, file_state_initial="SUBMITTED",  # type: ignore[arg-type]
        source_surl=f"{source}/x", dest_surl=f"{destination}/x", source_se=source, dest_se=destination,
        vo_name="vo",
    )  # fmt: skip


STORAGES = st.sampled_from(["davs://a:1", "davs://b:1", "davs://c:1"])


@given(
    st.lists(st.tuples(STORAGES, STORAGES), max_size=60),
    st.integers(0, 20),
    st.integers(0, 5),
    st.integers(0, 6),
    st.dictionaries(STORAGES, st.integers(0, 4)),
)
def test_no_limit_is_ever_passed(
    files: list[tuple[str, str]], workers: int, link: int, storage: int, special: dict[str, int]
) -> None:
    storages = {name: {"inbound_max_active": limit} for name, limit in special.items()}
    room = Room(workers, link, storage, {("davs://a:1", "*"): 1}, storages)
    taken = [pair for pair in files if room.take(a_file(*pair))]
    assert len(taken) <= workers
    for pair, count in Counter(taken).items():
        assert count <= (1 if pair[0] == "davs://a:1" else link)
    for source, count in Counter(pair[0] for pair in taken).items():
        assert count <= storage, source
    for destination, count in Counter(pair[1] for pair in taken).items():
        assert count <= special.get(destination, storage)


def test_a_forced_start_only_needs_a_worker() -> None:
    room = Room(1, 0, 0, {}, {})
    assert not room.take(a_file("davs://a:1", "davs://b:1"))
    assert room.take(a_file("davs://a:1", "davs://b:1", "FORCE_START"))
    assert not room.take(a_file("davs://a:1", "davs://b:1", "FORCE_START"))


@pytest.mark.parametrize(
    ("source", "destination", "mode"),
    [
        ("FULL", "FULL", "3rd pull"),
        ("NONE", "PULL", "3rd pull"),
        ("FULL", "NONE", "3rd push"),
        ("PUSH", "PUSH", "3rd push"),
        ("PULL", "PUSH", "streamed"),
        ("NONE", "NONE", "streamed"),
    ],
)
def test_the_destination_pulls_if_it_can(source: str, destination: str, mode: str) -> None:
    storages = {"s": {"tpc_support": source}, "d": {"tpc_support": destination}}
    assert copy_mode("s", "d", storages) == mode


def test_a_storage_is_named_with_its_port_and_without_anybody() -> None:
    assert storage_of("root://somebody@Host.org:1094//path?x=1") == "root://host.org:1094"
