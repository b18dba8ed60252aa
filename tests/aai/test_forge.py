"""What no real authority would issue is just what it says, and is made only with keys that are given away."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet

from pytest_datalake.credentials.forge import (
    expired_proxy,
    expired_token,
    forge_proxy,
    forge_token,
    revoked_twin,
    tampered_token,
    unsigned_token,
)
from pytest_datalake.credentials.x509 import certificates_from_pem
from pytest_datalake.errors import EngineError
from pytest_datalake.matrix.model import Forge

if TYPE_CHECKING:
    from pytest_datalake.lake.pki import Authorities
    from pytest_datalake.matrix.model import Identity, Trust

VOMS_EXTENSION = x509.ObjectIdentifier("1.3.6.1.4.1.8005.100.100.5")

json_values = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=3)
claim_names = st.sampled_from(["sub", "scope", "aud", "wlcg.groups", "wlcg.ver", "jti", "odd claim"])


def _keys(authorities: Authorities) -> KeySet:
    jwks = authorities.paths(keys_are_fetched=False).issuer_jwks.read_text()
    return KeySet.import_key_set(json.loads(jwks))


def _part(token: str, number: int) -> dict[str, Any]:
    text = token.split(".")[number]
    return dict(json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))


@settings(max_examples=40)
@given(st.dictionaries(claim_names, json_values))
def test_a_forged_token_carries_the_claims_it_is_told_to(
    authorities: Authorities, trust: Trust, claims: dict[str, Any]
) -> None:
    token = forge_token(trust.forge, trust.issuer, **claims)
    found = jwt.decode(token, _keys(authorities), algorithms=["RS256"]).claims
    assert found["iss"] == trust.issuer
    for name, value in claims.items():
        assert (name not in found) if value is None else (found[name] == value)


def test_both_keys_of_the_issuer_sign(authorities: Authorities, trust: Trust) -> None:
    token = forge_token(trust.forge, trust.issuer, algorithm="ES256", scope="storage.read:/ska")
    assert jwt.decode(token, _keys(authorities), algorithms=["ES256"]).claims["scope"] == "storage.read:/ska"


def test_the_header_too_is_open_to_change(trust: Trust) -> None:
    token = forge_token(trust.forge, trust.issuer, header={"kid": None, "typ": "at+jwt"})
    assert _part(token, 0) == {"alg": "RS256", "typ": "at+jwt"}


def test_an_expired_token_is_signed_and_over(authorities: Authorities, trust: Trust) -> None:
    claims = jwt.decode(
        expired_token(trust.forge, trust.issuer), _keys(authorities), algorithms=["RS256"]
    ).claims
    assert claims["nbf"] < claims["exp"] < time.time() - 1000


def test_an_unsigned_token_has_no_signature(trust: Trust) -> None:
    token = unsigned_token(trust.issuer, scope="storage.read:/")
    assert _part(token, 0)["alg"] == "none"
    assert _part(token, 1)["scope"] == "storage.read:/"
    assert token.endswith(".")


def test_a_tampered_token_keeps_a_signature_that_does_not_fit(authorities: Authorities, trust: Trust) -> None:
    token = forge_token(trust.forge, trust.issuer, scope="storage.read:/ska")
    changed = tampered_token(token, scope="storage.read:/lofar")
    assert _part(changed, 1)["scope"] == "storage.read:/lofar"
    assert changed.split(".")[2] == token.split(".")[2]
    with pytest.raises(BadSignatureError):
        jwt.decode(changed, _keys(authorities), algorithms=["RS256"])


def test_an_expired_proxy_is_over(trust: Trust, identities: dict[str, Identity]) -> None:
    proxy = expired_proxy(trust.forge, identities["ska"], vo="escape", fqans=["/escape/ska"])
    leaf, issuer = certificates_from_pem(proxy)
    leaf.verify_directly_issued_by(issuer)
    assert leaf.not_valid_after_utc < datetime.now(UTC) - timedelta(minutes=50)


def test_attributes_may_be_signed_by_anybody(trust: Trust, identities: dict[str, Identity]) -> None:
    user = identities["ska"]
    proxy = forge_proxy(
        trust.forge,
        user,
        vo="escape",
        fqans=["/escape/lofar"],
        attributes_key=Path(user.key).read_bytes(),
        targets=["elsewhere.example"],
    )
    extension = certificates_from_pem(proxy)[0].extensions.get_extension_for_oid(VOMS_EXTENSION)
    assert isinstance(extension.value, x509.UnrecognizedExtension)
    assert b"/escape/lofar/Role=NULL/Capability=NULL" in extension.value.value
    assert b"elsewhere.example" in extension.value.value


def test_a_revoked_twin_is_like_its_sibling_but_revoked(
    trust: Trust, identities: dict[str, Identity], tmp_path: Path
) -> None:
    twin = tmp_path / "twin.pem"
    twin.write_bytes(revoked_twin(trust.forge, identities["ska"], trust.ca_directory))
    own, other = (
        certificates_from_pem(Path(file).read_bytes())[0] for file in (identities["ska"].certificate, twin)
    )
    assert other.subject == own.subject
    assert other.public_key() == own.public_key()
    command = ["openssl", "verify", "-CApath", trust.ca_directory]
    checks = [
        subprocess.run([*command, *options, twin], check=False, capture_output=True, text=True, timeout=30)
        for options in ([], ["-crl_check"])
    ]
    assert [check.returncode == 0 for check in checks] == [True, False]
    assert "revoked" in checks[1].stderr
    proxy = forge_proxy(trust.forge, identities["ska"], holder=twin.read_bytes())
    leaf, issuer = certificates_from_pem(proxy)
    assert issuer == other
    leaf.verify_directly_issued_by(issuer)


def test_nothing_revoked_is_no_twin(trust: Trust, identities: dict[str, Identity], tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"no revocation list in .* has an entry of /DC=org/"):
        revoked_twin(trust.forge, identities["ska"], str(tmp_path))


def test_a_real_lake_gives_no_keys_away(trust: Trust, identities: dict[str, Identity]) -> None:
    with pytest.raises(EngineError, match="token issuer's key is needed"):
        forge_token(Forge(), trust.issuer)
    with pytest.raises(EngineError, match="VOMS server's certificate is needed"):
        forge_proxy(Forge(), identities["ska"], vo="escape", fqans=["/escape/ska"])
    with pytest.raises(EngineError, match="cannot be read from '/nonexistent'"):
        forge_token(Forge(issuer_key="/nonexistent"), trust.issuer)
