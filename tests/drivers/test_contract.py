"""What every driver promises, held against memory and against real doors."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from pytest_datalake.drivers.api import Credential
from pytest_datalake.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.drivers.pool import Pool
    from pytest_datalake.matrix.model import Endpoint

DOORS = (
    "memory",
    "ALPHA-A.davs/token",
    "ALPHA-A.davs/x509",
    "ALPHA-A.root/token",
    "ALPHA-A.root/x509",
    "CHARLIE-A.gsiftp/x509",
    "ECHO-A.davs/token",
)
CONTENT = bytes(range(256)) * 12
ADLER32 = f"{zlib.adler32(CONTENT):08x}"
ODD_NAMES = ("with space", "per%41cent", "hash#mark", "plus+plus", "umläut", "semi;colon'quote")
BUDGET = 30.0
Anything: TypeAlias = Any  # what the pool's verbs take and give


@dataclass
class Door:
    """One way into a lake, and a directory there."""

    pool: Pool
    endpoint: Endpoint
    credential: Credential
    directory: str
    local: Path

    def __getattr__(self, verb: str) -> Anything:
        """``door.put("name", ...)``: the pool's verb at this door, on names in the directory."""

        def call(name: str = "", **arguments: Anything) -> Anything:
            arguments.setdefault("budget", BUDGET)
            return getattr(self.pool, verb)(self.endpoint, self.path(name), self.credential, **arguments)

        return call

    def path(self, name: str) -> str:
        return f"{self.directory}/{name}" if name else self.directory

    def kind_of(self, verb: str, name: str = "", **arguments: Anything) -> str:
        with pytest.raises(StorageError) as refused:
            getattr(self, verb)(name, **arguments)
        return refused.value.kind


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Door:
    where, _, how = request.param.partition("/")
    if where == "memory":
        from_memory = request.getfixturevalue("memory_desk")
        endpoint, credential = from_memory.endpoint, Credential(kind="token", token="experiment:ska")
        pool = from_memory.pool
    else:
        matrix, wallet = request.getfixturevalue("lake"), request.getfixturevalue("wallet")
        endpoint = matrix.endpoint(where)
        credential = wallet.token("ska", endpoint) if how == "token" else wallet.proxy("ska")
        pool = request.getfixturevalue("lake_desk").pool
    local = tmp_path / "local"
    local.write_bytes(CONTENT)
    directory = f"/ska/pytest-datalake/run-1/{tmp_path.name}-{request.param.replace('/', '-')}"
    return Door(pool=pool, endpoint=endpoint, credential=credential, directory=directory, local=local)


def test_what_is_put_is_read_back(door: Door, tmp_path: Path) -> None:
    door.put("file", local=door.local, checksum=f"adler32:{ADLER32}")
    door.get("file", local=tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == CONTENT
    facts = door.stat("file")
    assert (facts.size, facts.is_directory) == (len(CONTENT), False)
    assert door.stat().is_directory
    assert door.checksum("file", algorithm="adler32") == ADLER32
    assert door.read("file", offset=100, length=50) == CONTENT[100:150]
    assert door.read("file", offset=len(CONTENT) - 10, length=50) == CONTENT[-10:]
    assert door.read("file", offset=len(CONTENT) + 10, length=5) == b""


def test_an_empty_file_is_a_file(door: Door, tmp_path: Path) -> None:
    door.local.write_bytes(b"")
    door.put("empty", local=door.local)
    assert door.stat("empty").size == 0
    assert door.checksum("empty", algorithm="adler32") == "00000001"
    door.get("empty", local=tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b""


def test_leading_zeros_of_a_checksum_are_kept(door: Door) -> None:
    door.local.write_bytes(b"abc")
    door.put("abc", local=door.local, checksum="adler32:024d0127")
    assert door.checksum("abc", algorithm="adler32") == "024d0127"


def test_a_file_is_replaced_only_on_demand(door: Door) -> None:
    door.put("file", local=door.local)
    door.local.write_bytes(b"other")
    assert door.kind_of("put", "file", local=door.local) == "exists"
    assert door.stat("file").size == len(CONTENT)
    door.put("file", local=door.local, overwrite=True)
    assert door.stat("file").size == len(b"other")


def test_a_wrong_checksum_is_found(door: Door) -> None:
    assert door.kind_of("put", "file", local=door.local, checksum="adler32:00000007") == "checksum"


def test_directories(door: Door) -> None:
    door.mkdir("a/b")
    door.mkdir("a/b")
    door.put("a/c", local=door.local)
    assert door.list("a") == ["b", "c"]
    assert door.list("a/b") == []
    with pytest.raises(StorageError):
        door.rmdir("a")
    door.rename("a/c", new_path=door.path("a/b/d"))
    assert door.list("a/b") == ["d"]
    door.remove("a/b/d")
    door.rmdir("a/b")
    door.rmdir("a")
    assert door.kind_of("stat", "a") == "not-found"


@pytest.mark.parametrize("verb", ["stat", "list", "remove", "get", "read", "checksum"])
def test_what_is_not_there_is_not_found(door: Door, verb: str, tmp_path: Path) -> None:
    arguments: dict[str, dict[str, object]] = {
        "get": {"local": tmp_path / "back"},
        "read": {"offset": 0, "length": 1},
        "checksum": {"algorithm": "adler32"},
    }
    door.mkdir()
    assert door.kind_of(verb, "missing", **arguments.get(verb, {})) == "not-found"


def test_odd_names_survive(door: Door) -> None:
    for name in ODD_NAMES:
        door.put(name, local=door.local)
        assert door.stat(name).size == len(CONTENT), name
        assert door.checksum(name, algorithm="adler32") == ADLER32, name
    assert door.list() == sorted(ODD_NAMES)
    for name in ODD_NAMES:
        door.remove(name)
    assert door.list() == []


def test_nobody_and_others_are_refused(door: Door) -> None:
    door.put("file", local=door.local)
    door.credential = Credential()
    assert door.kind_of("list") == "denied"
    assert door.kind_of("put", "nobody", local=door.local) == "denied"


def test_messages_name_the_operation_and_hide_secrets(door: Door) -> None:
    with pytest.raises(StorageError) as refused:
        door.stat("missing")
    assert refused.value.operation == "stat"
    assert door.endpoint.host in refused.value.url
    assert str(refused.value).startswith("stat ")
    for text in (str(refused.value), repr(door.credential)):
        assert not door.credential.token or door.credential.token not in text
