"""One identity's credential never serves another's call, whatever connections are open."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from pytest_datalake.drivers.api import Credential
from pytest_datalake.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.matrix.model import Endpoint, Matrix
    from tests.drivers.conftest import Brokers, Desk, Wallet

NAMES = ("ska", "lofar")


def may_write(desk: Desk, endpoint: Endpoint, credential: Credential, area: str, local: Path) -> bool:
    try:
        desk.pool.put(endpoint, f"/{area}/pytest-datalake/run-1/{uuid4()}", credential, local=local)
    except StorageError as error:
        if error.kind != "denied":
            raise
        return False
    return True


@pytest.fixture
def local(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    return file


CASES = (
    ("ALPHA-A.davs", "token", 1),
    ("ALPHA-A.davs", "x509", 1),
    ("ALPHA-A.davs", "mixed", 4),
    ("ALPHA-A.root", "token", 1),
    ("ALPHA-A.root", "x509", 4),
    ("ALPHA-A.root", "mixed", 4),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_identities_do_not_mix(
    lake_brokers: Brokers, lake: Matrix, wallet: Wallet, local: Path, case: tuple[str, str, int]
) -> None:
    door, how, processes = case
    endpoint = lake.endpoint(door)
    desk = lake_brokers.start((endpoint,), processes=processes)
    shown = {
        name: wallet.token(name, endpoint)
        if how == "token" or (how == "mixed" and name == "ska")
        else wallet.proxy(name)
        for name in NAMES
    }
    calls = [
        (name, area)
        for _ in range(1 if processes == 1 else 2)
        for name in (*NAMES, "nobody")
        for area in NAMES
    ]
    with ThreadPoolExecutor(4 if processes > 1 else 1) as threads:
        allowed = list(
            threads.map(
                lambda call: may_write(desk, endpoint, shown.get(call[0], Credential()), call[1], local),
                calls,
            )
        )
    assert allowed == [name == area for name, area in calls]


def test_the_callers_own_environment_is_nobody(
    lake_brokers: Brokers, lake: Matrix, wallet: Wallet, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X509_USER_PROXY", wallet.proxy("ska").proxy)
    monkeypatch.setenv("BEARER_TOKEN", wallet.token("ska", lake.endpoint("ALPHA-A.root")).token)
    desk = lake_brokers.start(lake.endpoints)
    for door in ("ALPHA-A.davs", "ALPHA-A.root", "CHARLIE-A.gsiftp"):
        assert not may_write(desk, lake.endpoint(door), Credential(), "ska", local)
