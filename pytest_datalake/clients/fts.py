"""FTS, and whatever speaks its REST interface: jobs, their states, delegation, bans.

Thin: one call of ours is one request, and what several jobs share is asked for in one. X.509 users delegate
first; token users show a token for the service, and one for each address of a file. A refusal is a
``StorageError``, for it is the lake's answer; a service that does not answer, or answers with a fault of its
own, is a ``ServiceError``: no site is to blame. Nothing here is tried again.

Reference: the FTS REST interface 3.13 (https://fts3-docs.web.cern.ch), release 3.13 and later.
"""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from pytest_datalake.errors import EngineError, ErrorKind, ServiceError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

SERVICE = "fts"
ENDED = frozenset({"FINISHED", "FAILED", "CANCELED", "FINISHEDDIRTY"})
"""States that a job does not leave."""

ENDED_FILE = frozenset({"FINISHED", "FAILED", "CANCELED"})
DELEGATION_SECONDS = 7 * 3600
"""For how long we delegate unless told otherwise."""

_NEEDED_SECONDS = 2 * 3600
_AT_ONCE = 100
"""Jobs asked for in one request: their ids stand in the address."""

_MAX_ANSWER = 64 << 20
_FILE_FIELDS = (
    "file_id", "file_index", "file_state", "reason", "source_surl", "dest_surl", "filesize", "start_time",
    "finish_time", "tx_duration", "throughput", "retry", "priority", "file_metadata",
)  # fmt: skip


