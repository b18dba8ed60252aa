"""The process that owns the client processes and serves all tests of a run over a unix socket.

``start`` is for whoever owns the run: the broker lives as long as the pipe to its standard input is open, so
it dies, with all its children, when its owner does, however that happens.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest_datalake
from pytest_datalake.drivers import wire
from pytest_datalake.drivers.service import Service, Settings
from pytest_datalake.errors import EngineError

LOGGER = logging.getLogger(__name__)

_LONGEST_PATH = 100
"""Bytes; a unix socket's address has room for 107 (unix(7))."""
_STOP_SECONDS = 10.0
_CLIENTS_SECONDS = 2.0


class Broker:
    """A running broker, seen by its owner."""

    def __init__(self, process: subprocess.Popen[bytes], socket: str, log: str) -> None:
        self.socket = socket
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def stop(self) -> None:
        """End the broker and its children; a second time does nothing."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        Path(self.socket).unlink(missing_ok=True)


def start(settings: Settings, *, socket: str | Path, log: str | Path) -> Broker:
    """Start a broker and return when it answers. Raises ``EngineError`` with the end of its log.

    Args:
        settings: what it may do.
        socket: path to be, under 100 bytes, in a directory that only we can enter.
        log: file that its messages and those of the client libraries are appended to.
    """
    if len(os.fsencode(socket)) > _LONGEST_PATH:
        raise EngineError(f"broker: the socket's path is too long for the system: {socket}")
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(Path(pytest_datalake.__file__).parent.parent),
        "HOME": settings.environment.scratch,
        "LANG": "C.UTF-8",
    }
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            (sys.executable, "-m", "pytest_datalake.drivers.broker", "--socket", str(socket)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=descriptor,
            env=environment,
            cwd="/",
            start_new_session=True,  # Ctrl-C must not take the storage away before the tests have cleaned up
        )
    finally:
        os.close(descriptor)
    if process.stdin is None or process.stdout is None:
        raise EngineError("broker: no pipes")
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(wire.encode(settings.to_message()))
        process.stdin.flush()
    with process.stdout as said:
        ready = said.readline() == b"ready\n"
    broker = Broker(process, str(socket), str(log))
    if not ready:
        broker.stop()
        raise EngineError(
            f"the broker for storage calls did not start; {log} ends with:\n{_end_of(Path(log))}"
        )
    return broker


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-10:])


async def _serve_client(service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection: a request, its reply, and again. A client that goes away gives its call up."""
    line = asyncio.ensure_future(reader.readline())
    waiting: list[asyncio.Future[bytes] | asyncio.Future[wire.Message]] = [line]
    try:
        while request := await line:
            line = asyncio.ensure_future(reader.readline())
            reply = asyncio.ensure_future(service.reply(wire.decode(request)))
            waiting = [line, reply]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not reply.done() and not await line:
                return
            writer.write(wire.encode(await reply))
            await writer.drain()
    except (ConnectionError, ValueError) as error:
        LOGGER.warning("a client's connection broke: %s", type(error).__name__)
    finally:
        for future in waiting:
            future.cancel()
        writer.close()


async def _serve(service: Service, socket: str) -> None:
    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, end.set)
    # The settings were read without reading ahead; what comes now is the end of the owner.
    loop.add_reader(0, lambda: None if os.read(0, 4096) else end.set())
    clients: set[asyncio.Task[None]] = set()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_serve_client(service, reader, writer))
        clients.add(task)
        await asyncio.wait({task})
        clients.discard(task)

    os.umask(0o177)
    server = await asyncio.start_unix_server(client, socket, limit=wire.LONGEST_LINE, backlog=128)
    os.umask(0o077)
    os.write(1, b"ready\n")
    os.dup2(2, 1)
    await end.wait()
    server.close()
    for task in clients:
        task.cancel()
    if clients:
        await asyncio.wait(clients, timeout=_CLIENTS_SECONDS)
    await service.stop()
    os._exit(0)  # nothing that is still being started may hold us; the kernel kills it with us


def _first_line(descriptor: int) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(descriptor, 1)
        if not piece:
            return b""
        line += piece
    return line


def main() -> None:
    """Run a broker: settings come as the first line of standard input, whose end is the broker's end."""
    parser = argparse.ArgumentParser(
        prog="python -m pytest_datalake.drivers.broker", description=main.__doc__
    )
    parser.add_argument("--socket", required=True)
    socket: str = parser.parse_args().socket
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    line = _first_line(0)
    if not line:
        return
    try:
        service = Service(Settings.from_message(wire.decode(line)))
        asyncio.run(_serve(service, socket))
    except EngineError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
