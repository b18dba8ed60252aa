"""What else INDIGO IAM's administrators do by REST: labels, searches, scope policies, health."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from flask import Blueprint, jsonify, request

from pytest_datalake.credentials.holder import is_proxy
from pytest_datalake.credentials.x509 import slash_name
from pytest_datalake.lake.iam.refusal import ApiError
from pytest_datalake.lake.iam.request_api import listed
from pytest_datalake.lake.iam.web import CHAIN, body, demand, demand_user, iam, text

if TYPE_CHECKING:
    from flask import Response

    from pytest_datalake.lake.iam.policies import Policy

api = Blueprint("admin", __name__)


@api.get("/health")
def _health() -> Response:
    iam().store.row("SELECT 1")
    return jsonify(status="UP")


# Labels.


@api.route("/iam/<any(account, group):kind>/<identifier>/labels", methods=["GET", "PUT", "DELETE"])
def _labels(kind: str, identifier: str) -> Any:  # noqa: ANN401  # what Flask takes for an answer
    who = demand("iam:admin.read" if request.method == "GET" else "iam:admin.write")
    members = iam().members
    owner = members.account(identifier).uuid if kind == "account" else members.group(identifier).uuid
    if request.method == "GET":
        return jsonify(members.all_labels(owner))
    given = request.args if request.method == "DELETE" else body()
    name, prefix = text(dict(given), "name"), text(dict(given), "prefix")
    if not name:
        raise ApiError(400, "a label needs a name")
    if request.method == "PUT":
        members.set_label(owner, name, text(dict(given), "value"), prefix)
    else:
        members.remove_label(owner, name, prefix)
    iam().store.audit(who.name, f"{'labels' if request.method == 'PUT' else 'unlabels'} {kind} {name}", owner)
    return ("", 204) if request.method == "DELETE" else jsonify(members.all_labels(owner))


# Groups, searches, the end of an account.


@api.post("/iam/group")
def _create_group() -> tuple[Response, int]:
    who = demand("iam:admin.write")
    sent = body()
    parent = text(sent.get("parent") or {}, "uuid", "id")
    name = text(sent, "name")
    name = f"{iam().members.group(parent).name}/{name}" if parent else name
    if iam().members.find_group(name):
        raise ApiError(409, f"there is a group {name} already")
    group = iam().members.create_group(name, text(sent, "description"))
    iam().store.audit(who.name, "creates group", name)
    return jsonify(id=group.uuid, name=group.name, description=group.description), 201


@api.get("/iam/account/search")
def _search_accounts() -> Response:
    demand("iam:admin.read")
    wanted = request.args.get("filter", "").lower()
    return listed(
        [
            {"id": one.uuid, "userName": one.username, "active": one.active}
            for one in iam().members.accounts()
            if wanted in one.username.lower() or wanted in one.full_name.lower()
        ]
    )


@api.get("/iam/group/search")
def _search_groups() -> Response:
    demand("iam:admin.read")
    wanted = request.args.get("filter", "").lower()
    return listed(
        [
            {"id": one.uuid, "displayName": one.name}
            for one in iam().members.groups()
            if wanted in one.name.lower()
        ]
    )


@api.put("/iam/account/<identifier>/endTime")
def _end(identifier: str) -> tuple[str, int]:
    who = demand("iam:admin.write")
    account = iam().members.account(identifier)
    when = text(body(), "endTime")
    try:
        ends = datetime.fromisoformat(when).timestamp() if when else None
    except ValueError as error:
        raise ApiError(400, "endTime must be a time such as 2030-01-31T00:00:00+00:00, or null") from error
    iam().members.set_end(account, ends)
    iam().store.audit(who.name, f"sets the end to {when or 'never'}", account.username)
    return "", 204


# X.509 certificates of oneself: that of the TLS connection.


@api.route("/iam/account-linking/X509", methods=["POST", "DELETE"])
def _link() -> tuple[str, int]:
    who, account = demand_user()
    if request.method == "DELETE":
        subject = request.args.get("certificateSubject", "")
        if not iam().members.unlink_certificate(account, subject):
            raise ApiError(404, f"{subject!r} is not linked to {account.username}")
        iam().store.audit(who.name, "unlinks certificate", subject)
        return "", 204
    certificate = end_entity()
    if certificate is None:
        raise ApiError(400, "show the certificate that is to be linked, or a proxy of it")
    subject, issuer = slash_name(certificate.subject), slash_name(certificate.issuer)
    pem = certificate.public_bytes(Encoding.PEM).decode()
    iam().members.link_certificate(account, subject=subject, issuer=issuer, pem=pem)
    iam().store.audit(who.name, "links certificate", subject)
    return "", 204


def end_entity() -> x509.Certificate | None:
    """The user's certificate in the chain that the peer showed; None: there is none."""
    chain = (x509.load_der_x509_certificate(one) for one in request.environ.get(CHAIN, ()))
    return next((one for one in chain if not is_proxy(one)), None)


# Scope policies.


@api.get("/iam/scope_policies")
def _policies() -> Response:
    demand("iam:admin.read")
    return jsonify([_described(one) for one in iam().policies.all()])


@api.post("/iam/scope_policies")
def _add_policy() -> tuple[Response, int]:
    who = demand("iam:admin.write")
    sent = body()
    group = text(sent.get("group") or {}, "uuid")
    account = text(sent.get("account") or {}, "uuid")
    if group:
        iam().members.group(group)
    if account:
        iam().members.account(account)
    scopes = sent.get("scopes") or []
    if not isinstance(scopes, list) or not all(isinstance(one, str) for one in scopes):
        raise ApiError(400, "scopes must be a list of texts")
    found = iam().policies.add(
        text(sent, "rule"),
        text(sent, "matchingPolicy") or "EQ",
        scopes,
        account=account or None,
        group=group or None,
        description=text(sent, "description"),
    )
    iam().store.audit(who.name, "adds scope policy", str(found.id))
    return jsonify(_described(found)), 201


@api.route("/iam/scope_policies/<int:number>", methods=["GET", "DELETE"])
def _policy(number: int) -> Any:  # noqa: ANN401  # what Flask takes for an answer
    if request.method == "GET":
        demand("iam:admin.read")
        return jsonify(_described(iam().policies.get(number)))
    who = demand("iam:admin.write")
    iam().policies.remove(number)
    iam().store.audit(who.name, "removes scope policy", str(number))
    return "", 204


def _described(policy: Policy) -> dict[str, Any]:
    return {
        "id": policy.id,
        "description": policy.description,
        "rule": policy.rule,
        "matchingPolicy": policy.matching,
        "scopes": list(policy.scopes),
        "account": {"uuid": policy.account} if policy.account else None,
        "group": {"uuid": policy.group} if policy.group else None,
    }
