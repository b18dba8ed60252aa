"""Trying at a door what may be refused, and telling what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlencode

from pytest_datalake.drivers.exchange import Request
from pytest_datalake.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_datalake.capabilities.access import Storage
    from pytest_datalake.capabilities.content import Content
    from pytest_datalake.conformance.case import Action, Verb
    from pytest_datalake.drivers.exchange import Answer
    from pytest_datalake.errors import ErrorKind
    from pytest_datalake.matrix.model import Mode

METHODS: Mapping[Verb, str] = {
    "read": "GET",
    "stat": "HEAD",
    "list": "PROPFIND",
    "write": "PUT",
    "overwrite": "PUT",
    "mkdir": "MKCOL",
    "rename": "MOVE",
    "rename-over": "MOVE",
    "remove": "DELETE",
    "rmdir": "DELETE",
}
"""RFC 9110, 9.3 and RFC 4918, 9."""

DONE: Mapping[Verb, frozenset[int]] = {
    "read": frozenset({200, 206}),
    "stat": frozenset({200}),
    "list": frozenset({207}),
    "write": frozenset({200, 201, 204}),
    "overwrite": frozenset({200, 201, 204}),
    "mkdir": frozenset({200, 201}),
    "rename": frozenset({200, 201, 204}),
    "rename-over": frozenset({200, 201, 204}),
    "remove": frozenset({200, 202, 204}),
    "rmdir": frozenset({200, 202, 204}),
}
"""HTTP statuses that say that it was done."""

REFUSALS = (401, 403)
"""RFC 6750, 3.1: who is not known, and who may not."""

_MOST_READ = 4096
_MOST_SAID = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a door said to what was tried.

    Attributes:
        done: it says that it has done it.
        said: its answer, for people.
        status: of HTTP; 0 where there was no answer, or another protocol.
        kind: our word for an error; empty where there was none, or HTTP.
        body: of what was read.
    """

    done: bool
    said: str
    status: int = 0
    kind: ErrorKind | Literal[""] = ""
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """How a request shows a token: in headers, or in parameters of its URL."""

    headers: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()


def try_it(storage: Storage, action: Action, content: Content) -> Tried:
    """Try an action with the credential of the storage, once.

    Over HTTP in one request just as it stands; over another protocol by the client library.

    Args:
        storage: the door, and what the connection shows.
        action: with absolute paths of the lake's namespace.
        content: of a file that is written.

    Raises:
        EngineError: our own machinery failed.
    """
    if storage.endpoint.protocol == "davs":
        return try_in_turn(storage, [(action, Shown())], content)[0]
    return _by_client(storage, action, content)


def try_in_turn(storage: Storage, actions: Sequence[tuple[Action, Shown]], content: Content) -> list[Tried]:
    """Try actions one after the other over one connection to a WebDAV door, each with what it shows.

    Where the door ends the connection without an answer, that is what came of all of them.
    """
    requests = [request_for(storage, action, content, shown) for action, shown in actions]
    try:
        answers = storage.pool.exchange(
            storage.endpoint, storage.path(), storage.credential, requests=requests, budget=storage.budget()
        )
    except StorageError as error:
        return [Tried(done=False, said=str(error), kind=error.kind) for _ in actions]
    return [_told(action, answer) for (action, _), answer in zip(actions, answers, strict=True)]


def ask_for_copy(
    source: Storage,
    destination: Storage,
    name: str,
    *,
    mode: Mode,
    at_source: Shown,
    at_destination: Shown,
) -> Tried:
    """Ask the active end of a third-party copy for it (WLCG HTTP-TPC), and wait for the end of its report."""
    pull = mode == "pull"
    active, passive = (destination, source) if pull else (source, destination)
    to_active, to_passive = (at_destination, at_source) if pull else (at_source, at_destination)
    door = f"https://{passive.endpoint.host}:{passive.endpoint.port}"
    headers = [
        *to_active.headers,
        ("Source" if pull else "Destination", door + _target(passive, passive.path(name))),
        *((f"TransferHeader{header}", value) for header, value in to_passive.headers),
    ]
    if not to_passive.headers:
        headers.append(("Credential", "none"))
    request = Request(method="COPY", target=_target(active, active.path(name)), headers=tuple(headers))
    try:
        answer = active.pool.exchange(
            active.endpoint, active.path(), active.credential, requests=[request], budget=active.budget()
        )[0]
    except StorageError as error:
        return Tried(done=False, said=str(error), kind=error.kind)
    report = answer.body.decode(errors="replace").strip().splitlines()
    last = report[-1] if report else ""
    done = answer.status in {201, 202, 204} and (not last or last.lower().startswith("success"))
    return Tried(done=done, said=f"HTTP {answer.status}: {last}"[:_MOST_SAID], status=answer.status)


def request_for(storage: Storage, action: Action, content: Content, shown: Shown) -> Request:
    """The one request that asks a WebDAV door for an action."""
    more: list[tuple[str, str]] = []
    match action.verb:
        case "list":
            more = [("Depth", "1")]
        case "rename" | "rename-over":
            door = f"https://{storage.endpoint.host}:{storage.endpoint.port}"
            more = [("Destination", door + _target(storage, action.to))]
            more += [("Overwrite", "T")] if action.verb == "rename-over" else []
    target = _target(storage, action.path, as_it_stands=action.as_it_stands)
    return Request(
        method=METHODS[action.verb],
        target=f"{target}?{urlencode(shown.parameters, quote_via=quote)}" if shown.parameters else target,
        headers=(*shown.headers, *more),
        body=content.bytes() if action.verb in {"write", "overwrite"} else b"",
    )


def _told(action: Action, answer: Answer) -> Tried:
    return Tried(
        done=answer.status in DONE[action.verb],
        said=f"HTTP {answer.status}",
        status=answer.status,
        body=answer.body,
    )


def _target(storage: Storage, path: str, *, as_it_stands: bool = False) -> str:
    whole = storage.endpoint.prefix + path
    return whole if as_it_stands else quote(whole, safe="/")


def _by_client(storage: Storage, action: Action, content: Content) -> Tried:
    body = b""
    try:
        match action.verb:
            case "read":
                body = storage.read(action.path, offset=0, length=_MOST_READ)
            case "stat":
                storage.stat(action.path)
            case "list":
                storage.list(action.path)
            case "write" | "overwrite":
                storage.put(content, action.path, overwrite=action.verb == "overwrite")
            case "mkdir":
                storage.mkdir(action.path)
            case "rename" | "rename-over":
                storage.rename(action.path, action.to)
            case "remove":
                storage.remove(action.path)
            case "rmdir":
                storage.rmdir(action.path)
    except StorageError as error:
        return Tried(done=False, said=f"{error.kind}: {error}", kind=error.kind)
    return Tried(done=True, said="done", body=body)
