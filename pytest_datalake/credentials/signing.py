"""JSON Web Tokens (RFC 7519) signed with the keys of a token issuer."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from asn1crypto import pem
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from pytest_datalake.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

SigningAlgorithm = Literal["RS256", "ES256"]

ANY_AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"
"""The audience that every WLCG service accepts (WLCG token profile, "aud")."""


class Signer:
    """The private keys of one issuer, ready to sign.

    Args:
        keys: PEM, one or two private keys: RSA for RS256, P-256 for ES256.
    """

    def __init__(self, keys: bytes) -> None:
        self._keys = private_keys(keys)

    def sign(
        self,
        claims: Mapping[str, Any],
        *,
        algorithm: SigningAlgorithm = "RS256",
        header: Mapping[str, Any] | None = None,
    ) -> str:
        """A signed token in compact form.

        ``header`` adds to and replaces what stands in the token's header; a None there leaves an entry out.
        Raises ``EngineError`` when the issuer has no key for the algorithm.
        """
        key = self._keys.get(algorithm)
        if key is None:
            raise EngineError(f"the issuer's key file holds no key for {algorithm}")
        full_header = {"alg": algorithm, "kid": key.thumbprint(), **(header or {})}
        present = {name: value for name, value in full_header.items() if value is not None}
        return jwt.encode(present, dict(claims), key, algorithms=[algorithm])


def public_keys(keys: bytes) -> dict[str, list[dict[str, Any]]]:
    """The JSON Web Key Set (RFC 7517) that belongs to private keys in PEM."""
    return {
        "keys": [
            {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": algorithm}
            for algorithm, key in private_keys(keys).items()
        ]
    }


@lru_cache(maxsize=4)
def private_keys(text: bytes) -> dict[SigningAlgorithm, RSAKey | ECKey]:
    """The private keys of a PEM text by what they sign with; kept, for checking one takes 50 ms.

    Raises ``EngineError`` when there is none.
    """
    found: dict[SigningAlgorithm, RSAKey | ECKey] = {}
    for kind, _, der in pem.unarmor(text, multiple=True) if pem.detect(text) else ():
        block = pem.armor(kind, der)
        if isinstance(load_pem_private_key(block, password=None), rsa.RSAPrivateKey):
            found["RS256"] = RSAKey.import_key(block)
        else:
            found["ES256"] = ECKey.import_key(block)
    if not found:
        raise EngineError("the issuer's key file holds no private key in PEM form")
    return found
