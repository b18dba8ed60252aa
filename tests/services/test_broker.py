"""The message broker: who may listen, what it is told, and what happens when it is away."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.clients.broker import Broker
from pytest_datalake.errors import EngineError, ServiceError
from pytest_datalake.lake import ports
from pytest_datalake.lake.daemons import activemq
from pytest_datalake.lake.daemons.api import Account
from pytest_datalake.lake.fts.config import Settings
from pytest_datalake.lake.fts.herald import Herald
from pytest_datalake.lake.fts.messenger import Messenger
from pytest_datalake.lake.fts.store import Store
from pytest_datalake.lake.keeper import answers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

USER, PASSWORD = "listener", 'a <b> "c" & d'
TOPIC = "transfer.fts_monitoring_state"
SECONDS = 40


class ActiveMq:
    """A broker alone, ended and started again as often as a test likes."""

    def __init__(self, directory: Path, port: int) -> None:
        here = Account(uid=os.geteuid(), gid=os.getegid(), drop=False)
        self.broker = activemq.Broker(port=port, passwords={USER: PASSWORD})
        self.url = self.broker.url
        self.user = Broker(self.url, username=USER, password=PASSWORD)
        self._plan = activemq.prepare(directory, account=here, broker=self.broker)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._plan.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._plan.command,
                env=dict(self._plan.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        wait_until(lambda: answers("127.0.0.1", self.broker.port), f"see {self._plan.log}")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def wait_until(probe: Callable[[], bool], what: str) -> None:
    pause, deadline = threading.Event(), time.monotonic() + SECONDS
    while not probe():
        assert time.monotonic() < deadline, what
        pause.wait(0.05)


@pytest.fixture(scope="module")
def activemq_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActiveMq]:
    (claim,) = ports.claim(1)
    running = ActiveMq(tmp_path_factory.mktemp("activemq"), claim.port)
    try:
        running.start()
        yield running
    finally:
        running.kill()
        claim.release()


class Telling:
    """A transfer manager's messages and what sends them on."""

    def __init__(self, directory: Path, port: int) -> None:
        settings = Settings(
            url="https://localhost:1", port=1, directory=str(directory), host_certificate="", host_key="",
            ca_file="", ca_directory="", voms_directory="", broker_port=port, broker_user=USER,
        )  # fmt: skip
        self.file = directory / "messages.jsonl"
        self.store = Store(directory / "fts.db")
        self._herald = Herald(settings, self.store, self.file, password=PASSWORD)
        self._messenger = Messenger(self.store, self.file, self._herald.wake)
        self._herald.start()

    def say(self, *words: str) -> None:
        for word in words:
            self.store.add_message(TOPIC, {"file_state": word})
        self._messenger.deliver()

    @property
    def all_told(self) -> bool:
        told = self.store.settings("broker").get("told", {}).get("bytes", 0)
        return bool(told == self.file.stat().st_size)

    def close(self) -> None:
        self._herald.stop()
        self.store.close()


def test_messages_arrive_in_order_and_to_their_topic(activemq_alone: ActiveMq, tmp_path: Path) -> None:
    with (
        contextlib.closing(Telling(tmp_path, activemq_alone.broker.port)) as manager,
        activemq_alone.user.listening(f"/topic/{TOPIC}", "/topic/of.others") as inbox,
    ):
        manager.say("SUBMITTED", "READY")
        manager.say("Übertragen: 'fertig'\n")
        words = ["SUBMITTED", "READY", "Übertragen: 'fertig'\n"]
        wait_until(lambda: len(inbox.messages(f"/topic/{TOPIC}")) == 3, "not all messages arrived")
        assert [one["file_state"] for one in inbox.messages(f"/topic/{TOPIC}")] == words
        assert inbox.messages(f"/topic/{TOPIC}", file_state="READY") == [{"file_state": "READY"}]
        assert inbox.messages("/topic/of.others") == []


def test_broker_that_was_away_is_told_later(activemq_alone: ActiveMq, tmp_path: Path) -> None:
    manager = Telling(tmp_path, activemq_alone.broker.port)
    try:
        manager.say("before")
        wait_until(lambda: manager.all_told, "the broker was not told")
        activemq_alone.kill()
        manager.say("while it is away")
        assert not manager.all_told
    finally:
        manager.close()
    activemq_alone.start()
    with activemq_alone.user.listening(f"/topic/{TOPIC}") as inbox:
        with contextlib.closing(Telling(tmp_path, activemq_alone.broker.port)) as again:
            wait_until(lambda: again.all_told, "the broker was not told after it came back")
        wait_until(lambda: bool(inbox.messages(f"/topic/{TOPIC}")), "the message was lost")
        assert inbox.messages(f"/topic/{TOPIC}") == [{"file_state": "while it is away"}]


def test_listener_is_told_when_the_broker_goes(activemq_alone: ActiveMq) -> None:
    with activemq_alone.user.listening("/topic/any") as inbox:
        activemq_alone.kill()

        def fails() -> bool:
            try:
                inbox.messages("/topic/any")
            except ServiceError as error:
                return "has ended" in str(error)
            return False

        wait_until(fails, "nobody said that messages may be missing")
    activemq_alone.start()


def test_nobody_else_may_listen(activemq_alone: ActiveMq) -> None:
    stranger = Broker(activemq_alone.url, username=USER, password="guessed")
    with (
        pytest.raises(ServiceError, match=r"it refuses|has ended") as fault,
        stranger.listening("/topic/any"),
    ):
        pytest.fail("let in")
    assert fault.value.service == "broker"
    assert "guessed" not in str(fault.value) + repr(stranger)


def test_broker_that_is_not_there_or_says_nothing_is_a_service_in_trouble() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        broker = Broker(f"stomp://127.0.0.1:{port}", username=USER, password=PASSWORD, patience=0.5)
        with (
            pytest.raises(ServiceError, match=re.escape("no answer within 0.5 s")),
            broker.listening("/topic/x"),
        ):
            pytest.fail("nobody answered")
    with pytest.raises(ServiceError, match="is it running"), broker.listening("/topic/x"):
        pytest.fail("nobody is there")


@pytest.mark.parametrize("url", ["https://localhost:1", "stomp://localhost", "localhost:61613"])
def test_address_of_no_broker_is_said_to_be_one(url: str) -> None:
    broker = Broker(url, username=USER, password=PASSWORD)
    with pytest.raises(EngineError, match="must be stomp://host:port"), broker.listening("/topic/x"):
        pytest.fail("nobody is there")
