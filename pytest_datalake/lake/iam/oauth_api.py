"""OAuth 2.0 and OpenID Connect without pages: discovery, keys, and everything that clients ask for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from flask import Blueprint, jsonify, request

from pytest_datalake.lake.iam import grants
from pytest_datalake.lake.iam.clients import describe
from pytest_datalake.lake.iam.codes import DEVICE_SECONDS
from pytest_datalake.lake.iam.config import DEVICE_CODE, GRANTS
from pytest_datalake.lake.iam.keys import ALGORITHMS
from pytest_datalake.lake.iam.refusal import ApiError, OAuthError
from pytest_datalake.lake.iam.scopes import GROUPS, PLAIN, STORAGE_ACTIONS
from pytest_datalake.lake.iam.tokens import person
from pytest_datalake.lake.iam.web import body, caller, demand, demand_client, form, iam

if TYPE_CHECKING:
    from flask import Response

_log = logging.getLogger(__name__)

api = Blueprint("oauth", __name__)

KEYS_MAX_AGE = 6 * 3600
"""Seconds after which keys should be fetched again (WLCG token profile, "Token Lifetime Guidance")."""


@api.get("/.well-known/openid-configuration")
@api.get("/.well-known/oauth-authorization-server")
def _metadata() -> Response:
    """RFC 8414; OpenID Connect Discovery, 3; ``scim_endpoint`` is INDIGO IAM's."""
    issuer = iam().settings.issuer
    places = {
        "authorization_endpoint": "authorize",
        "token_endpoint": "token",
        "jwks_uri": "jwk",
        "userinfo_endpoint": "userinfo",
        "introspection_endpoint": "introspect",
        "revocation_endpoint": "revoke",
        "device_authorization_endpoint": "devicecode",
        "registration_endpoint": "iam/api/client-registration",
        "scim_endpoint": "scim",
    }
    methods = ["client_secret_basic", "client_secret_post", "none"]
    return jsonify(
        {
            "issuer": issuer,
            **{name: issuer + place for name, place in places.items()},
            "grant_types_supported": list(GRANTS),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ALGORITHMS,
            "token_endpoint_auth_methods_supported": methods,
            "introspection_endpoint_auth_methods_supported": methods[:2],
            "revocation_endpoint_auth_methods_supported": methods,
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "scopes_supported": [*PLAIN, *STORAGE_ACTIONS, GROUPS],
            "claims_supported": ["sub", "name", "preferred_username", "email", GROUPS, "wlcg.ver"],
        }
    )


@api.get("/jwk")
def _keys() -> Response:
    response = jsonify(iam().keys.public())
    response.cache_control.max_age = KEYS_MAX_AGE
    return response


@api.post("/iam/keys")
def _rotate() -> tuple[Response, int]:
    """Sign with new keys; of our own making, INDIGO IAM has none."""
    who = demand("iam:admin.write")
    kids = iam().keys.rotate()
    iam().store.audit(who.name, "rotates keys", " ".join(kids))
    return jsonify({"keys": kids}), 201


@api.delete("/iam/keys/<kid>")
def _retire(kid: str) -> tuple[str, int]:
    who = demand("iam:admin.write")
    iam().keys.retire(kid)
    iam().store.audit(who.name, "retires key", kid)
    return "", 204


@api.post("/token")
def _token() -> Response:
    sent = form()
    client = demand_client(sent)
    whom = grants.whom(iam(), client, sent)
    try:
        response, claims = grants.answer(iam(), client, sent)
    except OAuthError as error:
        error.whom = whom
        raise
    _log.info(
        "token %s for %s: %s, audience %r, client %s",
        claims["jti"], whom, claims["scope"], claims["aud"], client.client_id,
    )  # fmt: skip
    return jsonify(response)


@api.post("/devicecode")
def _device() -> Response:
    """RFC 8628, 3.1."""
    sent = form()
    client = demand_client(sent)
    if DEVICE_CODE not in client.grants:
        raise OAuthError("unauthorized_client", "the client may not use this grant type")
    scopes = grants.wanted_scopes(client, sent.get("scope", ""))
    audience = grants.audience_of(sent)
    code, user_code = iam().codes.new_device(client.client_id, scopes, {"audience": audience})
    place = f"{iam().settings.issuer}device"
    return jsonify(
        device_code=code,
        user_code=user_code,
        verification_uri=place,
        verification_uri_complete=f"{place}?user_code={user_code}",
        expires_in=DEVICE_SECONDS,
        interval=iam().settings.poll_interval,
    )


@api.post("/introspect")
def _introspect() -> Response:
    """RFC 7662. Only clients that have a secret are told."""
    sent = form()
    client = demand_client(sent)
    if client.is_public:
        raise OAuthError("invalid_client", "a client without a secret cannot introspect", 401)
    claims = iam().tokens.check(sent.get("token", ""))
    if claims is None:
        return jsonify(active=False)
    account = iam().members.find("uuid", claims["sub"])
    user = {"username": account.username} if account else {}
    return jsonify({**claims, **user, "active": True, "token_type": "Bearer"})


@api.post("/revoke")
def _revoke() -> str:
    """RFC 7009: what is no token of this client's is as good as revoked."""
    sent = form()
    client = demand_client(sent)
    if iam().tokens.revoke(sent.get("token", ""), client):
        _log.info("%s revokes a token", client.client_id)
    return ""


@api.route("/userinfo", methods=["GET", "POST"])
def _userinfo() -> Response:
    """OpenID Connect Core, 5.3."""
    found = caller()
    if found.account is None or found.scopes is None or "openid" not in found.scopes:
        raise OAuthError("insufficient_scope", "a user's token with the scope openid is needed", 403)
    claims: dict[str, Any] = {"sub": found.account.uuid, **person(found.account, tuple(found.scopes))}
    if any(scope.partition(":")[0] == GROUPS for scope in found.scopes):
        told = iam().members.told_of(found.account)
        claims[GROUPS] = list(told.default)
    if "profile" in found.scopes:
        claims["groups"] = [group.name for group in iam().members.groups_of(found.account)]
    return jsonify(claims)


# Registration of clients (RFC 7591, RFC 7592).


@api.post("/iam/api/client-registration")
def _register() -> tuple[Response, int]:
    answer = iam().clients.register(body())
    iam().store.audit("anybody", "registers client", answer["client_id"])
    place = f"{iam().settings.issuer}iam/api/client-registration/{answer['client_id']}"
    return jsonify({**answer, "registration_client_uri": place}), 201


@api.route("/iam/api/client-registration/<client_id>", methods=["GET", "PUT", "DELETE"])
def _registered(client_id: str) -> Any:  # noqa: ANN401  # what Flask takes for an answer
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    client = iam().clients.registered(client_id, token.strip() if scheme.lower() == "bearer" else "")
    if request.method == "DELETE":
        iam().clients.remove(client)
        iam().store.audit(client_id, "removes client", client_id)
        return "", 204
    if request.method == "PUT":
        metadata = body()
        if metadata.get("client_id", client_id) != client_id:
            raise ApiError(400, "client_id cannot be changed")
        client = iam().clients.change(client, metadata)
        iam().store.audit(client_id, "changes client", client_id)
    return jsonify(describe(client))
