"""Who shows nothing, or something that is no longer valid, gets nothing."""

import pytest

pytestmark = [pytest.mark.capability("access"), pytest.mark.cost(size="1 KiB")]

REFUSED = ("denied", "unreachable")
"""A door denies, or does not even open: TLS ends a connection that shows an expired certificate."""


@pytest.mark.cells(auth="anonymous")
def test_anonymous_cannot_read(storage, owned, refused):
    with refused(*REFUSED):
        storage.read(owned.path("owned"), offset=0, length=10)


@pytest.mark.cells(auth="anonymous")
def test_anonymous_cannot_write(storage, owned, make_local, owned_unchanged, refused):
    with refused(*REFUSED):
        storage.put(make_local("1 KiB"), owned.path("anonymous"))
    owned_unchanged()


@pytest.mark.cells(auth="anonymous")
def test_anonymous_cannot_remove(storage, owned, owned_unchanged, refused):
    with refused(*REFUSED):
        storage.remove(owned.path("owned"))
    owned_unchanged()


@pytest.mark.forge
@pytest.mark.cells(auth="token-*")
def test_expired_token_is_refused(opens_nothing, expired_token):
    opens_nothing(expired_token, *REFUSED)


@pytest.mark.forge
@pytest.mark.cells(auth="x509-voms")
def test_expired_proxy_is_refused(opens_nothing, expired_proxy):
    opens_nothing(expired_proxy, *REFUSED)


@pytest.mark.requirement("proxy-path-length")
@pytest.mark.forge
@pytest.mark.cells(auth="x509-voms")
def test_proxy_of_a_proxy_that_may_make_none_is_refused(opens_nothing, illegitimate_proxy):
    opens_nothing(illegitimate_proxy, *REFUSED)


@pytest.mark.requirement("revoked-certificate")
@pytest.mark.forge
@pytest.mark.cells(auth="x509*")
def test_revoked_certificate_is_refused(opens_nothing, revoked_certificate):
    opens_nothing(revoked_certificate, "denied")


@pytest.mark.forge
@pytest.mark.cells(auth="token-*")
def test_token_for_another_audience_is_refused(opens_nothing, misdirected_token):
    opens_nothing(misdirected_token, *REFUSED)


@pytest.mark.requires("authorisation")
@pytest.mark.cells(auth="token-scope")
def test_token_that_may_only_read_cannot_write(
    cell, identity, storage_as, owned, owned_unchanged, make_local, refused
):
    reader = storage_as(cell.endpoint, "token-scope", identity, rights=("read",))
    assert reader.read(owned.path("owned"), offset=0, length=4096) == make_local("1 KiB").bytes()
    with refused(*REFUSED):
        reader.put(make_local("1 KiB"), owned.path("read-only"))
    owned_unchanged()


@pytest.mark.requires("authorisation")
@pytest.mark.cells(auth="token-*")
def test_token_and_certificate_agree(cell, storage, identity, storage_as, test_file):
    other = next((auth for auth in cell.endpoint.auth if auth.startswith("x509")), cell.auth)
    stored = test_file(size="1 KiB", at=storage)
    by_certificate = storage_as(cell.endpoint, other, identity)
    assert by_certificate.read(stored.path, offset=0, length=2048) == stored.content.bytes()
    by_certificate.remove(stored.path)
    assert not storage.exists(stored.path)
