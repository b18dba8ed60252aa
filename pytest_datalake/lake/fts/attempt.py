"""What the service tells a worker process, and what that answers: plain data, one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Action = Literal["transfer", "clean-up", "stage", "archive"]
Phase = Literal["TRANSFER_PREPARATION", "TRANSFER", "TRANSFER_FINALIZATION", "TRANSFER_SERVICE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What is shown at one end.

    Attributes:
        proxy: PEM file of a proxy; empty: none.
        token: bearer token; empty: none.
        access_key, secret_key: of an object store; empty: none.
    """

    proxy: str = ""
    token: str = field(default="", repr=False)
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One thing for a worker to do.

    Attributes:
        checks: which checksums are compared: n, s, t, b.
        checksum: ``ALGORITHM:value``, or the algorithm alone.
        size: bytes that the submitter announced; 0: none.
        replaces: whether a file at the destination is removed first.
        replaces_on_disk: the same, unless the storage says that the file is on tape.
        mode: "3rd pull", "3rd push" or "streamed": how an http copy is done.
        strict: no checks before and after the copy.
        cleans_up: whether a destination is removed when the copy fails.
        seconds: for the copy; 0: from the file's size.
        per_mebibyte: seconds for each MiB, where the time follows from the size.
        interval: seconds between two looks at a tape system.
    """

    action: Action
    source: str
    destination: str
    source_credential: Credential
    destination_credential: Credential
    checks: str = "n"
    checksum: str = "ADLER32"
    size: int = 0
    replaces: bool = False
    replaces_on_disk: bool = False
    mode: str = "3rd pull"
    strict: bool = False
    cleans_up: bool = True
    nostreams: int = 1
    buffer_size: int = 0
    seconds: int = 0
    per_mebibyte: float = 2.0
    pin_lifetime: int = 0
    interval: float = 1.0
    dst_file_report: bool = False

    def to_line(self) -> bytes:
        """One line of JSON."""
        return json.dumps({"order": asdict(self)}).encode() + b"\n"

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Order:
        """What ``to_line`` wrote."""
        values = dict(message["order"])
        for name in ("source_credential", "destination_credential"):
            values[name] = Credential(**values[name])
        return cls(**values)


@dataclass(slots=True, kw_only=True)
class Report:
    """How an order ended.

    Attributes:
        scope: empty where all went well; else SOURCE, DESTINATION, TRANSFER, STAGING, ARCHIVING or
            GENERAL_FAILURE.
        code: errno.
        phase: where it failed.
        filesize: bytes at the source.
        mode: how gfal2 says that it copied.
        times: name -> seconds since the epoch of the steps.
        dst_file: what lay at the destination, where that was asked for.
    """

    scope: str = ""
    code: int = 0
    text: str = ""
    phase: Phase = "TRANSFER_PREPARATION"
    filesize: int = 0
    mode: str = ""
    times: dict[str, float] = field(default_factory=dict)
    dst_file: dict[str, Any] | None = None
