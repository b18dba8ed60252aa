"""Browsers: who has logged in with one, and what a page may send."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from flask import redirect, render_template, request, session

from pytest_datalake.lake.iam import NAME
from pytest_datalake.lake.iam.refusal import ApiError
from pytest_datalake.lake.iam.web import iam

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from pytest_datalake.lake.iam.members import Account


def page(template: str, title: str, **values: Any) -> str:  # noqa: ANN401  # whatever the page shows
    """A page for people."""
    return render_template(
        template, title=title, vo=iam().settings.vo, service=NAME, csrf=csrf_token(), **values
    )


def csrf_token() -> str:
    """What a form of this browser's must hold."""
    if "csrf" not in session:
        session["csrf"] = secrets.token_urlsafe(16)
    return str(session["csrf"])


def demand_own_form() -> None:
    """Refuse a form that no page of ours has made for this browser. Raises ``ApiError`` (403)."""
    sent = request.form.get("csrf", "")
    if not sent or not secrets.compare_digest(sent.encode(), csrf_token().encode()):
        raise ApiError(403, "the form is not from this session: go back and load the page again")


def begin_session(account: Account) -> None:
    """Remember who this is; a session that was there before ends."""
    after = session.get("next", "")
    session.clear()
    session["account"], session["logged_in"] = account.uuid, time.time()
    if after:
        session["next"] = after


def go_on() -> Response:
    """To the page that was wanted before the login."""
    return redirect(session.pop("next", "/dashboard"), 303)


def ask_to_log_in() -> Response:
    """To the login page, and back to this one afterwards."""
    session["next"] = request.full_path.rstrip("?")
    return redirect("/login", 303)
