"""What happens to a token after it was made: looked at, exchanged, revoked."""

import base64
import json
from dataclasses import replace

import pytest

pytestmark = [pytest.mark.capability("authorisation"), pytest.mark.needs("iam", "iam-client")]

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"


@pytest.fixture
def client(iam, user):
    """The client by which the user gets tokens."""
    return iam.client(user)


@pytest.fixture
def introspect(iam, client):
    """What the IAM says of a token (RFC 7662)."""

    def run(token):
        answer = iam.nobody.call("introspection", client, {"token": token})
        assert answer.status == 200, answer.text
        return answer.document

    return run


@pytest.fixture
def exchange(iam, client):
    """The answer to an exchange of a token (RFC 8693)."""

    def run(token, scope):
        form = {"subject_token": token, "subject_token_type": ACCESS, "scope": scope}
        return iam.nobody.call("token", client, {"grant_type": EXCHANGE, **form})

    return run


@pytest.mark.requirement("token-introspection")
def test_good_token_is_active_and_described(iam, ask, introspect):
    token = ask("openid").token
    told, claims = introspect(token), iam.claims(token)
    assert told["active"] is True
    assert {name: told[name] for name in ("iss", "sub", "exp")} == {
        name: claims[name] for name in ("iss", "sub", "exp")
    }


@pytest.mark.requirement("token-introspection")
def test_token_that_nobody_signed_is_not_active(ask, introspect):
    header, payload, signature = ask("openid").token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    changed = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "x"}).encode()).rstrip(b"=").decode()
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    for token in (
        "rubbish",
        f"{header}.{changed}.{signature}",
        f"{unsigned}.{payload}.",
        f"{header}.{payload}.",
    ):
        assert introspect(token)["active"] is False


@pytest.mark.requirement("token-revocation")
def test_revoked_token_is_not_active(iam, ask, client, introspect):
    token, other = ask("openid").token, ask("openid").token
    assert iam.nobody.call("revocation", client, {"token": token}).status == 200
    assert introspect(token)["active"] is False
    assert introspect(other)["active"] is True


@pytest.mark.requirement("token-revocation")
def test_revoked_token_opens_nothing_at_the_issuer(iam, ask, client):
    token = ask("openid").token
    assert iam.nobody.with_token(token).userinfo()["sub"]
    iam.nobody.call("revocation", client, {"token": token})
    answer = iam.nobody.with_token(token).ask("GET", iam.nobody.endpoint("userinfo"))
    assert answer.status == 401


@pytest.mark.requirement("token-revocation")
def test_revoking_what_is_no_token_is_no_error(iam, client):
    assert iam.nobody.call("revocation", client, {"token": "rubbish"}).status == 200  # RFC 7009, 2.2


def test_nobody_is_told_anything_without_a_token(iam):
    assert iam.nobody.ask("GET", iam.nobody.endpoint("userinfo")).status == 401


def test_client_with_a_wrong_secret_gets_nothing(iam, client):
    wrong = replace(client, secret=client.secret[::-1])
    for name in ("token", "introspection", "revocation"):
        answer = iam.nobody.call(name, wrong, {"grant_type": "client_credentials", "token": "x"})
        assert (answer.status, answer.error) == (401, "invalid_client"), name


@pytest.mark.requirement("token-exchange")
def test_token_is_exchanged_for_a_narrower_one(iam, ask, exchange, area):
    answer = exchange(ask(f"storage.read:{area}").token, f"storage.read:{area}/a")
    assert answer.status == 200, answer.text
    assert answer.document["issued_token_type"] == ACCESS
    assert iam.claims(answer.token)["scope"].split() == [f"storage.read:{area}/a"]


@pytest.mark.requirement("token-exchange")
@pytest.mark.parametrize("wanted", ["storage.modify:{area}", "storage.read:/", "storage.read:{area}/ab"])
def test_token_is_not_exchanged_for_a_wider_one(iam, ask, exchange, area, wanted):
    scope = wanted.format(area=area)
    answer = exchange(ask(f"storage.read:{area}/a").token, scope)
    assert not answer.token or scope not in iam.claims(answer.token)["scope"].split()


@pytest.mark.requirement("token-exchange")
def test_revoked_token_is_not_exchanged(iam, ask, exchange, client):
    token = ask("openid").token
    iam.nobody.call("revocation", client, {"token": token})
    answer = exchange(token, "openid")
    assert 400 <= answer.status < 500
    assert not answer.token
