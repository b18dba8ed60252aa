"""Monitoring messages: what FTS would send to a message broker of each step of a file."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_datalake.lake.fts.model import moment

if TYPE_CHECKING:
    from pytest_datalake.lake.fts.attempt import Report
    from pytest_datalake.lake.fts.model import File, Job

START = "transfer.fts_monitoring_start"
COMPLETE = "transfer.fts_monitoring_complete"
STATE = "transfer.fts_monitoring_state"

_LONGEST = 1024


def transfer_id(file: File) -> str:
    """The id of one attempt, ``DATE__SOURCE__DESTINATION__FILE__JOB``."""
    day = (moment(file.start_time or 0) or "")[:16].replace("T", "-").replace(":", "")
    return "__".join((day, _host(file.source_surl), _host(file.dest_surl), str(file.file_id), file.job_id))


def state_message(job: Job, file: File, now: float) -> dict[str, Any]:
    """A file has been submitted, or has changed its state."""
    return {
        "user_dn": job.user_dn,
        "src_url": file.source_surl,
        "dst_url": file.dest_surl,
        "vo_name": job.vo_name,
        "source_se": file.source_se,
        "dest_se": file.dest_se,
        "job_id": job.job_id,
        "file_id": file.file_id,
        "job_state": job.job_state,
        "file_state": file.file_state,
        "retry_counter": file.retry,
        "retry_max": max(job.retry, 0),
        "user_filesize": file.user_filesize,
        "timestamp": _ms(now),
        "submit_time": _ms(job.submit_time),
        "staging_start": _ms(file.staging_start),
        "staging_finished": _ms(file.staging_finished),
        "staging": file.staging_start is not None,
        "archiving_start": _ms(file.archive_start_time),
        "archiving_finished": _ms(file.archive_finish_time),
        "archiving": file.archive_start_time is not None,
        "reason": file.reason or "",
        "job_metadata": job.job_metadata,
        "file_metadata": file.file_metadata,
    }


def start_message(job: Job, file: File, *, host: str, now: float) -> dict[str, Any]:
    """A copy begins."""
    source, destination = _host(file.source_surl), _host(file.dest_surl)
    return {
        "transfer_id": transfer_id(file),
        "job_id": job.job_id,
        "file_id": file.file_id,
        "endpnt": host,
        "timestamp": _ms(now),
        "src_srm_v": "",
        "dest_srm_v": "",
        "vo": job.vo_name,
        "src_url": file.source_surl,
        "dst_url": file.dest_surl,
        "src_hostname": source,
        "dst_hostname": destination,
        "src_site_name": "",
        "dst_site_name": "",
        "t_channel": f"{file.source_se}__{file.dest_se}",
        "srm_space_token_src": "",
        "srm_space_token_dst": "",
        "user_dn": job.user_dn,
        "is_archiving": job.archive_timeout > -1,
        "file_metadata": file.file_metadata,
        "job_metadata": job.job_metadata,
    }


def complete_message(
    job: Job, file: File, report: Report, *, final: str, host: str, last_hop: bool, last_replica: bool
) -> dict[str, Any]:
    """An attempt has ended. ``final`` is Ok, Error or Abort."""
    started, ended = file.start_time or 0.0, file.finish_time or 0.0
    times = {name: _ms(value) or 0 for name, value in report.times.items()}
    checked_source = times.get("source_checksum_end", 0) - times.get("source_checksum_start", 0)
    checked_target = times.get("dest_checksum_end", 0) - times.get("dest_checksum_start", 0)
    copying = times.get("copy_end", 0) - times.get("copy_start", 0)
    operation = round((ended - started) * 1000)
    protocols = [urlsplit(url).scheme for url in (file.source_surl, file.dest_surl)]
    done = final == "Ok"
    return {
        "tr_id": transfer_id(file),
        "job_id": job.job_id,
        "file_id": file.file_id,
        "endpnt": host,
        "vo": job.vo_name,
        "src_url": file.source_surl,
        "dst_url": file.dest_surl,
        "final_destination": file.dest_surl,
        "src_hostname": _host(file.source_surl),
        "dst_hostname": _host(file.dest_surl),
        "src_se": file.source_se,
        "dst_se": file.dest_se,
        "src_site_name": "",
        "dst_site_name": "",
        "protocol": protocols[0],
        "src_protocol": protocols[0],
        "dst_protocol": protocols[1],
        "src_transfer_protocol": protocols[0],
        "dst_transfer_protocol": protocols[1],
        "protocol_translation": protocols[0] != protocols[1],
        "t_channel": f"{file.source_se}__{file.dest_se}",
        "timestamp_tr_st": times.get("copy_start", 0),
        "timestamp_tr_comp": times.get("copy_end", 0),
        "timestamp_chk_src_st": times.get("source_checksum_start", 0),
        "timestamp_chk_src_ended": times.get("source_checksum_end", 0),
        "timestamp_checksum_dest_st": times.get("dest_checksum_start", 0),
        "timestamp_checksum_dest_ended": times.get("dest_checksum_end", 0),
        "timestamp_checksum_src_diff": checked_source,
        "timestamp_checksum_dst_diff": checked_target,
        "t_timeout": job.timeout,
        "chk_timeout": 0,
        "t_error_code": report.code,
        "tr_error_scope": report.scope,
        "t_failure_phase": "" if done else report.phase,
        "tr_error_category": "" if done else category(report.code),
        "t_final_transfer_state": final,
        "t_final_transfer_state_flag": {"Ok": 1, "Error": 0}.get(final, -1),
        "tr_bt_transfered": file.filesize if done else 0,
        "nstreams": job.nostreams,
        "buf_size": job.buffer_size,
        "tcp_buf_size": job.buffer_size,
        "block_size": 0,
        "scitag": file.scitag or 0,
        "f_size": file.filesize,
        "file_size": file.filesize,
        **dict.fromkeys(
            (
                "time_srm_prep_st", "time_srm_prep_end", "time_srm_fin_st", "time_srm_fin_end",
                "srm_preparation_time", "srm_finalization_time", "srm_overhead_time",
                "srm_overhead_percentage",
            ),
            0,
        ),
        "srm_space_token_src": "",
        "srm_space_token_dst": "",
        "t__error_message": _plain(file.reason or ""),
        "tr_timestamp_start": _ms(started),
        "tr_timestamp_complete": _ms(ended),
        "transfer_time": copying,
        "operation_time": operation,
        "throughput": round(file.filesize * 1000 / copying) if done and copying > 0 else -1,
        "channel_type": "urlcopy",
        "user_dn": job.user_dn,
        "file_metadata": file.file_metadata,
        "job_metadata": job.job_metadata,
        "activity": file.activity,
        "retry": file.retry,
        "retry_max": max(job.retry, 0),
        "job_m_replica": job.job_type == "R",
        "job_multihop": job.job_type == "H",
        "transfer_lasthop": last_hop,
        "is_archiving": job.archive_timeout > -1,
        "job_state": _job_state(job, final, last_hop=last_hop, last_replica=last_replica),
        "is_recoverable": bool(file.recoverable),
        "ipver": "ipv4",
        "eviction_code": -1,
        "cleanup_code": -1,
        "transfer_type": report.mode,
        "auth_method": job.auth_method,
        "overwrite_on_disk_flag": job.overwrite_flag in {"D", "Q"},
        "overwrite_on_disk_deletion_code": -1,
    }  # fmt: skip


def category(code: int) -> str:
    """An errno in words, as the contract spells them: NO_SUCH_FILE_OR_DIRECTORY."""
    return (
        os.strerror(code).upper().replace(" ", "_").replace("/", "_")
        if code in errno.errorcode
        else "UNKNOWN"
    )


def _job_state(job: Job, final: str, *, last_hop: bool, last_replica: bool) -> str:
    done = final == "Ok"
    if job.job_type == "R":
        return "FINISHED" if done else "FAILED" if last_replica else "ACTIVE"
    if job.job_type == "H":
        return ("FINISHED" if last_hop else "ACTIVE") if done else "FAILED"
    return "UNKNOWN"


def _plain(text: str) -> str:
    return text.replace('"', "").replace("'", "").replace("\n", " ")[:_LONGEST]


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)
