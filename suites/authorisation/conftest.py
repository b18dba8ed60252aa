"""Files that belong to somebody, and those who must not touch them."""

import pytest


@pytest.fixture
def theirs(cell, identity, identities, storage_as, make_local):
    """The area of another experiment, with a file that its owner put there."""
    storage = storage_as(cell.endpoint, cell.auth, identities.other_than(identity))
    storage.put(make_local("1 KiB"), "theirs")
    return storage


@pytest.fixture
def trespasser(cell, identity, identities, storage_as, theirs):
    """The test's identity, looking at the area of that other experiment."""
    return storage_as(cell.endpoint, cell.auth, identity, area_of=identities[theirs.identity])


@pytest.fixture
def theirs_unchanged(theirs, make_local):
    """Assert that the owner still finds the file as it was, and nothing beside it."""

    def check():
        assert theirs.read("theirs", offset=0, length=4096) == make_local("1 KiB").bytes()
        assert theirs.list() == ["theirs"]

    return check


@pytest.fixture
def owned(cell, identity, storage_as, make_local):
    """The test's own area, with a file that was put there with a good credential."""
    good = next(auth for auth in reversed(cell.endpoint.auth) if auth != "anonymous")
    storage = storage_as(cell.endpoint, good, identity)
    storage.put(make_local("1 KiB"), "owned")
    return storage


@pytest.fixture
def owned_unchanged(owned, make_local):
    """Assert that the owner still finds the file as it was, and nothing beside it."""

    def check():
        assert owned.read("owned", offset=0, length=4096) == make_local("1 KiB").bytes()
        assert owned.list() == ["owned"]

    return check


@pytest.fixture
def opens_nothing(storage_with, owned, owned_unchanged, make_local, refused):
    """Assert that a credential of the owner's that is not valid reads nothing and writes nothing."""

    def check(credential, *kinds):
        storage = storage_with(credential)
        with refused(*kinds):
            storage.read(owned.path("owned"), offset=0, length=10)
        with refused(*kinds):
            storage.put(make_local("1 KiB"), owned.path("by-no-right"))
        owned_unchanged()

    return check
