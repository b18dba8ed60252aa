"""The state machine: pure functions from facts to states, and nothing else.

A file's state only changes along ``MAY_BECOME``; a job's state follows from those of its files.
"""

from __future__ import annotations

import errno
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_datalake.lake.fts.model import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_datalake.lake.fts.model import File, FileState, Job, JobState, JobType

DEFAULT_RETRY_DELAY = 120
"""Seconds between two attempts, unless the job says otherwise."""

FAILED_FILES = "One or more files failed. Please have a look at the details for more information"
CANCELED_BY_USER = "Job canceled by the user"
QUEUED_TOO_LONG = (
    "Job has been canceled because it stayed in the queue for too long (max-time-in-queue timeout)"
)

_END: frozenset[FileState] = frozenset({"FINISHED", "FAILED", "CANCELED"})
MAY_BECOME: Mapping[FileState, frozenset[FileState]] = {
    "SUBMITTED": frozenset({"READY", "ON_HOLD", "FORCE_START", "NOT_USED", "FAILED", "CANCELED"}),
    "FORCE_START": frozenset({"READY", "ON_HOLD", "FAILED", "CANCELED"}),
    "READY": frozenset({"ACTIVE", "SUBMITTED", "FAILED", "CANCELED"}),
    "ACTIVE": frozenset({"SUBMITTED", "STAGING", "ARCHIVING", "FINISHED", "FAILED", "CANCELED"}),
    "STAGING": frozenset({"STARTED", "ON_HOLD_STAGING", "FAILED", "CANCELED"}),
    "STARTED": frozenset({"SUBMITTED", "STAGING", "FINISHED", "FAILED", "CANCELED"}),
    "ARCHIVING": _END,
    "NOT_USED": frozenset({"SUBMITTED", "STAGING", "CANCELED"}),
    "ON_HOLD": frozenset({"SUBMITTED", "CANCELED"}),
    "ON_HOLD_STAGING": frozenset({"STAGING", "CANCELED"}),
    "FINISHED": frozenset(),
    "FAILED": frozenset(),
    "CANCELED": frozenset(),
}

WAITING: frozenset[FileState] = frozenset(
    {"SUBMITTED", "FORCE_START", "STAGING", "ON_HOLD", "ON_HOLD_STAGING"}
)
"""Nothing happens to these files yet."""

RUNNING: frozenset[FileState] = frozenset({"READY", "ACTIVE", "STARTED"})
"""A process works on these files, or did when the service was killed."""


class IllegalTransitionError(Exception):
    """A file was to go from a state to one that cannot follow: a fault of ours."""


def move(file: File, state: FileState) -> None:
    """Set a file's state. Raises ``IllegalTransitionError`` where the state cannot follow."""
    if state not in MAY_BECOME[file.file_state]:
        raise IllegalTransitionError(f"file {file.file_id}: {file.file_state} -> {state}")
    file.file_state = state


def job_state(kind: JobType, current: JobState, files: Iterable[tuple[int, FileState]]) -> JobState:
    """What a job has come to, from (file index, state) of its files.

    Replicas of one file count as one: finished if any is, canceled if all are, failed if none can succeed
    any more.
    """
    by_index: dict[int, list[FileState]] = defaultdict(list)
    for index, state in files:
        by_index[index].append(state)
    canceled = finished = failed = archiving = 0
    for states in by_index.values():
        if all(state == "CANCELED" for state in states):
            canceled += 1
        elif "FINISHED" in states:
            finished += 1
        elif all(state in {"FAILED", "CANCELED"} for state in states):
            failed += 1
        elif "ARCHIVING" in states and not any(state in WAITING | RUNNING for state in states):
            archiving += 1
    ended = canceled + finished + failed
    broken_chain = kind == "H" and bool(failed or canceled)
    if ended == len(by_index) or broken_chain:
        return _end_of_job(kind, canceled=canceled, finished=finished, failed=failed)
    if archiving and ended + archiving == len(by_index):
        return "ARCHIVING"
    everything = [state for states in by_index.values() for state in states]
    if ended or archiving or any(state in {"READY", "ACTIVE"} for state in everything):
        return "ACTIVE"
    if any(state in {"STAGING", "STARTED", "ON_HOLD_STAGING"} for state in everything):
        return "STAGING"
    return "ACTIVE" if current == "ACTIVE" else "SUBMITTED"


