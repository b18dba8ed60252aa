"""The server's checksum is the one computed from the bytes that were sent."""

import pytest

pytestmark = pytest.mark.capability("access")


@pytest.mark.requires("adler32")
def test_adler32_is_that_of_the_bytes(storage, test_file):
    stored = test_file(size="1 MiB", at=storage)
    assert storage.checksum(stored.path, "adler32") == stored.content.adler32


@pytest.mark.requires("md5")
def test_md5_is_that_of_the_bytes(storage, test_file):
    stored = test_file(size="1 MiB", at=storage)
    assert storage.checksum(stored.path, "md5") == stored.content.md5


@pytest.mark.requires("adler32")
def test_leading_zeros_of_adler32_are_kept(storage, make_local, cell):
    content = make_local.with_leading_zero(seed=cell.id)
    storage.put(content, "leading-zero")
    assert storage.checksum("leading-zero", "adler32") == content.adler32


@pytest.mark.requirement("checksum-follows-overwrite")
@pytest.mark.requires("adler32")
def test_checksum_follows_an_overwrite(storage, test_file, make_local):
    stored = test_file(size="64 KiB", at=storage)
    assert storage.checksum(stored.path, "adler32") == stored.content.adler32
    other = make_local("64 KiB", seed="other")
    storage.put(other, stored.path, overwrite=True)
    said = storage.checksum(stored.path, "adler32")
    assert said != stored.content.adler32, "this is still the checksum of the file that was replaced"
    assert said == other.adler32
