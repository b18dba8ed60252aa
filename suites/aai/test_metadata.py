"""What an IAM says of itself, and by which keys it is believed."""

from urllib.parse import urlsplit

import pytest

pytestmark = [pytest.mark.capability("authorisation"), pytest.mark.needs("iam")]


def test_service_is_up(iam):
    assert iam.nobody.health() == "UP"


def test_issuer_calls_itself_as_clients_do(iam):
    assert iam.nobody.metadata()["issuer"] == iam.nobody.url


@pytest.mark.requirement("iam-metadata")
@pytest.mark.parametrize(
    "name",
    ["token", "authorization", "jwks", "introspection", "revocation", "device_authorization", "userinfo"],
)
def test_endpoint_is_named_and_is_https(iam, name):
    assert urlsplit(iam.nobody.endpoint(name)).scheme == "https"


@pytest.mark.requirement("iam-keys")
def test_keys_can_be_told_apart_and_are_public(iam):
    keys = iam.nobody.keys()["keys"]
    identifiers = [key["kid"] for key in keys]
    assert all(identifiers)
    assert len(set(identifiers)) == len(identifiers)
    secret = {"d", "p", "q", "dp", "dq", "qi", "k"}
    assert not [key["kid"] for key in keys if secret & set(key)]


@pytest.mark.requirement("iam-keys")
def test_keys_are_of_the_profiles_algorithms(iam):
    kinds = {(key["kty"], key.get("crv", "")) for key in iam.nobody.keys()["keys"]}
    assert kinds & {("RSA", ""), ("EC", "P-256")}
