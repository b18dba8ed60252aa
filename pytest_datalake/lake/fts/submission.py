"""From the body of a submission to a job and its files, or to the refusal that it deserves."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_datalake.lake.fts.caller import BASE_ID, token_id
from pytest_datalake.lake.fts.model import TOKEN, Checks, File, Job, storage_of
from pytest_datalake.lake.fts.refusal import Refusal
from pytest_datalake.lake.fts.states import waiting_state
from pytest_datalake.lake.fts.tokens import demand_claims

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_datalake.lake.fts.caller import Caller
    from pytest_datalake.lake.fts.model import JobType

DEFAULTS: dict[str, Any] = {
    "verify_checksum": False, "reuse": False, "multihop": False, "overwrite": False,
    "overwrite_on_retry": False, "overwrite_hop": False, "overwrite_when_only_on_disk": False,
    "bring_online": -1, "copy_pin_lifetime": -1, "archive_timeout": -1, "dst_file_report": False,
    "retry": 0, "retry_delay": 0, "priority": 3, "max_time_in_queue": 0, "job_metadata": {},
    "strict_copy": False, "disable_cleanup": False, "timeout": 0, "nostreams": 1, "buffer_size": 0,
    "ipv4": False, "ipv6": False, "s3alternate": False, "id_generator": "standard", "sid": None,
    "target_qos": None, "unmanaged_tokens": False,
}  # fmt: skip
"""Parameters of a job and what they are where they are missing or null; unknown ones are ignored."""

STRATEGIES = (
    "orderly", "auto", "queue", "success", "throughput", "file-throughput", "pending-data", "waiting-time",
    "waiting-time-with-error", "duration",
)  # fmt: skip

MOST_METADATA = 4096
"""Bytes of one metadata object as JSON."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_CHECKS: dict[str, Checks] = {"source": "s", "target": "t", "both": "b", "none": "n", "true": "b"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A job that may be stored. File ids are given when it is."""

    job: Job
    files: list[File]


def parse(
    body: object, caller: Caller, *, now: float, default_retry: int, queued: Callable[[str, str], int]
) -> Submission:
    """Read a submission.

    Args:
        body: the JSON that was sent.
        caller: who submits.
        now: seconds since the epoch.
        default_retry: attempts after the first where the job leaves that to the service.
        queued: how many files wait for a pair of storages: which replica is tried first.

    Raises:
        Refusal: 400, 405.
    """
    if not isinstance(body, dict):
        raise Refusal(400, "Expecting a dictionary")
    if "delete" in body:
        raise Refusal(405, "Deletion jobs are no longer supported by FTS")
    entries = body.get("files")
    if not entries:
        raise Refusal(400, "No transfers operations specified")
    try:
        params = _params(body.get("params"))
        job = _job(params, caller, now, default_retry)
        groups = [_pairs(entry, index, job, params, caller) for index, entry in enumerate(entries)]
    except (TypeError, AttributeError) as error:
        raise Refusal(400, f"Malformed request: {error}") from error
    except ValueError as error:
        raise Refusal(400, f"Invalid value within the request: {error}") from error
    job.job_type = _type_of(groups, params)
    _demand_sound(job, groups)
    _choose_first(job, groups, entries, queued)
    files = [file for group in groups for file in group]
    sources, destinations = {one.source_se for one in files}, {one.dest_se for one in files}
    if job.job_type == "H":
        job.source_se, job.dest_se = files[0].source_se, files[-1].dest_se
    else:
        job.source_se = sources.pop() if len(sources) == 1 else None
        job.dest_se = destinations.pop() if len(destinations) == 1 else None
    return Submission(job=job, files=files)


def _params(given: object) -> dict[str, Any]:
    if given is not None and not isinstance(given, dict):
        raise TypeError("'params' must be a dictionary")
    return DEFAULTS | {name: value for name, value in (given or {}).items() if value is not None}


def _job(params: dict[str, Any], caller: Caller, now: float, default_retry: int) -> Job:
    if params["target_qos"] is not None:
        raise Refusal(400, "QoS transitions are not supported by this service")
    archive_timeout = int(params["archive_timeout"])
    job = Job(
        job_id=_job_id(params, caller),
        job_type="N",
        job_state="SUBMITTED",
        user_dn=caller.dn,
        cred_id=caller.delegation_id,
        vo_name=caller.vo,
        auth_method=caller.method,
        submit_time=now,
        priority=max(1, min(5, int(params["priority"]))),
        retry=int(params["retry"]) or default_retry,
        retry_delay=int(params["retry_delay"]),
        overwrite_flag=_overwrite(params, archive_timeout),
        verify_checksum=_checks(params["verify_checksum"]),
        max_time_in_queue=_until(params["max_time_in_queue"], now),
        copy_pin_lifetime=int(params["copy_pin_lifetime"]),
        bring_online=int(params["bring_online"]),
        archive_timeout=archive_timeout,
        dst_file_report=bool(params["dst_file_report"]),
        timeout=int(params["timeout"]),
        nostreams=int(params["nostreams"]),
        buffer_size=int(params["buffer_size"]),
        strict_copy=bool(params["strict_copy"]),
        disable_cleanup=bool(params["disable_cleanup"]),
        internal_job_params=_internal(params),
        job_metadata=(_metadata(params["job_metadata"]) or {}) | {"auth_method": caller.method},
    )
    if caller.method == TOKEN and job.archive_timeout > 0:
        raise Refusal(400, "Requests to archive to tape using token authentication are not supported")
    if caller.method == TOKEN and waiting_state(job) == "STAGING":
        raise Refusal(400, "Requests to retrieve from tape using token authentication are not supported")
    if waiting_state(job) == "STAGING":
        job.job_state = "STAGING"
    return job


