"""Copies that a transfer manager does for us."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_datalake.clients.fts import FtsClient, Transfer
from pytest_datalake.drivers.address import address
from pytest_datalake.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_datalake.capabilities.access import Storage
    from pytest_datalake.capabilities.transfer import StoredFile
    from pytest_datalake.clients.fts import FileStatus, JobStatus

ISSUER = "pytest-datalake"
"""Marks our jobs in their metadata."""

_SECONDS_TO_STOP = 30.0
"""What a copy may go on after its job was canceled, before we look for what it has left."""
_LONGEST_PAUSE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A file that a transfer manager was told to copy, and what became of that.

    Attributes:
        name: at the destination, relative to its directory.
        job: with all its files.
        file: the one of these that this is about.
    """

    source: StoredFile
    destination: Storage
    name: str
    job: JobStatus
    file: FileStatus


def announce(destination: Storage, name: str, *, size: int) -> None:
    """Have what will be written at a destination counted, and swept at the end.

    Raises ``EngineError`` where it is none of our places, or too much.
    """
    destination.pool.announce(destination.endpoint, destination.path(name), destination.credential, size=size)


def transfer(
    sources: Sequence[StoredFile],
    destination: Storage,
    name: str,
    *,
    checksum: str = "",
    size: int = 0,
    metadata: dict[str, Any] | None = None,
    strategy: str = "",
) -> Transfer:
    """One file of a job: addresses and, where we show tokens, a token for each of them.

    Args:
        sources: the same file in one or several places.
        destination: where to.
        name: relative to the destination's directory.
        checksum: ``algorithm:value``; empty: none.
        size: in bytes, announced for the service to compare; 0: none.
        metadata: for the file.
        strategy: which source is tried first; empty: the service's choice.
    """
    shown = destination.credential.token or next(
        (one.storage.credential.token for one in sources if one.storage.credential.token), ""
    )
    algorithm, _, value = checksum.partition(":")
    return Transfer(
        sources=tuple(address(one.storage.endpoint, one.path) for one in sources),
        destination=address(destination.endpoint, destination.path(name)),
        checksum=f"{algorithm.upper()}:{value}" if value else "",
        size=size,
        metadata=metadata or {},
        strategy=strategy,
        # An object store takes no token: the service shows its keys there.
        source_tokens=tuple(one.storage.credential.token or shown for one in sources) if shown else (),
        destination_token=shown,
    )


def job_metadata(run_id: str) -> dict[str, str]:
    """What marks a job as this run's."""
    return {"issuer": ISSUER, "run": run_id}


def await_job(client: FtsClient, job_id: str, *, within: float) -> JobStatus:
    """Ask for a job until it has ended. Raises ``StorageError`` with the states that were seen.

    Args:
        client: whose job it is.
        job_id: as ``submit`` returned it.
        within: seconds until it must have ended.
    """
    started = time.monotonic()
    pause = threading.Event()
    interval = 0.1
    timeline: list[str] = []
    seen = ""
    while True:
        job = client.job(job_id)
        now = time.monotonic() - started
        state = f"{job.state} ({', '.join(sorted({one.state for one in job.files}))})"
        if state != seen:
            seen = state
            timeline.append(f"  {now:8.1f} s  {state}")
        if job.ended:
            return job
        if now + interval > within:
            raise StorageError(
                f"job {job_id} has not ended within {within:g} s; states seen:\n" + "\n".join(timeline),
                kind="timeout",
                operation="transfer",
                url=client.url,
            )
        pause.wait(interval)
        interval = min(interval * 1.3, _LONGEST_PAUSE)


def cancel_ours(client: FtsClient, run_id: str, *, of_dead_runs: bool) -> int:
    """Cancel unfinished jobs of this run, or of all other runs of ours; how many these were.

    Waits until none of their copies writes any more, for a time.
    """
    ours = [
        job_id
        for job_id, metadata in client.unfinished()
        if metadata.get("issuer") == ISSUER and (metadata.get("run") == run_id) != of_dead_runs
    ]
    client.cancel(*ours)
    pause, deadline = threading.Event(), time.monotonic() + _SECONDS_TO_STOP
    while any(not file.finished for job in client.jobs(ours).values() for file in job.files):
        if time.monotonic() > deadline:
            break
        pause.wait(0.2)
    return len(ours)
