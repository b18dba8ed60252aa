"""Takes monitoring messages out of the outbox and appends them to a file, one JSON object a line.

Each is delivered at least once: after a SIGKILL the last ones may stand there twice.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_datalake.lake.fts.store import Store

_AT_ONCE = 500


class Messenger:
    """Delivers to one file, which only this service writes.

    Args:
        store: has the outbox.
        path: of the file.
        delivered: called when something was appended.
    """

    def __init__(self, store: Store, path: Path, delivered: Callable[[], None]) -> None:
        self._store = store
        self._path = path
        self._delivered = delivered

    def deliver(self) -> None:
        """Empty the outbox."""
        while waiting := self._store.messages(_AT_ONCE):
            with self._path.open("a") as stream:
                for number, topic, body in waiting:
                    stream.write(
                        json.dumps({"number": number, "topic": topic, "body": json.loads(body)}) + "\n"
                    )
            self._store.sent(waiting[-1][0])
            self._delivered()
