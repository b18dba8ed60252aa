"""Short-lived codes on the way to a token: of the authorization endpoint, and of devices (RFC 8628)."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pytest_datalake.lake.iam.config import secret_hash
from pytest_datalake.lake.iam.refusal import OAuthError

if TYPE_CHECKING:
    import sqlite3

    from pytest_datalake.lake.iam.store import Store

Kind = Literal["authorization", "device"]

AUTHORIZATION_SECONDS = 60
DEVICE_SECONDS = 600
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628, 6.1: no vowels, nothing that looks like a digit


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What stands behind a code.

    Attributes:
        account: uuid of who allowed it; None: nobody yet.
        document: what else the request said: redirect_uri, code_challenge, nonce, audience, ...
    """

    hash: str
    client_id: str
    user_code: str | None
    account: str | None
    scopes: tuple[str, ...]
    document: dict[str, Any] = field(default_factory=dict)


class Codes:
    """Codes that have not been used yet; of each only the hash is kept."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def new_authorization(
        self, client_id: str, account: str, scopes: tuple[str, ...], document: dict[str, Any]
    ) -> str:
        """A code for a client that a user has allowed."""
        code = secrets.token_urlsafe(32)
        self._keep(code, "authorization", client_id, None, account, scopes, document, AUTHORIZATION_SECONDS)
        return code

    def new_device(
        self, client_id: str, scopes: tuple[str, ...], document: dict[str, Any]
    ) -> tuple[str, str]:
        """A device code, and the user code that belongs to it."""
        code = secrets.token_urlsafe(32)
        user_code = "".join(secrets.choice(_LETTERS) for _ in range(8))
        self._keep(code, "device", client_id, user_code, None, scopes, document, DEVICE_SECONDS)
        return code, user_code

    def _keep(
        self,
        code: str,
        kind: Kind,
        client_id: str,
        user_code: str | None,
        account: str | None,
        scopes: tuple[str, ...],
        document: dict[str, Any],
        seconds: int,
    ) -> None:
        now = time.time()
        with self._store.transaction():
            self._store.run("DELETE FROM codes WHERE expires < ?", now - DEVICE_SECONDS)
            self._store.run(
                "INSERT INTO codes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                secret_hash(code), kind, client_id, user_code, account, " ".join(scopes),
                json.dumps(document), now + seconds,
            )  # fmt: skip

    def of_user(self, user_code: str) -> Code | None:
        """The device that shows this code, while it waits."""
        plain = user_code.upper().replace("-", "").replace(" ", "")
        row = self._store.row(
            "SELECT * FROM codes WHERE user_code = ? AND account IS NULL AND expires > ?", plain, time.time()
        )
        return _code(row) if row else None

    def allow(self, code: Code, account: str) -> None:
        """Let a device have tokens of that account."""
        self._store.run("UPDATE codes SET account = ? WHERE hash = ?", account, code.hash)

    def deny(self, code: Code) -> None:
        """Tell a device that it gets nothing."""
        self._store.run(
            "UPDATE codes SET document = ? WHERE hash = ?",
            json.dumps({**code.document, "denied": True}),
            code.hash,
        )

    def use(self, code: str, kind: Kind, client_id: str) -> Code:
        """What stands behind a code, which is used up by that. Raises ``OAuthError``.

        A device's code stays until the user has decided (RFC 8628, 3.5).
        """
        with self._store.transaction():
            row = self._store.row("SELECT * FROM codes WHERE hash = ? AND kind = ?", secret_hash(code), kind)
            if row is None or row["client_id"] != client_id:
                raise OAuthError("invalid_grant", "the code is unknown, used, or of another client")
            found = _code(row)
            if row["expires"] < time.time():
                raise OAuthError(
                    "expired_token" if kind == "device" else "invalid_grant", "the code has expired"
                )
            denied = found.document.get("denied", False)
            if found.account is None and not denied:
                raise OAuthError("authorization_pending", "the user has not decided yet")
            self._store.run("DELETE FROM codes WHERE hash = ?", found.hash)
        if denied:
            raise OAuthError("access_denied", "the user has said no")
        return found


def _code(row: sqlite3.Row) -> Code:
    return Code(
        hash=row["hash"],
        client_id=row["client_id"],
        user_code=row["user_code"],
        account=row["account"],
        scopes=tuple(row["scopes"].split()),
        document=json.loads(row["document"]),
    )
