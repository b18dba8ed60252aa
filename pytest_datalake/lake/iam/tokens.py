"""Access tokens, ID tokens and refresh tokens (WLCG Common JWT Profile; OpenID Connect Core, 2)."""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_datalake.credentials.signing import ANY_AUDIENCE
from pytest_datalake.lake.iam.config import secret_hash
from pytest_datalake.lake.iam.refusal import OAuthError
from pytest_datalake.lake.iam.scopes import GROUPS, groups_claim

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_datalake.lake.iam.config import Client
    from pytest_datalake.lake.iam.keys import KeyRing
    from pytest_datalake.lake.iam.members import Account, Members
    from pytest_datalake.lake.iam.store import Store

REFRESH_LIFETIME = 30 * 86400
"""Seconds that a refresh token is valid (WLCG token profile, "Token Lifetime Guidance")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a client may have tokens for, once its request has been granted.

    Attributes:
        account: on whose behalf; None: in the client's own name.
        audience: as asked for, separated by blanks; empty: any service.
        actor: client that exchanged somebody else's token (RFC 8693, 4.1); empty: none did.
        logged_in: when the user logged in, seconds since the epoch.
        nonce: of the authorization request; empty: there was none.
    """

    client: Client
    account: Account | None
    scopes: tuple[str, ...]
    audience: str = ""
    actor: str = ""
    logged_in: float = 0.0
    nonce: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """What stands behind a refresh token."""

    account: str
    client_id: str
    scopes: tuple[str, ...]
    logged_in: float


