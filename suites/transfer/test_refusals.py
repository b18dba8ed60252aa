"""A copy that must not happen is refused, and leaves nothing behind."""

import pytest

pytestmark = [
    pytest.mark.capability("transfer"),
    pytest.mark.links(cover="pairwise"),
    pytest.mark.cost(size="64 KiB"),
]


def test_wrong_checksum_is_refused_and_leaves_nothing(
    link, identity, test_file, copy_between, storage_as, refused
):
    source = test_file(size="64 KiB", at=link.source, shared=True)
    wrong = (
        "md5:" + "0" * 32
        if "s3s" in {link.source.protocol, link.destination.protocol}
        else "adler32:00000001"
    )
    with refused("checksum"):
        copy_between(source, link, checksum=wrong)
    assert not storage_as(link.destination, link.auth_at(link.destination), identity).exists("arrived")


def test_existing_destination_is_refused_without_overwrite(link, test_file, copy_between, refused):
    first = test_file(size="64 KiB", at=link.source, shared=True)
    second = test_file(size=65_000, at=link.source, shared=True)
    arrived = copy_between(first, link)
    with refused("exists"):
        copy_between(second, link)
    assert arrived.storage.read("arrived", offset=0, length=first.size) == first.content.bytes()


def test_existing_destination_is_replaced_with_overwrite(link, test_file, copy_between):
    first = test_file(size="64 KiB", at=link.source, shared=True)
    second = test_file(size=65_000, at=link.source, shared=True)
    copy_between(first, link)
    arrived = copy_between(second, link, overwrite=True)
    assert arrived.checksum == second.checksum


@pytest.mark.requirement("missing-source")
def test_missing_source_is_reported_as_missing(
    link, identity, missing_file, copy_between, storage_as, refused
):
    with refused("not-found"):
        copy_between(missing_file(link.source), link, checksum="")
    assert not storage_as(link.destination, link.auth_at(link.destination), identity).exists("arrived")


@pytest.mark.requires("authorisation")
def test_identity_without_rights_at_the_source_gets_nothing(
    link, identities, identity, test_file, copy_as, storage_as, refused
):
    stranger = identities.other_than(identity)
    source = test_file(size="64 KiB", at=link.source, shared=True)
    with refused("denied"):
        copy_as(stranger, source, link, into_area_of=stranger)
    assert not storage_as(link.destination, link.auth_at(link.destination), stranger).exists("arrived")


@pytest.mark.requires("authorisation")
def test_identity_without_rights_at_the_destination_writes_nothing(
    link, identities, identity, test_file, copy_as, storage_as, refused
):
    owner = identities.other_than(identity)
    source = test_file(size="64 KiB", at=link.source, shared=True)
    with refused("denied"):
        copy_as(identity, source, link, into_area_of=owner)
    assert not storage_as(link.destination, link.auth_at(link.destination), owner).exists("arrived")
