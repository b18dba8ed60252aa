"""What tests call: storage operations that run in the broker's processes and never outlive their budget."""

from __future__ import annotations

import base64
import socket
import threading
from typing import TYPE_CHECKING, Any

from pytest_datalake.drivers import wire
from pytest_datalake.drivers.api import CopyFacts, FileStat
from pytest_datalake.drivers.exchange import Answer
from pytest_datalake.drivers.wire import Call
from pytest_datalake.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_datalake.drivers.api import Algorithm, CopyMode, Credential, Verb
    from pytest_datalake.drivers.exchange import Request
    from pytest_datalake.drivers.wire import Message
    from pytest_datalake.matrix.model import Endpoint

BUDGET = 60.0
"""Seconds that a call may take where nothing else is said."""


class Pool:
    """Client of a broker; may be used by several threads at a time.

    Every method takes plain paths of the lake's namespace and raises ``StorageError`` when the lake refuses
    or fails, ``EngineError`` when the broker refuses (path guard, byte or file budget) or is gone. A call
    ends at the latest two seconds after its budget, not counting the time it waits for its turn at the RSE.

    Attributes:
        client_crashes: client processes that died in calls which were then made again.
        connections_reset: connections over root that were reset in calls which were then made again.
    """

    def __init__(self, socket_path: str | Path) -> None:
        """The path of the broker's socket; connections are made when they are needed."""
        self.client_crashes = 0
        self.connections_reset = 0
        self._path = str(socket_path)
        self._lock = threading.Lock()
        self._idle: list[socket.socket] = []
        self._of_thread = threading.local()

    @property
    def latest(self) -> Call | None:
        """The call that this thread made last, however it ended."""
        return getattr(self._of_thread, "latest", None)

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            connections, self._idle = self._idle, []
        for connection in connections:
            connection.close()

    def put(
        self,
        endpoint: Endpoint,
        path: str,
        credential: Credential,
        *,
        local: str | Path,
        overwrite: bool = False,
        checksum: str = "",
        once: str = "",
        budget: float = BUDGET,
    ) -> None:
        """Upload a local file, making parent directories.

        ``checksum``, such as ``"adler32:0a1b2c3d"``, is compared at both ends. Calls with the same ``once``
        are made one time and share the result.
        """
        arguments = {"local": str(local), "overwrite": overwrite, "checksum": checksum}
        self.call("put", endpoint, path, credential, budget=budget, once=once, arguments=arguments)

    def get(
        self,
        endpoint: Endpoint,
        path: str,
        credential: Credential,
        *,
        local: str | Path,
        budget: float = BUDGET,
    ) -> None:
        """Download to a local file, replacing it."""
        self.call("get", endpoint, path, credential, budget=budget, arguments={"local": str(local)})

    def read(
        self,
        endpoint: Endpoint,
        path: str,
        credential: Credential,
        *,
        offset: int,
        length: int,
        budget: float = BUDGET,
    ) -> bytes:
        """Up to ``length`` bytes from ``offset``; at most 32 MiB."""
        if length > wire.LONGEST_READ:
            raise EngineError(f"read {endpoint.url(path)}: {length} bytes in one read; use get for so much")
        arguments = {"offset": offset, "length": length}
        return base64.b64decode(
            self.call("read", endpoint, path, credential, budget=budget, arguments=arguments)
        )

    def stat(
        self, endpoint: Endpoint, path: str, credential: Credential, *, budget: float = BUDGET
    ) -> FileStat:
        """Facts about a file or directory."""
        return FileStat(**self.call("stat", endpoint, path, credential, budget=budget))

    def list(
        self, endpoint: Endpoint, path: str, credential: Credential, *, budget: float = BUDGET
    ) -> list[str]:
        """Names in a directory, sorted."""
        names: list[str] = self.call("list", endpoint, path, credential, budget=budget)
        return names

    def mkdir(self, endpoint: Endpoint, path: str, credential: Credential, *, budget: float = BUDGET) -> None:
        """Make a directory and its parents."""
        self.call("mkdir", endpoint, path, credential, budget=budget)

    def announce(self, endpoint: Endpoint, path: str, credential: Credential, *, size: int) -> None:
        """Say that a service is about to write a file of ``size`` bytes for us.

        It is counted and written down like an upload of ours, so that it will be swept; nothing is done.
        """
        self.call("announce", endpoint, path, credential, budget=BUDGET, arguments={"size": size})

    def rename(
        self, endpoint: Endpoint, path: str, credential: Credential, *, new_path: str, budget: float = BUDGET
    ) -> None:
        """Rename a file or directory within one endpoint."""
        self.call("rename", endpoint, path, credential, budget=budget, new_path=new_path)

    def remove(
        self, endpoint: Endpoint, path: str, credential: Credential, *, budget: float = BUDGET
    ) -> None:
        """Remove a file."""
        self.call("remove", endpoint, path, credential, budget=budget)

    def rmdir(self, endpoint: Endpoint, path: str, credential: Credential, *, budget: float = BUDGET) -> None:
        """Remove an empty directory."""
        self.call("rmdir", endpoint, path, credential, budget=budget)

    def checksum(
        self,
        endpoint: Endpoint,
        path: str,
        credential: Credential,
        *,
        algorithm: Algorithm,
        budget: float = BUDGET,
    ) -> str:
        """What the server says, in lower case and not padded."""
        said: str = self.call(
            "checksum", endpoint, path, credential, budget=budget, arguments={"algorithm": algorithm}
        )
        return said

    def copy(
        self,
        endpoint: Endpoint,
        path: str,
        credential: Credential,
        *,
        new_endpoint: Endpoint,
        new_path: str,
        mode: CopyMode,
        destination_credential: Credential | None = None,
        overwrite: bool = False,
        checksum: str = "",
        size: int = 0,
        budget: float = BUDGET,
    ) -> CopyFacts:
        """Copy between two endpoints in just that mode. ``size`` counts against the RSE's byte budget."""
        arguments = {"mode": mode, "overwrite": overwrite, "checksum": checksum, "size": size}
        facts = self.call(
            "copy",
            endpoint,
            path,
            credential,
            budget=budget,
            new_endpoint=new_endpoint,
            new_path=new_path,
            destination_credential=destination_credential,
            arguments=arguments,
        )
        return CopyFacts(**facts)

    def exchange(
        self,
        endpoint: Endpoint,
        path: str,
        credential: Credential,
        *,
        requests: Sequence[Request],
        budget: float = BUDGET,
    ) -> tuple[Answer, ...]:
        """Send requests just as they are over one connection; the answers in order, whatever they are.

        ``credential`` is what the TLS connection shows; tokens stand in the requests. ``path`` is where they
        may change something, and is what is written down as ours.
        """
        arguments = {"requests": [request.to_message() for request in requests]}
        told = self.call("exchange", endpoint, path, credential, budget=budget, arguments=arguments)
        return tuple(Answer.from_message(one) for one in told)

    def statistics(self) -> Message:
        """What the broker did so far: ``{"rses": {RSE: {...}}, "processes": {...}}``."""
        facts: Message = self._ask({"verb": "statistics"})["result"]
        return facts

    def call(
        self,
        verb: Verb,
        endpoint: Endpoint,
        path: str,
        credential: Credential,
        *,
        budget: float = BUDGET,
        once: str = "",
        new_endpoint: Endpoint | None = None,
        new_path: str = "",
        destination_credential: Credential | None = None,
        arguments: Message | None = None,
    ) -> Any:  # noqa: ANN401  # plain JSON, whatever the verb's result is
        """Any verb with its arguments; returns the result as plain JSON."""
        call = Call(
            verb=verb,
            endpoint=endpoint,
            path=path,
            credential=credential,
            budget=budget,
            once=once,
            new_endpoint=new_endpoint,
            new_path=new_path,
            destination_credential=destination_credential,
            arguments=arguments or {},
        )
        self._of_thread.latest = call
        reply = self._ask(wire.to_message(call))
        with self._lock:
            self.client_crashes += reply.get("client_crashes", 0)
            self.connections_reset += reply.get("connections_reset", 0)
        wire.raise_error(reply, credential)
        return reply["result"]

    def _ask(self, message: Message) -> Message:
        connection = self._connection()
        line = b""
        try:
            connection.sendall(wire.encode(message))
            with connection.makefile("rb") as replies:
                line = replies.readline()
        except ConnectionError:
            pass
        except BaseException:
            connection.close()
            raise
        if not line.endswith(b"\n"):
            connection.close()
            raise EngineError(
                f"the broker that runs the storage calls ({self._path}) has gone; its log says why"
            )
        with self._lock:
            self._idle.append(connection)
        return wire.decode(line)

    def _connection(self) -> socket.socket:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(self._path)
        except OSError as error:
            connection.close()
            raise EngineError(
                f"no broker for storage calls listens on {self._path}: {error.strerror}"
            ) from error
        return connection
