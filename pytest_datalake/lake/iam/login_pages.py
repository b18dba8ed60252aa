"""How people log in: by a password of their own here, or at their institution."""

from __future__ import annotations

import logging
import secrets
from functools import cache
from typing import TYPE_CHECKING, Any

from flask import Blueprint, redirect, request, session
from werkzeug.security import check_password_hash, generate_password_hash

from pytest_datalake.lake.iam.config import CALLBACK
from pytest_datalake.lake.iam.institution import Provider
from pytest_datalake.lake.iam.refusal import ApiError
from pytest_datalake.lake.iam.sessions import begin_session, demand_own_form, go_on, page
from pytest_datalake.lake.iam.web import iam, session_account

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

_log = logging.getLogger(__name__)

pages = Blueprint("login", __name__)

SHORTEST_PASSWORD = 8


@cache
def _nobodys_hash() -> str:
    return generate_password_hash(secrets.token_urlsafe())


@pages.get("/")
def _start() -> Response:
    return redirect("/dashboard" if session_account() else "/login", 303)


@pages.get("/login")
def _login_page() -> str:
    return _login_form("")


def _login_form(said: str) -> str:
    institution = iam().settings.institution
    return page("login.html", "Log in", institution=institution.name if institution else "", said=said)


@pages.post("/login")
def _login() -> Response | tuple[str, int]:
    demand_own_form()
    account = iam().members.find("username", request.form.get("username", ""))
    # The hash is computed for unknown names as well: the time tells nothing.
    known = account.password_hash if account and account.password_hash else _nobodys_hash()
    if not check_password_hash(known, request.form.get("password", "")) or account is None:
        _log.info("a login by password is refused")
        return _login_form("Wrong username or password."), 401
    if not account.is_valid:
        return _login_form("This account is suspended."), 403
    begin_session(account)
    iam().store.audit(account.username, "logs in", "by password")
    return go_on()


@pages.post("/logout")
def _logout() -> Response:
    demand_own_form()
    session.clear()
    return redirect("/login", 303)


@pages.post("/institution")
def _to_institution() -> Response:
    demand_own_form()
    place, state = _provider().begin()
    session["institution"] = state
    return redirect(place, 303)


@pages.get(f"/{CALLBACK}")
def _from_institution() -> Response | tuple[str, int]:
    state = session.pop("institution", None)
    if state is None:
        raise ApiError(400, "no login at an institution was begun in this browser")
    person = _provider().finish(state, request.args)
    account = iam().members.of_institution(person["iss"], person["sub"])
    if account is None:
        session["person"] = person
        return redirect("/start-registration", 303)
    if not account.is_valid:
        return _login_form("This account is suspended."), 403
    begin_session(account)
    iam().store.audit(account.username, "logs in", f"at {person['iss']}")
    return go_on()


def _provider() -> Provider:
    settings = iam().settings
    if settings.institution is None:
        raise ApiError(404, "no institution is configured here")
    return Provider(settings.institution, ca_file=settings.ca_file, callback=settings.issuer + CALLBACK)


@pages.get("/start-registration")
def _registration_page() -> str:
    return _registration_form("")


@pages.post("/start-registration")
def _register() -> str | tuple[str, int]:
    demand_own_form()
    try:
        register(request.form.to_dict())
    except ApiError as error:
        return _registration_form(error.message), error.status
    return page("said.html", "Thank you", said="Your request is with the administrators.")


def _registration_form(said: str) -> str:
    person = session.get("person", {})
    known = {
        "username": str(person.get("preferred_username", "")),
        "givenname": str(person.get("given_name", "")),
        "familyname": str(person.get("family_name", "")),
        "email": str(person.get("email", "")),
        "institution": str(person.get("iss", "")),
    }
    return page("register.html", "Become a member", known=known, said=said)


def register(sent: dict[str, Any]) -> dict[str, Any]:
    """Take up a registration request; the answer of the REST interface. Raises ``ApiError``.

    Whoever comes from an institution is asked for no password: logins there will stand for the account.
    """
    person = session.get("person", {})
    password = str(sent.get("password") or "")
    if not person and len(password) < SHORTEST_PASSWORD:
        raise ApiError(400, f"a password of at least {SHORTEST_PASSWORD} characters is needed")
    found = iam().requests.register(
        username=str(sent.get("username") or ""),
        given_name=str(sent.get("givenname") or ""),
        family_name=str(sent.get("familyname") or ""),
        email=str(sent.get("email") or ""),
        notes=str(sent.get("notes") or ""),
        password_hash="" if person else generate_password_hash(password),
        issuer=str(person.get("iss", "")),
        subject=str(person.get("sub", "")),
    )
    session.pop("person", None)
    iam().store.audit(found.username, "asks to become a member", found.uuid)
    return described(found)


def described(found: Any) -> dict[str, Any]:  # noqa: ANN401  # a Registration
    """A registration request as INDIGO IAM has it."""
    return {
        "uuid": found.uuid,
        "status": found.status,
        "username": found.username,
        "givenname": found.given_name,
        "familyname": found.family_name,
        "email": found.email,
        "notes": found.notes,
        "creationTime": int(found.created * 1000),
        "lastUpdateTime": int(found.updated * 1000),
    }
