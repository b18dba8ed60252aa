"""The broker's processes: as many as the cap allows, each with the identities that may share a process."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.util
import logging
import os
import signal
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_datalake
from pytest_datalake.drivers import wire
from pytest_datalake.drivers.address import address
from pytest_datalake.drivers.api import Credential
from pytest_datalake.drivers.failures import failure, shown
from pytest_datalake.errors import EngineError, StorageError

if TYPE_CHECKING:
    from pytest_datalake.drivers.api import Environment
    from pytest_datalake.drivers.wire import Call, Message

LOGGER = logging.getLogger(__name__)

_START_SECONDS = 60.0
_CALLS_PER_CORE = 8
"""More calls at a time than this make each of them slow, and all of them together no faster."""
_GRACE = 1.0
"""Seconds after the budget that the library's own timeouts are given before the process is killed."""
_LINGER_SECONDS = 5.0
_PROGRAM = (
    "import sys; sys.path[:0] = sys.argv[2:]; "
    "from pytest_datalake.drivers.child import main; main(int(sys.argv[1]))"
)


_RESET = {errno.ECONNRESET, errno.ENETRESET}
"""The door ended the connection by a reset, or in good order, before it had answered."""


def _was_reset(call: Call, reply: Message) -> bool:
    """Whether a call over root that changes nothing met the end of its connection and nothing else."""
    if call.verb in wire.CHANGING or call.endpoint.protocol != "root":
        return False
    return bool(reply.get("error", {}).get("code") in _RESET)


class _ClientDiedError(StorageError):
    """The process that made the call died by itself."""


