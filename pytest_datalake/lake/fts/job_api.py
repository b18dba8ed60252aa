"""/jobs, /files and /archive: submit, look, cancel, change."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pytest_datalake.lake.fts import submission
from pytest_datalake.lake.fts.model import CERTIFICATE, TERMINAL_JOB, file_view, job_view, moment
from pytest_datalake.lake.fts.refusal import Refusal
from pytest_datalake.lake.fts.web import Answer, Routes

if TYPE_CHECKING:
    from pytest_datalake.lake.fts.model import File, Job
    from pytest_datalake.lake.fts.service import Service
    from pytest_datalake.lake.fts.web import Request

routes = Routes()

_MOST_JOBS = 500
_MOST_FILES = 1000


@routes.add("POST PUT", "/jobs")
def submit(service: Service, request: Request) -> Answer:
    """Take a job; once this is answered the job is not lost."""
    caller = request.caller
    parsed = submission.parse(
        request.json(),
        caller,
        now=time.time(),
        default_retry=service.default_retry(caller.vo),
        queued=service.store.queue_length,
    )
    if caller.method == CERTIFICATE:
        service.delegations.demand(caller)
    service.bans.demand_allowed(parsed)
    job_id = service.lifecycle.submit(parsed)
    service.engine.wake()
    return Answer(body={"job_id": job_id})


@routes.add("GET", "/jobs")
def list_jobs(service: Service, request: Request) -> Answer:
    """Jobs that the caller may see."""
    options = request.options
    where: dict[str, Any] = {
        column: options[name]
        for name, column in (
            ("user_dn", "user_dn"), ("vo_name", "vo_name"), ("dlg_id", "cred_id"), ("source_se", "source_se"),
            ("dest_se", "dest_se"),
        )
        if options.get(name)
    }  # fmt: skip
    if "cred_id" in where and where["cred_id"] != request.caller.delegation_id:
        raise Refusal(403, "The provided delegation id does not match your delegation id")
    limit = request.limit(_MOST_JOBS, 0)
    window = request.time_window()
    states = [state for state in options.get("state_in", "").split(",") if state]
    if states:
        where["job_state"] = states
    unfinished = not (states and (limit or window))
    since = time.time() - window if window else 0.0
    found = service.store.find_jobs(where, unfinished=unfinished, since=since, limit=limit)
    views = [job_view(job, service.host) for job in found if request.caller.may_touch(job)]
    fields = [name for name in options.get("fields", "").split(",") if name]
    return Answer(body=[{name: view.get(name) for name in fields} if fields else view for view in views])


@routes.add("GET", "/jobs/{}")
def get_jobs(service: Service, request: Request) -> Answer:
    """One job, or several in one call, with some fields of their files if they are asked for."""
    ids = [one for one in request.words[0].split(",") if one]
    known = {job.job_id: job for job in service.store.jobs(ids)}
    fields = [name for name in request.options.get("files", "").split(",") if name]
    files: dict[str, list[File]] = {}
    if fields:
        for file in service.store.files(list(known)):
            files.setdefault(file.job_id, []).append(file)
    views = []
    complete = True
    for job_id in ids:
        view = _shown(service, request, job_id, known.get(job_id))
        complete = complete and view["http_status"] == "200 Ok"
        if fields and job_id in known and view["http_status"] == "200 Ok":
            shown = (file_view(file, service.host) for file in files.get(job_id, []))
            view["files"] = [{name: file.get(name) for name in fields} for file in shown]
        views.append(view)
    if len(ids) == 1:
        status = int(views[0]["http_status"].split()[0])
        return Answer(body=views[0], status=status)
    return Answer(body=views, status=200 if complete else 207)


def _shown(service: Service, request: Request, job_id: str, job: Job | None) -> dict[str, Any]:
    if job is None:
        message = f"No job with the id {job_id!r} has been found"
        return {"job_id": job_id, "http_status": "404 Not Found", "http_message": message}
    if not request.caller.may_touch(job):
        message = f"Not enough permissions to check the job {job_id!r}"
        return {"job_id": job_id, "http_status": "403 Forbidden", "http_message": message}
    return job_view(job, service.host) | {"http_status": "200 Ok"}


def _job(service: Service, request: Request, job_id: str) -> Job:
    """A job that the caller may see. Raises ``Refusal`` (403, 404)."""
    job = service.store.job(job_id)
    if job is None:
        raise Refusal(404, f"No job with the id {job_id!r} has been found")
    if not request.caller.may_touch(job):
        raise Refusal(403, f"Not enough permissions to check the job {job_id!r}")
    return job


@routes.add("GET", "/jobs/{}/files")
def get_files(service: Service, request: Request) -> Answer:
    """The files of a job, whole."""
    job = _job(service, request, request.words[0])
    return Answer(body=[file_view(file, service.host) for file in service.store.files([job.job_id])])


@routes.add("GET", "/jobs/{}/files/{}/retries")
def get_retries(service: Service, request: Request) -> Answer:
    """The attempts at a file that failed and were repeated."""
    job = _job(service, request, request.words[0])
    file = service.store.file(int(request.words[1])) if request.words[1].isdecimal() else None
    if file is None or file.job_id != job.job_id:
        raise Refusal(404, f"No file with the id {request.words[1]!r} has been found")
    return Answer(
        body=[
            retry | {"datetime": moment(retry["datetime"]), "transfer_host": service.host, "log_file": None}
            for retry in service.store.retries(file.file_id)
        ]
    )


@routes.add("GET", "/jobs/{}/dm")
def get_data_management(service: Service, request: Request) -> Answer:
    """There are no such tasks any more."""
    _job(service, request, request.words[0])
    return Answer(body=[])


@routes.add("GET", "/jobs/{}/{}")
def get_field(service: Service, request: Request) -> Answer:
    """One field of a job."""
    view = job_view(_job(service, request, request.words[0]), service.host)
    if request.words[1] not in view:
        raise Refusal(404, "No such field")
    return Answer(body=view[request.words[1]])


@routes.add("DELETE", "/jobs/all")
def cancel_all(service: Service, request: Request) -> Answer:
    """Cancel everything."""
    return _cancel_matching(service, request, {})


@routes.add("DELETE", "/jobs/vo/{name}")
def cancel_vo(service: Service, request: Request) -> Answer:
    """Cancel everything of a VO."""
    return _cancel_matching(service, request, {"vo_name": request.words[0]})


def _cancel_matching(service: Service, request: Request, where: dict[str, Any]) -> Answer:
    request.caller.demand_root()
    jobs = service.store.find_jobs(where, unfinished=True, since=0.0, limit=0)
    files = 0
    for job in jobs:
        files += sum(file.finish_time is None for file in service.store.files([job.job_id]))
        service.lifecycle.cancel(job)
    service.engine.wake()
    return Answer(body={"affected_files": files, "affected_dm": 0, "affected_jobs": len(jobs)})


@routes.add("DELETE", "/jobs/{}")
def cancel(service: Service, request: Request) -> Answer:
    """Cancel jobs; of several, those that cannot be canceled come first."""
    ids = [one for one in request.words[0].split(",") if one]
    known = {job.job_id: job for job in service.store.jobs(ids)}
    not_canceled, canceled = [], []
    for job_id in ids:
        view = _shown(service, request, job_id, known.get(job_id))
        if view["http_status"] != "200 Ok":
            not_canceled.append(view)
        elif known[job_id].job_state in TERMINAL_JOB:
            message = "The job is in a terminal state"
            not_canceled.append(view | {"http_status": "304 Not Modified", "http_message": message})
        else:
            service.lifecycle.cancel(known[job_id])
            fresh = service.store.job(job_id) or known[job_id]
            view = job_view(fresh, service.host)
            canceled.append(view | {"http_status": "200 Ok", "http_message": None})
    service.engine.wake()
    views = not_canceled + canceled
    if len(ids) == 1:
        status = int(views[0]["http_status"].split()[0])
        return Answer(body=views[0], status=200 if status == 304 else status)
    failed = any(view["http_status"][:1] == "4" for view in views)
    return Answer(body=views, status=207 if failed else 200)


@routes.add("DELETE", "/jobs/{}/files/{}")
def cancel_files(service: Service, request: Request) -> Answer:
    """Cancel some files of a plain job."""
    job = _job(service, request, request.words[0])
    if job.job_type != "N":
        raise Refusal(400, f"Multihop or reuse jobs must be cancelled at once ({job.job_type})")
    ids = request.words[1].split(",")
    if not all(one.isdecimal() for one in ids):
        raise Refusal(400, "File ids are numbers")
    answers, _ = service.lifecycle.cancel_files(job, [int(one) for one in ids])
    service.engine.wake()
    return Answer(body=answers[0] if len(answers) == 1 else answers)


@routes.add("POST", "/jobs/{}")
def modify(service: Service, request: Request) -> Answer:
    """Change the priority of jobs."""
    params = request.object().get("params") or {}
    try:
        priority = int(params["priority"]) if "priority" in params else None
    except (TypeError, ValueError) as error:
        raise Refusal(400, "Invalid priority value") from error
    views = []
    ids = [one for one in request.words[0].split(",") if one]
    for job_id in ids:
        job = service.store.job(job_id)
        view = _shown(service, request, job_id, job)
        if job is not None and view["http_status"] == "200 Ok":
            if job.job_state in TERMINAL_JOB:
                message = "The job is in a terminal state"
                view |= {"http_status": "304 Not Modified", "http_message": message}
            elif priority is not None:
                service.lifecycle.set_priority(job, max(1, min(5, priority)))
                files = [file_view(file, service.host) for file in service.store.files([job_id])]
                view = job_view(job, service.host) | {
                    "files": files,
                    "http_status": "200 Ok",
                    "http_message": None,
                }
        views.append(view)
    service.engine.wake()
    if len(ids) == 1:
        status = int(views[0]["http_status"].split()[0])
        return Answer(body=views[0], status=200 if status == 304 else status)
    return Answer(body=views, status=207 if any(view["http_status"][:1] == "4" for view in views) else 200)


@routes.add("GET", "/files")
def list_files(service: Service, request: Request) -> Answer:
    """Files that the caller may see, the newest first."""
    options = request.options
    where: dict[str, Any] = {
        column: options[name]
        for name, column in (
            ("vo_name", "vo_name"), ("source_se", "source_se"), ("dest_se", "dest_se"),
            ("dest_surl", "dest_surl"),
        )
        if options.get(name)
    }  # fmt: skip
    if options.get("state_in"):
        where["file_state"] = options["state_in"].split(",")
    window = request.time_window()
    since = time.time() - window if window else 0.0
    limit = request.limit(_MOST_FILES, _MOST_FILES)
    files = service.store.find_files(where, unfinished=not window, since=since, limit=limit)
    jobs = {job.job_id: job for job in service.store.jobs(sorted({file.job_id for file in files}))}
    return Answer(
        body=[file_view(file, service.host) for file in files if request.caller.may_touch(jobs[file.job_id])]
    )


@routes.add("GET", "/archive")
def list_archive(service: Service, request: Request) -> Answer:  # noqa: ARG001  # a handler's signature
    """Jobs are not moved away here."""
    return Answer(body=[])


@routes.add("GET", "/archive/{name}")
def get_archived(service: Service, request: Request) -> Answer:  # noqa: ARG001  # a handler's signature
    """Jobs are not moved away here."""
    raise Refusal(404, f"No job with the id {request.words[0]!r} has been found in the archive")
