"""The broker's work: guard, ledger, budgets, politeness, one answer for calls that share a key."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from pytest_datalake.drivers import memory, wire
from pytest_datalake.drivers.api import Environment
from pytest_datalake.drivers.children import Children
from pytest_datalake.drivers.failures import scrub
from pytest_datalake.drivers.guard import PathGuard, WriteBudget
from pytest_datalake.drivers.ledger import Ledger
from pytest_datalake.drivers.politeness import Politeness
from pytest_datalake.errors import DatalakeError, EngineError
from pytest_datalake.matrix.model import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_datalake.drivers.wire import Call, Message

LOGGER = logging.getLogger(__name__)

_CREATING = {"put", "mkdir", "rename", "copy", "announce", "exchange"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a broker is set up.

    Attributes:
        allowed: what calls may change: addresses as ``Endpoint.url`` writes them, each ending in "/" and
            followed by a run id.
        limits: by RSE name; one that is missing gets the defaults of ``Limits``.
        ledger: sqlite file of intents; empty: none is kept.
        processes: the most client processes at a time.
    """

    environment: Environment
    allowed: tuple[str, ...] = ()
    limits: Mapping[str, Limits] = field(default_factory=dict)
    ledger: str = ""
    processes: int = 40

    def to_message(self) -> Message:
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def from_message(cls, message: Message) -> Settings:
        """What ``to_message`` was given."""
        return cls(
            environment=Environment(**message["environment"]),
            allowed=tuple(message["allowed"]),
            limits={rse: Limits(**limits) for rse, limits in message["limits"].items()},
            ledger=message["ledger"],
            processes=message["processes"],
        )


class Service:
    """Executes calls; one for each broker process."""

    def __init__(self, settings: Settings) -> None:
        self._guard = PathGuard(settings.allowed)
        self._budget = WriteBudget(settings.limits)
        self._ledger = Ledger(settings.ledger)
        self._politeness = Politeness(settings.limits, Limits())
        self._children = Children(settings.environment, settings.processes)
        self._memory = memory.Lake()
        self._shared: dict[str, asyncio.Task[Message]] = {}

    async def reply(self, message: Message) -> Message:
        """The answer to a request; never raises but when cancelled."""
        if message.get("verb") == "statistics":
            return {"result": self.statistics()}
        secrets: tuple[str, ...] = ()
        try:
            call = wire.from_message(message)
            secrets = call.secrets
            self._guard.check(call)
            if call.verb == "announce":
                return self._announce(call)
            return await (self._only_once(call) if call.once else self._perform(call))
        except DatalakeError as error:
            return wire.error_to_message(error)
        except Exception as error:
            LOGGER.exception("a %s call failed inside the broker", message.get("verb"))
            text = scrub(f"the broker failed: {error!r}", secrets)
            return wire.error_to_message(EngineError(text))

    def statistics(self) -> Message:
        """What was done so far: by RSE, and of the client processes."""
        rses = self._politeness.statistics()
        for rse, facts in rses.items():
            facts["files_written"] = self._budget.files.get(rse, 0)
            facts["bytes_written"] = self._budget.bytes.get(rse, 0)
        return {"rses": rses, "processes": dict(self._children.counts)}

    async def stop(self) -> None:
        """End all client processes."""
        await self._children.stop()
        self._ledger.close()

    async def _only_once(self, call: Call) -> Message:
        task = self._shared.get(call.once)
        if task is None:
            task = self._shared[call.once] = asyncio.create_task(self._perform(call))
            task.add_done_callback(lambda done: self._forget_failed(call.once, done))
        return await asyncio.shield(task)

    def _forget_failed(self, key: str, task: asyncio.Task[Message]) -> None:
        if task.cancelled() or task.exception() is not None or "error" in task.result():
            self._shared.pop(key, None)

    async def _perform(self, call: Call) -> Message:
        self._budget.charge(call)
        self._write_down(call)
        clock = asyncio.get_running_loop().time
        asked = clock()
        async with self._politeness.turn(endpoint.rse for endpoint in call.endpoints) as uses:
            began = clock()
            try:
                if any(endpoint.protocol == "memory" for endpoint in call.endpoints):
                    reply = await self._memory.run(call)
                else:
                    reply = await self._children.run(call)
            except DatalakeError as error:
                reply = wire.error_to_message(error)
            if "error" in reply:
                for use in uses:
                    use.failures += 1
            return reply | {"waited": began - asked, "seconds": clock() - began}

    def _announce(self, call: Call) -> Message:
        """A file that somebody else is about to write at our behest."""
        self._budget.charge(call)
        self._write_down(call)
        return {"result": None, "waited": 0.0, "seconds": 0.0}

    def _write_down(self, call: Call) -> None:
        if call.verb not in _CREATING:
            return
        endpoint, path = call.endpoint, call.path
        credential = call.credential
        if call.new_path:
            endpoint, path = call.new_endpoint or call.endpoint, call.new_path
            credential = call.destination_credential or call.credential
        root = self._guard.root(endpoint, path)
        if root is not None:
            url, run_id = root
            self._ledger.intend(run_id, endpoint.id, url, credential)
