"""What every interface of the service needs of a request: who asks, and whether they may."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote_plus, urlsplit

from flask import current_app, request, session

from pytest_datalake.lake.iam.refusal import ApiError, OAuthError

if TYPE_CHECKING:
    from pytest_datalake.lake.iam.config import Client
    from pytest_datalake.lake.iam.members import Account
    from pytest_datalake.lake.iam.service import Iam

EXTENSION = "iam"
CHAIN = "pytest_datalake.client_chain"
"""Key of the WSGI environment: the verified chain that the peer showed, DER, leaf first."""

_FORM = "application/x-www-form-urlencoded"


def iam() -> Iam:
    """The service that answers this request."""
    return cast("Iam", current_app.extensions[EXTENSION])


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whoever asks.

    Attributes:
        account: None: a client in its own name.
        scopes: of the token; None: somebody who has logged in, whose rights are all theirs.
    """

    name: str
    account: Account | None
    scopes: frozenset[str] | None

    def has(self, scope: str) -> bool:
        """Whether this administrator's right is there; a token lends none that its user has lost."""
        if self.account is not None and not self.account.administrator:
            return False
        return self.scopes is None or scope in self.scopes


def caller() -> Caller:
    """Whoever asks, by token or by session. Raises ``OAuthError`` (401)."""
    header = request.headers.get("Authorization", "")
    if header:
        scheme, _, token = header.partition(" ")
        claims = iam().tokens.check(token.strip()) if scheme.lower() == "bearer" else None
        if claims is None:
            raise OAuthError("invalid_token", "a good access token of this service is needed", 401)
        account = iam().members.find("uuid", claims["sub"])
        name = account.username if account else str(claims["sub"])
        return Caller(name=name, account=account, scopes=frozenset(str(claims["scope"]).split()))
    account = session_account()
    if account is None:
        raise OAuthError("invalid_token", "an access token or a login is needed", 401)
    demand_same_origin()
    return Caller(name=account.username, account=account, scopes=None)


def demand(scope: str) -> Caller:
    """An administrator whose token has the scope. Raises ``OAuthError`` (401), ``ApiError`` (403)."""
    found = caller()
    if not found.has(scope):
        raise ApiError(403, f"this is for administrators, whose token has the scope {scope}")
    return found


def demand_user() -> tuple[Caller, Account]:
    """Somebody who has an account. Raises ``OAuthError`` (401), ``ApiError`` (403)."""
    found = caller()
    if found.account is None:
        raise ApiError(403, "this is for users; the token is that of a client")
    return found, found.account


def session_account() -> Account | None:
    """Who has logged in with this browser, and is still valid."""
    found = iam().members.find("uuid", session.get("account", ""))
    return found if found is not None and found.is_valid else None


def demand_same_origin() -> None:
    """Refuse what another site's page sends in a user's name. Raises ``ApiError`` (403)."""
    origin = request.headers.get("Origin")
    if request.method not in {"GET", "HEAD"} and origin and urlsplit(origin).netloc != request.host:
        raise ApiError(403, "Host and Origin do not match")


def form() -> dict[str, str]:
    """The form of an OAuth request: each parameter once (RFC 6749, 3.2), but ``resource`` (RFC 8707, 2).

    Raises ``OAuthError`` (invalid_request).
    """
    if request.mimetype != _FORM:
        raise OAuthError("invalid_request", f"the form must be {_FORM}")
    found = {}
    for name, values in request.form.lists():
        if len(values) > 1 and name != "resource":
            raise OAuthError("invalid_request", "a parameter was sent more than once")
        found[name] = " ".join(values)
    return found


def demand_client(sent: dict[str, str]) -> Client:
    """The client, by the header or by the form but not by both (RFC 6749, 2.3.1). Raises ``OAuthError``."""
    header = request.headers.get("Authorization")
    if not header:
        return iam().clients.proven(sent.get("client_id", ""), sent.get("client_secret", ""))
    if "client_secret" in sent:
        raise OAuthError("invalid_request", "the client shows its secret twice")
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        raise OAuthError("invalid_client", "Basic client authentication is needed", 401)
    try:
        pair = base64.b64decode(value.strip(), validate=True).decode()
    except ValueError as error:
        raise OAuthError("invalid_client", "the Authorization header is not base64", 401) from error
    client_id, _, secret = pair.partition(":")
    return iam().clients.proven(unquote_plus(client_id), unquote_plus(secret))


def body() -> dict[str, Any]:
    """The JSON object that was sent. Raises ``ApiError`` (400)."""
    found = request.get_json(force=True, silent=True)
    if not isinstance(found, dict):
        raise ApiError(400, "a JSON object is needed")
    return found


def text(document: dict[str, Any], *names: str) -> str:
    """The first of these members of an object, a text; empty: none is there. Raises ``ApiError`` (400)."""
    for name in names:
        value = document.get(name)
        if value is not None:
            if not isinstance(value, str):
                raise ApiError(400, f"{name} must be a text")
            return value
    return ""
