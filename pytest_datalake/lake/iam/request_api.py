"""Registration requests and group requests, as INDIGO IAM's REST interface has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, jsonify, request

from pytest_datalake.lake.iam.login_pages import described, register
from pytest_datalake.lake.iam.refusal import ApiError
from pytest_datalake.lake.iam.requests import NEW
from pytest_datalake.lake.iam.web import (
    Caller,
    body,
    caller,
    demand,
    demand_same_origin,
    demand_user,
    iam,
    text,
)

if TYPE_CHECKING:
    from flask import Response

    from pytest_datalake.lake.iam.members import Account, Group
    from pytest_datalake.lake.iam.requests import GroupRequest

api = Blueprint("requests", __name__)


# To become a member.


@api.post("/registration/create")
def _create() -> Response:
    demand_same_origin()
    return jsonify(register(body()))


@api.get("/registration/list")
@api.get("/registration/list/pending")
def _registrations() -> Response:
    demand("registration:read")
    status = NEW if request.path.endswith("/pending") else request.args.get("status", "")
    return jsonify([described(one) for one in iam().requests.registrations(status)])


@api.post("/registration/approve/<identifier>")
def _approve_registration(identifier: str) -> Response:
    who = demand("registration:write")
    account = iam().requests.approve_registration(identifier)
    iam().store.audit(who.name, "approves registration", identifier)
    found = iam().requests.registration(identifier)
    return jsonify({**described(found), "accountId": account.uuid})


@api.post("/registration/reject/<identifier>")
def _reject_registration(identifier: str) -> Response:
    who = demand("registration:write")
    iam().requests.reject_registration(identifier, request.values.get("motivation", ""))
    iam().store.audit(who.name, "rejects registration", identifier)
    return jsonify(described(iam().requests.registration(identifier)))


@api.get("/registration/username-available/<username>")
def _username_is_free(username: str) -> Response:
    return jsonify(iam().requests.is_free(username=username))


@api.get("/registration/email-available/<email>")
def _email_is_free(email: str) -> Response:
    return jsonify(iam().requests.is_free(email=email))


# To be in a group.


@api.post("/iam/group_requests")
def _ask() -> Response:
    who, account = demand_user()
    sent = body()
    group = iam().members.group_named(text(sent, "groupName", "group_name"))
    found = iam().requests.ask_for_group(account, group, text(sent, "notes"))
    iam().store.audit(who.name, "asks for group", f"{group.name} {found.uuid}")
    return jsonify(_described(found))


@api.get("/iam/group_requests")
def _group_requests() -> Response:
    """Everybody sees their own requests, and those that they decide about."""
    who, account = demand_user()
    managed = iam().members.managed_by(account)
    everything = who.has("iam:admin.read")
    wanted = {key: request.args[key] for key in ("username", "groupName", "status") if request.args.get(key)}
    found = [
        _described(one)
        for one in iam().requests.group_requests(wanted.get("status", ""))
        if (everything or one.account.uuid == account.uuid or one.group in managed)
        and wanted.get("username", one.account.username) == one.account.username
        and wanted.get("groupName", one.group.name) == one.group.name
    ]
    return listed(found)


def listed(found: list[dict[str, Any]]) -> Response:
    """A page of a list, as SCIM has it (RFC 7644, 3.4.2): ``startIndex`` counts from 1."""
    start = max(1, request.args.get("startIndex", 1, type=int))
    count = max(0, request.args.get("count", 100, type=int))
    part = found[start - 1 : start - 1 + count]
    return jsonify(
        {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
            "totalResults": len(found),
            "startIndex": start,
            "itemsPerPage": len(part),
            "Resources": part,
        }
    )


@api.get("/iam/group_requests/<identifier>")
def _group_request(identifier: str) -> Response:
    found = iam().requests.group_request(identifier)
    _demand_asker_or_decider(found)
    return jsonify(_described(found))


@api.delete("/iam/group_requests/<identifier>")
def _withdraw(identifier: str) -> tuple[str, int]:
    who = _demand_asker_or_decider(iam().requests.group_request(identifier))
    iam().requests.withdraw_group_request(identifier)
    iam().store.audit(who.name, "withdraws group request", identifier)
    return "", 204


@api.post("/iam/group_requests/<identifier>/approve")
def _approve(identifier: str) -> Response:
    who = demand_decider(iam().requests.group_request(identifier).group)
    iam().requests.approve_group_request(identifier)
    iam().store.audit(who.name, "approves group request", identifier)
    return jsonify(_described(iam().requests.group_request(identifier)))


@api.post("/iam/group_requests/<identifier>/reject")
def _reject(identifier: str) -> Response:
    who = demand_decider(iam().requests.group_request(identifier).group)
    iam().requests.reject_group_request(identifier, request.values.get("motivation", ""))
    iam().store.audit(who.name, "rejects group request", identifier)
    return jsonify(_described(iam().requests.group_request(identifier)))


def demand_decider(group: Group) -> Caller:
    """A manager of the group, or an administrator. Raises ``OAuthError`` (401), ``ApiError`` (403)."""
    who = caller()
    if not who.has("iam:admin.write") and not (who.account and iam().members.manages(who.account, group)):
        raise ApiError(403, f"this is for those who manage {group.name}")
    return who


def _demand_asker_or_decider(found: GroupRequest) -> Caller:
    who = caller()
    if who.account is not None and who.account.uuid == found.account.uuid:
        return who
    return demand_decider(found.group)


def _described(found: GroupRequest) -> dict[str, Any]:
    """As INDIGO IAM has it; its older clients read ``groupName``."""
    return {
        "uuid": found.uuid,
        "userUuid": found.account.uuid,
        "userFullName": found.account.full_name,
        "username": found.account.username,
        "group_name": found.group.name,
        "groupName": found.group.name,
        "group_uuid": found.group.uuid,
        "status": found.status,
        "notes": found.notes,
        "motivation": found.motivation or None,
        "creation_time": int(found.created * 1000),
        "last_update_time": int(found.updated * 1000),
    }


# Membership without a request, and who decides.


@api.route("/iam/account/<account_id>/groups/<group_id>", methods=["POST", "DELETE"])
def _membership(account_id: str, group_id: str) -> tuple[str, int]:
    account, group, who = _pair(account_id, group_id, decider=True)
    if request.method == "POST":
        iam().members.join(account, group)
    else:
        iam().members.leave(account, group)
    action = "adds to" if request.method == "POST" else "removes from"
    iam().store.audit(who.name, f"{action} {group.name}", account.username)
    return "", 201 if request.method == "POST" else 204


@api.route("/iam/account/<account_id>/managed-groups/<group_id>", methods=["POST", "DELETE"])
def _management(account_id: str, group_id: str) -> tuple[str, int]:
    account, group, who = _pair(account_id, group_id, decider=False)
    manages = request.method == "POST"
    iam().members.set_manager(account, group, manages=manages)
    action = "appoints manager of" if manages else "dismisses manager of"
    iam().store.audit(who.name, f"{action} {group.name}", account.username)
    return "", 201 if manages else 204


def _pair(account_id: str, group_id: str, *, decider: bool) -> tuple[Account, Group, Caller]:
    group = None
    who = caller()
    if not who.has("iam:admin.write"):
        group = iam().members.group(group_id)
        if not decider:
            demand("iam:admin.write")
        demand_decider(group)
    group = group or iam().members.group(group_id)
    return iam().members.account(account_id), group, who


@api.get("/iam/account/<account_id>/managed-groups")
def _managed_groups(account_id: str) -> Response:
    who = caller()
    if not who.has("iam:admin.read") and (who.account is None or who.account.uuid != account_id):
        raise ApiError(403, "this is for administrators, and for oneself")
    account = iam().members.account(account_id)
    return jsonify(
        {
            "id": account.uuid,
            "username": account.username,
            "managedGroups": [_short(group) for group in iam().members.managed_by(account)],
        }
    )


@api.get("/iam/group/<group_id>/group-managers")
def _group_managers(group_id: str) -> Response:
    caller()
    managers = iam().members.managers_of(iam().members.group(group_id))
    return jsonify([{"id": one.uuid, "userName": one.username} for one in managers])


def _short(group: Group) -> dict[str, str]:
    return {"id": group.uuid, "name": group.name}
