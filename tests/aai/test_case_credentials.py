"""The credentials of the conformance table are just as good, and just as bad, as its rows say."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from pytest_datalake.conformance.case import Case, Proxy, Token
from pytest_datalake.conformance.table import CASES
from pytest_datalake.credentials.case_proxies import ProxyMaker
from pytest_datalake.credentials.case_tokens import token_of
from pytest_datalake.credentials.x509 import (
    VOMS_ATTRIBUTE_CERTIFICATES,
    AttributeCertificateLists,
    certificates_from_pem,
)

if TYPE_CHECKING:
    from pytest_datalake.lake.pki import Authorities
    from pytest_datalake.matrix.model import Identity, Trust

TOKENS = [case for case in CASES if isinstance(case.credential, Token)]
PROXIES = {case.id: case.credential for case in CASES if isinstance(case.credential, Proxy)}


@pytest.fixture(scope="module")
def keys(authorities: Authorities) -> KeySet:
    jwks = authorities.paths(keys_are_fetched=False).issuer_jwks.read_text()
    return KeySet.import_key_set(json.loads(jwks))


@pytest.fixture(scope="module")
def names(trust: Trust) -> dict[str, str]:
    known: defaultdict[str, str] = defaultdict(lambda: "filled")
    known |= {
        "issuer": trust.issuer,
        "subject": "ska",
        "audience": "https://door.invalid",
        "top": "/ska/top",
        "group": "/escape/ska",
        "other_group": "/escape/lofar",
        "vo": "escape",
    }
    return known


def part(token: str, number: int) -> Any:  # noqa: ANN401  # JSON
    text = token.split(".")[number]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def verifies(token: str, keys: KeySet) -> bool:
    """Whether one of the issuer's keys signed it by an asymmetric algorithm, whatever else stands in it."""
    if token.count(".") != 2:
        return False
    text, _, signature = token.rpartition(".")
    algorithm = part(token, 0)["alg"]
    kind = {"RS256": "RSA", "ES256": "EC", "PS256": "RSA", "RS512": "RSA"}.get(algorithm)
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    return any(
        JWSRegistry.algorithms[algorithm].verify(text.encode(), raw, key)
        for key in keys.keys
        if key.key_type == kind
    )


@pytest.mark.parametrize("case", TOKENS, ids=lambda case: case.id)
def test_what_is_granted_is_a_good_token(
    case: Case, trust: Trust, keys: KeySet, names: dict[str, str]
) -> None:
    assert isinstance(case.credential, Token)
    if case.expect != "granted":
        return
    token = token_of(case.credential, names, trust.forge)
    assert verifies(token, keys)
    claims = part(token, 1)
    now = time.time()
    assert claims["exp"] > now
    assert claims.get("nbf", 0) <= now + 1
    assert claims["iss"] == trust.issuer
    assert "$" not in json.dumps(claims)


@pytest.mark.parametrize(
    "case",
    [
        case
        for case in TOKENS
        if case.id.startswith(("signed-", "signature-", "kid-", "header-", "form-payload"))
    ],
    ids=lambda case: case.id,
)
def test_what_is_said_of_signatures_is_so(
    case: Case, trust: Trust, keys: KeySet, names: dict[str, str]
) -> None:
    recipe = case.credential
    assert isinstance(recipe, Token)
    token = token_of(recipe, names, trust.forge)
    spoiled = bool(recipe.spoiled) and recipe.spoiled not in {"payload-is-a-list", "payload-is-no-text"}
    assert verifies(token, keys) is not spoiled


def test_claims_and_times_are_as_the_rows_say(trust: Trust, names: dict[str, str]) -> None:
    def claims_of(name: str) -> dict[str, Any]:
        recipe = next(case.credential for case in TOKENS if case.id == name)
        assert isinstance(recipe, Token)
        return dict(part(token_of(recipe, names, trust.forge), 1))

    now = time.time()
    assert claims_of("token-expired-just-now")["exp"] < now
    assert claims_of("token-nbf-in-an-hour")["nbf"] > now + 3000
    assert isinstance(claims_of("token-exp-with-fraction")["exp"], float)
    assert "aud" not in claims_of("audience-missing")
    assert claims_of("audience-right-in-a-list")["aud"] == ["https://another-door.invalid", names["audience"]]
    assert claims_of("path-prefix-directory")["scope"] == "storage.read:/ska/top/foo"
    assert claims_of("group-reads")["wlcg.groups"] == ["/escape/ska"]
    assert "scope" not in claims_of("group-without-scope")
    assert len(json.dumps(claims_of("claims-padded-to-60-kb"))) > 45_000


