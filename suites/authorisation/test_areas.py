"""Each experiment works in its own area, and nobody else does."""

import pytest

pytestmark = [pytest.mark.capability("authorisation"), pytest.mark.cost(size="1 KiB")]


def test_member_writes_reads_and_removes_in_the_own_area(storage, test_file):
    stored = test_file(size="1 KiB", at=storage)
    assert storage.read(stored.path, offset=0, length=2048) == stored.content.bytes()
    storage.remove(stored.path)
    assert not storage.exists(stored.path)


def test_other_experiments_file_is_not_read(trespasser, refused):
    with refused("denied"):
        trespasser.read("theirs", offset=0, length=10)


@pytest.mark.requirement("checksum-of-others")
@pytest.mark.requires("adler32")
def test_other_experiments_checksum_is_not_told(trespasser, refused):
    with refused("denied"):
        trespasser.checksum("theirs")


def test_other_experiments_directory_is_not_listed(trespasser, refused):
    with refused("denied"):
        trespasser.list()


def test_other_experiments_area_is_not_written(trespasser, make_local, theirs_unchanged, refused):
    with refused("denied"):
        trespasser.put(make_local("1 KiB"), "mine")
    theirs_unchanged()


def test_other_experiments_file_is_not_overwritten(trespasser, make_local, theirs_unchanged, refused):
    with refused("denied"):
        trespasser.put(make_local(2000), "theirs", overwrite=True)
    theirs_unchanged()


def test_other_experiments_file_is_not_renamed(trespasser, theirs_unchanged, refused):
    with refused("denied"):
        trespasser.rename("theirs", "mine")
    theirs_unchanged()


def test_other_experiments_file_is_not_removed(trespasser, theirs_unchanged, refused):
    with refused("denied"):
        trespasser.remove("theirs")
    theirs_unchanged()


def test_own_file_is_not_moved_into_another_experiments_area(
    storage, test_file, theirs, theirs_unchanged, refused
):
    stored = test_file(size="1 KiB", at=storage)
    with refused("denied"):
        storage.rename(stored.path, theirs.path("smuggled"))
    theirs_unchanged()
    assert storage.exists(stored.path)
