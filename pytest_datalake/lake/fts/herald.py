"""Sends the monitoring messages on to a message broker, as FTS does: STOMP, topics, JSON bodies.

The file of messages is what is known to be said; how far of it the broker has taken is in the database. So a
broker that is away is told later, and a SIGKILL makes it hear the last ones twice at most.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.lake.fts.config import Settings
    from pytest_datalake.lake.fts.store import Store

_log = logging.getLogger(__name__)

_AT_ONCE = 1 << 20
"""Bytes of messages in one transaction."""

_TO_LIVE = 24 * 3600
"""Seconds that a message is kept for those who do not listen, as FTS has it."""

_PATIENCE = 10.0
_PAUSE = 1.0
"""Seconds until a broker that is away is tried again."""


class Herald:
    """A thread that runs from ``start`` to ``stop``; none where the settings name no broker.

    Args:
        settings: which broker, and as whom.
        store: remembers how far the broker has been told.
        path: the file of messages, which only grows.
        password: of the user at the broker.
    """

    def __init__(self, settings: Settings, store: Store, path: Path, *, password: str) -> None:
        self._port = settings.broker_port
        self._user = settings.broker_user
        self._password = password
        self._store = store
        self._path = path
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="herald", daemon=True)
        self._connection: _Connection | None = None

    def start(self) -> None:
        """Begin, with what an earlier process has not told."""
        if self._port is not None:
            self._news.set()
            self._thread.start()

    def wake(self) -> None:
        """There is something to tell. May be called from any thread."""
        self._news.set()

    def stop(self) -> None:
        """End; what is not told yet is told after the next start."""
        self._stopping.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        away = False
        while not self._stopping.is_set():
            self._news.wait()
            self._news.clear()
            try:
                while not self._stopping.is_set() and self._tell_more():
                    away = False
            except Exception as error:  # noqa: BLE001  # whatever it is, the broker is tried again
                if not away:
                    _log.warning("the message broker is away, its messages wait: %r", error)
                away = True
                self._hang_up()
                self._news.set()
                self._stopping.wait(_PAUSE)
        self._hang_up()

    def _tell_more(self) -> bool:
        """Tell the next messages; whether there were any."""
        told = int(self._store.settings("broker").get("told", {}).get("bytes", 0))
        if not self._path.exists():
            return False
        with self._path.open("rb") as stream:
            stream.seek(told)
            piece = stream.read(_AT_ONCE)
        whole = piece[: piece.rfind(b"\n") + 1]
        if not whole:
            return False
        if self._connection is None:
            self._connection = _Connection(self._port or 0, self._user, self._password)
        self._connection.send([json.loads(line) for line in whole.splitlines()])
        self._store.save_setting("broker", "told", {"bytes": told + len(whole)})
        return True

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Connection:
    """One connection to the broker; raises whatever went wrong, and is of no use after that."""

    def __init__(self, port: int, user: str, password: str) -> None:
        import stomp

        logging.getLogger("stomp.py").setLevel(logging.CRITICAL)  # it logs what it also raises
        self._receipts = _Receipts()
        self._stomp = stomp.Connection12([("127.0.0.1", port)], reconnect_attempts_max=1, timeout=_PATIENCE)
        self._stomp.set_listener("receipts", self._receipts)
        self._stomp.connect(user, password)
        self._receipts.wait_for("connected")

    def send(self, messages: list[dict[str, Any]]) -> None:
        """Send all or none of them; returns when the broker has them."""
        receipt = f"told-{messages[-1]['number']}"
        expires = round((time.time() + _TO_LIVE) * 1000)
        transaction = self._stomp.begin()
        for one in messages:
            self._stomp.send(
                f"/topic/{one['topic']}",
                json.dumps(one["body"]),
                content_type="application/json",
                transaction=transaction,
                headers={"persistent": "true", "expires": expires},
            )
        self._stomp.commit(transaction, receipt=receipt)
        self._receipts.wait_for(receipt)

    def close(self) -> None:
        """Leave, whatever the broker thinks of it."""
        self._stomp.transport.disconnect_socket()


class _Receipts:
    """What the broker has confirmed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._seen: set[str] = set()
        self._trouble = ""

    def wait_for(self, receipt: str) -> None:
        with self._changed:
            arrived = self._changed.wait_for(lambda: receipt in self._seen or self._trouble, _PATIENCE)
            if receipt not in self._seen:
                raise ConnectionError(self._trouble if arrived else f"no answer within {_PATIENCE} s")
            self._seen.clear()

    def _note(self, receipt: str = "", trouble: str = "") -> None:
        with self._changed:
            self._seen |= {receipt} - {""}
            self._trouble = self._trouble or trouble
            self._changed.notify_all()

    def on_connected(self, _frame: object) -> None:
        self._note("connected")

    def on_receipt(self, frame: Any) -> None:  # noqa: ANN401  # the library is untyped
        self._note(frame.headers["receipt-id"])

    def on_error(self, frame: Any) -> None:  # noqa: ANN401
        self._note(trouble=f"refused: {frame.headers.get('message', '')}")

    def on_disconnected(self) -> None:
        self._note(trouble="the connection has ended")
