"""What is put on a storage is there, whole, and goes away when it is removed."""

import pytest

pytestmark = pytest.mark.capability("access")


def test_upload_is_read_back_whole(storage, test_file, scratch, evidence):
    stored = test_file(size="1 MiB", at=storage)
    local = storage.get(stored.path, scratch / "whole", size=stored.size)
    assert local.read_bytes() == stored.content.bytes()
    evidence["bytes"], evidence["checksum"] = stored.size, f"adler32:{stored.checksum}"


def test_stat_tells_the_size(storage, test_file):
    stored = test_file(size=12_345, at=storage)
    fact = storage.stat(stored.path)
    assert (fact.size, fact.is_directory) == (12_345, False)


def test_removed_file_is_gone(storage, test_file, refused):
    stored = test_file(size="1 KiB", at=storage)
    storage.remove(stored.path)
    with refused("not-found"):
        storage.stat(stored.path)


def test_missing_file_is_reported_as_missing(storage, test_file, refused):
    test_file(size="1 KiB", at=storage, name="neighbour")
    with refused("not-found"):
        storage.stat("never-put")


@pytest.mark.requirement("ranged-read")
@pytest.mark.requires("ranged-read")
def test_range_is_that_part_of_the_file(storage, test_file):
    stored = test_file(size=100_000, at=storage)
    for offset, length in ((0, 1), (1000, 3000), (65_535, 2), (99_990, 10)):
        assert storage.read(stored.path, offset=offset, length=length) == stored.content.bytes(offset, length)


def test_upload_is_refused_where_a_file_is(storage, test_file, make_local, refused):
    stored = test_file(size="1 KiB", at=storage)
    with refused("exists"):
        storage.put(make_local(2000), stored.path)
    assert storage.stat(stored.path).size == stored.size


def test_upload_replaces_a_file_when_told_to(storage, test_file, make_local):
    stored = test_file(size="4 KiB", at=storage)
    other = make_local(2000)
    storage.put(other, stored.path, overwrite=True)
    assert storage.stat(stored.path).size == 2000
    assert storage.read(stored.path, offset=0, length=4096) == other.bytes()


@pytest.mark.cells(cover="pairwise")
@pytest.mark.cost(size="16 MiB")
@pytest.mark.parametrize("size", ["0 B", "1 B", "4095 B", "65536 B", "1048577 B", "64 MiB"])
def test_every_size_is_read_back_whole(storage, test_file, scratch, size):
    stored = test_file(size=size, at=storage)
    assert storage.stat(stored.path).size == stored.size
    local = storage.get(stored.path, scratch / "sized", size=stored.size)
    assert local.read_bytes() == stored.content.bytes()
    storage.remove(stored.path)
