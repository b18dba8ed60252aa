"""The transfer manager: jobs taken, files finished, memory; beside the figures of a real FTS."""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from pytest_datalake.clients.fts import FtsClient, Transfer
from tests.bench.measuring import BenchmarkError, Row
from tests.fts.small_lake import SITES, SmallLake

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLIENTS = 8
_NOWHERE = "davs://storage-of-nobody.invalid:1"
_REAL_JOBS = 155
"""Jobs of one file that the REST service of a real FTS 3.13 took in a second, at best."""

_REAL_FILES = 20
"""Files a second that it finished over 20 links, in copies that take no time; 4.7 over one link."""

_REAL = "a real FTS 3.13, measured apart on 2 busy cores"
_LONGEST = 300


@contextmanager
def _lake() -> Iterator[SmallLake]:
    home = Path(tempfile.mkdtemp(prefix="fts-bench-", dir="/var/tmp"))
    home.chmod(0o711)
    try:
        lake = SmallLake(home)
        try:
            yield lake
        finally:
            lake.close()
    finally:
        shutil.rmtree(home)


def transfer_manager(*, runs: int, jobs: int, files: int) -> list[Row]:
    """Rates of one transfer manager with three XRootD sites.

    Args:
        runs: of each measurement.
        jobs: of one file each, submitted by eight clients to a banned storage, where they wait.
        files: of 100 kB, copied over the six links by each protocol.
    """
    with _lake() as lake:
        matrix = lake.matrix
        client = FtsClient(lake.url, proxy=matrix.identity("ska").proxy, ca_file=matrix.trust.ca_file)
        boss = FtsClient(lake.url, proxy=matrix.identity("robot").proxy, ca_file=matrix.trust.ca_file)
        client.delegate()
        taken = statistics.median(_submit(client, boss, jobs) for _ in range(runs))
        davs = statistics.median(_copy(lake, client, files, ("davs",)) for _ in range(runs))
        both = statistics.median(_copy(lake, client, files, ("davs", "root")) for _ in range(runs))
        memory = _memory(lake)
    real_jobs = f"{_REAL}: 100 to {_REAL_JOBS} jobs/s"
    real_files = f"{_REAL}, copies that take no time: {_REAL_FILES} files/s over 20 links, 4.7 over one"
    measured = (
        (
            f"jobs of one file taken from {_CLIENTS} clients",
            f"{taken:.0f} jobs/s",
            real_jobs,
            f"{taken / _REAL_JOBS:.2f}",
            runs,
        ),
        (
            "files of 100 kB finished over 6 davs links",
            f"{davs:.1f} files/s",
            real_files,
            f"{davs / _REAL_FILES:.2f}",
            runs,
        ),
        ("the same over davs and root", f"{both:.1f} files/s", "a root copy takes 2.5 s at least", "", runs),
        ("memory with its workers (PSS)", f"{memory:.0f} MiB", "", "", 1),
    )
    return [
        Row(what=f"transfer manager: {what}", value=value, compared=compared, ratio=ratio, runs=count)
        for what, value, compared, ratio, count in measured
    ]


def _submit(client: FtsClient, boss: FtsClient, jobs: int) -> float:
    boss.ban(_NOWHERE, status="wait", allow_submit=True)
    file = Transfer(sources=(f"{_NOWHERE}/source",), destination=f"{_NOWHERE}/destination")
    started = time.monotonic()
    with ThreadPoolExecutor(max_workers=_CLIENTS) as threads:
        known = list(threads.map(lambda _: client.submit([file]), range(jobs)))
    seconds = time.monotonic() - started
    for start in range(0, jobs, 100):
        client.cancel(*known[start : start + 100])
    boss.unban(_NOWHERE)
    return jobs / seconds


def _copy(lake: SmallLake, client: FtsClient, files: int, protocols: tuple[str, ...]) -> float:
    links = [
        (source, destination, protocol)
        for protocol in protocols
        for source in SITES
        for destination in SITES
        if source != destination
    ]
    started = time.monotonic()
    jobs = []
    for source, destination, protocol in links:
        there = [lake.fresh(destination, protocol) for _ in range(files // len(links))]
        origin = (lake.source(source, protocol),)
        jobs.append(client.submit([Transfer(sources=origin, destination=one) for one in there]))
    pause = threading.Event()
    found = client.jobs(jobs)
    while not all(job.ended for job in found.values()):
        if time.monotonic() - started > _LONGEST:
            raise BenchmarkError(f"{len(jobs)} jobs have not ended within {_LONGEST} s")
        pause.wait(0.1)
        found = client.jobs(jobs)
    seconds = time.monotonic() - started
    failed = [file.reason for job in found.values() for file in job.files if file.state != "FINISHED"]
    if failed:
        raise BenchmarkError(f"{len(failed)} copies failed: {json.dumps(failed[:3])}")
    return sum(len(job.files) for job in found.values()) / seconds


def _memory(lake: SmallLake) -> float:
    service = lake.process()
    total = 0
    for process in [service, *service.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total / 2**20
