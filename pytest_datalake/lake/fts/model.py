"""Jobs and their files, as they are stored and as the REST interface shows them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

FileState = Literal[
    "SUBMITTED", "READY", "ACTIVE", "FINISHED", "FAILED", "CANCELED",
    "NOT_USED", "ON_HOLD", "ON_HOLD_STAGING", "STAGING", "STARTED", "ARCHIVING", "FORCE_START",
]  # fmt: skip
JobState = Literal[
    "SUBMITTED", "STAGING", "ACTIVE", "ARCHIVING", "FINISHED", "FAILED", "FINISHEDDIRTY", "CANCELED"
]
JobType = Literal["N", "R", "H", "Y"]
"""Plain; several replicas of one file; hops in a row; one session for all files (here as plain)."""

Checks = Literal["n", "s", "t", "b"]
"""Which checksums are compared: none, source's, target's, both."""

FILE_STATES: tuple[FileState, ...] = get_args(FileState)
TERMINAL: frozenset[str] = frozenset({"FINISHED", "FAILED", "CANCELED"})
TERMINAL_JOB: frozenset[str] = TERMINAL | {"FINISHEDDIRTY"}

CERTIFICATE = "certificate"
TOKEN = "oauth2"  # noqa: S105  # a word of the contract


@dataclass(slots=True, kw_only=True)
class Job:
    """One job. Times are seconds since the epoch.

    Attributes:
        cred_id: delegation id of the owner.
        retry: attempts after the first; negative: none.
        overwrite_flag: None, or Y (always), R (on retry), M (hops), D (only where the file is on disk),
            Q (M and D).
        max_time_in_queue: when waiting files are canceled; None: never.
        timeout: seconds for one copy; 0: from the file's size.
    """

    job_id: str
    job_type: JobType
    job_state: JobState
    user_dn: str
    cred_id: str
    vo_name: str
    auth_method: str
    submit_time: float
    source_se: str | None = None
    dest_se: str | None = None
    cancel_job: bool = False
    reason: str | None = None
    job_finished: float | None = None
    priority: int = 3
    retry: int = 0
    retry_delay: int = 0
    overwrite_flag: str | None = None
    verify_checksum: Checks = "n"
    max_time_in_queue: float | None = None
    copy_pin_lifetime: int = -1
    bring_online: int = -1
    archive_timeout: int = -1
    dst_file_report: bool = False
    timeout: int = 0
    nostreams: int = 1
    buffer_size: int = 0
    strict_copy: bool = False
    disable_cleanup: bool = False
    internal_job_params: str | None = None
    job_metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class File:
    """One transfer: a pair of addresses. Times are seconds since the epoch.

    Attributes:
        file_index: files of one index are replicas of each other (job type R) or hop number (H).
        checksum: ``ALGORITHM:value``, or the algorithm alone.
        user_filesize: bytes that the submitter announced; 0: none.
        retry: attempts that failed and were repeated.
        not_before: when the next attempt may start.
        source_token, dest_token: bearer tokens of a job submitted by token. Never shown.
        mode: how the bytes went: "3rd pull", "3rd push", "streamed".
    """

    file_id: int
    job_id: str
    file_index: int
    file_state: FileState
    file_state_initial: FileState
    source_surl: str
    dest_surl: str
    source_se: str
    dest_se: str
    vo_name: str
    priority: int = 3
    reason: str | None = None
    recoverable: bool | None = None
    filesize: int = 0
    user_filesize: int = 0
    checksum: str = "ADLER32"
    start_time: float | None = None
    finish_time: float | None = None
    staging_start: float | None = None
    staging_finished: float | None = None
    archive_start_time: float | None = None
    archive_finish_time: float | None = None
    pid: int | None = None
    tx_duration: float | None = None
    throughput: float | None = None
    retry: int = 0
    not_before: float = 0.0
    activity: str = "default"
    selection_strategy: str | None = None
    scitag: int | None = None
    file_metadata: dict[str, Any] | None = None
    staging_metadata: dict[str, Any] | None = None
    archive_metadata: dict[str, Any] | None = None
    mode: str | None = None
    source_token: str = field(default="", repr=False)
    dest_token: str = field(default="", repr=False)
    src_token_id: str | None = None
    dst_token_id: str | None = None


def storage_of(url: str) -> str:
    """The storage that an address belongs to: ``scheme://host:port``.

    FTS drops the port; here many storages share one host.
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def moment(seconds: float | None) -> str | None:
    """A time as the contract writes it: UTC, to the second, without zone."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


_JOB_TIMES = ("submit_time", "job_finished", "max_time_in_queue")
_JOB_INTERNAL = ("auth_method", "timeout", "nostreams", "buffer_size", "strict_copy", "disable_cleanup")
_FILE_TIMES = (
    "start_time", "finish_time", "staging_start", "staging_finished", "archive_start_time",
    "archive_finish_time",
)  # fmt: skip
_FILE_INTERNAL = ("not_before", "mode", "source_token", "dest_token")


def job_view(job: Job, host: str) -> dict[str, Any]:
    """A job as the REST interface shows it."""
    view = asdict(job)
    for name in _JOB_INTERNAL:
        del view[name]
    for name in _JOB_TIMES:
        view[name] = moment(view[name])
    # Both space tokens are null in FTS too, whatever was submitted.
    return view | {
        "submit_host": host, "source_space_token": None, "space_token": None, "source_spacetoken": None,
        "destination_spacetoken": None, "target_qos": None, "os_project_id": None,
    }  # fmt: skip


def file_view(file: File, host: str) -> dict[str, Any]:
    """A file as the REST interface shows it; tokens never leave."""
    view = asdict(file)
    for name in _FILE_INTERNAL:
        del view[name]
    for name in _FILE_TIMES:
        view[name] = moment(view[name])
    started = file.start_time is not None
    return view | {
        "transfer_host": host if started else None,
        "staging_host": host if file.staging_start is not None else None,
        "internal_file_params": None, "bringonline_token": None, "log_file": None, "log_debug": None,
        "hashed_id": file.file_id % 65536, "dest_surl_uuid": None,
    }  # fmt: skip