def _job_id(params: dict[str, Any], caller: Caller) -> str:
    if params["id_generator"] != "deterministic":
        return str(uuid.uuid1())
    if not params["sid"]:
        raise Refusal(400, "Need sid for deterministic job id generation")
    return str(uuid.uuid5(uuid.uuid5(BASE_ID, caller.vo), str(params["sid"])))


def _overwrite(params: dict[str, Any], archive_timeout: int) -> str | None:
    flags = {
        letter
        for letter, name in (
            ("Y", "overwrite"), ("R", "overwrite_on_retry"), ("M", "overwrite_hop"),
            ("D", "overwrite_when_only_on_disk"),
        )
        if params[name]
    }  # fmt: skip
    if "M" in flags and not params["multihop"]:
        raise Refusal(400, "'overwrite-hop' requires multihop job submission")
    if "D" in flags and archive_timeout < 0:
        raise Refusal(400, "'overwrite-when-only-on-disk' requires 'archive-timeout' to be set")
    if flags == {"M", "D"}:
        return "Q"
    if len(flags) > 1:
        raise Refusal(400, "Incompatible overwrite flags used at the same time")
    return flags.pop() if flags else None


def _checks(value: object) -> Checks:
    """The letter of a checksum mode; a file's own checksum makes ``t`` of ``n`` later."""
    if isinstance(value, bool):
        return "b" if value else "n"
    letter = _CHECKS.get(str(value).lower()) or (str(value) if str(value) in "nstb" and value else None)
    if letter is None:
        raise ValueError(f"verify_checksum {value!r} is none of {', '.join(_CHECKS)}")
    return letter  # type: ignore[return-value]  # one of the four letters


def _until(value: object, now: float) -> float | None:
    """When waiting ends: a number is hours, a text has a unit."""
    match = re.fullmatch(r"(\d+)([smhd]?)", str(value).strip().lower())
    if match is None:
        raise ValueError(f"max_time_in_queue {value!r}")
    seconds = int(match[1]) * _UNITS[match[2] or "h"]
    return now + seconds if seconds else None


def _internal(params: dict[str, Any]) -> str | None:
    words = [
        f"{shown}:{params[name]}"
        for name, shown in (("nostreams", "nostreams"), ("timeout", "timeout"), ("buffer_size", "buffersize"))
        if params[name] != DEFAULTS[name]
    ]
    words += [
        shown
        for name, shown in (
            ("strict_copy", "strict"), ("disable_cleanup", "disable-cleanup"), ("ipv4", "ipv4"),
            ("ipv6", "ipv6"), ("s3alternate", "s3alternate"),
        )
        if params[name]
    ]  # fmt: skip
    return ",".join(words) or None


def _metadata(value: object) -> dict[str, Any] | None:
    """A metadata object; a text becomes its label."""
    if value is None:
        return None
    if isinstance(value, str):
        value = {"label": value}
    if not isinstance(value, dict):
        raise TypeError("metadata must be a dictionary or a text")
    if len(str(value)) > MOST_METADATA:
        raise ValueError(f"metadata is longer than {MOST_METADATA} bytes")
    return value


