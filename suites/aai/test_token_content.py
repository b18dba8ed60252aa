"""What stands in a token (WLCG token profile, 2.1)."""

import re
import time

import pytest

pytestmark = [pytest.mark.capability("authorisation"), pytest.mark.needs("iam", "iam-client")]

ANY_AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"
SHORTEST, LONGEST = 15 * 60, 6 * 3600
"""Seconds that an access token may be valid (WLCG token profile, "Token Lifetime Guidance")."""


@pytest.mark.requirement("token-claims")
def test_required_claims_are_there(iam, claims_of):
    claims = claims_of("openid")
    assert {"sub", "exp", "iss", "wlcg.ver", "aud", "iat", "jti"} <= set(claims)
    assert claims["iss"] == iam.nobody.url


@pytest.mark.requirement("token-claims")
def test_version_is_one_that_everybody_takes(claims_of):
    assert re.fullmatch(r"1\.[0-9]+", claims_of("openid")["wlcg.ver"])


@pytest.mark.requirement("token-subject")
def test_subject_is_short_and_ascii_and_stays(claims_of):
    first, second = claims_of("openid")["sub"], claims_of("openid")["sub"]
    assert first == second
    assert first.isascii()
    assert 0 < len(first) <= 255


@pytest.mark.requirement("token-subject")
def test_subjects_of_two_users_differ(iam, user, identities, claims_of):
    other = iam.ask_for_token(identities.other_than(user), scope="openid")
    assert iam.claims(other.token)["sub"] != claims_of("openid")["sub"]


@pytest.mark.requirement("token-identifier")
def test_identifiers_are_never_used_twice(claims_of):
    identifiers = [claims_of("openid")["jti"] for _ in range(5)]
    assert len(set(identifiers)) == 5


@pytest.mark.requirement("token-signature")
def test_header_names_algorithm_and_key(iam, ask):
    header, _ = iam.read(ask("openid").token)
    assert header["alg"] in {"RS256", "ES256"}
    assert header["kid"] in {key["kid"] for key in iam.nobody.keys()["keys"]}


@pytest.mark.requirement("token-lifetime")
def test_times_are_numbers_and_in_order(claims_of):
    before = time.time()
    claims = claims_of("openid")
    assert all(isinstance(claims[name], int) for name in ("iat", "exp"))
    assert abs(claims["iat"] - before) < 60
    assert claims.get("nbf", claims["iat"]) <= claims["iat"] < claims["exp"]


@pytest.mark.requirement("token-lifetime")
def test_lifetime_is_within_bounds_and_told(ask, iam):
    answer = ask("openid")
    claims = iam.claims(answer.token)
    assert SHORTEST <= claims["exp"] - claims["iat"] <= LONGEST
    assert abs(answer.document["expires_in"] - (claims["exp"] - claims["iat"])) <= 5


@pytest.mark.requirement("token-response")
def test_response_is_not_to_be_kept(ask):
    answer = ask("openid")
    assert answer.document["token_type"].lower() == "bearer"
    assert "no-store" in answer.headers["cache-control"]  # RFC 6749, 5.1


@pytest.mark.requirement("token-audience")
def test_token_for_no_audience_in_particular_is_for_all(claims_of):
    assert claims_of("openid")["aud"] in (ANY_AUDIENCE, [ANY_AUDIENCE])


@pytest.mark.requirement("token-audience")
@pytest.mark.parametrize("audience", ["https://storage.example.org", "Storage.Example.org/", "a-word"])
def test_audience_is_told_as_it_was_asked_for(claims_of, audience):
    assert claims_of("openid", audience=audience)["aud"] in (audience, [audience])


@pytest.mark.requirement("token-audience")
def test_two_audiences_are_two(claims_of):
    both = ["https://one.example.org", "https://two.example.org"]
    assert claims_of("openid", audience=" ".join(both))["aud"] == both


@pytest.mark.requirement("token-groups")
def test_token_without_a_request_for_groups_tells_none(claims_of):
    assert "wlcg.groups" not in claims_of("openid")


@pytest.mark.requirement("token-claims")
def test_id_token_is_for_the_client_and_tells_the_groups(iam, user, ask):
    answer = ask("openid wlcg.groups")
    access, identity = iam.claims(answer.token), iam.claims(answer.document["id_token"])
    assert identity["aud"] in (user.client_id, [user.client_id])
    assert identity["sub"] == access["sub"]
    assert identity["wlcg.groups"] == access["wlcg.groups"]
