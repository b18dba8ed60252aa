"""SCIM 2.0 (RFC 7643, RFC 7644) with INDIGO IAM's extensions; a PATCH has ``operations``, as it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography import x509
from flask import Blueprint, Response, json, request
from werkzeug.security import generate_password_hash

from pytest_datalake.credentials.x509 import slash_name
from pytest_datalake.lake.iam.refusal import ApiError
from pytest_datalake.lake.iam.request_api import listed
from pytest_datalake.lake.iam.web import body, demand, demand_user, iam, text

if TYPE_CHECKING:
    from pytest_datalake.lake.iam.members import Account, Group

api = Blueprint("scim", __name__, url_prefix="/scim")

MEDIA_TYPE = "application/scim+json;charset=UTF-8"
_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
INDIGO_USER = "urn:indigo-dc:scim:schemas:IndigoUser"
INDIGO_GROUP = "urn:indigo-dc:scim:schemas:IndigoGroup"


@api.after_request
def _say_that_it_is_scim(response: Response) -> Response:
    if response.mimetype == "application/json":
        response.content_type = MEDIA_TYPE
    return response


@api.get("/Me")
def _me() -> Response:
    return _answer(_user(demand_user()[1]))


@api.get("/Users")
def _users() -> Response:
    demand("scim:read")
    return listed([_user(one) for one in iam().members.accounts() if _wanted("userName", one.username)])


@api.post("/Users")
def _create_user() -> Response:
    who = demand("scim:write")
    sent = body()
    name = sent.get("name") or {}
    emails = sent.get("emails") or [{}]
    password = text(sent, "password")
    with iam().store.transaction():
        account = iam().members.create(
            text(sent, "userName") or _missing("userName"),
            given_name=text(name, "givenName"),
            family_name=text(name, "familyName"),
            email=text(emails[0], "value") or _missing("emails"),
            password_hash=generate_password_hash(password) if password else "",
        )
        iam().members.join(account, iam().members.group_named(iam().settings.vo))
        _apply(account, "add", sent)
    iam().store.audit(who.name, "creates account", account.username)
    return _answer(_user(iam().members.account(account.uuid)), 201)


@api.get("/Users/<identifier>")
def _get_user(identifier: str) -> Response:
    demand("scim:read")
    return _answer(_user(iam().members.account(identifier)))


@api.patch("/Users/<identifier>")
def _patch_user(identifier: str) -> tuple[str, int]:
    who = demand("scim:write")
    account = iam().members.account(identifier)
    with iam().store.transaction():
        for operation, value in _operations():
            _apply(account, operation, value)
    iam().store.audit(who.name, "changes account", account.username)
    return "", 204


@api.delete("/Users/<identifier>")
def _delete_user(identifier: str) -> tuple[str, int]:
    who = demand("scim:write")
    account = iam().members.account(identifier)
    iam().members.delete(account)
    iam().store.audit(who.name, "deletes account", account.username)
    return "", 204


@api.get("/Groups")
def _groups() -> Response:
    demand("scim:read")
    return listed([_group(one) for one in iam().members.groups() if _wanted("displayName", one.name)])


@api.post("/Groups")
def _create_group() -> Response:
    who = demand("scim:write")
    sent = body()
    name = text(sent, "displayName") or _missing("displayName")
    parent = text((sent.get(INDIGO_GROUP) or {}).get("parentGroup") or {}, "value")
    if parent:
        name = f"{iam().members.group(parent).name}/{name}"
    if iam().members.find_group(name):
        raise ApiError(409, f"there is a group {name} already")
    group = iam().members.create_group(name, text(sent.get(INDIGO_GROUP) or {}, "description"))
    iam().store.audit(who.name, "creates group", group.name)
    return _answer(_group(group), 201)


@api.get("/Groups/<identifier>")
def _get_group(identifier: str) -> Response:
    demand("scim:read")
    return _answer(_group(iam().members.group(identifier)))


@api.get("/Groups/<identifier>/members")
def _group_members(identifier: str) -> Response:
    demand("scim:read")
    members = iam().members.members_of(iam().members.group(identifier))
    return listed([{"value": one.uuid, "display": one.username} for one in members])


@api.get("/Groups/<identifier>/subgroups")
def _subgroups(identifier: str) -> Response:
    demand("scim:read")
    parent = iam().members.group(identifier).name
    return listed(
        [
            {"value": one.uuid, "display": one.name}
            for one in iam().members.groups()
            if one.name.rpartition("/")[0] == parent
        ]
    )


@api.patch("/Groups/<identifier>")
def _patch_group(identifier: str) -> tuple[str, int]:
    """Members come and go: ``{"op": "add", "path": "members", "value": [{"value": UUID}]}``."""
    who = demand("scim:write")
    group = iam().members.group(identifier)
    with iam().store.transaction():
        for operation, value in _operations():
            members = value.get("members", [])
            for one in members if isinstance(members, list) else []:
                account = iam().members.account(text(one, "value"))
                if operation == "remove":
                    iam().members.leave(account, group)
                else:
                    iam().members.join(account, group)
    iam().store.audit(who.name, "changes group", group.name)
    return "", 204


@api.delete("/Groups/<identifier>")
def _delete_group(identifier: str) -> tuple[str, int]:
    who = demand("scim:write")
    group = iam().members.group(identifier)
    iam().members.delete_group(group)
    iam().store.audit(who.name, "deletes group", group.name)
    return "", 204


def _operations() -> list[tuple[str, dict[str, Any]]]:
    found = []
    sent = body()
    for operation in sent.get("operations") or sent.get("Operations") or _missing("operations"):
        name = text(operation, "op").lower()
        value = operation.get("value")
        if name not in {"add", "remove", "replace"}:
            raise ApiError(400, "op must be add, remove or replace")
        if isinstance(value, list):
            value = {text(operation, "path"): value}
        if not isinstance(value, dict):
            raise ApiError(400, "value must be part of a resource")
        found.append((name, value))
    return found


def _apply(account: Account, operation: str, value: dict[str, Any]) -> None:
    """Do one operation on an account. Raises ``ApiError`` (400, 409)."""
    members = iam().members
    if "active" in value:
        if not isinstance(value["active"], bool):
            raise ApiError(400, "active must be true or false")
        members.set_active(account, active=value["active"] and operation != "remove")
        if not value["active"]:
            iam().tokens.forget_refresh_tokens(account)
    extension = value.get(INDIGO_USER) or {}
    for entry in extension.get("certificates") or value.get("x509Certificates") or []:
        subject, issuer, pem = _certificate(entry)
        if operation == "remove":
            if not members.unlink_certificate(account, subject):
                raise ApiError(404, f"{subject} is not linked to {account.username}")
        else:
            members.link_certificate(account, subject=subject, issuer=issuer, pem=pem)
    for entry in extension.get("oidcIds") or []:
        members.link_institution(account, text(entry, "issuer"), text(entry, "subject"))
    if operation == "replace":
        name = value.get("name") or {}
        given = {"given_name": text(name, "givenName"), "family_name": text(name, "familyName")}
        given |= {
            "email": text((value.get("emails") or [{}])[0], "value"),
            "username": text(value, "userName"),
        }
        members.update(account, **{column: new for column, new in given.items() if new})


def _certificate(entry: dict[str, Any]) -> tuple[str, str, str]:
    pem = text(entry, "pemEncodedCertificate")
    if not pem:
        return text(entry, "subjectDn") or _missing("subjectDn"), text(entry, "issuerDn"), ""
    try:
        found = x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise ApiError(400, "pemEncodedCertificate is no certificate in PEM form") from error
    return slash_name(found.subject), slash_name(found.issuer), pem


def _wanted(attribute: str, value: str) -> bool:
    """Whether the filter of a list (``attribute eq "value"``) lets this one through; others are refused."""
    wanted = request.args.get("filter", "")
    if not wanted:
        return True
    name, operator, text_ = [*wanted.split(None, 2), "", ""][:3]
    if name.lower() != attribute.lower() or operator.lower() != "eq":
        raise ApiError(400, f'only filters such as {attribute} eq "value" are known here')
    return text_.strip('"').lower() == value.lower()


def _missing(name: str) -> Any:  # noqa: ANN401  # never returns
    raise ApiError(400, f"{name} is missing")


def _answer(resource: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(resource), status, content_type=MEDIA_TYPE)


def _user(account: Account) -> dict[str, Any]:
    members = iam().members
    return {
        "schemas": [_USER, INDIGO_USER],
        "id": account.uuid,
        "userName": account.username,
        "name": {
            "givenName": account.given_name,
            "familyName": account.family_name,
            "formatted": account.full_name,
        },
        "displayName": account.username,
        "active": account.active,
        "emails": [{"type": "work", "value": account.email, "primary": True}],
        "groups": [{"value": one.uuid, "display": one.name} for one in members.groups_of(account)],
        "meta": {"resourceType": "User", "location": _location("Users", account.uuid)},
        INDIGO_USER: {
            "certificates": [
                {
                    "display": one["subject"],
                    "primary": index == 0,
                    "subjectDn": one["subject"],
                    "issuerDn": one["issuer"],
                    "pemEncodedCertificate": one["pem"],
                }
                for index, one in enumerate(members.certificates_of(account))
            ],
            "oidcIds": members.institutions_of(account),
            "labels": members.all_labels(account.uuid),
            "authorities": ["ROLE_USER", *(["ROLE_ADMIN"] if account.administrator else [])],
            "managedGroups": [{"id": one.uuid, "name": one.name} for one in members.managed_by(account)],
            "endTime": account.ends,
        },
    }


def _group(group: Group) -> dict[str, Any]:
    members = iam().members
    parent = members.find_group(group.name.rpartition("/")[0])
    known = {"value": parent.uuid, "display": parent.name} if parent else None
    return {
        "schemas": [_GROUP, INDIGO_GROUP],
        "id": group.uuid,
        "displayName": group.name,
        "members": [{"value": one.uuid, "display": one.username} for one in members.members_of(group)],
        "meta": {"resourceType": "Group", "location": _location("Groups", group.uuid)},
        INDIGO_GROUP: {
            "parentGroup": known,
            "description": group.description,
            "labels": members.all_labels(group.uuid),
        },
    }


def _location(family: str, identifier: str) -> str:
    return f"{iam().settings.issuer}scim/{family}/{identifier}"
