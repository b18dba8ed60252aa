"""Makes the tokens that the conformance table describes, good and bad, with the key of a test issuer."""

from __future__ import annotations

import base64
import hmac
import json
import time
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING, Any

from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

from pytest_datalake.conformance.case import Moment
from pytest_datalake.credentials.forge import given, usual_claims
from pytest_datalake.credentials.signing import private_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from joserfc.jwk import ECKey

    from pytest_datalake.conformance.case import Token
    from pytest_datalake.credentials.signing import SigningAlgorithm
    from pytest_datalake.matrix.model import Forge

_NESTED = 3_000
_UNUSED = "x-padding"


def filled(value: object, names: Mapping[str, str]) -> Any:  # noqa: ANN401  (whatever JSON can say)
    """The value with every ``$name`` in its texts replaced, and with times as numbers."""
    if isinstance(value, str):
        return Template(value).safe_substitute(names)
    if isinstance(value, Moment):
        return int(time.time()) + value.seconds + (0.5 if value.fraction else 0)
    if isinstance(value, (list, tuple)):
        return [filled(one, names) for one in value]
    if isinstance(value, dict):
        return {filled(key, names): filled(one, names) for key, one in value.items()}
    return value


def token_of(recipe: Token, names: Mapping[str, str], forge: Forge) -> str:
    """The token that a row of the table describes, in compact form (RFC 7515, 7.1).

    Args:
        recipe: what is particular about it.
        names: what ``$audience``, ``$issuer`` and the other names of a row stand for.
        forge: gives the issuer's key.

    Raises:
        EngineError: the lake gives no issuer key away.
    """
    if recipe.spoiled == "empty":
        return ""
    if recipe.spoiled == "garbage":
        return "this.is.no-token"
    maker = _Maker(recipe, names, private_keys(given(forge.issuer_key, "the token issuer's key")))
    return maker.token()


@dataclass(frozen=True, slots=True)
class _Maker:
    recipe: Token
    names: Mapping[str, str]
    keys: Mapping[SigningAlgorithm, RSAKey | ECKey]

    def token(self) -> str:
        header, payload = self._header(), self._payload()
        key: RSAKey | ECKey | bytes | None = self._key()
        match self.recipe.spoiled:
            case "unsigned":
                header, key = {**header, "alg": "none"}, None
            case "unsigned-without-kid":
                header, key = {"alg": "None", "typ": "JWT"}, None
            case "deeply-nested":
                payload, key = b"[" * _NESTED + b"]" * _NESTED, None
            case "keyed-with-the-public-key":
                key = self.keys["RS256"].as_pem(private=False)
                header = {**header, "alg": "HS256"}
            case "foreign-key":
                key = RSAKey.generate_key(2048)
            case "foreign-key-enclosed":
                key = RSAKey.generate_key(2048)
                header = {**header, "kid": key.thumbprint(), "jwk": key.as_dict(private=False)}
            case "payload-is-a-list":
                payload = b'["iss", "sub"]'
            case "payload-is-no-text":
                payload = b'{"iss": "\xff\xfe"}'
            case "scope-twice":
                good = Template("storage.read:$top").safe_substitute(self.names)
                payload = payload[:-1] + b',"scope":' + json.dumps(good).encode() + b"}"
        return self._after_signing(_signed(header, payload, key))

    def _after_signing(self, token: str) -> str:
        head, payload, signature = token.split(".")
        match self.recipe.spoiled:
            case "payload-changed":
                changed = {**json.loads(_decoded(payload)), "sub": "somebody-else"}
                return f"{head}.{_json(changed)}.{signature}"
            case "signature-bit-flipped":
                raw = bytearray(_decoded(signature))
                raw[len(raw) // 2] ^= 1
                return f"{head}.{payload}.{_encoded(bytes(raw))}"
            case "signature-cut-off":
                return f"{head}.{payload}."
            case "signature-left-out":
                return f"{head}.{payload}"
        return token

    def _key(self) -> RSAKey | ECKey:
        return self.keys["ES256" if self.recipe.algorithm == "ES256" else "RS256"]

    def _header(self) -> dict[str, Any]:
        usual = {"alg": self.recipe.algorithm, "typ": "JWT", "kid": self._key().thumbprint()}
        return _present({**usual, **filled(dict(self.recipe.header), self.names)})

    def _payload(self) -> bytes:
        recipe = self.recipe
        claims: dict[str, Any] = {"aud": "$audience", "scope": recipe.scope}
        if recipe.groups is not None:
            claims["wlcg.groups"] = list(recipe.groups)
        if recipe.padding:
            claims[_UNUSED] = "x" * recipe.padding
        changed = filled({**claims, **recipe.claims}, self.names)
        wanted = _present({**usual_claims(self.names["issuer"]), "sub": self.names["subject"], **changed})
        return json.dumps(wanted, separators=(",", ":")).encode()


def _signed(header: Mapping[str, Any], payload: bytes, key: RSAKey | ECKey | bytes | None) -> str:
    """By the algorithm that the header names, or by HMAC with a key of bytes; no key makes no signature.

    Not by joserfc's ``encode``, which refuses what is not sensible, and public keys as secrets.
    """
    text = f"{_json(header)}.{_encoded(payload)}"
    if key is None:
        return f"{text}."
    if isinstance(key, bytes):
        return f"{text}.{_encoded(hmac.digest(key, text.encode(), 'sha256'))}"
    signature = JWSRegistry.algorithms[str(header["alg"])].sign(text.encode(), key)
    return f"{text}.{_encoded(signature)}"


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _json(part: Mapping[str, Any]) -> str:
    return _encoded(json.dumps(part, separators=(",", ":")).encode())


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