def test_two_scope_claims_stand_in_the_payload(trust: Trust, keys: KeySet, names: dict[str, str]) -> None:
    recipe = next(case.credential for case in TOKENS if case.id == "form-scope-twice")
    assert isinstance(recipe, Token)
    token = token_of(recipe, names, trust.forge)
    text = base64.urlsafe_b64decode(token.split(".")[1] + "==")
    assert text.count(b'"scope":') == 2
    assert verifies(token, keys)


@pytest.fixture(scope="module")
def maker(trust: Trust, identities: dict[str, Identity], names: dict[str, str]) -> ProxyMaker:
    return ProxyMaker(
        forge=trust.forge,
        identity=identities["ska"],
        other=identities["lofar"],
        ca_directory=trust.ca_directory,
        names=names,
    )


CHAIN_IS_BROKEN = {"proxy-signed-by-a-stranger", "proxy-of-an-unknown-ca", "user-unknown-ca"}
OUT_OF_TIME = {"proxy-expired", "proxy-not-yet"}
REVOKED = {"revoked-certificate", "user-revoked"}
TOO_LONG = {"proxy-path-length"}


@pytest.mark.parametrize("name", PROXIES)
def test_chains_verify_unless_the_row_says_otherwise(
    name: str, maker: ProxyMaker, trust: Trust, tmp_path: Path
) -> None:
    text = maker.proxy_of(PROXIES[name])
    chain, user = tmp_path / "chain.pem", tmp_path / "user.pem"
    chain.write_bytes(text)
    user.write_bytes(certificates_from_pem(text)[-1].public_bytes(Encoding.PEM))
    trusted = ["openssl", "verify", "-CApath", trust.ca_directory]
    as_user = subprocess.run([*trusted, "-crl_check", user], capture_output=True, text=True, check=False)
    as_proxy = subprocess.run(
        [*trusted, "-allow_proxy_certs", "-untrusted", chain, chain],
        capture_output=True,
        text=True,
        check=False,
    )
    bad = name in CHAIN_IS_BROKEN | OUT_OF_TIME | REVOKED | TOO_LONG
    failed = as_user.returncode != 0 or as_proxy.returncode != 0
    assert failed is bad, as_user.stderr + as_proxy.stdout + as_proxy.stderr


SIGNATURE_IS_BAD = {"voms-changed", "voms-signed-by-a-stranger"}


def test_attributes_are_signed_unless_the_row_says_otherwise(maker: ProxyMaker, trust: Trust) -> None:
    server = certificates_from_pem(Path(trust.forge.voms_certificate).read_bytes())[0]
    bad = set()
    for name, recipe in PROXIES.items():
        proxies = certificates_from_pem(maker.proxy_of(recipe)) if recipe.fqans else []
        for attributes in filter(None, map(attributes_in, proxies)):
            key = (proxies[1] if recipe.spoiled == "own-authority" else server).public_key()
            assert isinstance(key, RSAPublicKey)
            body, signature = attributes["ac_info"].dump(), attributes["signature"].native
            try:
                key.verify(signature, body, padding.PKCS1v15(), SHA256())
            except InvalidSignature:
                bad.add(name)
    assert bad == SIGNATURE_IS_BAD


def attributes_in(proxy: x509.Certificate) -> Any:  # noqa: ANN401  # asn1crypto has no types
    """The attribute certificate in a proxy, or None."""
    for extension in proxy.extensions:
        if extension.oid == VOMS_ATTRIBUTE_CERTIFICATES:
            assert isinstance(extension.value, x509.UnrecognizedExtension)
            return AttributeCertificateLists.load(extension.value.value)[0][0]
    return None
