"""A file sent over a link arrives whole, and a third party really carried it."""

import pytest

pytestmark = pytest.mark.capability("transfer")


@pytest.mark.cost(files=1, size="1 MiB")
def test_file_arrives_intact(link, test_file, copy_between):
    source = test_file(size="1 MiB", at=link.source, shared=True)
    arrived = copy_between(source, link)
    assert arrived.mode in link.declared_modes, "the bytes were not carried by a third party"
    assert arrived.difference is None, f"differs from the source at byte {arrived.difference}"
    assert arrived.checksum == source.checksum
    assert arrived.server_checksum == source.content.checksum(arrived.storage.algorithm)


@pytest.mark.links(cover="pairwise", mode="push")
def test_file_is_pushed(link, test_file, copy_between):
    source = test_file(size="64 KiB", at=link.source, shared=True)
    arrived = copy_between(source, link, mode="push")
    assert arrived.mode == "push"
    assert arrived.difference is None, f"differs from the source at byte {arrived.difference}"


@pytest.mark.links(cover="pairwise")
@pytest.mark.cost(files=1, size="64 MiB")
def test_large_file_arrives_intact(link, test_file, copy_between):
    source = test_file(size="64 MiB", at=link.source)
    arrived = copy_between(source, link)
    assert arrived.mode in link.declared_modes
    assert arrived.difference is None, f"differs from the source at byte {arrived.difference}"
    source.storage.remove(source.path)
    arrived.storage.remove(arrived.path)


@pytest.mark.links(cover="pairwise")
@pytest.mark.cost(files=1, size="0 B")
def test_empty_file_arrives_empty(link, test_file, copy_between):
    source = test_file(size="0 B", at=link.source)
    arrived = copy_between(source, link)
    assert arrived.mode in link.declared_modes
    assert arrived.size == 0


@pytest.mark.links(cover="pairwise")
@pytest.mark.cost(files=6, size="10 KiB")
def test_many_small_files_arrive_at_once(link, test_file, copy_between, at_once):
    sources = [test_file(size=10_000 + number, at=link.source, name=f"small-{number}") for number in range(6)]
    arrivals = at_once(lambda source: copy_between(source, link, name=f"arrived-{source.size}"), sources)
    assert [arrived.checksum for arrived in arrivals] == [source.checksum for source in sources]
    assert {arrived.mode for arrived in arrivals} <= set(link.declared_modes)


@pytest.mark.links(cover="pairwise")
def test_source_is_left_as_it_was(link, test_file, copy_between):
    source = test_file(size="64 KiB", at=link.source)
    copy_between(source, link)
    content = source.storage.read(source.path, offset=0, length=source.size)
    assert content == source.content.bytes()
