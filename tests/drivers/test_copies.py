"""Copies between doors: in just the mode that was asked for, and told as it was."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.drivers.api import CopyMode, Credential
    from pytest_datalake.matrix.model import Endpoint, Matrix
    from tests.drivers.conftest import Desk, Wallet

CONTENT = bytes(range(256)) * 100
CHECKSUM = f"adler32:{zlib.adler32(CONTENT):08x}"
BUDGET = 40.0


class Courier:
    """Copies one file between doors and reads it back."""

    def __init__(self, desk: Desk, directory: Path) -> None:
        self._pool = desk.pool
        self._local = directory / "source"
        self._back = directory / "back"
        self._local.write_bytes(CONTENT)
        self._name = f"/ska/pytest-datalake/run-1/{directory.name}"

    def copy(
        self,
        source: Endpoint,
        destination: Endpoint,
        credential: Credential,
        mode: CopyMode,
        *,
        there: Credential | None = None,
        checksum: str = CHECKSUM,
        name: str = "arrived",
    ) -> CopyMode:
        start, end = f"{self._name}/source", f"{self._name}/{name}"
        self._pool.put(source, start, credential, local=self._local, overwrite=True, budget=BUDGET)
        facts = self._pool.copy(
            source,
            start,
            credential,
            new_endpoint=destination,
            new_path=end,
            destination_credential=there,
            mode=mode,
            checksum=checksum,
            budget=BUDGET,
        )
        self._pool.get(destination, end, there or credential, local=self._back, budget=BUDGET)
        assert self._back.read_bytes() == CONTENT
        return facts.mode

    def missing(self, source: Endpoint, destination: Endpoint, credential: Credential, mode: CopyMode) -> str:
        with pytest.raises(StorageError) as refused:
            self._pool.copy(
                source,
                f"{self._name}/missing",
                credential,
                new_endpoint=destination,
                new_path=f"{self._name}/never",
                mode=mode,
                budget=BUDGET,
            )
        return refused.value.kind


@pytest.fixture
def courier(lake_desk: Desk, tmp_path: Path) -> Courier:
    return Courier(lake_desk, tmp_path)


@pytest.mark.parametrize("mode", ["pull", "push", "streamed"])
@pytest.mark.parametrize("how", ["token", "x509"])
def test_http_copies_in_the_mode_asked_for(
    courier: Courier, lake: Matrix, wallet: Wallet, mode: CopyMode, how: str
) -> None:
    source, destination = lake.endpoint("ALPHA-A.davs"), lake.endpoint("BRAVO-A.davs")
    if how == "token":  # one for each site: an audience is a site's
        shown, there = wallet.token("ska", source), wallet.token("ska", destination)
        assert courier.copy(source, destination, shown, mode, there=there) == mode
    else:
        assert courier.copy(source, destination, wallet.proxy("ska"), mode) == mode


@pytest.mark.parametrize("mode", ["pull", "streamed"])
@pytest.mark.parametrize("how", ["token", "x509"])
def test_xroot_copies(courier: Courier, lake: Matrix, wallet: Wallet, mode: CopyMode, how: str) -> None:
    source, destination = lake.endpoint("ALPHA-A.root"), lake.endpoint("BRAVO-A.root")
    shown = wallet.token("ska", source) if how == "token" else wallet.proxy("ska")
    assert courier.copy(source, destination, shown, mode) == mode


def test_gridftp_copies_are_pushed(courier: Courier, lake: Matrix, wallet: Wallet) -> None:
    source, destination = lake.endpoint("CHARLIE-A.gsiftp"), lake.endpoint("DELTA-A.gsiftp")
    assert courier.missing(source, destination, wallet.proxy("ska"), "push") == "not-found"
    assert courier.copy(source, destination, wallet.proxy("ska"), "push") == "push"


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("ALPHA-A.davs", "BRAVO-A.root"),
        ("BRAVO-A.root", "ALPHA-A.davs"),
        ("ALPHA-A.davs", "CHARLIE-A.gsiftp"),
    ],
)
def test_copies_between_protocols_are_streamed_and_say_so(
    courier: Courier, lake: Matrix, wallet: Wallet, source: str, destination: str
) -> None:
    ends = lake.endpoint(source), lake.endpoint(destination)
    assert courier.copy(*ends, wallet.proxy("ska"), "streamed") == "streamed"
    with pytest.raises(StorageError, match="third-party") as refused:
        courier.copy(*ends, wallet.proxy("ska"), "pull", name="never")
    assert refused.value.kind == "unsupported"


def test_the_two_ends_may_be_shown_different_kinds_of_proof(
    courier: Courier, lake: Matrix, wallet: Wallet
) -> None:
    source, destination = lake.endpoint("CHARLIE-A.gsiftp"), lake.endpoint("BRAVO-A.root")
    shown, there = wallet.proxy("ska"), wallet.token("ska", destination)
    assert courier.copy(source, destination, shown, "streamed", there=there) == "streamed"


@pytest.mark.parametrize(
    "ends",
    [
        ("ALPHA-A.davs", "BRAVO-A.davs", "pull"),
        ("ALPHA-A.davs", "BRAVO-A.davs", "push"),
        ("ALPHA-A.root", "BRAVO-A.root", "pull"),
    ],
    ids="-".join,
)
def test_a_missing_source_and_a_wrong_checksum_are_told_apart(
    courier: Courier, lake: Matrix, wallet: Wallet, ends: tuple[str, str, CopyMode]
) -> None:
    source, destination, mode = lake.endpoint(ends[0]), lake.endpoint(ends[1]), ends[2]
    missing = courier.missing(source, destination, wallet.proxy("ska"), mode)
    if ends != ("ALPHA-A.davs", "BRAVO-A.davs", "push"):  # XRootD 5.5 answers that one with a bare 400
        assert missing == "not-found"
    with pytest.raises(StorageError) as refused:
        courier.copy(source, destination, wallet.proxy("ska"), mode, checksum="adler32:00000007")
    assert refused.value.kind == "checksum"
