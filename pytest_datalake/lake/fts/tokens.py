"""Bearer tokens of the callers (WLCG Common JWT Profile 1.0)."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_datalake.lake.fts.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

_NEEDED = ("iss", "nbf", "exp", "scope", "aud")
_LEEWAY = 5
"""Seconds by which clocks may differ."""


def demand_claims(token: str) -> dict[str, Any]:
    """The claims of a storage's token, which is not ours to verify. Raises ``Refusal`` (400)."""
    claims = _claims(token)
    if claims is None:
        raise Refusal(400, "Token is not a JSON Web Token")
    for name in _NEEDED:
        if name not in claims:
            raise Refusal(400, f"Token does not contain a {name} claim")
    return claims


def _claims(token: str) -> dict[str, Any] | None:
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return None
    return claims if isinstance(claims, dict) else None


class TokenVerifier:
    """Verifies callers' tokens with the key sets of the issuers that are trusted.

    Args:
        issuers: URL, ending in "/" -> file with its JSON Web Key Set (RFC 7517).
        audiences: any of which must be in ``aud``.
    """

    def __init__(self, issuers: Mapping[str, str], audiences: tuple[str, ...]) -> None:
        self._key_sets = {
            issuer.rstrip("/") + "/": json.loads(Path(path).read_text()) for issuer, path in issuers.items()
        }
        self._audiences = frozenset(audiences)

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a valid token. Raises ``Refusal`` (401) that says what is wrong with it."""
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        shown = _claims(token) or {}
        issuer = str(shown.get("iss", "")).rstrip("/") + "/"
        if issuer not in self._key_sets:
            raise Refusal(401, "Token rejected: its issuer is not trusted by this service")
        try:
            claims: dict[str, Any] = jwt.decode(
                token, KeySet.import_key_set(self._key_sets[issuer]), algorithms=["RS256", "ES256"]
            ).claims
        except (JoseError, ValueError) as error:
            raise Refusal(401, f"Token rejected: {error}") from error
        now = time.time()
        if not isinstance(claims.get("exp"), int | float) or claims["exp"] < now - _LEEWAY:
            raise Refusal(401, "Token rejected: it has expired")
        if float(claims.get("nbf", 0)) > now + _LEEWAY or float(claims.get("iat", 0)) > now + _LEEWAY:
            raise Refusal(401, "Token rejected: it is not valid yet")
        audience = claims.get("aud", [])
        if not self._audiences & set([audience] if isinstance(audience, str) else audience):
            raise Refusal(401, f"Token rejected: it is for {audience!r} and not for this service")
        if not claims.get("sub"):
            raise Refusal(401, "Token rejected: it has no subject")
        return claims | {"iss": issuer}
