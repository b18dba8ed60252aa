"""Jobs and stores for tests of the transfer manager, without network and copies."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_datalake.lake.fts.attempt import Report
from pytest_datalake.lake.fts.caller import Caller, by_certificate
from pytest_datalake.lake.fts.lifecycle import Lifecycle
from pytest_datalake.lake.fts.store import Store
from pytest_datalake.lake.fts.submission import Submission, parse

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.lake.fts.model import File, Job

SKA = by_certificate("/CN=ska", ("/escape/ska/Role=NULL",), administrators=("/CN=boss",), pem="")
BOSS = by_certificate("/CN=boss", (), administrators=("/CN=boss",), pem="")


def submission(body: dict[str, Any], caller: Caller = SKA, now: float = 1000.0) -> Submission:
    return parse(body, caller, now=now, default_retry=0, queued=lambda *_: 0)


def transfer(number: int = 0, **more: object) -> dict[str, Any]:
    return {
        "sources": [f"davs://a.org:1/ska/{number}"],
        "destinations": [f"davs://b.org:2/ska/{number}"],
        **more,
    }


@dataclass
class Bench:
    """A store with a clock that the test turns."""

    path: Path
    now: float = 1000.0
    store: Store = field(init=False)
    lifecycle: Lifecycle = field(init=False)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        self.store = Store(self.path)
        self.lifecycle = Lifecycle(self.store, "fts.test", lambda: self.now)

    def submit(self, body: dict[str, Any], caller: Caller = SKA) -> str:
        return self.lifecycle.submit(submission(body, caller, self.now))

    def job(self, job_id: str) -> Job:
        job = self.store.job(job_id)
        assert job is not None
        return job

    def files(self, job_id: str) -> list[File]:
        return self.store.files([job_id])

    def run(self, file: File, report: Report | None = None, seconds: float = 1.0) -> None:
        assert self.lifecycle.ready(file) is not None
        self.lifecycle.active(file.file_id, 17)
        self.now += seconds
        self.lifecycle.ended(file.file_id, report or Report(filesize=10, mode="3rd pull"))

    def messages(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(body) for _, name, body in self.store.messages(10_000) if name == topic]