def _end_of_job(kind: JobType, *, canceled: int, finished: int, failed: int) -> JobState:
    if failed and finished:
        return "FAILED" if kind == "H" else "FINISHEDDIRTY"
    if failed:
        return "FAILED"
    return "CANCELED" if canceled else "FINISHED"


def reason_of(state: JobState, canceled_because: str | None) -> str:
    """The reason that an ended job shows."""
    if state == "FINISHED":
        return ""
    if state == "CANCELED" and canceled_because:
        return canceled_because
    return FAILED_FILES


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an attempt failed."""

    scope: Literal["SOURCE", "DESTINATION", "TRANSFER", "GENERAL_FAILURE", "STAGING", "ARCHIVING"]
    code: int
    text: str

    @property
    def reason(self) -> str:
        """As a file shows it."""
        return f"{self.scope} [{self.code}] {self.text}"


_WORTH_ANOTHER_TRY = (
    "performance marker", "name or service not known", "connection timed out", "end-of-file was reached",
    "end of file occurred", "srm_internal_error", "was forcefully killed", "operation timeout",
)  # fmt: skip
_IN_VAIN = (
    "proxy expired", "file exists", "no such file or directory", "permission denied",
    "checksum do not match", "checksum mismatch", "the certificate has expired",
)  # fmt: skip
_NEVER = {
    "SOURCE": {
        errno.ENOENT, errno.EPERM, errno.EACCES, errno.EISDIR, errno.ENAMETOOLONG, errno.E2BIG, errno.ENOTDIR,
        errno.EPROTONOSUPPORT,
    },
    "DESTINATION": {
        errno.EPERM, errno.EACCES, errno.EISDIR, errno.E2BIG, errno.EROFS, errno.EFAULT, errno.ENAMETOOLONG,
        errno.EPROTONOSUPPORT, errno.EEXIST,
    },
    "TRANSFER": {
        errno.ENOSPC, errno.EPERM, errno.EACCES, errno.EEXIST, errno.EFBIG, errno.EROFS, errno.ENAMETOOLONG,
        errno.EPROTONOSUPPORT,
    },
}  # fmt: skip


def recoverable(failure: Failure) -> bool:
    """Whether another attempt may succeed."""
    text = failure.text.lower()
    if failure.code == errno.ETIMEDOUT or any(word in text for word in _WORTH_ANOTHER_TRY):
        return True
    if failure.code == errno.ECANCELED or any(word in text for word in _IN_VAIN):
        return False
    return failure.code not in _NEVER.get(failure.scope, set())


def tries_again(job: Job, file: File, *, worth_it: bool) -> bool:
    """Whether a failed attempt is repeated; replicas and hops never are."""
    return worth_it and job.job_type not in {"R", "H"} and file.retry < job.retry


def waiting_state(job: Job) -> FileState:
    """The state in which a file of the job waits for its turn."""
    return "STAGING" if job.copy_pin_lifetime > 0 or job.bring_online > 0 else "SUBMITTED"


def next_in_line(job: Job, ended: File, files: Sequence[File]) -> File | None:
    """The file whose turn it is when one has ended: the next replica after a failure, hop after a success."""
    if job.job_type == "R" and ended.file_state == "FAILED":
        same = [one for one in files if one.file_index == ended.file_index and one.file_state == "NOT_USED"]
        return min(same, key=lambda one: one.file_id, default=None)
    if job.job_type == "H" and ended.file_state == "FINISHED":
        later = [one for one in files if one.file_index > ended.file_index and one.file_state == "NOT_USED"]
        return min(later, key=lambda one: one.file_index, default=None)
    return None


def is_over(file: File) -> bool:
    """Whether nothing can happen to the file any more."""
    return file.file_state in TERMINAL


def is_last_hop(job: Job, file: File, files: Sequence[File]) -> bool:
    """Whether the file arrives where the job wants it."""
    return job.job_type != "H" or file.file_index == max(one.file_index for one in files)
