"""An IAM by the part of INDIGO IAM's REST interface that is needed to become a member and to get tokens."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlencode, urlsplit

from pytest_datalake.errors import EngineError, ErrorKind, ServiceError, StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SERVICE = "iam"

INDIGO_GROUP = "urn:indigo-dc:scim:schemas:IndigoGroup"
INDIGO_USER = "urn:indigo-dc:scim:schemas:IndigoUser"
_MAX_ANSWER = 8 << 20
_KINDS: dict[int, ErrorKind] = {401: "denied", 403: "denied", 404: "not-found", 409: "exists"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An OAuth client; ``secret`` is empty for a public one."""

    client_id: str
    secret: str = field(default="", repr=False)

    @property
    def authorization(self) -> str:
        """The Authorization header (RFC 6749, 2.3.1)."""
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret)}"
        return "Basic " + base64.b64encode(pair.encode()).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was answered, whatever it was.

    Attributes:
        headers: by name in lower case.
        text: the body.
    """

    status: int
    headers: Mapping[str, str]
    text: str = field(repr=False)

    @property
    def document(self) -> dict[str, Any]:
        """The body as a JSON object; an empty one where it is none."""
        try:
            found = json.loads(self.text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def error(self) -> str:
        """The error code of OAuth (RFC 6749, 5.2), or empty."""
        found = self.document.get("error", "")
        return found if isinstance(found, str) and self.status >= 400 else ""

    @property
    def token(self) -> str:
        """The access token in it, or empty."""
        found = self.document.get("access_token", "")
        return found if isinstance(found, str) else ""


class Iam:
    """One service, seen by whoever holds a token. Safe for threads: each request has a connection of its own.

    Args:
        url: of the issuer, ending in "/".
        token: access token that is shown to everything but the OAuth endpoints; empty: none.
        certificate: PEM file with a certificate and its key, or a proxy, that is shown; empty: none.
        ca_file: PEM bundle that alone vouches for the service; empty: the system's.
        patience: seconds that the service may be silent.
    """

    def __init__(
        self, url: str, *, token: str = "", certificate: str = "", ca_file: str = "", patience: float = 30.0
    ) -> None:
        self.url = url
        self._token = token
        self._certificate = certificate
        self._ca_file = ca_file
        self._patience = patience
        self._metadata: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"Iam({self.url!r})"

    def with_token(self, token: str, *, certificate: str = "") -> Iam:
        """The same service, seen by somebody else."""
        return Iam(
            self.url, token=token, certificate=certificate, ca_file=self._ca_file, patience=self._patience
        )

    # Requests, and what is answered.

    def ask(
        self,
        method: str,
        address: str,
        *,
        form: Mapping[str, str] | str | None = None,
        document: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer, whatever it is. Raises ``ServiceError`` where there is none.

        Args:
            method: of HTTP.
            address: a URL, or a path below that of the service.
            form: is sent as application/x-www-form-urlencoded.
            document: is sent as JSON.
            headers: besides those that follow from the rest.
        """
        url = address if address.startswith("https://") else self.url + address.lstrip("/")
        body, media = None, ""
        if form is not None:
            body, media = (
                form if isinstance(form, str) else urlencode(form),
                "application/x-www-form-urlencoded",
            )
        elif document is not None:
            body, media = json.dumps(document), "application/json"
        sent = {"Accept": "application/json", "User-Agent": "pytest-datalake"}
        if media:
            sent["Content-Type"] = media
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        return self._exchange(method, url, body, {**sent, **(headers or {})})

    def _exchange(self, method: str, url: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise EngineError(f"services.{SERVICE} of the matrix must be an https URL, and is {self.url}")
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=self._patience, context=self._tls()
        )
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        try:
            connection.request(method, target, body, dict(headers))
            answer = connection.getresponse()
            return Answer(
                status=answer.status,
                headers={name.lower(): value for name, value in answer.getheaders()},
                text=answer.read(_MAX_ANSWER).decode(errors="replace"),
            )
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "verify_message", "") or str(error) or type(error).__name__
            raise ServiceError(
                f"the IAM {self.url} did not answer {method} {parts.path}: {reason}; "
                f"is it running, and does `services.{SERVICE}` of the matrix name it?",
                service=SERVICE,
            ) from error
        finally:
            connection.close()

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._ca_file or None)
        if self._certificate:
            try:
                context.load_cert_chain(self._certificate)
            except OSError as error:
                raise EngineError(f"the certificate {self._certificate} cannot be shown: {error}") from error
        return context

    def _done(self, method: str, address: str, **options: Any) -> Any:  # noqa: ANN401  # JSON
        """The JSON of an answer that is no refusal. Raises ``StorageError`` or ``ServiceError``."""
        answer = self.ask(method, address, **options)
        self.demand_done(answer, f"{method} {address.partition('?')[0]}")
        try:
            return json.loads(answer.text) if answer.text.strip() else None
        except ValueError as error:
            raise ServiceError(
                f"the IAM {self.url} answered {method} {address} with something that is no JSON",
                service=SERVICE,
            ) from error

    def demand_done(self, answer: Answer, what: str) -> None:
        """Raise ``StorageError`` for a refusal, and ``ServiceError`` for a fault of the service."""
        if answer.status < 400:
            return
        known = answer.document
        said = (
            known.get("error_description") or known.get("detail") or known.get("error") or "no reason given"
        )
        message = f"the IAM {self.url} answered {what} with {answer.status}: {str(said)[:300]}"
        if answer.status >= 500:
            raise ServiceError(message, service=SERVICE)
        oauth = answer.error in {"invalid_grant", "invalid_scope", "access_denied", "invalid_client"}
        kind = "denied" if oauth else _KINDS.get(answer.status, "other")
        raise StorageError(message, kind=kind, code=answer.status, operation=what, url=self.url)

    # OAuth and OpenID Connect.

    def metadata(self) -> dict[str, Any]:
        """The discovery document (OpenID Connect Discovery, 4); asked for once."""
        if not self._metadata:
            self._metadata = dict(self._done("GET", ".well-known/openid-configuration"))
        return self._metadata

    def endpoint(self, name: str) -> str:
        """One of the addresses in the discovery document. Raises ``StorageError`` where it is not there."""
        found = self.metadata().get(f"{name}_endpoint" if name != "jwks" else "jwks_uri")
        if not isinstance(found, str):
            raise StorageError(
                f"the discovery document of {self.url} names no {name} endpoint",
                kind="unsupported",
                url=self.url,
            )
        return found

    def keys(self) -> dict[str, Any]:
        """The issuer's key set (RFC 7517)."""
        return dict(self._done("GET", self.endpoint("jwks")))

    def call(self, name: str, client: Client, form: Mapping[str, str]) -> Answer:
        """What an OAuth endpoint (``token``, ``revocation``, ...) answers a client, whatever it is."""
        if client.secret:
            headers = {"Authorization": client.authorization}
            return self.ask("POST", self.endpoint(name), form=form, headers=headers)
        public = {**form, "client_id": client.client_id}
        return Iam(self.url, ca_file=self._ca_file, patience=self._patience).ask(
            "POST", self.endpoint(name), form=public
        )

    def grant(self, client: Client, grant_type: str, **form: str) -> dict[str, Any]:
        """A token response (RFC 6749, 5.1). Raises ``StorageError`` (denied) for an error response."""
        answer = self.call("token", client, {"grant_type": grant_type, **form})
        self.demand_done(answer, f"the request for a token by {grant_type}")
        return answer.document

    def userinfo(self) -> dict[str, Any]:
        """What the service says of the token's user (OpenID Connect Core, 5.3)."""
        return dict(self._done("GET", self.endpoint("userinfo")))

    def health(self) -> str:
        """``UP``, or something else."""
        return str(self._done("GET", "health").get("status", ""))

    # To become a member.

    def registrations(self) -> list[dict[str, Any]]:
        """Requests that wait, for administrators."""
        return list(self._done("GET", "registration/list/pending"))

    def approve_registration(self, identifier: str) -> None:
        """Make somebody a member, as an administrator."""
        self._done("POST", f"registration/approve/{identifier}")

    def reject_registration(self, identifier: str, motivation: str) -> None:
        """Say no, as an administrator."""
        self._done("POST", f"registration/reject/{identifier}?motivation={quote(motivation)}")

    # To be in a group.

    def ask_for_group(self, group: str, notes: str) -> str:
        """Ask to be in a group such as ``escape/ska``; the request's id."""
        return str(
            self._done("POST", "iam/group_requests", document={"groupName": group, "notes": notes})["uuid"]
        )

    def group_requests(self) -> list[dict[str, Any]]:
        """One's own requests, and those that one decides about."""
        return list(self._done("GET", "iam/group_requests?count=1000")["Resources"])

    def approve_group_request(self, identifier: str) -> None:
        """Let somebody in, as a manager of the group."""
        self._done("POST", f"iam/group_requests/{identifier}/approve")

    def reject_group_request(self, identifier: str, motivation: str) -> None:
        """Say no, as a manager of the group."""
        self._done("POST", f"iam/group_requests/{identifier}/reject?motivation={quote(motivation)}")

    def add_manager(self, account: str, group: str) -> None:
        """Let an account (id) decide about a group (id), as an administrator."""
        self._done("POST", f"iam/account/{account}/managed-groups/{group}")

    def remove_manager(self, account: str, group: str) -> None:
        """End that."""
        self._done("DELETE", f"iam/account/{account}/managed-groups/{group}")

    def remove_member(self, account: str, group: str) -> None:
        """End the membership of an account (id) in a group (id), as a manager or an administrator."""
        self._done("DELETE", f"iam/account/{account}/groups/{group}")

    def add_member(self, account: str, group: str) -> None:
        """Make an account (id) a member of a group (id), as a manager or an administrator."""
        self._done("POST", f"iam/account/{account}/groups/{group}")

    # SCIM (RFC 7644).

    def me(self) -> dict[str, Any]:
        """One's own account."""
        return dict(self._done("GET", "scim/Me"))

    def users(self, username: str = "") -> list[dict[str, Any]]:
        """Accounts, for administrators: those of one username, or all."""
        return self._listed("Users", "userName", username)

    def groups(self, name: str = "") -> list[dict[str, Any]]:
        """Groups, for administrators: those of one name, or all."""
        return self._listed("Groups", "displayName", name)

    def _listed(self, family: str, attribute: str, value: str) -> list[dict[str, Any]]:
        query = f'{attribute} eq "{value}"'
        wanted = f"&filter={quote(query)}" if value else ""
        found: list[dict[str, Any]] = []
        while True:
            page = self._done("GET", f"scim/{family}?startIndex={len(found) + 1}&count=100{wanted}")
            found += page.get("Resources") or []
            if len(found) >= page["totalResults"] or not page.get("Resources"):
                return found

    def create_group(self, name: str, parent: str) -> str:
        """Make a group below another (id), as an administrator; its id."""
        wanted = {"displayName": name, INDIGO_GROUP: {"parentGroup": {"value": parent}}}
        return str(self._done("POST", "scim/Groups", document=wanted)["id"])

    def label_group(self, group: str, label: str) -> None:
        """Give a group (id) a label such as ``wlcg.optional-group``, as an administrator."""
        self._done("PUT", f"iam/group/{group}/labels", document={"name": label})

    def remove_group(self, group: str) -> None:
        """Delete a group (id), as an administrator."""
        self._done("DELETE", f"scim/Groups/{group}")

    def change_user(self, account: str, operations: Sequence[Mapping[str, Any]]) -> None:
        """Change an account (id), as an administrator; INDIGO IAM's key for them is in lower case."""
        self._done("PATCH", f"scim/Users/{account}", document={"operations": list(operations)})

    def link_certificate(self, account: str, pem: str, *, name: str) -> None:
        """Let a certificate (PEM) stand for an account (id), as an administrator."""
        entry = {"display": name, "primary": True, "pemEncodedCertificate": pem}
        self.change_user(account, [{"op": "add", "value": {INDIGO_USER: {"certificates": [entry]}}}])

    def set_active(self, account: str, *, active: bool) -> None:
        """Suspend an account (id), or let it back in, as an administrator."""
        self.change_user(account, [{"op": "replace", "value": {"active": active}}])

    def remove_user(self, account: str) -> None:
        """Delete an account (id), as an administrator."""
        self._done("DELETE", f"scim/Users/{account}")
