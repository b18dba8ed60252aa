"""Jobs from submission to their end, in a real store, with attempts that end as the test says."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from pytest_datalake.lake.fts import messages
from pytest_datalake.lake.fts.attempt import Report
from pytest_datalake.lake.fts.model import TERMINAL, TERMINAL_JOB
from pytest_datalake.lake.fts.refusal import Refusal
from tests.fts.making import Bench, transfer

if TYPE_CHECKING:
    from pathlib import Path

GOOD = Report(filesize=10, mode="3rd pull")
GONE = Report(scope="SOURCE", code=errno.ENOENT, text="No such file or directory")
LATE = Report(scope="TRANSFER", code=errno.ETIMEDOUT, text="Connection timed out", phase="TRANSFER")
REPLICAS = {
    "sources": ["davs://a/x", "davs://c/x"],
    "destinations": ["davs://b/x"],
    "selection_strategy": "orderly",
}


def test_a_job_ends_with_its_file(bench: Bench) -> None:
    job_id = bench.submit({"files": [transfer()]})
    bench.run(bench.files(job_id)[0])
    job, file = bench.job(job_id), bench.files(job_id)[0]
    assert (job.job_state, job.reason, file.file_state, file.reason) == ("FINISHED", "", "FINISHED", "")
    assert (file.filesize, file.start_time, file.finish_time) == (10, 1000.0, 1001.0)
    assert job.job_finished == 1001.0


def test_a_retry_waits_and_the_last_one_fails(bench: Bench) -> None:
    job_id = bench.submit({"files": [transfer()], "params": {"retry": 1, "retry_delay": 30}})
    bench.run(bench.files(job_id)[0], LATE)
    file = bench.files(job_id)[0]
    assert (file.file_state, file.retry, file.not_before) == ("SUBMITTED", 1, bench.now + 30)
    assert bench.store.queued_links(["SUBMITTED"], bench.now + 29) == []
    assert len(bench.store.retries(file.file_id)) == 1
    bench.now += 30
    bench.run(file, LATE)
    assert bench.files(job_id)[0].file_state == "FAILED"
    assert bench.job(job_id).reason.startswith("One or more files failed")  # type: ignore[union-attr]


def test_what_is_in_vain_is_not_repeated(bench: Bench) -> None:
    job_id = bench.submit({"files": [transfer()], "params": {"retry": 5}})
    bench.run(bench.files(job_id)[0], GONE)
    assert bench.files(job_id)[0].reason == "SOURCE [2] No such file or directory"
    assert bench.job(job_id).job_state == "FAILED"


def test_the_next_replica_is_tried(bench: Bench) -> None:
    job_id = bench.submit({"files": [REPLICAS], "params": {"retry": 3}})
    first, second = bench.files(job_id)
    bench.run(first, LATE)
    assert [file.file_state for file in bench.files(job_id)] == ["FAILED", "SUBMITTED"]
    bench.run(second)
    job = bench.job(job_id)
    assert (job.job_state, job.source_se) == ("FINISHED", "davs://c")


def test_hops_follow_each_other_until_one_breaks(bench: Bench) -> None:
    hops = [
        {"sources": [f"davs://{here}/x"], "destinations": [f"davs://{there}/x"]}
        for here, there in ("ab", "bc", "cd")
    ]
    job_id = bench.submit({"files": hops, "params": {"multihop": True}})
    bench.run(bench.files(job_id)[0])
    assert [file.file_state for file in bench.files(job_id)] == ["FINISHED", "SUBMITTED", "NOT_USED"]
    assert bench.job(job_id).job_state == "ACTIVE"
    bench.run(bench.files(job_id)[1], GONE)
    assert [file.file_state for file in bench.files(job_id)] == ["FINISHED", "FAILED", "NOT_USED"]
    assert bench.job(job_id).job_state == "FAILED"


def test_cancel_ends_what_waits_and_tells_of_what_runs(bench: Bench) -> None:
    job_id = bench.submit({"files": [transfer(0), transfer(1)]})
    running = bench.files(job_id)[0]
    assert bench.lifecycle.ready(running)
    bench.lifecycle.active(running.file_id, 17)
    assert bench.lifecycle.cancel(bench.job(job_id)) == [running.file_id]
    job, files = bench.job(job_id), bench.files(job_id)
    assert (job.job_state, job.reason, job.cancel_job) == ("CANCELED", "Job canceled by the user", True)
    assert [file.finish_time for file in files] == [None, 1000.0]
    bench.lifecycle.ended(running.file_id, Report(scope="TRANSFER", code=errno.ECANCELED, text="x"))
    assert bench.files(job_id)[0].finish_time == 1000.0
    assert [one["t_final_transfer_state"] for one in bench.messages(messages.COMPLETE)] == ["Abort"]


def test_what_waits_for_too_long_is_canceled(bench: Bench) -> None:
    job_id = bench.submit({"files": [transfer(0), transfer(1)], "params": {"max_time_in_queue": "10s"}})
    running = bench.files(job_id)[0]
    bench.lifecycle.ready(running)
    bench.lifecycle.active(running.file_id, 17)
    bench.now += 11
    assert bench.store.earliest(bench.now) is not None
    bench.lifecycle.expire()
    assert [file.file_state for file in bench.files(job_id)] == ["ACTIVE", "CANCELED"]
    assert "max-time-in-queue" in str(bench.files(job_id)[1].reason)
    assert bench.store.earliest(bench.now) is None


def test_staging_comes_first_and_archiving_last(bench: Bench) -> None:
    params = {"bring_online": 100, "archive_timeout": 100}
    job_id = bench.submit({"files": [transfer()], "params": params})
    file = bench.files(job_id)[0]
    assert bench.lifecycle.ready(file)
    assert bench.files(job_id)[0].file_state == "STARTED"
    bench.lifecycle.ended(file.file_id, Report())
    assert (bench.files(job_id)[0].file_state, bench.job(job_id).job_state) == ("SUBMITTED", "SUBMITTED")
    bench.run(bench.files(job_id)[0])
    assert (bench.files(job_id)[0].file_state, bench.job(job_id).job_state) == ("ARCHIVING", "ARCHIVING")
    bench.lifecycle.ended(file.file_id, Report())
    assert bench.job(job_id).job_state == "FINISHED"


def test_a_file_that_was_only_to_be_staged(bench: Bench) -> None:
    same = {"sources": ["davs://a/x"], "destinations": ["davs://a/x"]}
    job_id = bench.submit({"files": [same], "params": {"bring_online": 100}})
    file = bench.files(job_id)[0]
    bench.lifecycle.ready(file)
    bench.lifecycle.ended(file.file_id, Report())
    assert bench.job(job_id).job_state == "FINISHED"


def test_the_same_sid_twice_is_refused(bench: Bench) -> None:
    params = {"id_generator": "deterministic", "sid": "one"}
    bench.submit({"files": [transfer()], "params": params})
    with pytest.raises(Refusal, match="duplicated") as refusal:
        bench.submit({"files": [transfer()], "params": params})
    assert refusal.value.status == 409


def test_urgent_files_come_first(bench: Bench) -> None:
    for number, priority in enumerate((1, 5, 3)):
        bench.submit({"files": [transfer(number)], "params": {"priority": priority}})
    queue = bench.store.next_of_link(["SUBMITTED"], "davs://a.org:1", "davs://b.org:2", bench.now, 9)
    assert [file.priority for file in queue] == [5, 3, 1]
    bench.lifecycle.set_priority(bench.job(queue[-1].job_id), 4)
    queue = bench.store.next_of_link(["SUBMITTED"], "davs://a.org:1", "davs://b.org:2", bench.now, 9)
    assert [file.priority for file in queue] == [5, 4, 3]


def test_messages_agree_with_the_job(bench: Bench) -> None:
    job_id = bench.submit({"files": [transfer(metadata={"request_id": "7"})]})
    bench.run(bench.files(job_id)[0])
    file = bench.files(job_id)[0]
    (start,) = bench.messages(messages.START)
    (complete,) = bench.messages(messages.COMPLETE)
    assert start["transfer_id"] == complete["tr_id"]
    assert complete["tr_id"].split("__")[-1] == job_id
    assert complete["t_final_transfer_state"] == "Ok"
    assert (complete["file_id"], complete["src_url"], complete["file_metadata"]) == (
        file.file_id, file.source_surl, {"request_id": "7"},
    )  # fmt: skip
    assert complete["tr_timestamp_complete"] == round(1000 * (file.finish_time or 0))
    assert [one["file_state"] for one in bench.messages(messages.STATE)] == [
        "SUBMITTED", "READY", "ACTIVE", "FINISHED",
    ]  # fmt: skip


def test_nothing_is_lost_when_the_service_is_killed(bench: Bench) -> None:
    job_id = bench.submit({"files": [transfer(0), transfer(1)]})
    running = bench.files(job_id)[0]
    bench.lifecycle.ready(running)
    bench.store.clear_attempt(running.file_id)
    bench.lifecycle.active(running.file_id, 17)
    bench.open()  # the first store is never closed: as after a SIGKILL
    assert [file.file_state for file in bench.files(job_id)] == ["ACTIVE", "SUBMITTED"]
    bench.lifecycle.requeue(bench.files(job_id)[0])
    assert bench.files(job_id)[0].file_state == "SUBMITTED"
    assert bench.store.left_behind(running.file_id)  # so the next attempt may replace what lies there


class Jobs(RuleBasedStateMachine):
    """Anything may happen at any time; what has ended stays, and jobs agree with their files."""

    directory: Path
    count = 0

    def __init__(self) -> None:
        super().__init__()
        Jobs.count += 1
        self.bench = Bench(self.directory / f"{Jobs.count}.db")
        self.ended: dict[int, str] = {}
        self.jobs: list[str] = []

    def teardown(self) -> None:
        self.bench.store.close()

    @rule(retry=st.integers(-1, 2), count=st.integers(1, 3), kind=st.sampled_from(["N", "R", "H"]))
    def submit(self, retry: int, count: int, kind: str) -> None:
        files = [transfer(number) for number in range(count)]
        if kind == "R":
            files = [REPLICAS]
        params = {"retry": retry, "retry_delay": 1, "multihop": kind == "H"}
        self.jobs.append(self.bench.submit({"files": files, "params": params}))

    def some(self, number: int, *states: str) -> int | None:
        files = self.bench.store.in_states(states)
        return files[number % len(files)].file_id if files else None

    @rule(number=st.integers(0, 20))
    def make_ready(self, number: int) -> None:
        if (file_id := self.some(number, "SUBMITTED", "FORCE_START")) is not None:
            file = self.bench.store.file(file_id)
            assert file is not None
            assert self.bench.lifecycle.ready(file) is not None

    @rule(number=st.integers(0, 20))
    def begin(self, number: int) -> None:
        if (file_id := self.some(number, "READY")) is not None:
            self.bench.lifecycle.active(file_id, 1)

    @rule(number=st.integers(0, 20), report=st.sampled_from([GOOD, GONE, LATE]))
    def end(self, number: int, report: Report) -> None:
        if (file_id := self.some(number, "ACTIVE", "READY", "CANCELED")) is not None:
            self.bench.lifecycle.ended(file_id, report)

    @rule(number=st.integers(0, 20))
    def cancel(self, number: int) -> None:
        if self.jobs:
            self.bench.lifecycle.cancel(self.bench.job(self.jobs[number % len(self.jobs)]))

    @rule(storage=st.sampled_from(["davs://a.org:1", "davs://b.org:2", "davs://a"]))
    def hold(self, storage: str) -> None:
        self.bench.lifecycle.hold(storage)

    @rule(storage=st.sampled_from(["davs://a.org:1", "davs://b.org:2", "davs://a"]))
    def let_go(self, storage: str) -> None:
        self.bench.lifecycle.let_go(storage, lambda _: False)

    @rule()
    def kill_and_recover(self) -> None:
        self.bench.open()
        for file in self.bench.store.in_states(["READY", "ACTIVE", "STARTED"]):
            self.bench.lifecycle.requeue(file)

    @rule(seconds=st.integers(1, 500))
    def wait(self, seconds: int) -> None:
        self.bench.now += seconds

    @invariant()
    def what_has_ended_stays(self) -> None:
        for job_id in self.jobs:
            for file in self.bench.files(job_id):
                before = self.ended.get(file.file_id)
                assert before in {None, file.file_state}
                if file.file_state in TERMINAL:
                    self.ended[file.file_id] = file.file_state

    @invariant()
    def jobs_agree_with_their_files(self) -> None:
        for job_id in self.jobs:
            job, files = self.bench.job(job_id), self.bench.files(job_id)
            open_files = [file for file in files if file.file_state not in TERMINAL | {"NOT_USED"}]
            assert (job.job_state in TERMINAL_JOB) == (not open_files)
            assert (job.job_finished is not None) == (job.job_state in TERMINAL_JOB)
            if job.job_state == "FINISHED":
                assert any(file.file_state == "FINISHED" for file in files)
            for file in files:
                assert file.retry <= max(job.retry, 0)

    @invariant()
    def each_end_is_told_once(self) -> None:
        told = [one["file_id"] for one in self.bench.messages(messages.COMPLETE)]
        done = [file_id for file_id, state in self.ended.items() if state in {"FINISHED", "FAILED"}]
        assert set(done) <= set(told)
        assert len(told) == len(set(told))


def test_whatever_happens(tmp_path: Path) -> None:
    Jobs.directory = tmp_path
    run_state_machine_as_test(Jobs, settings=settings(max_examples=40, stateful_step_count=30))
