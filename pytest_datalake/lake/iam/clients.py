"""Software that asks for tokens: who it is, and dynamic registration (RFC 7591, RFC 7592)."""

from __future__ import annotations

import hmac
import json
import secrets
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from pytest_datalake.lake.iam.config import (
    AUTHORIZATION_CODE,
    DEVICE_CODE,
    REFRESH_TOKEN,
    Client,
    secret_hash,
)
from pytest_datalake.lake.iam.refusal import OAuthError
from pytest_datalake.lake.iam.scopes import ADMINISTRATION, ScopeRefusedError, normalised

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_datalake.lake.iam.store import Store

_SELF_SERVICE_GRANTS = (AUTHORIZATION_CODE, REFRESH_TOKEN, DEVICE_CODE)
"""Grants behind which a user stands, whom scope policies bind; the others are given by administrators."""

_ALGORITHMS = ("RS256", "ES256")


class Clients:
    """All clients."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, client: Client, *, registration_token: str = "") -> None:
        """Keep a client; of its secret and of the token that changes it only the hash."""
        document = json.dumps(asdict(client.hashed()))
        token = secret_hash(registration_token) if registration_token else ""
        self._store.run("INSERT INTO clients VALUES (?, ?, ?)", client.client_id, document, token)

    def find(self, client_id: str) -> Client | None:
        """The client of that id."""
        row = self._store.row("SELECT document FROM clients WHERE client_id = ?", client_id)
        if row is None:
            return None
        return Client.from_json(row["document"])

    def proven(self, client_id: str, secret: str) -> Client:
        """The client, if this is its secret. Raises ``OAuthError`` (invalid_client)."""
        client = self.find(client_id)
        known = client.secret_hash if client else ""
        # Public clients show none; the comparison takes its time for unknown clients as well.
        if not hmac.compare_digest(known, secret_hash(secret) if secret else "") or client is None:
            raise OAuthError("invalid_client", "unknown client or wrong secret", 401)
        return client

    # Dynamic registration.

    def register(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """A new client (RFC 7591, 3.1); the answer, with secret and token. Raises ``OAuthError``."""
        client_id, token = secrets.token_hex(16), secrets.token_urlsafe(32)
        public = metadata.get("token_endpoint_auth_method") == "none"
        client = _read(metadata, client_id=client_id, secret="" if public else secrets.token_urlsafe(32))
        self.add(client, registration_token=token)
        return describe(client) | {"registration_access_token": token}

    def registered(self, client_id: str, token: str) -> Client:
        """The client that this registration token belongs to (RFC 7592). Raises ``OAuthError`` (401)."""
        row = self._store.row("SELECT registration_hash FROM clients WHERE client_id = ?", client_id)
        known = row["registration_hash"] if row else ""
        client = self.find(client_id)
        if not token or not hmac.compare_digest(known, secret_hash(token)) or client is None:
            raise OAuthError("invalid_token", "unknown client or wrong registration token", 401)
        return client

    def change(self, client: Client, metadata: Mapping[str, Any]) -> Client:
        """Replace what a registered client said of itself. Raises ``OAuthError``."""
        changed = replace(
            _read(metadata, client_id=client.client_id, secret=""), secret_hash=client.secret_hash
        )
        self._store.run(
            "UPDATE clients SET document = ? WHERE client_id = ?",
            json.dumps(asdict(changed)),
            client.client_id,
        )
        return changed

    def remove(self, client: Client) -> None:
        """Forget a client, and all its refresh tokens."""
        self._store.run("DELETE FROM clients WHERE client_id = ?", client.client_id)


def describe(client: Client) -> dict[str, Any]:
    """A client as RFC 7591 has it; the secret only where it is new."""
    shown = {
        "client_id": client.client_id,
        "client_name": client.name,
        "grant_types": list(client.grants),
        "redirect_uris": list(client.redirect_uris),
        "scope": " ".join(client.scopes),
        "token_endpoint_auth_method": "none" if client.is_public else "client_secret_basic",
        "id_token_signed_response_alg": client.algorithm,
    }
    return shown | ({"client_secret": client.secret, "client_secret_expires_at": 0} if client.secret else {})


def _read(metadata: Mapping[str, Any], *, client_id: str, secret: str) -> Client:
    grants = _texts(metadata.get("grant_types", ["authorization_code"]))
    redirect_uris = _texts(metadata.get("redirect_uris", []))
    scope = metadata.get("scope", "openid profile email offline_access wlcg.groups")
    algorithm = metadata.get("id_token_signed_response_alg", "RS256")
    if not set(grants) <= set(_SELF_SERVICE_GRANTS) or algorithm not in _ALGORITHMS:
        raise OAuthError("invalid_client_metadata", "a grant type or algorithm cannot be registered")
    if "authorization_code" in grants and not redirect_uris:
        raise OAuthError("invalid_redirect_uri", "the authorization code grant needs redirect_uris")
    for uri in redirect_uris:
        if not uri.startswith(("https://", "http://localhost", "http://127.0.0.1")) or "#" in uri:
            raise OAuthError("invalid_redirect_uri", "redirect URIs are https, or http on this machine")
    try:
        scopes = normalised(str(scope))
    except ScopeRefusedError as error:
        raise OAuthError("invalid_client_metadata", str(error)) from error
    if set(scopes) & set(ADMINISTRATION):
        raise OAuthError("invalid_client_metadata", "administrators' scopes cannot be registered")
    return Client(
        client_id=client_id,
        name=str(metadata.get("client_name", ""))[:100],
        secret=secret,
        grants=grants,
        scopes=scopes,
        redirect_uris=redirect_uris,
        algorithm=str(algorithm),
    )


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise OAuthError("invalid_client_metadata", "a list of texts was expected")
    return tuple(value)
