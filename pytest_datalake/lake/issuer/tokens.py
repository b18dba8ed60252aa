"""From a request for a token to a token (WLCG Common JWT Profile 1.0)."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_datalake.credentials.signing import ANY_AUDIENCE, Signer
from pytest_datalake.lake.issuer.scopes import ScopeRefusedError, granted, groups_in_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_datalake.lake.issuer.config import Client, Settings

_AUDIENCE_PARAMETERS = (
    "resource",
    "aud",
    "audience",
)  # RFC 8707; INDIGO IAM; WLCG issuers. The first one counts.


@dataclass(frozen=True, slots=True)
class RefusedError(Exception):
    """An error response of the token endpoint (RFC 6749, 5.2)."""

    error: str
    description: str
    status: int = 400


class TokenEndpoint:
    """Grants client credentials (RFC 6749, 4.4); knows nothing of HTTP."""

    def __init__(self, settings: Settings, signer: Signer) -> None:
        self._settings = settings
        self._signer = signer
        self._clients = {client.client_id: client for client in settings.clients}

    def grant(
        self, form: Mapping[str, str], *, client_id: str, secret: str
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The response to a token request, and the claims of the token in it. Raises ``RefusedError``."""
        client = self._clients.get(client_id)
        if client is None or not client.proves_itself_with(secret):
            raise RefusedError("invalid_client", "unknown client or wrong secret", 401)
        grant_type = form.get("grant_type")
        if grant_type is None:
            raise RefusedError("invalid_request", "grant_type is needed")
        if grant_type != "client_credentials":
            raise RefusedError("unsupported_grant_type", "this issuer grants client_credentials only")
        try:
            scopes = granted(client, form.get("scope", ""))
        except ScopeRefusedError as error:
            raise RefusedError("invalid_scope", str(error)) from error
        claims = self._claims(client, scopes, form)
        response = {
            "access_token": self._signer.sign(claims),
            "token_type": "Bearer",
            "expires_in": self._settings.token_lifetime,
            "scope": claims["scope"],
        }
        return response, claims

    def _claims(self, client: Client, scopes: tuple[str, ...], form: Mapping[str, str]) -> dict[str, Any]:
        asked = next((form[name] for name in _AUDIENCE_PARAMETERS if form.get(name)), "")
        audiences = asked.split() or [ANY_AUDIENCE]
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self._settings.issuer,
            "sub": client.client_id,
            "aud": audiences[0] if len(audiences) == 1 else audiences,
            "iat": now,
            "nbf": now,
            "exp": now + self._settings.token_lifetime,
            "jti": str(uuid.uuid4()),
            "client_id": client.client_id,
            "wlcg.ver": "1.0",
            "scope": " ".join(scopes),
        }
        groups = groups_in_token(client, scopes)
        if groups:
            claims["wlcg.groups"] = list(groups)
        return claims
