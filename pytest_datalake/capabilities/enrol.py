"""Becoming a member: by the pages of an IAM, as somebody with a browser does it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_datalake.clients.login import Session
from pytest_datalake.credentials.voms import make_voms_proxy
from pytest_datalake.drivers.api import Credential
from pytest_datalake.errors import StorageError

if TYPE_CHECKING:
    from pytest_datalake.clients.iam import Client, Iam
    from pytest_datalake.clients.login import Page
    from pytest_datalake.matrix.model import Identity, Trust

_DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
_MOST_PAGES = 10
"""That a login leads over, from one service to the other and back."""


class Newcomer:
    """Somebody who can log in at an institution, or at the IAM, and may be a member or not.

    Args:
        iam: as somebody sees it who shows nothing.
        identity: has username, certificate and key.
        password: of that username.
        client: software that asks for tokens for this person.
        trust: authorities and VOMS servers.
        vo: name of the VO.
        directory: private; proxies are written there.
    """

    def __init__(
        self,
        iam: Iam,
        identity: Identity,
        *,
        password: str,
        client: Client,
        trust: Trust,
        vo: str,
        directory: Path,
    ) -> None:
        self.username = identity.username
        self._iam = iam
        self._identity = identity
        self._password = password
        self._client = client
        self._trust = trust
        self._vo = vo
        self._directory = directory
        self._number = itertools.count(1)

    def __repr__(self) -> str:
        return f"Newcomer({self.username!r})"

    def log_in(self, address: str = "") -> tuple[Session, Page]:
        """Log in, and follow the pages to where nothing is asked any more.

        Args:
            address: to begin with; by default the login page of the IAM.

        Raises:
            StorageError: (denied) nobody was let in.
            ServiceError: a service did not answer.
        """
        session = Session(ca_file=self._trust.ca_file)
        page = session.open(address or f"{self._iam.url}login")
        typed = False
        for _ in range(_MOST_PAGES):
            names = [set(form.kinds) for form in page.forms]
            institution = next((form for form in page.forms if form.action.endswith("/institution")), None)
            if institution is not None and not typed:
                page = session.submit(page, institution)
            elif any({"username", "password"} <= fields for fields in names):
                if typed or page.status >= 400:
                    raise StorageError(f"{self.username} is not let in: {page.said}", kind="denied")
                typed = True
                form = page.form("password")
                page = session.submit(page, form, username=self.username, password=self._password)
            elif any("decision" in fields and "motivation" not in fields for fields in names) and not any(
                "notes" in fields for fields in names
            ):
                page = session.submit(page, page.form("decision"), decision="allow")
            else:
                break
        if page.status >= 400:
            raise StorageError(f"{self.username} is not let in: {page.said}", kind="denied", code=page.status)
        return session, page

    def register(self, notes: str) -> None:
        """Log in for the first time, and ask to become a member. Raises ``StorageError``."""
        session, page = self.log_in()
        form = page.form("notes")
        filled = {
            "username": self.username,
            "givenname": form.fields.get("givenname") or "New",
            "familyname": form.fields.get("familyname") or "Comer",
            "email": form.fields.get("email") or f"{self.username}@localhost.localdomain",
            "notes": notes,
        }
        page = session.submit(page, form, **filled)
        if page.status >= 400:
            raise StorageError(
                f"{self.username} cannot register: {page.said}", kind="denied", code=page.status
            )

    def token_response(self, scope: str, *, audience: str = "") -> dict[str, Any]:
        """A token response of the device flow (RFC 8628), allowed in the browser.

        Raises ``StorageError`` (denied) where the IAM lets nobody in, or gives no such token.
        """
        request = {"scope": scope, **({"audience": audience} if audience else {})}
        answer = self._iam.call("device_authorization", self._client, request)
        self._iam.demand_done(answer, "the request for a device code")
        device = answer.document
        _, page = self.log_in(str(device["verification_uri_complete"]))
        if any("notes" in form.kinds for form in page.forms):
            raise StorageError(f"{self.username} is no member: {page.said}", kind="denied")
        form = {"device_code": str(device["device_code"])} | ({"audience": audience} if audience else {})
        return self._iam.grant(self._client, _DEVICE_CODE, **form)

    def token(self, scope: str, *, audience: str = "") -> str:
        """The access token of such a response."""
        return str(self.token_response(scope, audience=audience)["access_token"])

    def refreshed(self, refresh_token: str, scope: str = "", *, audience: str = "") -> str:
        """An access token by a refresh token. Raises ``StorageError`` (denied)."""
        form = {"refresh_token": refresh_token, "scope": scope, "audience": audience}
        given = {name: value for name, value in form.items() if value}
        return str(self._iam.grant(self._client, "refresh_token", **given)["access_token"])

    def as_user(self, scope: str = "openid profile") -> Iam:
        """The IAM as this person sees it. Raises ``StorageError`` (denied)."""
        return self._iam.with_token(self.token(scope))

    @property
    def certificate(self) -> str:
        """The user certificate, PEM."""
        return Path(self._identity.certificate).read_text()

    def by_token(self, scope: str, *, audience: str) -> Credential:
        """A fresh token, to be shown at a door. Raises ``StorageError`` (denied)."""
        return Credential(kind="token", token=self.token(scope, audience=audience))

    def by_voms(self, *fqans: str) -> Credential:
        """A fresh proxy, to be shown at a door. Raises ``StorageError`` (denied)."""
        return Credential(kind="x509", proxy=self.voms_proxy(*fqans))

    def voms_proxy(self, *fqans: str) -> str:
        """File of a proxy that voms-proxy-init has just made, with these attributes first.

        Raises ``StorageError`` (denied) where the VOMS server refuses.
        """
        self._directory.mkdir(mode=0o700, exist_ok=True)
        path = self._directory / f"{self.username}-{next(self._number)}.pem"  # doors remember what they saw
        make_voms_proxy(self._trust, self._identity, path, vo=self._vo, fqans=fqans)
        return str(path)
