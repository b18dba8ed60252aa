"""A message broker by STOMP 1.2, as one of its users: what services tell of what they do.

A broker that does not answer, or does not let us in, is a ``ServiceError``. Nothing here is tried again.

Reference: STOMP 1.2 (https://stomp.github.io/stomp-specification-1.2.html).
"""

from __future__ import annotations

import json
import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_datalake.errors import EngineError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICE = "broker"
"""Its name in the matrix."""

_TLS = "stomp+ssl"


class Inbox:
    """What has arrived since the subscription: JSON objects, in the order of their arrival."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._messages: list[tuple[str, dict[str, Any]]] = []
        self._done: set[str] = set()
        self._trouble = ""

    def messages(self, destination: str, **fields: object) -> list[dict[str, Any]]:
        """The messages to a destination so far that have these values.

        Raises:
            ServiceError: the connection has ended, so that messages may be missing.
        """
        with self._changed:
            if self._trouble:
                raise ServiceError(f"the message broker: {self._trouble}", service=SERVICE)
            return [
                body
                for there, body in self._messages
                if there == destination and all(body.get(name) == value for name, value in fields.items())
            ]

    # What the library calls, from a thread of its own.

    def on_message(self, frame: Any) -> None:  # noqa: ANN401  # the library is untyped
        """A message; one that is no JSON object is kept as ``{"text": ...}``."""
        try:
            body = json.loads(frame.body)
        except ValueError:
            body = None
        with self._changed:
            there = str(frame.headers["destination"])
            self._messages.append((there, body if isinstance(body, dict) else {"text": frame.body}))
            self._changed.notify_all()

    def on_connected(self, _frame: object) -> None:
        """We are let in."""
        self._note("connected")

    def on_receipt(self, frame: Any) -> None:  # noqa: ANN401
        """The broker has done what we asked it to confirm."""
        self._note(frame.headers["receipt-id"])

    def on_error(self, frame: Any) -> None:  # noqa: ANN401
        """The broker refuses something, and hangs up."""
        self._fail(f"it refuses: {frame.headers.get('message', 'no reason given')}")

    def on_disconnected(self) -> None:
        """The connection has ended, whoever ended it."""
        self._fail("the connection has ended")

    # What a subscriber waits for.

    def wait_for(self, what: str, patience: float) -> str:
        """Wait until the broker has done something; why it has not, empty where it has."""
        with self._changed:
            self._changed.wait_for(lambda: what in self._done or self._trouble, patience)
            return "" if what in self._done else self._trouble or f"no answer within {patience:g} s"

    def _note(self, what: str) -> None:
        with self._changed:
            self._done.add(what)
            self._changed.notify_all()

    def _fail(self, trouble: str) -> None:
        with self._changed:
            self._trouble = self._trouble or trouble
            self._changed.notify_all()


class Broker:
    """One broker, as one user.

    Args:
        url: ``stomp://host:port``, or ``stomp+ssl://host:port``.
        username: at the broker.
        password: of that user.
        ca_file: PEM bundle that a broker behind TLS is checked with; empty: the system's.
        patience: seconds that the broker may be silent while we subscribe.
    """

    def __init__(
        self, url: str, *, username: str, password: str, ca_file: str = "", patience: float = 15.0
    ) -> None:
        self.url = url
        self._username = username
        self._password = password
        self._ca_file = ca_file
        self._patience = patience

    def __repr__(self) -> str:
        return f"Broker({self.url!r})"

    @contextmanager
    def listening(self, *destinations: str) -> Iterator[Inbox]:
        """Subscribe to topics or queues, such as ``/topic/rucio.events``, until the end of the block.

        Raises:
            EngineError: the address in the matrix is none of a broker.
            ServiceError: the broker does not answer, or refuses.
        """
        inbox = Inbox()
        connection = self._connect(inbox)
        try:
            for number, destination in enumerate(destinations):
                receipt = f"subscribed-{number}"
                connection.subscribe(destination, id=str(number), ack="auto", receipt=receipt)
                self._demand(inbox, receipt)
            yield inbox
        finally:
            connection.transport.disconnect_socket()

    def _connect(self, inbox: Inbox) -> Any:  # noqa: ANN401  # the library is untyped
        import stomp
        from stomp.exception import StompException

        parts = urlsplit(self.url)
        if parts.scheme not in {"stomp", _TLS} or not parts.hostname or not parts.port:
            raise EngineError(
                f"services.{SERVICE} of the matrix must be stomp://host:port or {_TLS}://host:port, "
                f"and is {self.url}"
            )
        logging.getLogger("stomp.py").setLevel(logging.CRITICAL)  # it logs what it also raises
        there = [(parts.hostname, parts.port)]
        connection = stomp.Connection12(there, reconnect_attempts_max=1, timeout=self._patience)
        if parts.scheme == _TLS:
            connection.set_ssl(there, ca_certs=self._ca_file or None)
        connection.set_listener("inbox", inbox)
        try:
            connection.connect(self._username, self._password)
        except (OSError, StompException) as error:
            raise self._fault(str(error) or type(error).__name__) from error
        self._demand(inbox, "connected")
        return connection

    def _demand(self, inbox: Inbox, what: str) -> None:
        trouble = inbox.wait_for(what, self._patience)
        if trouble:
            raise self._fault(trouble)

    def _fault(self, trouble: str) -> ServiceError:
        return ServiceError(
            f"the message broker {self.url} does not serve {self._username}: {trouble}; is it running, and "
            f"does `services.{SERVICE}` of the matrix name it?",
            service=SERVICE,
        )