class Tokens:
    """Makes tokens, and says which of them are still good."""

    def __init__(self, store: Store, keys: KeyRing, members: Members, *, issuer: str, lifetime: int) -> None:
        self._store = store
        self._keys = keys
        self._members = members
        self._issuer = issuer
        self._lifetime = lifetime

    def response(self, grant: Grant) -> tuple[dict[str, Any], dict[str, Any]]:
        """The answer of the token endpoint (RFC 6749, 5.1), and the claims of the access token in it."""
        claims = self._claims(grant)
        answer = {
            "access_token": self._keys.sign(claims, algorithm=grant.client.algorithm),
            "token_type": "Bearer",
            "expires_in": self._lifetime,
            "scope": claims["scope"],
        }
        if grant.account is not None and "openid" in grant.scopes:
            answer["id_token"] = self._id_token(grant, grant.account, claims)
        return answer, claims

    def _claims(self, grant: Grant) -> dict[str, Any]:
        now = int(time.time())
        audiences = grant.audience.split() or [ANY_AUDIENCE]
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "sub": grant.account.uuid if grant.account else grant.client.client_id,
            "aud": audiences[0] if len(audiences) == 1 else audiences,
            "iat": now,
            "nbf": now,
            "exp": now + self._lifetime,
            "jti": str(uuid.uuid4()),
            "client_id": grant.client.client_id,
            "wlcg.ver": "1.0",
            "scope": " ".join(grant.scopes),
        }
        groups = self.groups(grant)
        if groups:
            claims[GROUPS] = list(groups)
        if grant.actor:
            claims["act"] = {"sub": grant.actor}
        return claims

    def groups(self, grant: Grant) -> tuple[str, ...]:
        """The groups that tokens of a grant tell. Raises ``NotEntitledError``."""
        if grant.account is None:
            return groups_claim(grant.scopes, (), ())
        told = self._members.told_of(grant.account)
        return groups_claim(grant.scopes, told.default, told.optional)

    def _id_token(self, grant: Grant, account: Account, access: Mapping[str, Any]) -> str:
        claims = {
            name: access[name] for name in ("iss", "sub", "iat", "exp", "wlcg.ver", GROUPS) if name in access
        }
        claims |= {"aud": grant.client.client_id, "jti": str(uuid.uuid4())}
        if grant.logged_in:
            claims["auth_time"] = int(grant.logged_in)
        if grant.nonce:
            claims["nonce"] = grant.nonce
        return self._keys.sign(claims | person(account, grant.scopes), algorithm=grant.client.algorithm)

    # Which are good.

    def check(self, token: str) -> dict[str, Any] | None:
        """The claims of an access token that is good now; None for any other.

        Good is what we signed, has not expired, was not revoked, and whose user is not suspended or gone.
        """
        claims = self._keys.verify(token)
        now = time.time()
        if (
            claims is None
            or claims.get("iss") != self._issuer
            or "scope" not in claims  # an ID token opens nothing
            or not isinstance(claims.get("exp"), int)
            or not claims.get("nbf", 0) <= now < claims["exp"]
            or self._store.row("SELECT 1 FROM revoked WHERE jti = ?", claims.get("jti"))
        ):
            return None
        account = self._members.find("uuid", str(claims.get("sub")))
        if account is None and claims.get("sub") != claims.get("client_id"):
            return None
        return None if account is not None and not account.is_valid else claims

    def revoke(self, token: str, client: Client) -> bool:
        """End a token of that client, whatever its kind (RFC 7009, 2.1); whether there was one."""
        if self._store.run(
            "DELETE FROM refresh_tokens WHERE hash = ? AND client_id = ?",
            secret_hash(token),
            client.client_id,
        ):
            return True
        claims = self._keys.verify(token)
        if claims is None or claims.get("client_id") != client.client_id:
            return False
        now = time.time()
        self._store.run("DELETE FROM revoked WHERE expires < ?", now - 60)
        self._store.run("INSERT OR IGNORE INTO revoked VALUES (?, ?)", claims["jti"], claims["exp"])
        return True

    # Refresh tokens.

    def new_refresh_token(self, grant: Grant) -> str:
        """A refresh token for a user's grant; only its hash is kept."""
        assert grant.account is not None
        token = secrets.token_urlsafe(32)
        refresh = Refresh(
            account=grant.account.uuid,
            client_id=grant.client.client_id,
            scopes=grant.scopes,
            logged_in=grant.logged_in or time.time(),
        )
        self.keep_refresh_token(secret_hash(token), refresh)
        return token

    def keep_refresh_token(self, hashed: str, refresh: Refresh) -> None:
        """Know a refresh token by its hash."""
        self._store.run(
            "INSERT INTO refresh_tokens VALUES (?, ?, ?, ?, ?, ?)",
            hashed, refresh.client_id, refresh.account, " ".join(refresh.scopes),
            time.time() + REFRESH_LIFETIME, refresh.logged_in,
        )  # fmt: skip

    def refresh(self, token: str, client: Client) -> Refresh:
        """What stands behind a refresh token of that client. Raises ``OAuthError`` (invalid_grant)."""
        row = self._store.row("SELECT * FROM refresh_tokens WHERE hash = ?", secret_hash(token))
        if row is None or row["client_id"] != client.client_id or row["expires"] < time.time():
            raise OAuthError("invalid_grant", "the refresh token is unknown, expired or revoked")
        return Refresh(
            account=row["account"],
            client_id=row["client_id"],
            scopes=tuple(row["scopes"].split()),
            logged_in=row["logged_in"],
        )

    def holder(self, token: str) -> Account | None:
        """Whose refresh token it is, good or not."""
        row = self._store.row("SELECT account FROM refresh_tokens WHERE hash = ?", secret_hash(token))
        return self._members.find("uuid", row["account"]) if row else None

    def forget_refresh_tokens(self, account: Account) -> None:
        """End all that somebody's clients could go on with."""
        self._store.run("DELETE FROM refresh_tokens WHERE account = ?", account.uuid)


def person(account: Account, scopes: tuple[str, ...]) -> dict[str, Any]:
    """The claims about a person that scopes ask for (OpenID Connect Core, 5.4)."""
    claims: dict[str, Any] = {}
    if "profile" in scopes:
        claims |= {
            "name": account.full_name,
            "given_name": account.given_name,
            "family_name": account.family_name,
            "preferred_username": account.username,
        }
    if "email" in scopes:
        claims |= {"email": account.email, "email_verified": True}
    return claims
