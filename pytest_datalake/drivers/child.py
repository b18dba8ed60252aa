"""The process that talks to the lake, one call at a time; killed when a call outlives its budget.

Started as ``python -I -S``: it must be there in a moment, so it imports the drivers it needs and little else.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING

from pytest_datalake.drivers import wire
from pytest_datalake.drivers.address import scheme
from pytest_datalake.drivers.api import Credential, Environment
from pytest_datalake.drivers.davs import DavsDriver
from pytest_datalake.drivers.gsiftp import GsiftpDriver
from pytest_datalake.drivers.root import RootDriver
from pytest_datalake.drivers.s3s import S3Driver
from pytest_datalake.errors import DatalakeError, EngineError

if TYPE_CHECKING:
    from typing import BinaryIO

    from pytest_datalake.drivers.api import Driver
    from pytest_datalake.drivers.wire import Message

_PR_SET_PDEATHSIG = 1
_DRIVERS = {"davs": DavsDriver, "root": RootDriver, "gsiftp": GsiftpDriver, "s3s": S3Driver}
_MOST_DRIVERS = 24
"""Identities whose connections a child keeps open."""


class Drivers:
    """A driver for each protocol and identity, with the most recently used ones kept."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self._kept: dict[tuple[str, str], Driver] = {}

    def get(self, protocol: str, identity: str, credential: Credential) -> Driver:
        """The driver that shows this credential and no other; ``identity`` is its fingerprint."""
        key = (protocol, identity)
        driver = self._kept.pop(key, None) or new_driver(protocol, credential, self.environment)
        self._kept[key] = driver
        if len(self._kept) > _MOST_DRIVERS:
            del self._kept[next(iter(self._kept))]
        return driver


def new_driver(protocol: str, credential: Credential, environment: Environment) -> Driver:
    """A driver of the protocol. Raises ``EngineError`` for one that there is not."""
    if protocol not in _DRIVERS:
        raise EngineError(f"no driver for {protocol!r}")
    return _DRIVERS[protocol](credential, environment)


def perform(driver: Driver, message: Message) -> object:
    """Do what a message says. Raises ``StorageError`` or ``EngineError``."""
    verb, url, budget = message["verb"], message["url"], message["budget"]
    arguments = dict(message["arguments"])
    match verb:
        case "put":
            driver.put(arguments.pop("local"), url, budget=budget, **arguments)
        case "rename":
            driver.rename(url, message["new_url"], budget=budget)
        case "checksum":
            return driver.checksum(url, arguments["algorithm"], budget=budget)
        case "get":
            driver.get(url, arguments["local"], budget=budget)
        case "copy":
            other = message["destination_credential"]
            return driver.copy(
                url,
                message["new_url"],
                budget=budget,
                destination_credential=None if other is None else Credential(**other),
                **arguments,
            )
        case "read" | "stat" | "list" | "mkdir" | "remove" | "rmdir":
            return getattr(driver, verb)(url, budget=budget, **arguments)
        case _:
            raise EngineError(f"no driver can {verb!r}")
    return None


def answer(drivers: Drivers, message: Message) -> Message:
    """The reply to a message."""
    try:
        credential = Credential(**message["credential"])
        if message["verb"] == "exchange":
            return {"result": _exchange(message, credential, drivers.environment)}
        driver = drivers.get(scheme(message["url"]), message["identity"], credential)
        return {"result": wire.result_to_json(perform(driver, message))}
    except DatalakeError as error:
        return wire.error_to_message(error)
    except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to this call
        return wire.error_to_message(EngineError(f"{message['verb']} {message['url']}: {error!r}"))


def _exchange(message: Message, credential: Credential, environment: Environment) -> object:
    from pytest_datalake.drivers.exchange import exchange

    requests = message["arguments"]["requests"]
    return exchange(message["url"], requests, credential, environment, budget=message["budget"])


def die_with(parent: int) -> None:
    """Have the kernel kill this process when the broker dies, however it dies (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def take_stdout() -> BinaryIO:
    """The pipe to the broker; from now on what libraries print goes to the log."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def main(parent: int) -> None:
    """Serve the broker until its end of the pipe is closed."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold secrets
    die_with(parent)
    replies = take_stdout()
    setup = wire.decode(sys.stdin.buffer.readline())
    drivers = Drivers(Environment(**setup["environment"]))
    replies.write(wire.encode({"ready": True}))
    replies.flush()
    for line in sys.stdin.buffer:
        replies.write(wire.encode(answer(drivers, wire.decode(line))))
        replies.flush()
