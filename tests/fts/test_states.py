"""The pure state machine."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_datalake.lake.fts import states
from pytest_datalake.lake.fts.model import FILE_STATES, TERMINAL_JOB, File
from pytest_datalake.lake.fts.states import MAY_BECOME, Failure, job_state

if TYPE_CHECKING:
    from pytest_datalake.lake.fts.model import FileState, JobType

ENDED = st.sampled_from(["FINISHED", "FAILED", "CANCELED"])
ANY = st.sampled_from(FILE_STATES)
KINDS = st.sampled_from(["N", "R", "H", "Y"])


def a_file(state: FileState) -> File:
    return File(
        file_id=1, job_id="j", file_index=0, file_state=state, file_state_initial=state, source_surl="davs://a/x",
        dest_surl="davs://b/x", source_se="davs://a", dest_se="davs://b", vo_name="vo",
    )  # fmt: skip


@given(ANY, ANY)
def test_a_terminal_file_never_changes(before: FileState, after: FileState) -> None:
    file = a_file(before)
    if before in {"FINISHED", "FAILED", "CANCELED"}:
        with pytest.raises(states.IllegalTransitionError):
            states.move(file, after)
        assert file.file_state == before


def test_an_active_file_is_not_made_ready_again() -> None:
    with pytest.raises(states.IllegalTransitionError):
        states.move(a_file("ACTIVE"), "READY")


def test_every_state_can_be_reached_and_every_state_leads_to_an_end() -> None:
    reached = {after for followers in MAY_BECOME.values() for after in followers}
    first = {"SUBMITTED", "STAGING", "NOT_USED"}
    assert reached | first == set(FILE_STATES)
    ending: set[str] = {"FINISHED", "FAILED", "CANCELED"}
    while more := {state for state, after in MAY_BECOME.items() if state not in ending and after & ending}:
        ending |= more
    assert ending == set(FILE_STATES)


@given(st.lists(ENDED, min_size=1))
def test_a_plain_job_is_over_when_its_files_are(ended: list[FileState]) -> None:
    state = job_state("N", "ACTIVE", enumerate(ended))
    assert state in TERMINAL_JOB
    assert (state == "FINISHED") == (set(ended) == {"FINISHED"})
    assert (state == "FINISHEDDIRTY") == ({"FINISHED", "FAILED"} <= set(ended))
    if set(ended) == {"CANCELED"}:
        assert state == "CANCELED"


@given(
    KINDS, st.lists(ENDED), st.sampled_from(["SUBMITTED", "READY", "ACTIVE", "STAGING", "ON_HOLD", "STARTED"])
)
def test_a_job_with_a_living_file_is_not_over(
    kind: JobType, ended: list[FileState], living: FileState
) -> None:
    state = job_state(kind, "ACTIVE", enumerate([*ended, living]))
    if kind != "H" or set(ended) <= {"FINISHED"}:
        assert state not in TERMINAL_JOB


@given(st.lists(ENDED, min_size=1))
def test_replicas_count_as_one_file(ended: list[FileState]) -> None:
    state = job_state("R", "ACTIVE", [(0, one) for one in ended])
    if "FINISHED" in ended:
        assert state == "FINISHED"
    elif set(ended) == {"CANCELED"}:
        assert state == "CANCELED"
    else:
        assert state == "FAILED"


@given(st.integers(0, 5), st.sampled_from(["FAILED", "CANCELED"]), st.integers(0, 5))
def test_a_chain_of_hops_ends_with_the_first_that_breaks(before: int, broken: FileState, after: int) -> None:
    hops: list[FileState] = [*["FINISHED"] * before, broken, *["NOT_USED"] * after]  # type: ignore[list-item]
    state = job_state("H", "ACTIVE", enumerate(hops))
    assert state == ("FAILED" if broken == "FAILED" else "CANCELED")


def test_a_job_that_only_waits_for_tape_is_archiving() -> None:
    assert job_state("N", "ACTIVE", [(0, "ARCHIVING"), (1, "FINISHED")]) == "ARCHIVING"
    assert job_state("N", "ACTIVE", [(0, "ARCHIVING"), (1, "ACTIVE")]) == "ACTIVE"


@pytest.mark.parametrize(
    ("scope", "code", "text", "again"),
    [
        ("TRANSFER", errno.ETIMEDOUT, "whatever", True),
        ("SOURCE", errno.ENOENT, "HTTP 404", False),
        ("SOURCE", errno.ECOMM, "Name or service not known", True),
        ("DESTINATION", errno.EEXIST, "Destination file exists and overwrite is not enabled", False),
        ("DESTINATION", errno.EIO, "Source and destination ADLER32 checksum do not match (1 != 2)", False),
        ("TRANSFER", errno.ECANCELED, "Transfer canceled", False),
        ("TRANSFER", errno.ENOSPC, "disk full", False),
        ("DESTINATION", errno.ENOSPC, "disk full", True),
        ("GENERAL_FAILURE", errno.EACCES, "the proxy expired", False),
        ("TRANSFER", errno.ECOMM, "something else", True),
    ],
)
def test_what_is_worth_another_attempt(scope: str, code: int, text: str, again: bool) -> None:  # noqa: FBT001
    assert states.recoverable(Failure(scope=scope, code=code, text=text)) is again  # type: ignore[arg-type]


def test_a_reason_says_where_and_with_which_errno() -> None:
    assert Failure(scope="SOURCE", code=2, text="gone").reason == "SOURCE [2] gone"