def _pairs(entry: Any, index: int, job: Job, params: dict[str, Any], caller: Caller) -> list[File]:  # noqa: ANN401
    if not isinstance(entry, dict):
        raise TypeError("each of 'files' must be a dictionary")
    for name in ("sources", "destinations"):
        if not entry.get(name):
            raise Refusal(400, f"Missing parameter: '{name}'")
    sources = [_url(url) for url in entry["sources"]]
    destinations = [_url(url) for url in entry["destinations"]]
    source_tokens, destination_tokens = _tokens(entry, len(sources), len(destinations), caller)
    checksum = str(entry.get("checksum") or "ADLER32")
    if ":" in checksum and job.verify_checksum == "n" and params["verify_checksum"] is False:
        job.verify_checksum = "t"
    hop = index if params["multihop"] else 0
    return [
        File(
            file_id=0,
            job_id=job.job_id,
            file_index=hop if params["multihop"] else index,
            file_state=waiting_state(job),
            file_state_initial=waiting_state(job),
            source_surl=source,
            dest_surl=destination,
            source_se=storage_of(source),
            dest_se=storage_of(destination),
            vo_name=caller.vo,
            priority=job.priority,
            checksum=checksum,
            user_filesize=_size(entry.get("filesize")),
            activity=str(entry.get("activity") or "default"),
            selection_strategy=_strategy(entry.get("selection_strategy")),
            scitag=_scitag(entry.get("scitag")),
            file_metadata=_metadata(entry.get("metadata")),
            staging_metadata=_metadata(entry.get("staging_metadata")),
            archive_metadata=_metadata(entry.get("archive_metadata")),
            source_token=source_token,
            dest_token=destination_token,
            src_token_id=token_id(source_token) if source_token else None,
            dst_token_id=token_id(destination_token) if destination_token else None,
        )
        for source, source_token in zip(sources, source_tokens, strict=True)
        for destination, destination_token in zip(destinations, destination_tokens, strict=True)
    ]


def _url(url: object) -> str:
    text = str(url).strip()
    parts = urlsplit(text)
    if not parts.scheme:
        raise Refusal(400, f"Missing scheme ({text})")
    if parts.scheme.lower() == "file":
        raise Refusal(400, f"Can not transfer local files ({text})")
    if not parts.hostname:
        raise Refusal(400, f"Missing host ({text})")
    if not parts.path or (parts.path == "/" and not parts.query):
        raise Refusal(400, f"Missing path ({text})")
    return text


def _tokens(
    entry: dict[str, Any], sources: int, destinations: int, caller: Caller
) -> tuple[list[str], list[str]]:
    if caller.method != TOKEN:
        return [""] * sources, [""] * destinations
    given = entry.get("source_tokens") or [], entry.get("destination_tokens") or []
    if not any(given):
        return [caller.token] * sources, [caller.token] * destinations
    if not all(given):
        raise Refusal(
            400, "Both source_tokens and destination_tokens are required if one of them is present."
        )
    for tokens, count, name in ((given[0], sources, "source"), (given[1], destinations, "destination")):
        if len(tokens) != count:
            raise Refusal(400, f"Length of {name}_tokens should be equal to the length of {name}s.")
        for token in tokens:
            demand_claims(str(token))
    return list(given[0]), list(given[1])


def _size(value: Any) -> int:  # noqa: ANN401
    return 0 if value is None else int(float(value))


def _strategy(value: object) -> str | None:
    if value is not None and value not in STRATEGIES:
        raise Refusal(400, f"{value} algorithm is not supported by Scheduler")
    return None if value is None else str(value)


def _scitag(value: Any) -> int | None:  # noqa: ANN401
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 65 <= value <= 65_535:
        raise Refusal(400, f"Invalid SciTag value: {value} (must be an integer in [65, 65535])")
    return value


def _type_of(groups: list[list[File]], params: dict[str, Any]) -> JobType:
    several = any(len(group) > 1 for group in groups)
    if several and (params["multihop"] or params["reuse"]):
        raise Refusal(400, "Can not specify multiple replicas with multihop or session reuse")
    if several and len(groups) > 1:
        raise Refusal(400, "Multiple replicas jobs can only have one unique file")
    if several:
        return "R"
    if params["multihop"]:
        return "H"
    return "Y" if params["reuse"] else "N"


def _demand_sound(job: Job, groups: list[list[File]]) -> None:
    files = [file for group in groups for file in group]
    if job.job_type == "Y" and len({(one.source_se, one.dest_se) for one in files}) > 1:
        raise Refusal(
            400, "Reuse jobs can only contain transfers for the same source and destination storage"
        )
    if job.overwrite_flag in {"D", "Q"} and any(
        urlsplit(one.dest_surl).scheme not in {"davs", "https"} for one in files
    ):
        raise Refusal(400, "'overwrite-when-only-on-disk' requires https or davs destinations")


def _choose_first(
    job: Job, groups: list[list[File]], entries: list[dict[str, Any]], queued: Callable[[str, str], int]
) -> None:
    """Leave one file in its waiting state where only one may run at a time."""
    if job.job_type == "H":
        later = [file for group in groups[1:] for file in group]
    elif job.job_type == "R":
        strategy = entries[0].get("selection_strategy") or "auto"
        replicas = groups[0]
        first = (
            replicas[0]
            if strategy == "orderly"
            else min(replicas, key=lambda one: queued(one.source_se, one.dest_se))
        )
        later = [file for file in replicas if file is not first]
    else:
        return
    for file in later:
        file.file_state = file.file_state_initial = "NOT_USED"
