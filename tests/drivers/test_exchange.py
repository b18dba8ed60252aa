"""Requests go out just as they are written, and change nothing but what is ours."""

from __future__ import annotations

import http.server
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from pytest_datalake.drivers.api import Credential, Environment
from pytest_datalake.drivers.exchange import Answer, Request, exchange
from pytest_datalake.drivers.guard import PathGuard, WriteBudget
from pytest_datalake.drivers.wire import Call
from pytest_datalake.errors import EngineError, StorageError
from pytest_datalake.lake.pki import Authorities
from pytest_datalake.matrix.model import Endpoint, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Door(http.server.BaseHTTPRequestHandler):
    """Says what it was asked; hangs, closes or answers at length where the path says so."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/closes":
            self.close_connection = True
            return
        if self.path == "/hangs":
            assert isinstance(self.server, _Server)
            self.server.ended.wait()
            return
        size = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(size)
        said = f"{self.command} {self.path} {self.headers.get('Authorization', '-')} ".encode() + body
        self.send_response(403 if self.path == "/refused" else 200)
        self.send_header("Content-Length", str(len(said)))
        if self.path == "/last":
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said)

    do_PUT = do_HEAD = do_MOVE = do_GET  # noqa: N815  # as http.server calls them

    def log_message(self, *_: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    ended = threading.Event()

    def handle_error(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    directory = tmp_path_factory.mktemp("exchange")
    return Authorities.create(directory / "pki", vo="escape", issuer="https://localhost:1/")


@pytest.fixture(scope="module")
def environment(authorities: Authorities) -> Environment:
    paths = authorities.paths(keys_are_fetched=False)
    return Environment(ca_directory=str(paths.ca_directory), ca_file=str(paths.ca_file), scratch="")


@pytest.fixture(scope="module")
def door(authorities: Authorities, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    certificate, key = authorities.issue_host(["localhost"], ["127.0.0.1"])
    file = tmp_path_factory.mktemp("door") / "host.pem"
    file.write_bytes(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    server = _Server(("127.0.0.1", 0), _Door)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"davs://127.0.0.1:{server.server_address[1]}"
    server.ended.set()
    server.shutdown()
    server.server_close()
    thread.join()


def ask(door: str, environment: Environment, *requests: Request, budget: float = 20) -> list[Answer]:
    messages = [request.to_message() for request in requests]
    told = exchange(door, messages, Credential(), environment, budget=budget)
    return [Answer.from_message(one) for one in told]


def test_requests_go_out_as_they_are_written(door: str, environment: Environment) -> None:
    odd = "/a/../b//%2e%2e/c?x=%20"
    answers = ask(
        door,
        environment,
        Request(method="GET", target=odd, headers=(("Authorization", "Bearer one"),)),
        Request(method="PUT", target="/file", body=b"\x00\xff"),
        Request(method="GET", target="/refused"),
        Request(method="HEAD", target="/file"),
    )
    assert [answer.body for answer in answers] == [
        f"GET {odd} Bearer one ".encode(),
        b"PUT /file - \x00\xff",
        b"GET /refused - ",
        b"",
    ]
    assert [answer.status for answer in answers] == [200, 200, 403, 200]
    assert {answer.connection for answer in answers} == {1}


def test_connection_that_a_door_closes_is_made_again_and_told(door: str, environment: Environment) -> None:
    answers = ask(door, environment, Request(method="GET", target="/last"), Request(method="GET", target="/"))
    assert [answer.connection for answer in answers] == [1, 2]


def test_door_that_closes_instead_of_answering_is_unreachable(door: str, environment: Environment) -> None:
    with pytest.raises(StorageError, match="closed without an answer") as caught:
        ask(door, environment, Request(method="GET", target="/closes"))
    assert caught.value.kind == "unreachable"


def test_door_that_does_not_answer_is_given_up(door: str, environment: Environment) -> None:
    begin = time.monotonic()
    with pytest.raises(StorageError) as caught:
        ask(door, environment, Request(method="GET", target="/hangs"), budget=0.3)
    assert caught.value.kind == "timeout"
    assert time.monotonic() - begin < 5


def test_door_that_nobody_vouches_for_is_not_spoken_to(door: str, tmp_path: Path) -> None:
    others = Authorities.create(tmp_path / "pki", vo="escape", issuer="https://localhost:1/")
    stranger = Environment(
        ca_directory="/nonexistent", ca_file=str(others.paths(keys_are_fetched=False).ca_file), scratch=""
    )
    with pytest.raises(StorageError, match="certificate verify failed"):
        ask(door, stranger, Request(method="GET", target="/"))


DOOR = Endpoint(
    id="DOOR.davs",
    site="DOOR",
    rse="DOOR",
    technology="xrootd",
    qos="A",
    protocol="davs",
    host="127.0.0.1",
    port=4430,
    prefix="/escape",
)
OURS = "/escape/ska/pytest-datalake"


def call(method: str, target: str, *headers: tuple[str, str], body: bytes = b"") -> Call:
    request = Request(method=method, target=target, headers=headers, body=body)
    arguments: dict[str, Any] = {"requests": [request.to_message()]}
    return Call(
        verb="exchange",
        endpoint=DOOR,
        path="/ska/pytest-datalake/run",
        credential=Credential(),
        budget=1,
        arguments=arguments,
    )


GOOD = [
    call("GET", "/anything/../at?all"),
    call("PROPFIND", "/escape/"),
    call("PUT", f"{OURS}/run/file"),
    call("PUT", f"{OURS}/run/directory/../file"),
    call("DELETE", f"{OURS}/run/a%20file"),
    call("MOVE", f"{OURS}/run/file", ("Destination", f"https://127.0.0.1:4430{OURS}/run/new")),
    call("COPY", f"{OURS}/run/file", ("Source", f"https://127.0.0.1:4430{OURS}/run/new")),
]
BAD = [
    call("PUT", "/escape/ska/file"),
    call("DELETE", f"{OURS}/run/../../file"),
    call("DELETE", f"{OURS}/run/%2e%2e/%2e%2e/file"),
    call("PUT", f"{OURS}-2/run/file"),
    call("MOVE", f"{OURS}/run/file", ("Destination", "https://127.0.0.1:4430/escape/ska/new")),
    call("MOVE", f"{OURS}/run/file", ("destination", f"https://another-door.invalid:4430{OURS}/run/new")),
    call("PROPPATCH", "/escape/ska"),
]


def test_only_what_is_ours_is_changed() -> None:
    guard = PathGuard([DOOR.url("/ska/pytest-datalake/")])
    for good in GOOD:
        guard.check(good)
    for bad in BAD:
        with pytest.raises(EngineError, match="path guard"):
            guard.check(bad)


def test_what_is_written_counts() -> None:
    budget = WriteBudget({"DOOR": Limits(max_bytes=1500)})
    put = call("PUT", f"{OURS}/run/file", body=bytes(1000))
    budget.charge(call("GET", f"{OURS}/run/file"))
    budget.charge(put)
    assert budget.files["DOOR"] == 1
    assert budget.bytes["DOOR"] == pytest.approx(1000, abs=3)
    with pytest.raises(EngineError, match="1500 bytes that DOOR allows"):
        budget.charge(put)
