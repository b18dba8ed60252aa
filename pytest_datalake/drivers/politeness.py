"""Never more calls at an RSE than it allows, over all tests and workers, first come first served."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from pytest_datalake.drivers.wire import Message
    from pytest_datalake.matrix.model import Limits


@dataclass(slots=True)
class Use:
    """What was asked of an RSE. ``seconds`` is the sum over its calls, without queueing."""

    calls: int = 0
    failures: int = 0
    seconds: float = 0.0
    running: int = 0
    most_running: int = 0


class Politeness:
    """Turns at RSEs. A copy takes a turn at both ends, always in the same order, so none waits for ever."""

    def __init__(self, limits: Mapping[str, Limits], default: Limits) -> None:
        self._limits = limits
        self._default = default
        self._turns: dict[str, asyncio.Semaphore] = {}
        self.use: dict[str, Use] = {}

    @asynccontextmanager
    async def turn(self, rses: Iterable[str]) -> AsyncIterator[tuple[Use, ...]]:
        """Wait for a turn at every one of these RSEs, and hold it."""
        names = sorted(set(rses))
        async with AsyncExitStack() as held:
            for name in names:
                await held.enter_async_context(self._turn(name))
            uses = tuple(self.use.setdefault(name, Use()) for name in names)
            for use in uses:
                use.calls += 1
                use.running += 1
                use.most_running = max(use.most_running, use.running)
            started = asyncio.get_running_loop().time()
            try:
                yield uses
            finally:
                for use in uses:
                    use.running -= 1
                    use.seconds += asyncio.get_running_loop().time() - started

    def statistics(self) -> dict[str, Message]:
        """Facts by RSE."""
        return {name: asdict(use) for name, use in sorted(self.use.items())}

    def _turn(self, name: str) -> asyncio.Semaphore:
        if name not in self._turns:
            self._turns[name] = asyncio.Semaphore(self._limits.get(name, self._default).concurrent)
        return self._turns[name]
