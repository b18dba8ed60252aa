"""What happens to jobs, each step as one transaction: state, reasons and the messages that tell of it.

Knows nothing of HTTP, of processes and of gfal2. What it is told is how attempts ended.
"""

from __future__ import annotations

import errno
import logging
import time
from typing import TYPE_CHECKING, Any

from pytest_datalake.lake.fts import messages, states
from pytest_datalake.lake.fts.attempt import Report
from pytest_datalake.lake.fts.model import TERMINAL_JOB
from pytest_datalake.lake.fts.refusal import Refusal
from pytest_datalake.lake.fts.states import CANCELED_BY_USER, Failure
from pytest_datalake.lake.fts.store import DuplicateJobError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_datalake.lake.fts.model import File, Job
    from pytest_datalake.lake.fts.store import Store
    from pytest_datalake.lake.fts.submission import Submission

MEBIBYTE = 1 << 20

_log = logging.getLogger(__name__)


class Lifecycle:
    """Moves jobs and files from state to state.

    Args:
        store: where they are.
        host: name of this service in messages.
        clock: seconds since the epoch.
    """

    def __init__(self, store: Store, host: str, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self._host = host
        self._clock = clock

    def submit(self, submission: Submission) -> str:
        """Store a job; from then on it is not lost. Raises ``Refusal`` (409)."""
        job = submission.job
        with self.store.transaction():
            try:
                self.store.add(job, submission.files)
            except DuplicateJobError:
                raise Refusal(409, "The sid provided by the user is duplicated") from None
            for file in submission.files:
                self._tell_state(job, file)
        return job.job_id

    def ready(self, file: File) -> Job | None:
        """A process has been found for the file. None where the file was not waiting any more."""
        with self.store.transaction():
            job, file_now = self._look(file)
            if file_now.file_state not in {"SUBMITTED", "FORCE_START", "STAGING"}:
                return None
            now = self._clock()
            if file_now.file_state == "STAGING":
                states.move(file_now, "STARTED")
                file_now.staging_start = now
            else:
                states.move(file_now, "READY")
                self.store.begin_attempt(file.file_id, now)
            self._save(job, file_now)
            return job

    def active(self, file_id: int, pid: int) -> None:
        """The process works on the file."""
        with self.store.transaction():
            job, file = self._find(file_id)
            if file.file_state != "READY":
                return
            states.move(file, "ACTIVE")
            file.start_time = self._clock()
            file.pid = pid
            self._save(job, file)
            now = self._clock()
            self.store.add_message(
                messages.START, messages.start_message(job, file, host=self._host, now=now)
            )

    def ended(self, file_id: int, report: Report) -> None:
        """An attempt ended, well or not; nothing of it is left that should not be."""
        with self.store.transaction():
            job, file = self._find(file_id)
            if states.is_over(file):
                if file.finish_time is None:
                    file.finish_time = self._clock()
                    self.store.save_file(file)
                return
            if file.file_state == "STARTED":
                self._staged(job, file, report)
            elif file.file_state == "ARCHIVING":
                self._archived(job, file, report)
            else:
                self._copied(job, file, report)
        _log.log(
            logging.WARNING if report.scope else logging.INFO,
            "job %s, file %d, %s to %s: %s",
            job.job_id,
            file_id,
            file.source_surl,
            file.dest_surl,
            f"{file.file_state} {file.reason}".rstrip(),
        )

    def _copied(self, job: Job, file: File, report: Report) -> None:
        now = self._clock()
        if file.file_state == "READY":  # it failed before it began
            states.move(file, "ACTIVE")
            file.start_time = now
        file.finish_time = now
        file.filesize = report.filesize or file.filesize
        file.mode = report.mode or file.mode
        file.tx_duration = round(now - (file.start_time or now), 3)
        if report.dst_file is not None:
            file.file_metadata = (file.file_metadata or {}) | {"dst_file": report.dst_file}
        failure = _failure(report)
        others = self.store.files([job.job_id])
        last_hop = states.is_last_hop(job, file, others)
        if failure is None:
            copying = report.times.get("copy_end", now) - report.times.get("copy_start", now)
            file.throughput = round(file.filesize / MEBIBYTE / copying, 6) if copying > 0 else 0.0
            file.reason = ""
            file.recoverable = None
            if job.archive_timeout > -1 and last_hop:
                states.move(file, "ARCHIVING")
                file.archive_start_time = now
                file.finish_time = None
            else:
                states.move(file, "FINISHED")
        else:
            self._failed(job, file, failure, now)
        self._save(job, file)
        following = states.next_in_line(job, file, others)
        body = messages.complete_message(
            job,
            file,
            report,
            final="Ok" if failure is None else "Error",
            host=self._host,
            last_hop=last_hop,
            last_replica=following is None,
        )
        if failure is None or file.file_state == "FAILED":
            self.store.add_message(messages.COMPLETE, body)
        self._call_next(job, file, others)

    def _failed(self, job: Job, file: File, failure: Failure, now: float) -> None:
        """Decide whether the file has failed, or only this attempt."""
        worth_it = states.recoverable(failure)
        file.reason = failure.reason
        file.recoverable = worth_it
        if states.tries_again(job, file, worth_it=worth_it):
            file.retry += 1
            self.store.add_retry(file.file_id, file.retry, now, failure.reason)
            file.not_before = now + (job.retry_delay or states.DEFAULT_RETRY_DELAY)
            file.finish_time = file.start_time = None
            again = failure.code == errno.ETIMEDOUT and states.waiting_state(job) == "STAGING"
            states.move(file, "STAGING" if again else "SUBMITTED")
        else:
            states.move(file, "FAILED")

    def _staged(self, job: Job, file: File, report: Report) -> None:
        failure = _failure(report)
        now = self._clock()
        file.staging_finished = now
        if failure is not None:
            file.reason, file.recoverable, file.finish_time = failure.reason, states.recoverable(failure), now
            states.move(file, "FAILED")
        elif file.source_surl == file.dest_surl:  # it was only to be staged
            file.finish_time = now
            states.move(file, "FINISHED")
        else:
            states.move(file, "SUBMITTED")
        self._save(job, file)
        self._call_next(job, file, self.store.files([job.job_id]))

    def _archived(self, job: Job, file: File, report: Report) -> None:
        failure = _failure(report)
        now = self._clock()
        file.archive_finish_time = file.finish_time = now
        if failure is None:
            states.move(file, "FINISHED")
        else:
            file.reason, file.recoverable = failure.reason, False
            states.move(file, "FAILED")
        self._save(job, file)

    def _call_next(self, job: Job, ended: File, files: Sequence[File]) -> None:
        following = states.next_in_line(job, ended, files)
        if following is not None:
            states.move(following, states.waiting_state(job) if job.job_type == "R" else "SUBMITTED")
            self._save(job, following)
        elif job.job_type == "R" and ended.file_state in {"FINISHED", "ARCHIVING"}:
            job.source_se, job.dest_se = ended.source_se, ended.dest_se
            self.store.save_job(job)

    def requeue(self, file: File) -> None:
        """The process that worked on the file went away with the service that was killed."""
        with self.store.transaction():
            job, file_now = self._look(file)
            if file_now.file_state == "STARTED":
                states.move(file_now, "STAGING")
            elif file_now.file_state in {"READY", "ACTIVE"}:
                states.move(file_now, "SUBMITTED")
                file_now.start_time = file_now.pid = None
            else:
                return
            self._save(job, file_now)

    def cancel(
        self, job: Job, *, reason: str = CANCELED_BY_USER, only: Callable[[File], bool] = lambda _: True
    ) -> list[int]:
        """Cancel the files of a job that have not ended; the ids of those that a process may work on."""
        working = []
        with self.store.transaction():
            for file in self.store.files([job.job_id]):
                if states.is_over(file) or not only(file):
                    continue
                busy = file.file_state in states.RUNNING or file.file_state == "ARCHIVING"
                if busy:
                    working.append(file.file_id)
                else:
                    file.finish_time = self._clock()
                self._abort(job, file, reason)
            job.cancel_job = True
            self._refresh(job, canceled_because=reason)
        return working

    def _abort(self, job: Job, file: File, reason: str) -> None:
        copying = file.file_state == "ACTIVE"
        states.move(file, "CANCELED")
        file.reason = reason
        file.recoverable = False
        self.store.save_file(file)
        if copying:
            report = Report(
                scope="TRANSFER", code=errno.ECANCELED, text="Transfer canceled", phase="TRANSFER"
            )
            body = messages.complete_message(
                job, file, report, final="Abort", host=self._host, last_hop=True, last_replica=True
            )
            body["tr_timestamp_complete"] = round(self._clock() * 1000)
            self.store.add_message(messages.COMPLETE, body)
        self._tell_state(job, file)

    def cancel_files(self, job: Job, file_ids: Sequence[int]) -> tuple[list[str], list[int]]:
        """Cancel some files of a plain job: the answer for each, and those that a process may work on."""
        answers = []
        working: list[int] = []
        with self.store.transaction():
            for file_id in file_ids:
                file = self.store.file(file_id)
                if file is None or file.job_id != job.job_id:
                    answers.append("File does not belong to the job")
                elif states.is_over(file):
                    answers.append(file.file_state)
                else:
                    working += self.cancel(job, only=lambda one, wanted=file_id: one.file_id == wanted)  # type: ignore[misc]
                    answers.append("CANCELED")
            job.cancel_job = False
            self.store.save_job(job)
        return answers, working

    def expire(self) -> list[int]:
        """Cancel what has waited for too long; running files go on."""
        working: list[int] = []
        for job in self.store.overdue(self._clock()):
            working += self.cancel(
                job,
                reason=states.QUEUED_TOO_LONG,
                only=lambda one: one.file_state in states.WAITING | {"NOT_USED"},
            )
        return working

    def set_priority(self, job: Job, priority: int) -> None:
        """Change the priority of a job and of its files."""
        with self.store.transaction():
            job.priority = priority
            self.store.save_job(job)
            for file in self.store.files([job.job_id]):
                if not states.is_over(file):
                    file.priority = priority
                    self.store.save_file(file)

    def force_start(self, file_ids: Iterable[int]) -> None:
        """Let waiting files start whatever the limits say."""
        with self.store.transaction():
            for file_id in file_ids:
                file = self.store.file(file_id)
                if file is not None and file.file_state == "SUBMITTED":
                    job, file = self._find(file_id)
                    file.not_before = 0.0
                    states.move(file, "FORCE_START")
                    self._save(job, file)

    def hold(self, storage: str) -> list[str]:
        """Keep files of a banned storage waiting; the ids of their jobs."""
        return self._turn(
            storage, {"SUBMITTED": "ON_HOLD", "FORCE_START": "ON_HOLD", "STAGING": "ON_HOLD_STAGING"}
        )

    def let_go(self, storage: str, still_banned: Callable[[File], bool]) -> list[str]:
        """Let the files of a storage that is no longer banned wait for their turn again."""
        return self._turn(storage, {"ON_HOLD": "SUBMITTED", "ON_HOLD_STAGING": "STAGING"}, but=still_banned)

    def _turn(
        self, storage: str, change: dict[str, Any], but: Callable[[File], bool] = lambda _: False
    ) -> list[str]:
        touched: dict[str, None] = {}
        with self.store.transaction():
            for file in self.store.in_states(change):
                if storage in {file.source_se, file.dest_se} and not but(file):
                    job, file_now = self._look(file)
                    states.move(file_now, change[file_now.file_state])
                    self._save(job, file_now)
                    touched[file.job_id] = None
        return list(touched)

    def _look(self, file: File) -> tuple[Job, File]:
        return self._find(file.file_id)

    def _find(self, file_id: int) -> tuple[Job, File]:
        file = self.store.file(file_id)
        job = None if file is None else self.store.job(file.job_id)
        if file is None or job is None:
            raise KeyError(f"file {file_id} is unknown")
        return job, file

    def _save(self, job: Job, file: File) -> None:
        self.store.save_file(file)
        self._refresh(job)
        self._tell_state(job, file)

    def _refresh(self, job: Job, canceled_because: str | None = None) -> None:
        """Bring the job's state in line with those of its files."""
        if job.job_state not in TERMINAL_JOB:
            job.job_state = states.job_state(job.job_type, job.job_state, self.store.states(job.job_id))
            if job.job_state in TERMINAL_JOB:
                job.job_finished = self._clock()
                job.reason = states.reason_of(job.job_state, canceled_because)
        self.store.save_job(job)

    def _tell_state(self, job: Job, file: File) -> None:
        self.store.add_message(messages.STATE, messages.state_message(job, file, self._clock()))


def _failure(report: Report) -> Failure | None:
    if not report.scope:
        return None
    return Failure(scope=report.scope, code=report.code, text=report.text)  # type: ignore[arg-type]  # one of our words
