"""Trying at a door what may be refused, and telling what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, urlencode

from pytest_datalake.drivers.exchange import Request
from pytest_datalake.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_datalake.capabilities.access import Storage
    from pytest_datalake.capabilities.content import Content
    from pytest_datalake.conformance.case import Action, Verb
    from pytest_datalake.drivers.exchange import Answer
    from pytest_datalake.errors import ErrorKind

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

_MOST_READ = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a door said to what was tried.

    Attributes:
        done: it says that it has done it.
        said: its answer, for people.
        status: of HTTP; 0 where there was no answer, or another protocol.
        kind: our word for an error; empty where there was none, or HTTP.
        body: of what was read.
        connection: number of the connection that the answer came over.
    """

    done: bool
    said: str
    status: int = 0
    kind: ErrorKind | Literal[""] = ""
    body: bytes = b""
    connection: int = 1


def try_it(
    storage: Storage,
    action: Action,
    content: Content,
    *,
    headers: tuple[tuple[str, str], ...] = (),
    parameters: Mapping[str, str] | None = None,
) -> Tried:
    """Try an action with the credential of the storage, once.

    Over HTTP in one request just as it stands; over another protocol by the client library.

    Args:
        storage: the door, and what the connection shows.
        action: with absolute paths of the lake's namespace.
        content: of a file that is written.
        headers: of the request; tokens are shown in them.
        parameters: of the request's URL.

    Raises:
        EngineError: our own machinery failed.
    """
    if storage.endpoint.protocol == "davs":
        try:
            answer = send(storage, [request_for(storage, action, content, headers, parameters)])[0]
        except StorageError as error:
            return Tried(done=False, said=str(error), kind=error.kind)
        return tried(action, answer)
    return _by_client(storage, action, content)


def request_for(
    storage: Storage,
    action: Action,
    content: Content,
    headers: tuple[tuple[str, str], ...] = (),
    parameters: Mapping[str, str] | None = None,
) -> Request:
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
        target=f"{target}?{urlencode(parameters)}" if parameters else target,
        headers=(*headers, *more),
        body=content.bytes() if action.verb in {"write", "overwrite"} else b"",
    )


def send(storage: Storage, requests: list[Request]) -> tuple[Answer, ...]:
    """Send requests over one connection. Raises ``StorageError`` where one is not answered."""
    return storage.pool.exchange(
        storage.endpoint, storage.path(), storage.credential, requests=requests, budget=storage.budget()
    )


def tried(action: Action, answer: Answer) -> Tried:
    """What an answer says of an action."""
    return Tried(
        done=answer.status in DONE[action.verb],
        said=f"HTTP {answer.status}",
        status=answer.status,
        body=answer.body,
        connection=answer.connection,
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