_KINDS: dict[int, ErrorKind] = {
    401: "denied", 403: "denied", 404: "not-found", 405: "unsupported", 409: "exists", 419: "denied",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One file of a job.

    Attributes:
        sources: addresses, of which one is enough.
        destination: address.
        checksum: ``ALGORITHM:value``; empty: none.
        source_tokens: one for each source; empty for X.509.
        destination_token: empty for X.509.
    """

    sources: tuple[str, ...]
    destination: str
    checksum: str = ""
    size: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    activity: str = ""
    strategy: str = ""
    source_tokens: tuple[str, ...] = field(default=(), repr=False)
    destination_token: str = field(default="", repr=False)

    def to_json(self) -> dict[str, Any]:
        """As the REST interface has it."""
        entry: dict[str, Any] = {"sources": list(self.sources), "destinations": [self.destination]}
        optional = {
            "checksum": self.checksum,
            "filesize": self.size,
            "metadata": dict(self.metadata),
            "activity": self.activity,
            "selection_strategy": self.strategy,
            "source_tokens": list(self.source_tokens),
            "destination_tokens": [self.destination_token] if self.destination_token else [],
        }
        return entry | {name: value for name, value in optional.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStatus:
    """What became of one file. Times are as the service writes them: UTC, to the second.

    Attributes:
        seconds: that the transfer took; None before its end.
        retry: attempts that failed and were repeated.
    """

    file_id: int
    index: int
    state: str
    reason: str
    source: str
    destination: str
    size: int
    started: str
    finished: str
    seconds: float | None
    retry: int
    priority: int
    metadata: Mapping[str, Any]

    @property
    def ended(self) -> bool:
        """Whether the state will not change any more."""
        return self.state in ENDED_FILE

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> FileStatus:
        """One file as the REST interface has it."""
        return cls(
            file_id=int(entry["file_id"]),
            index=int(entry["file_index"]),
            state=str(entry["file_state"]),
            reason=str(entry["reason"] or ""),
            source=str(entry["source_surl"]),
            destination=str(entry["dest_surl"]),
            size=int(entry["filesize"] or 0),
            started=str(entry["start_time"] or ""),
            finished=str(entry["finish_time"] or ""),
            seconds=entry["tx_duration"],
            retry=int(entry["retry"] or 0),
            priority=int(entry.get("priority") or 0),
            metadata=entry["file_metadata"] or {},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """What became of a job."""

    job_id: str
    state: str
    type: str
    reason: str
    metadata: Mapping[str, Any]
    files: tuple[FileStatus, ...]

    @property
    def ended(self) -> bool:
        """Whether the state will not change any more."""
        return self.state in ENDED


class FtsClient:
    """One service, as one user. Safe for threads: each request has a connection of its own.

    Args:
        url: of the service, ``https://host:8446``.
        proxy: PEM file with a proxy, or a certificate and its key; empty: none is shown.
        token: bearer token for the service; empty: none is shown.
        ca_file: PEM bundle that alone vouches for the service; empty: the system's.
        patience: seconds that the service may be silent.
    """

    def __init__(
        self, url: str, *, proxy: str = "", token: str = "", ca_file: str = "", patience: float = 30.0
    ) -> None:
        self.url = url.rstrip("/")
        self._proxy = proxy
        self._token = token
        self._patience = patience
        self._ca_file = ca_file

    def __repr__(self) -> str:
        return f"FtsClient({self.url!r})"

    def about(self) -> dict[str, Any]:
        """Name and versions of the service."""
        return self._object("GET", "/")

    def whoami(self) -> dict[str, Any]:
        """Whom the service takes us for."""
        return self._object("GET", "/whoami")

    def submit(self, transfers: Sequence[Transfer], **params: object) -> str:
        """Submit one job; its id. ``params`` are those of the REST interface, such as ``overwrite=True``."""
        body = {"files": [transfer.to_json() for transfer in transfers], "params": params}
        return str(self._object("POST", "/jobs", body)["job_id"])

    def jobs(self, job_ids: Iterable[str]) -> dict[str, JobStatus]:
        """The jobs with their files, by id, in few requests; those lost, or of others, are missing."""
        found = {}
        for some in _slices(list(job_ids), _AT_ONCE):
            answer = self._ask(
                "GET", f"/jobs/{','.join(some)}?files={','.join(_FILE_FIELDS)}", also=(207, 403, 404)
            )
            for entry in answer if isinstance(answer, list) else [answer]:
                if entry.get("http_status") == "200 Ok":
                    found[str(entry["job_id"])] = JobStatus(
                        job_id=str(entry["job_id"]),
                        state=str(entry["job_state"]),
                        type=str(entry["job_type"]),
                        reason=str(entry["reason"] or ""),
                        metadata=entry["job_metadata"] or {},
                        files=tuple(FileStatus.read(one) for one in entry["files"]),
                    )
        return found

    def job(self, job_id: str) -> JobStatus:
        """One job with its files. Raises ``ServiceError`` where the service has lost it."""
        found = self.jobs([job_id])
        if job_id not in found:
            raise ServiceError(f"{self._name} does not know the job {job_id} any more", service=SERVICE)
        return found[job_id]

    def unfinished(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Our own jobs that have not ended: (id, metadata)."""
        own = self.whoami()["delegation_id"]
        jobs = self._ask("GET", f"/jobs?dlg_id={own}&fields=job_id,job_metadata")
        return [(str(job["job_id"]), job["job_metadata"] or {}) for job in jobs]

    def cancel(self, *job_ids: str) -> dict[str, str]:
        """Cancel jobs in one request: id -> ``200 Ok``, or why not, such as ``304 Not Modified``."""
        if not job_ids:
            return {}
        answer = self._ask("DELETE", f"/jobs/{','.join(job_ids)}", also=(207, 403, 404))
        entries = answer if isinstance(answer, list) else [answer]
        return {str(entry["job_id"]): str(entry["http_status"]) for entry in entries}

    def set_priority(self, job_id: str, priority: int) -> None:
        """Change a job's priority, 1 to 5."""
        self._ask("POST", f"/jobs/{job_id}", {"params": {"priority": priority}})

    def retries(self, job_id: str, file_id: int) -> list[dict[str, Any]]:
        """The attempts at a file that failed and were repeated."""
        return list(self._ask("GET", f"/jobs/{job_id}/files/{file_id}/retries"))

    def delegated_until(self) -> str:
        """When our delegation ends; empty: there is none."""
        info = self._ask("GET", f"/delegation/{self.whoami()['delegation_id']}")
        return str(info["termination_time"]) if info else ""

    def delegate(self, seconds: float = DELEGATION_SECONDS) -> str:
        """Have the service act as us for so long (RFC 3820); the delegation's id. For X.509 users alone."""
        from pytest_datalake.credentials.x509 import delegate

        own = str(self.whoami()["delegation_id"])
        request = self._text("GET", f"/delegation/{own}/request")
        chain = delegate(request.encode(), self._read_proxy(), seconds=seconds)
        self._text("PUT", f"/delegation/{own}/credential", chain.decode())
        return own

    def undelegate(self) -> None:
        """Have the service forget our delegation."""
        self._text("DELETE", f"/delegation/{self.whoami()['delegation_id']}")

    def ban(self, storage: str, *, status: str = "cancel", allow_submit: bool = False) -> list[str]:
        """Ban a storage (``scheme://host``), for administrators; the ids of the jobs that this touches.

        Args:
            storage: as the service names it.
            status: ``cancel`` or ``wait``: what happens to waiting files.
            allow_submit: take new jobs, and let them wait.
        """
        body = {"storage": storage, "status": status, "allow_submit": allow_submit}
        return [str(one) for one in self._ask("POST", "/ban/se", body)]

    def unban(self, storage: str) -> None:
        """Lift the ban of a storage, for administrators."""
        self._text("DELETE", f"/ban/se?storage={quote(storage, safe='')}")

    def banned(self) -> dict[str, str]:
        """Banned storages, and how: ``CANCEL``, ``WAIT`` or ``WAIT_AS``."""
        return {str(one["se"]): str(one["status"]) for one in self._ask("GET", "/ban/se")}

    @property
    def _name(self) -> str:
        return f"the transfer manager {self.url}"

    def _object(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        found = self._ask(method, path, body)
        if not isinstance(found, dict):
            raise ServiceError(f"{self._name} answered {method} {path} with no object", service=SERVICE)
        return found

    def _ask(self, method: str, path: str, body: object = None, *, also: tuple[int, ...] = ()) -> Any:  # noqa: ANN401  # JSON
        text = self._text(method, path, None if body is None else json.dumps(body), also=also)
        try:
            return json.loads(text) if text else None
        except ValueError as error:
            raise ServiceError(
                f"{self._name} answered {method} {_plain(path)} with something that is no JSON",
                service=SERVICE,
            ) from error

    def _text(self, method: str, path: str, body: str | None = None, *, also: tuple[int, ...] = ()) -> str:
        """The body of an answer that is none of 4xx and 5xx, or among those that are meant."""
        status, text = self._exchange(method, path, body)
        if status < 300 or status in also:
            return text
        said = _message(text)
        what = f"{self._name} answered {method} {_plain(path)} with {status}"
        if status >= 500:
            raise ServiceError(f"{what}: {said}", service=SERVICE)
        raise StorageError(
            f"{what}: {said}", kind=_KINDS.get(status, "other"), code=status, operation=method, url=self.url
        )

    def _exchange(self, method: str, path: str, body: str | None) -> tuple[int, str]:
        headers = {"Accept": "application/json", "User-Agent": "pytest-datalake", "Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = self._connect()
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_MAX_ANSWER).decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise self._no_answer(method, path, error) from error
        finally:
            connection.close()

    def _no_answer(self, method: str, path: str, error: Exception) -> ServiceError:
        reason = getattr(error, "verify_message", "") or str(error) or type(error).__name__
        return ServiceError(
            f"{self._name} did not answer {method} {_plain(path)}: {reason}; "
            "is it running, and does `services.fts` of the matrix name it?",
            service=SERVICE,
        )

    def _connect(self) -> http.client.HTTPSConnection:
        parts = urlsplit(self.url)
        if parts.scheme != "https" or not parts.hostname:
            raise EngineError(f"services.fts of the matrix must be an https URL, and is {self.url}")
        context = ssl.create_default_context(cafile=self._ca_file or None)
        if self._proxy and not self._token:
            try:
                context.load_cert_chain(self._proxy)
            except OSError as error:
                raise EngineError(
                    f"the proxy {self._proxy} cannot be shown to {self._name}: {error}"
                ) from error
        return http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=self._patience, context=context
        )

    def _read_proxy(self) -> bytes:
        try:
            return Path(self._proxy).read_bytes()
        except OSError as error:
            raise EngineError(f"the proxy {self._proxy!r} cannot be read: {error.strerror}") from error


def delegate_if_needed(client: FtsClient) -> None:
    """Delegate unless the service can act as us for two more hours."""
    from datetime import UTC, datetime, timedelta

    until = client.delegated_until()
    if until:
        end = datetime.strptime(until, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
        if end - datetime.now(UTC) > timedelta(seconds=_NEEDED_SECONDS):
            return
    client.delegate()


def _slices(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _plain(path: str) -> str:
    """A path for people: without the query, and not longer than need be."""
    plain = path.partition("?")[0]
    return plain if len(plain) <= 100 else f"{plain[:100]}…"


def _message(text: str) -> str:
    """What an error answer says."""
    try:
        found = json.loads(text)
    except ValueError:
        found = text
    said = found.get("message") or found.get("http_message") if isinstance(found, dict) else found
    return " ".join(str(said or "no reason given").split())[:400]
