"""The token endpoint: from a client's request to a grant (RFC 6749, RFC 7636, RFC 8628, RFC 8693)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_datalake.lake.iam.config import (
    AUTHORIZATION_CODE,
    CLIENT_CREDENTIALS,
    DEVICE_CODE,
    GRANTS,
    REFRESH_TOKEN,
    TOKEN_EXCHANGE,
    Client,
)
from pytest_datalake.lake.iam.refusal import OAuthError
from pytest_datalake.lake.iam.scopes import ScopeRefusedError, demand_covered, normalised
from pytest_datalake.lake.iam.tokens import Grant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_datalake.lake.iam.members import Account
    from pytest_datalake.lake.iam.service import Iam

ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  # the name of a type
_REFRESH_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:refresh_token"  # noqa: S105  # the name of a type

_AUDIENCE_PARAMETERS = ("resource", "aud", "audience")
"""RFC 8707; INDIGO IAM; WLCG issuers. The first one that is there counts."""

_NOT_OF_RESOURCES = {"openid", "profile", "email", "offline_access"}
"""Scopes that say what is to be known or kept, not what may be done."""


def audience_of(form: Mapping[str, str]) -> str:
    """The audience that was asked for, separated by blanks; empty: none was."""
    return next((form[name] for name in _AUDIENCE_PARAMETERS if form.get(name)), "")


def wanted_scopes(client: Client, requested: str) -> tuple[str, ...]:
    """The scopes of a request that this client may make. Raises ``OAuthError`` (invalid_scope)."""
    try:
        scopes = normalised(requested, also=client.scopes)
        demand_covered(scopes, client.scopes, who="the client")
    except ScopeRefusedError as error:
        raise OAuthError(error.error, str(error)) from error
    return scopes


def demand_entitled(iam: Iam, grant: Grant) -> Grant:
    """The grant as its user may have it. Raises ``OAuthError`` (invalid_scope, access_denied)."""
    try:
        if grant.account is not None:
            iam.policies.demand_permitted(grant.account, grant.scopes)
            grant = replace(grant, scopes=iam.policies.expand(grant.account, grant.scopes))
        iam.tokens.groups(grant)
    except ScopeRefusedError as error:
        raise OAuthError(error.error, str(error)) from error
    if not grant.scopes:
        raise OAuthError("invalid_scope", "a scope is needed: a token without one would open nothing")
    return grant


def answer(iam: Iam, client: Client, form: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The response to a token request, and the claims of the token in it. Raises ``OAuthError``."""
    grant_type = form.get("grant_type")
    if grant_type is None:
        raise OAuthError("invalid_request", "grant_type is needed")
    if grant_type not in GRANTS:
        raise OAuthError("unsupported_grant_type", "this grant type is not known here")
    if grant_type not in client.grants:
        raise OAuthError("unauthorized_client", "the client may not use this grant type")
    grant = demand_entitled(iam, _GRANTERS[grant_type](iam, client, form))
    response, claims = iam.tokens.response(grant)
    if grant_type == REFRESH_TOKEN:
        response["refresh_token"] = form["refresh_token"]
    elif grant.account is not None and "offline_access" in grant.scopes and REFRESH_TOKEN in client.grants:
        response["refresh_token"] = iam.tokens.new_refresh_token(grant)
    if grant_type == TOKEN_EXCHANGE:
        response["issued_token_type"] = ACCESS_TOKEN_TYPE
    return response, claims


def whom(iam: Iam, client: Client, form: Mapping[str, str]) -> str:
    """For whom a token is asked for: a username where that can be told, or the client."""
    account = iam.tokens.holder(form.get("refresh_token", ""))
    return account.username if account else client.client_id


def _client_credentials(_iam: Iam, client: Client, form: Mapping[str, str]) -> Grant:
    if client.is_public:
        raise OAuthError("unauthorized_client", "a client without a secret cannot speak for itself")
    scopes = wanted_scopes(client, form.get("scope", ""))
    return Grant(client=client, account=None, scopes=scopes, audience=audience_of(form))