@dataclass(eq=False)
class Child:
    """One process. ``warm`` holds the (identity, door) pairs that it has open connections for."""

    key: str
    process: asyncio.subprocess.Process
    warm: set[tuple[str, str]] = field(default_factory=set)

    async def ask(self, message: Message) -> Message:
        """Send a message and wait for the reply; empty when the process died."""
        if self.process.stdin is None or self.process.stdout is None:
            raise EngineError("a client process has no pipes")
        try:
            self.process.stdin.write(wire.encode(message))
            await self.process.stdin.drain()
            line = await self.process.stdout.readline()
        except ConnectionError:
            line = b""
        return wire.decode(line) if line.endswith(b"\n") else {}

    async def exit_code(self) -> int:
        """Code of a process that closed its pipe, negative for a signal; it is killed when it lingers.

        Not killed at once: ``kill`` looks whether the process is still there, and may so take the code away
        from asyncio, which then makes up 255 (https://github.com/python/cpython/issues/87744).
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                return await self.process.wait()
        await self.kill()
        return await self.process.wait()

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


class Children:
    """Runs calls in child processes, one call in a process at a time."""

    def __init__(self, environment: Environment, capacity: int) -> None:
        self._environment = environment
        self._capacity = capacity
        self._slots = asyncio.Semaphore(min(capacity, _CALLS_PER_CORE * (os.cpu_count() or 1)))
        self._idle: list[Child] = []
        self._all: set[Child] = set()
        self._busy = 0
        self.counts = {"started": 0, "killed": 0, "crashed": 0, "evicted": 0}

    async def run(self, call: Call) -> Message:
        """Run a call in a child and return its reply.

        A child that dies is our client library's fault, though the door may have provoked it: a call that
        changes nothing is made once more, in a fresh process, and its reply says ``client_crashes``.
        So is one over root whose connection was reset, as the client library does where it is given minutes
        for that; the reply says ``connections_reset``.

        Raises ``StorageError`` when the call outlived its budget or its process died, ``EngineError`` when no
        process could be started.
        """
        identity = wire.fingerprint(call.credential)
        key, environment = self._needed(call)
        message = {
            "verb": call.verb,
            "url": address(call.endpoint, call.path),
            "new_url": address(call.new_endpoint or call.endpoint, call.new_path) if call.new_path else "",
            "credential": asdict(call.credential),
            "identity": identity,
            "budget": call.budget,
            "arguments": {name: value for name, value in call.arguments.items() if name != "size"},
            "destination_credential": call.destination_credential and asdict(call.destination_credential),
        }
        warm = (identity, f"{call.endpoint.protocol}://{call.endpoint.host}:{call.endpoint.port}")
        async with self._slots:
            self._busy += 1
            try:
                try:
                    reply = await self._run(call, message, key, warm, environment)
                    if not _was_reset(call, reply):
                        return reply
                    LOGGER.warning("%s", reply["error"]["message"])
                    again = await self._run(call, message, key, warm, environment)
                    return again | {"connections_reset": 1}
                except _ClientDiedError as death:
                    LOGGER.warning("%s", death)
                    if call.verb in wire.CHANGING:
                        raise
                    again = await self._run(call, message, key, warm, environment)
                    return again | {"client_crashes": 1}
            finally:
                self._busy -= 1

    async def _run(
        self, call: Call, message: Message, key: str, warm: tuple[str, str], environment: dict[str, str]
    ) -> Message:
        child: Child | None = None
        try:
            child = await self._take(key, warm, environment)
            return await self._ask(child, call, message)
        finally:
            if child is not None and child in self._all:
                child.warm.add(warm)
                self._idle.append(child)

    async def stop(self) -> None:
        """Kill every child."""
        self._idle.clear()
        await asyncio.gather(*(self._end(child) for child in tuple(self._all)))

    async def _ask(self, child: Child, call: Call, message: Message) -> Message:
        where = shown(call.verb, call.url, call.new_url)
        try:
            async with asyncio.timeout(call.budget + _GRACE):
                reply = await child.ask(message)
        except TimeoutError:
            self.counts["killed"] += 1
            await self._end(child)
            text = f"no answer within {call.budget:g} s; its client process was stopped"
            raise failure(call.verb, where, code=0, kind="timeout", text=text) from None
        except BaseException:
            # Given up by its caller: the process is in the middle of a call and can serve no other.
            await asyncio.shield(self._end(child))
            raise
        if reply:
            if _was_reset(call, reply):
                await self._end(child)  # its library would not ask that door again for some seconds
            return reply
        self._all.discard(child)
        self.counts["crashed"] += 1
        died = _how_it_died(await child.exit_code())
        text = f"the client process {died} during this call, in libgfal2 or a library below it"
        error = failure(call.verb, where, code=0, kind="other", text=text)
        raise _ClientDiedError(str(error), kind="other", operation=error.operation, url=error.url)

    async def _end(self, child: Child) -> None:
        self._all.discard(child)
        await child.kill()

    async def _take(self, key: str, warm: tuple[str, str], environment: dict[str, str]) -> Child:
        fitting = [child for child in self._idle if child.key == key]
        for child in fitting:
            if child.process.returncode is not None:
                self._idle.remove(child)
                self._all.discard(child)
        alive = [child for child in fitting if child in self._all]
        if alive:
            chosen = next((child for child in reversed(alive) if warm in child.warm), alive[-1])
            self._idle.remove(chosen)
            return chosen
        if len(self._idle) + self._busy > self._capacity:
            oldest = self._idle.pop(0)
            self.counts["evicted"] += 1
            await self._end(oldest)
        return await self._start(key, environment)

    async def _start(self, key: str, environment: dict[str, str]) -> Child:
        process = await asyncio.create_subprocess_exec(
            *_command(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            cwd=self._environment.scratch,
            limit=wire.LONGEST_LINE,
        )
        child = Child(key=key, process=process)
        self._all.add(child)
        self.counts["started"] += 1
        try:
            async with asyncio.timeout(_START_SECONDS):
                reply = await child.ask({"environment": asdict(self._environment)})
        except BaseException:
            await asyncio.shield(self._end(child))
            raise
        if not reply.get("ready"):
            await self._end(child)
            raise EngineError(
                "a client process for storage calls did not start: see the broker's log "
                "(is gfal2's Python module there? Debian: python3-gfal2)"
            )
        LOGGER.info("started client process %d for %s", process.pid, key.partition("/")[0])
        return child

    def _needed(self, call: Call) -> tuple[str, dict[str, str]]:
        """Key and environment of the process that a call needs."""
        if call.verb == "exchange":
            return "http", self._base()  # each has a TLS context and a connection of its own
        protocols = {endpoint.protocol for endpoint in call.endpoints}
        if protocols <= {"davs", "s3s"}:
            # Tokens and keys are part of each request. A certificate is part of a TLS connection, and what
            # gfal2 keeps of one identity's third-party copies must not serve another: a process for each.
            proxies = {call.credential.proxy, (call.destination_credential or call.credential).proxy}
            certificates = sorted(wire.fingerprint(_certificate(proxy)) for proxy in proxies if proxy)
            return "/".join(["http", *certificates]), self._base()
        # xroot and GridFTP keep connections that were logged in with what the environment held: such a
        # process is one identity for ever.
        shown = {endpoint.protocol: call.credential for endpoint in call.endpoints[:1]}
        for endpoint in call.endpoints[1:]:
            shown.setdefault(endpoint.protocol, call.destination_credential or call.credential)
        there = call.destination_credential
        if call.endpoints[-1].protocol == "root" == call.endpoint.protocol and there not in {
            None,
            call.credential,
        }:
            raise EngineError(
                f"copy {shown_urls(call)}: xroot logs in at both ends as one identity; "
                "give both ends one credential"
            )
        key = "/".join(f"{protocol}:{wire.fingerprint(shown[protocol])}" for protocol in sorted(shown))
        environment = self._base()
        if "root" in shown:
            environment |= _xroot_login(shown["root"])
        elif "gsiftp" in shown and shown["gsiftp"].proxy:
            environment["X509_USER_PROXY"] = shown["gsiftp"].proxy
        return key, environment

    def _base(self) -> dict[str, str]:
        scratch = self._environment.scratch
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": scratch,
            "LANG": "C.UTF-8",
            "X509_CERT_DIR": self._environment.ca_directory,
            "XrdSecPROTOCOL": "host",  # shows nothing; the default would show /tmp/x509up_u<uid>
            "XRD_PLUGINCONFDIR": f"{scratch}/no-plugins",
            # Without retry and error window a client of a dead door hangs for minutes.
            "XRD_CONNECTIONWINDOW": "120",  # a login on a busy machine takes long; the budget ends it
            "XRD_STREAMTIMEOUT": "120",
            "XRD_CONNECTIONRETRY": "1",
            "XRD_STREAMERRORWINDOW": "5",
            "XRD_REQUESTTIMEOUT": "60",
            "XRD_TIMEOUTRESOLUTION": "1",
        }
        if self._environment.ca_file:
            # One small bundle instead of the system's, which davix reads anew for every request.
            environment["SSL_CERT_FILE"] = self._environment.ca_file
        return environment


def shown_urls(call: Call) -> str:
    """The address or addresses of a call for people."""
    return shown(call.verb, call.url, call.new_url)


def _certificate(proxy: str) -> Credential:
    return Credential(kind="x509", proxy=proxy)


def _xroot_login(credential: Credential) -> dict[str, str]:
    match credential.kind:
        case "token":
            return {"BEARER_TOKEN": credential.token, "XrdSecPROTOCOL": "ztn"}
        case "x509":
            return {"X509_USER_PROXY": credential.proxy, "XrdSecPROTOCOL": "gsi"}
        case _:
            return {}


def _how_it_died(code: int) -> str:
    if code < 0:
        return f"died by {signal.Signals(-code).name}"
    return f"ended with code {code}"


def _command() -> tuple[str, ...]:
    package = Path(pytest_datalake.__file__).parent.parent
    module = importlib.util.find_spec("gfal2")
    if module is None or module.origin is None:
        raise EngineError(
            "gfal2's Python module is missing: install Debian's python3-gfal2 and make it visible to "
            f"{sys.executable}, or install pytest-datalake[gfal2]"
        )
    return (
        sys.executable,
        "-I",
        "-S",
        "-c",
        _PROGRAM,
        str(os.getpid()),
        str(package),
        str(Path(module.origin).parent),
    )
