"""What crosses the socket between a test and the broker, and the pipe between the broker and a child.

One JSON object a line each way. A reply is ``{"result": ..., "waited": seconds, "seconds": seconds}`` or
``{"error": {...}}``. ``client_crashes`` is in it where a client process had died and the call was made again,
``connections_reset`` where a connection had been reset.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, cast

from pytest_datalake.drivers.api import CopyFacts, Credential, FileStat, Verb
from pytest_datalake.errors import DatalakeError, EngineError, StorageError
from pytest_datalake.matrix.model import Endpoint

LONGEST_LINE = 64 << 20
"""Bytes."""
LONGEST_READ = 32 << 20
"""Bytes that one ``read`` may ask for."""
CHANGING: frozenset[Verb] = frozenset(
    {"put", "mkdir", "rename", "remove", "rmdir", "copy", "announce", "exchange"}
)
"""Verbs that change something at an endpoint."""

Message = dict[str, Any]
_DOOR = ("id", "site", "rse", "technology", "qos", "protocol", "host", "port", "prefix")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call on an endpoint; paths are plain names of the lake's namespace.

    Attributes:
        budget: seconds that the call may take, without the time that it queues.
        once: calls with the same key are made one time, and share the result.
        new_endpoint: the destination of a copy.
        new_path: the destination of a copy or rename.
    """

    verb: Verb
    endpoint: Endpoint
    path: str
    credential: Credential
    budget: float
    once: str = ""
    new_endpoint: Endpoint | None = None
    new_path: str = ""
    destination_credential: Credential | None = None
    arguments: Message = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address as people write it."""
        return self.endpoint.url(self.path)

    @property
    def new_url(self) -> str:
        """The address of the destination as people write it; empty where there is none."""
        if not self.new_path:
            return ""
        return (self.new_endpoint or self.endpoint).url(self.new_path)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The one or two ends of the call."""
        return (self.endpoint,) if self.new_endpoint is None else (self.endpoint, self.new_endpoint)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be in any text about the call."""
        shown = (self.credential, self.destination_credential or self.credential)
        return tuple({secret for one in shown for secret in (one.token, one.secret_key) if secret})


def to_message(call: Call) -> Message:
    """The call as plain JSON."""
    message: Message = {name: getattr(call, name) for name in ("verb", "path", "budget", "once", "new_path")}
    message["endpoint"] = _door(call.endpoint)
    message["new_endpoint"] = None if call.new_endpoint is None else _door(call.new_endpoint)
    message["credential"] = asdict(call.credential)
    other = call.destination_credential
    message["destination_credential"] = None if other is None else asdict(other)
    message["arguments"] = call.arguments
    return message


def from_message(message: Message) -> Call:
    """The call that ``to_message`` was given. Raises ``EngineError``."""
    try:
        values = {item.name: message[item.name] for item in fields(Call)}
        values["endpoint"] = Endpoint(**values["endpoint"])
        values["credential"] = Credential(**values["credential"])
        if values["new_endpoint"] is not None:
            values["new_endpoint"] = Endpoint(**values["new_endpoint"])
        if values["destination_credential"] is not None:
            values["destination_credential"] = Credential(**values["destination_credential"])
        return Call(**values)
    except (KeyError, TypeError) as error:
        raise EngineError(f"the broker got a call that it does not understand: {error!r}") from None


def encode(message: Message) -> bytes:
    """One line."""
    return json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The object of one line. Raises ``ValueError``."""
    return cast("Message", json.loads(line))


def result_to_json(result: object) -> object:
    """A driver's result as plain JSON; bytes become base64."""
    if isinstance(result, bytes):
        return base64.b64encode(result).decode()
    if isinstance(result, FileStat | CopyFacts):
        return asdict(result)
    return result


def error_to_message(error: DatalakeError) -> Message:
    """The reply that stands for an error."""
    message: Message = {"kind": "", "message": str(error)}
    if isinstance(error, StorageError):
        message |= {"kind": error.kind, "code": error.code, "operation": error.operation, "url": error.url}
    return {"error": message}


def raise_error(reply: Message, shown: Credential) -> None:
    """Raise the error that a reply stands for, if it does: ``StorageError`` or ``EngineError``.

    Args:
        reply: what came back.
        shown: what the call showed, for the error to say whose it was.
    """
    error = reply.get("error")
    if error is None:
        return
    if not error["kind"]:
        raise EngineError(error["message"])
    raise StorageError(
        error["message"],
        kind=error["kind"],
        code=error["code"],
        operation=error["operation"],
        url=error["url"],
        identity=shown.identity,
        auth=shown.auth,
    )


def fingerprint(credential: Credential | None) -> str:
    """The same for the same proof, also when a file was renewed; tells nothing about it."""
    if credential is None:
        return ""
    digest = hashlib.sha256(repr((credential.kind, credential.access_key)).encode())
    for secret in (credential.token, credential.secret_key):
        digest.update(b"\0" + secret.encode())
    if credential.proxy:
        try:
            digest.update(Path(credential.proxy).read_bytes())
        except OSError:
            digest.update(credential.proxy.encode())
    return digest.hexdigest()[:32]


def _door(endpoint: Endpoint) -> Message:
    return {name: getattr(endpoint, name) for name in _DOOR}
