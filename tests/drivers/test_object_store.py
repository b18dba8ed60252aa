"""S3: no rename, MD5 only, access keys; third-party copies with an http door that does the work."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.matrix.model import Matrix
    from tests.drivers.conftest import Desk, Wallet

CONTENT = b"object store" * 100
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
ADLER32 = f"{zlib.adler32(CONTENT):08x}"
AREA = "/ska/pytest-datalake/run-1"


@pytest.fixture
def local(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    return file


@pytest.mark.parametrize("checksum", [f"md5:{MD5}", f"adler32:{ADLER32}"])
def test_objects(lake_desk: Desk, lake: Matrix, wallet: Wallet, local: Path, checksum: str) -> None:
    pool, store, shown = lake_desk.pool, lake.endpoint("FOXTROT-A.s3s"), wallet.access_key("ska")
    directory = f"{AREA}/{local.parent.name}"
    names = ["odd %41#+ ü?", "plain"]
    for name in names:
        pool.put(store, f"{directory}/{name}", shown, local=local, checksum=checksum)
        assert pool.checksum(store, f"{directory}/{name}", shown, algorithm="md5") == MD5
        assert pool.read(store, f"{directory}/{name}", shown, offset=5, length=9) == CONTENT[5:14]
    assert pool.list(store, directory, shown) == names
    with pytest.raises(StorageError) as refused:
        pool.put(store, f"{directory}/bad", shown, local=local, checksum="adler32:00000007")
    assert refused.value.kind == "checksum"
    with pytest.raises(StorageError) as refused:
        pool.rename(store, f"{directory}/plain", shown, new_path=f"{directory}/new")
    assert refused.value.kind == "unsupported"
    for name in names:
        pool.remove(store, f"{directory}/{name}", shown)
    with pytest.raises(StorageError) as refused:
        pool.stat(store, f"{directory}/plain", shown)
    assert refused.value.kind == "not-found"


@pytest.mark.parametrize("checksum", [f"md5:{MD5}", f"adler32:{ADLER32}"])
def test_copies(lake_desk: Desk, lake: Matrix, wallet: Wallet, local: Path, checksum: str) -> None:
    pool, store, door = lake_desk.pool, lake.endpoint("FOXTROT-A.s3s"), lake.endpoint("ALPHA-A.davs")
    key, token = wallet.access_key("ska"), wallet.token("ska", door)
    path = f"{AREA}/{local.parent.name}/file"
    pool.put(door, path, token, local=local)
    pushed = pool.copy(
        door,
        path,
        token,
        new_endpoint=store,
        new_path=f"{path}-2",
        destination_credential=key,
        mode="push",
        checksum=checksum,
    )
    pulled = pool.copy(
        store,
        f"{path}-2",
        key,
        new_endpoint=door,
        new_path=f"{path}-3",
        destination_credential=token,
        mode="pull",
        checksum=checksum,
    )
    assert (pushed.mode, pulled.mode) == ("push", "pull")
    assert pool.checksum(door, f"{path}-3", token, algorithm="adler32") == ADLER32
    with pytest.raises(StorageError) as refused:
        pool.copy(
            store,
            f"{path}-2",
            key,
            new_endpoint=door,
            new_path=f"{path}-4",
            destination_credential=token,
            mode="pull",
            checksum=checksum[:-4] + "0000",
        )
    assert refused.value.kind == "checksum"
