"""Where users allow clients to act for them: the authorization endpoint, and codes of devices."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from flask import Blueprint, redirect, request, session

from pytest_datalake.lake.iam import grants
from pytest_datalake.lake.iam.config import AUTHORIZATION_CODE, Client
from pytest_datalake.lake.iam.refusal import ApiError, OAuthError
from pytest_datalake.lake.iam.sessions import ask_to_log_in, demand_own_form, page
from pytest_datalake.lake.iam.tokens import Grant
from pytest_datalake.lake.iam.web import iam, session_account

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.wrappers import Response

    from pytest_datalake.lake.iam.codes import Code
    from pytest_datalake.lake.iam.members import Account

pages = Blueprint("consent", __name__)

_KEPT = (
    "response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge",
    "code_challenge_method", "audience", "aud", "resource",
)  # fmt: skip


@pages.get("/authorize")
def _authorization_page() -> Response | str:
    """RFC 6749, 4.1.1. Before the client is known to be sound, errors are shown and not sent anywhere."""
    query = _query(request.args)
    client = _sound_client(query)
    try:
        grant = _grant(client, query, session_account())
    except OAuthError as error:
        return _back(query, error=error.error, error_description=error.description)
    if grant.account is None:
        return ask_to_log_in()
    return page(
        "consent.html",
        "Allow access",
        account=grant.account,
        client=client.name or client.client_id,
        scopes=grant.scopes,
        action="/authorize",
        hidden=query,
    )


@pages.post("/authorize")
def _authorize() -> Response:
    demand_own_form()
    query = _query(request.form)
    client = _sound_client(query)
    account = session_account()
    if account is None:
        return _back(query, error="access_denied", error_description="nobody is logged in")
    try:
        grant = _grant(client, query, account)
    except OAuthError as error:
        return _back(query, error=error.error, error_description=error.description)
    if request.form.get("decision") != "allow":
        return _back(query, error="access_denied", error_description="the user has said no")
    code = iam().codes.new_authorization(
        client.client_id,
        account.uuid,
        grant.scopes,
        {
            "redirect_uri": query["redirect_uri"],
            "code_challenge": query.get("code_challenge", ""),
            "nonce": query.get("nonce", ""),
            "audience": grant.audience,
            "logged_in": session.get("logged_in", 0.0),
        },
    )
    iam().store.audit(account.username, "allows client", client.client_id)
    return _back(query, code=code)


def _query(sent: Mapping[str, str]) -> dict[str, str]:
    found = {name: sent[name] for name in _KEPT if name in sent}
    if request.method == "GET" and len(request.args.getlist("resource")) > 1:
        found["resource"] = " ".join(request.args.getlist("resource"))
    return found


def _sound_client(query: Mapping[str, str]) -> Client:
    client = iam().clients.find(query.get("client_id", ""))
    if client is None or query.get("redirect_uri", "") not in client.redirect_uris:
        raise ApiError(400, "the client is not known, or not with this redirect_uri")
    return client


def _grant(client: Client, query: Mapping[str, str], account: Account | None) -> Grant:
    if query.get("response_type") != "code":
        raise OAuthError("unsupported_response_type", "only codes are given here")
    if AUTHORIZATION_CODE not in client.grants:
        raise OAuthError("unauthorized_client", "the client may not use this grant type")
    challenge = query.get("code_challenge", "")
    if (challenge and query.get("code_challenge_method") != "S256") or (client.is_public and not challenge):
        raise OAuthError("invalid_request", "a code_challenge by S256 is needed (RFC 7636)")
    scopes = grants.wanted_scopes(client, query.get("scope", ""))
    grant = Grant(client=client, account=account, scopes=scopes, audience=grants.audience_of(query))
    return grants.demand_entitled(iam(), grant) if account is not None else grant


def _back(query: Mapping[str, str], **answer: str) -> Response:
    state = {"state": query["state"]} if "state" in query else {}
    given = {**answer, **state, "iss": iam().settings.issuer}  # RFC 9207
    place = query["redirect_uri"]
    return redirect(f"{place}{'&' if '?' in place else '?'}{urlencode(given)}", 303)


# Devices (RFC 8628, 3.3).


@pages.get("/device")
def _device_page() -> Response | str | tuple[str, int]:
    account = session_account()
    if account is None:
        return ask_to_log_in()
    user_code = request.args.get("user_code", "")
    if not user_code:
        return page("device.html", "Connect a device")
    code = iam().codes.of_user(user_code)
    if code is None:
        return page("device.html", "Connect a device", said="No device shows that code."), 404
    return page(
        "consent.html",
        "Connect a device",
        account=account,
        client=_name_of(code),
        scopes=code.scopes,
        action="/device",
        hidden={"user_code": user_code},
    )


@pages.post("/device")
def _device() -> str | tuple[str, int]:
    demand_own_form()
    account = session_account()
    code = iam().codes.of_user(request.form.get("user_code", ""))
    if account is None or code is None:
        return page("device.html", "Connect a device", said="No device shows that code."), 404
    if request.form.get("decision") != "allow":
        iam().codes.deny(code)
        return page("said.html", "Connect a device", said="The device gets nothing.")
    iam().codes.allow(code, account.uuid)
    iam().store.audit(account.username, "allows device of client", code.client_id)
    return page("said.html", "Connect a device", said="The device may go on.")


def _name_of(code: Code) -> str:
    client = iam().clients.find(code.client_id)
    return (client.name or client.client_id) if client else code.client_id
