"""What members see of themselves, and what they decide about others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, redirect, request

from pytest_datalake.lake.iam.refusal import ApiError
from pytest_datalake.lake.iam.request_api import demand_decider
from pytest_datalake.lake.iam.requests import NEW, PENDING
from pytest_datalake.lake.iam.sessions import ask_to_log_in, demand_own_form, page
from pytest_datalake.lake.iam.web import demand, demand_user, iam, session_account

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from pytest_datalake.lake.iam.members import Account

pages = Blueprint("dashboard", __name__)


@pages.get("/dashboard")
def _dashboard() -> Response | str:
    account = session_account()
    return ask_to_log_in() if account is None else _show(account, "")


@pages.post("/dashboard/groups")
def _ask() -> Response | tuple[str, int]:
    demand_own_form()
    who, account = demand_user()
    try:
        group = iam().members.group_named(request.form.get("group", ""))
        found = iam().requests.ask_for_group(account, group, request.form.get("notes", ""))
    except ApiError as error:
        return _show(account, error.message), error.status
    iam().store.audit(who.name, "asks for group", f"{group.name} {found.uuid}")
    return redirect("/dashboard", 303)


@pages.post("/dashboard/group-requests/<identifier>")
def _decide_group(identifier: str) -> Response:
    demand_own_form()
    found = iam().requests.group_request(identifier)
    who = demand_decider(found.group)
    if request.form.get("decision") == "approve":
        iam().requests.approve_group_request(identifier)
        iam().store.audit(who.name, "approves group request", identifier)
    else:
        iam().requests.reject_group_request(identifier, request.form.get("motivation", ""))
        iam().store.audit(who.name, "rejects group request", identifier)
    return redirect("/dashboard", 303)


@pages.post("/dashboard/registrations/<identifier>")
def _decide_registration(identifier: str) -> Response:
    demand_own_form()
    who = demand("registration:write")
    if request.form.get("decision") == "approve":
        iam().requests.approve_registration(identifier)
        iam().store.audit(who.name, "approves registration", identifier)
    else:
        iam().requests.reject_registration(identifier, request.form.get("motivation", ""))
        iam().store.audit(who.name, "rejects registration", identifier)
    return redirect("/dashboard", 303)


def _show(account: Account, said: str) -> str:
    members, requests = iam().members, iam().requests
    groups = members.groups_of(account)
    waiting = requests.group_requests(PENDING)
    managed = members.managed_by(account)
    return page(
        "dashboard.html",
        "Membership",
        said=said,
        account=account,
        groups=groups,
        others=[group for group in members.groups() if group not in groups],
        asked=[one for one in requests.group_requests() if one.account.uuid == account.uuid],
        certificates=members.certificates_of(account),
        to_decide=[one for one in waiting if account.administrator or one.group in managed],
        registrations=requests.registrations(NEW) if account.administrator else [],
    )
