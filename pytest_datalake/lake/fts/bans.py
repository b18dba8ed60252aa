"""Storages and users who are banned."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pytest_datalake.lake.fts.model import moment
from pytest_datalake.lake.fts.refusal import Refusal

if TYPE_CHECKING:
    from pytest_datalake.lake.fts.caller import Caller
    from pytest_datalake.lake.fts.lifecycle import Lifecycle
    from pytest_datalake.lake.fts.model import File
    from pytest_datalake.lake.fts.store import Store
    from pytest_datalake.lake.fts.submission import Submission

_STORAGE, _USER = "ban-se", "ban-dn"
_WAITING_REASON = "Storage banned"


class Bans:
    """Who may not do what, and what becomes of their jobs."""

    def __init__(self, store: Store, lifecycle: Lifecycle) -> None:
        self._store = store
        self._lifecycle = lifecycle

    def demand_not_banned(self, caller: Caller) -> None:
        """Raises ``Refusal`` (403)."""
        if caller.dn in self._store.settings(_USER):
            raise Refusal(403, f"{caller.dn} is banned")

    def demand_allowed(self, submission: Submission) -> None:
        """Refuse jobs of a banned storage (403), or keep their files waiting where the ban says so."""
        banned = self._store.settings(_STORAGE)
        if not banned:
            return
        for file in submission.files:
            for storage in (file.source_se, file.dest_se):
                status = banned.get(storage, {}).get("status")
                if status in {"CANCEL", "WAIT"}:
                    raise Refusal(403, f"{storage} is banned")
                if status == "WAIT_AS" and file.file_state in {"SUBMITTED", "STAGING"}:
                    file.file_state = "ON_HOLD" if file.file_state == "SUBMITTED" else "ON_HOLD_STAGING"

    def ban_storage(self, caller: Caller, body: dict[str, Any]) -> list[str]:
        """Ban a storage; the ids of the jobs that this touches. Raises ``Refusal`` (400)."""
        storage = body.get("storage")
        if not storage:
            raise Refusal(400, "Missing storage parameter")
        status = str(body.get("status", "cancel")).lower()
        if status not in {"cancel", "wait"}:
            raise Refusal(400, "status can only be cancel or wait")
        allow_submit = bool(body.get("allow_submit", False))
        if allow_submit and status == "cancel":
            raise Refusal(400, "allow_submit and status = CANCEL can not be combined")
        value = {
            "status": "WAIT_AS" if allow_submit else status.upper(),
            "message": body.get("message"),
            "admin_dn": caller.dn,
            "addition_time": time.time(),
            "vo": body.get("vo_name") or "*",
        }
        with self._store.transaction():
            self._store.save_setting(_STORAGE, str(storage), value)
            if status == "wait":
                return self._lifecycle.hold(str(storage))
            return self._cancel(lambda file: storage in {file.source_se, file.dest_se}, _WAITING_REASON)

    def unban_storage(self, storage: str) -> None:
        """Lift a ban: what waited goes on. Raises ``Refusal`` (400)."""
        if not storage:
            raise Refusal(400, "Missing storage parameter")
        with self._store.transaction():
            if self._store.remove_setting(_STORAGE, storage):
                others = set(self._store.settings(_STORAGE))
                self._lifecycle.let_go(storage, lambda file: bool({file.source_se, file.dest_se} & others))

    def storages(self) -> list[dict[str, Any]]:
        """Every banned storage."""
        return [
            {
                "se": name,
                "message": value["message"],
                "addition_time": moment(value["addition_time"]),
                "admin_dn": value["admin_dn"],
                "vo": value["vo"],
                "status": value["status"],
            }
            for name, value in self._store.settings(_STORAGE).items()
        ]

    def ban_user(self, caller: Caller, body: dict[str, Any]) -> list[str]:
        """Ban a user, whose jobs are canceled; their ids. Raises ``Refusal`` (400, 409)."""
        user = body.get("user_dn")
        if not user:
            raise Refusal(400, "Missing user_dn parameter")
        if user == caller.dn:
            raise Refusal(409, "The user tried to ban (her|him)self")
        value = {"message": body.get("message"), "admin_dn": caller.dn, "addition_time": time.time()}
        with self._store.transaction():
            self._store.save_setting(_USER, str(user), value)
            jobs = self._store.find_jobs({"user_dn": user}, unfinished=True, since=0.0, limit=0)
            for job in jobs:
                self._lifecycle.cancel(job, reason="User banned")
        return [job.job_id for job in jobs]

    def unban_user(self, user: str) -> None:
        """Lift a ban. Raises ``Refusal`` (400)."""
        if not user:
            raise Refusal(400, "Missing user_dn parameter")
        self._store.remove_setting(_USER, user)

    def users(self) -> list[dict[str, Any]]:
        """Every banned user."""
        return [
            {
                "dn": name,
                "message": value["message"],
                "addition_time": moment(value["addition_time"]),
                "admin_dn": value["admin_dn"],
            }
            for name, value in self._store.settings(_USER).items()
        ]

    def _cancel(self, touched: Any, reason: str) -> list[str]:  # noqa: ANN401  # a predicate over files
        jobs = []
        for job in self._store.find_jobs({}, unfinished=True, since=0.0, limit=0):
            files: list[File] = [file for file in self._store.files([job.job_id]) if touched(file)]
            if files:
                self._lifecycle.cancel(job, reason=reason, only=touched)
                jobs.append(job.job_id)
        return jobs