def _refresh_token(iam: Iam, client: Client, form: Mapping[str, str]) -> Grant:
    refresh = iam.tokens.refresh(_needed(form, "refresh_token"), client)
    scopes = refresh.scopes
    if form.get("scope"):
        scopes = wanted_scopes(client, form["scope"])
        try:
            demand_covered(scopes, refresh.scopes, who="this refresh token")
        except ScopeRefusedError as error:
            raise OAuthError(error.error, str(error)) from error
    return Grant(
        client=client,
        account=_valid(iam, refresh.account),
        scopes=scopes,
        audience=audience_of(form),
        logged_in=refresh.logged_in,
    )


def _authorization_code(iam: Iam, client: Client, form: Mapping[str, str]) -> Grant:
    code = iam.codes.use(_needed(form, "code"), "authorization", client.client_id)
    if form.get("redirect_uri", "") != code.document["redirect_uri"]:
        raise OAuthError("invalid_grant", "redirect_uri is not that of the authorization request")
    challenge = code.document["code_challenge"]
    if challenge and not _answers(form.get("code_verifier", ""), challenge):
        raise OAuthError("invalid_grant", "code_verifier does not belong to the code_challenge")
    granted = code.document["audience"].split()
    asked = audience_of(form).split() or granted
    if granted and not set(asked) <= set(granted):
        raise OAuthError("invalid_target", "an audience was asked for that was not granted")  # RFC 8707, 2.2
    return Grant(
        client=client,
        account=_valid(iam, str(code.account)),
        scopes=code.scopes,
        audience=" ".join(asked),
        logged_in=code.document["logged_in"],
        nonce=code.document["nonce"],
    )


def _device_code(iam: Iam, client: Client, form: Mapping[str, str]) -> Grant:
    code = iam.codes.use(_needed(form, "device_code"), "device", client.client_id)
    return Grant(
        client=client,
        account=_valid(iam, str(code.account)),
        scopes=code.scopes,
        audience=audience_of(form) or code.document.get("audience", ""),
        logged_in=time.time(),
    )


def _token_exchange(iam: Iam, client: Client, form: Mapping[str, str]) -> Grant:
    if form.get("subject_token_type", ACCESS_TOKEN_TYPE) != ACCESS_TOKEN_TYPE:
        raise OAuthError("invalid_request", "only access tokens can be exchanged")
    if form.get("requested_token_type", ACCESS_TOKEN_TYPE) not in {ACCESS_TOKEN_TYPE, _REFRESH_TOKEN_TYPE}:
        raise OAuthError("invalid_request", "only access tokens are given in exchange")
    claims = iam.tokens.check(_needed(form, "subject_token"))
    account = iam.members.find("uuid", str(claims["sub"])) if claims else None
    if claims is None or account is None:
        raise OAuthError("invalid_grant", "the subject token is not a good one of a user of this service")
    held = str(claims["scope"]).split()
    scopes = wanted_scopes(client, form.get("scope", "") or " ".join(held))
    try:
        demand_covered(
            [scope for scope in scopes if scope not in _NOT_OF_RESOURCES], held, who="the subject token"
        )
    except ScopeRefusedError as error:
        raise OAuthError(error.error, str(error)) from error
    return Grant(
        client=client, account=account, scopes=scopes, audience=audience_of(form), actor=client.client_id
    )


_GRANTERS: dict[str, Callable[[Iam, Client, Mapping[str, str]], Grant]] = {
    CLIENT_CREDENTIALS: _client_credentials,
    REFRESH_TOKEN: _refresh_token,
    AUTHORIZATION_CODE: _authorization_code,
    DEVICE_CODE: _device_code,
    TOKEN_EXCHANGE: _token_exchange,
}


def _valid(iam: Iam, identifier: str) -> Account:
    account = iam.members.find("uuid", identifier)
    if account is None or not account.is_valid:
        raise OAuthError("invalid_grant", "the user is suspended or gone")
    return account


def _needed(form: Mapping[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        raise OAuthError("invalid_request", f"{name} is needed")
    return value


def _answers(verifier: str, challenge: str) -> bool:
    """Whether the verifier belongs to the challenge, by S256 (RFC 7636, 4.6)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return hmac.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), challenge)
