"""The errors that reach people, all of them a ``DatalakeError``.

- ``UsageError``: the user's mistake: matrix, selection, machine; exit code 4, never a traceback
- ``StorageError``: the lake answered, or failed to: a test that meets it has *failed*
- ``EngineError``: our own machinery or environment: a test that meets it is an *error*
- ``ServiceError``: a central service is in trouble: an *error* too, that names the service
"""

from __future__ import annotations

from typing import Literal

ErrorKind = Literal[
    "not-found", "denied", "exists", "checksum", "no-space", "timeout", "unreachable", "unsupported", "other"
]


class DatalakeError(Exception):
    """Says what happened, where, and what to do, in one message without secrets."""


class UsageError(DatalakeError):
    """The user's mistake; printed as it is, exit code 4."""


class EngineError(DatalakeError):
    """A fault of the test engine or its environment, never of the lake under test."""


class StorageError(DatalakeError):
    """A storage operation that did not succeed.

    Attributes:
        kind: what sort of refusal or failure it was, the same word for every protocol.
        code: errno as the client library gave it (``errno.h``), 0 when there was none.
        operation: the verb that was asked for ("put", "copy", ...).
        url: the address it was asked of.
        identity: who asked, by the matrix's name; empty where that is none of its identities.
        auth: by what; empty as well.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind,
        code: int = 0,
        operation: str = "",
        url: str = "",
        identity: str = "",
        auth: str = "",
    ) -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind
        self.code = code
        self.operation = operation
        self.url = url
        self.identity = identity
        self.auth = auth


class ServiceError(EngineError):
    """A central service that does not answer, or has a fault of its own: no site is to blame.

    Attributes:
        service: its name in the matrix (``rucio``, ``fts``, ...).
    """

    def __init__(self, message: str, *, service: str) -> None:
        super().__init__(message)
        self.service = service
