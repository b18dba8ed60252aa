"""The user behind a proxy, and the attributes that can be believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from pytest_datalake.credentials.holder import Holder, is_proxy, read_holder
from pytest_datalake.credentials.x509 import delegate, fqan, make_attribute_certificate, make_proxy
from pytest_datalake.errors import EngineError
from pytest_datalake.lake.pki import Authorities

if TYPE_CHECKING:
    from collections.abc import Callable

GROUPS = (fqan("/escape/ska"), fqan("/escape"))


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    return Authorities.create(
        tmp_path_factory.mktemp("pki") / "pki", vo="escape", issuer="https://localhost:1/"
    )


@pytest.fixture(scope="module")
def user(authorities: Authorities) -> tuple[bytes, bytes]:
    return authorities.issue_user("ska")


@pytest.fixture(scope="module")
def read(authorities: Authorities) -> Callable[[bytes], Holder]:
    paths = authorities.paths(keys_are_fetched=False)
    authority = x509.load_pem_x509_certificate(paths.ca_file.read_bytes())

    def holder(proxy: bytes) -> Holder:
        chain = x509.load_pem_x509_certificates(proxy)
        return read_holder(chain, authority=authority, voms_directory=paths.voms_directory)

    return holder


def attributes(authorities: Authorities, holder: bytes, **changes: object) -> bytes:
    forge = authorities.forge()
    files = {"authority": forge.voms_certificate, "authority_key": forge.voms_key}
    given = {name: Path(path).read_bytes() for name, path in files.items()} | {
        "vo": "escape",
        "fqans": GROUPS,
    }
    return make_attribute_certificate(holder, **{**given, **changes})  # type: ignore[arg-type]  # a test's choice


def test_a_proxy_of_a_proxy_is_its_users(
    authorities: Authorities, user: tuple[bytes, bytes], read: Callable[[bytes], Holder]
) -> None:
    first = make_proxy(*user, attribute_certificates=[attributes(authorities, user[0])])
    assert read(make_proxy(first, first)) == Holder(
        subject="/DC=org/DC=datalake/O=people/CN=ska", fqans=GROUPS
    )


def test_a_plain_certificate_has_no_attributes(
    user: tuple[bytes, bytes], read: Callable[[bytes], Holder]
) -> None:
    assert read(user[0]).fqans == ()


def test_attributes_of_somebody_else_are_not_believed(
    authorities: Authorities, user: tuple[bytes, bytes], read: Callable[[bytes], Holder]
) -> None:
    stranger, _ = authorities.issue_user("stranger")
    proxy = make_proxy(*user, attribute_certificates=[attributes(authorities, stranger)])
    assert read(proxy).fqans == ()


@pytest.mark.parametrize("change", ["expired", "other key", "other server", "without server"])
def test_bad_attributes_are_not_believed(
    authorities: Authorities, user: tuple[bytes, bytes], read: Callable[[bytes], Holder], change: str
) -> None:
    certificate, key = authorities.issue_user("pretender")
    changes: dict[str, dict[str, object]] = {
        "expired": {"start": datetime.now(UTC) - timedelta(days=2)},
        "other key": {"authority_key": key},
        "other server": {"authority": certificate, "authority_key": key},
        "without server": {"include_authority": False},
    }
    made = attributes(authorities, user[0], **changes[change])
    assert read(make_proxy(*user, attribute_certificates=[made])).fqans == ()


def test_a_request_that_is_none_is_not_signed(user: tuple[bytes, bytes]) -> None:
    with pytest.raises(EngineError, match="certificate request"):
        delegate(b"no request", user[0] + user[1], seconds=60)


def test_only_proxies_are_proxies(user: tuple[bytes, bytes]) -> None:
    assert not is_proxy(x509.load_pem_x509_certificate(user[0]))
    assert is_proxy(x509.load_pem_x509_certificate(make_proxy(*user)))
