"""What people ask for and others decide: to become a member, and to be in a group."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.lake.iam.refusal import ApiError

if TYPE_CHECKING:
    import sqlite3

    from pytest_datalake.lake.iam.members import Account, Group, Members
    from pytest_datalake.lake.iam.store import Store

NEW, PENDING, APPROVED, REJECTED = "NEW", "PENDING", "APPROVED", "REJECTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A request to become a member.

    Attributes:
        issuer, subject: who logged in at an institution to ask; empty: nobody did.
        motivation: of a rejection.
    """

    uuid: str
    status: str
    username: str
    given_name: str
    family_name: str
    email: str
    notes: str
    password_hash: str
    issuer: str
    subject: str
    motivation: str
    created: float
    updated: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRequest:
    """A request to be in a group. ``motivation`` is that of a rejection."""

    uuid: str
    account: Account
    group: Group
    status: str
    notes: str
    motivation: str
    created: float
    updated: float


class Requests:
    """All requests; each is decided once."""

    def __init__(self, store: Store, members: Members, *, vo: str) -> None:
        self._store = store
        self._members = members
        self._vo = vo

    # To become a member.

    def register(
        self,
        *,
        username: str,
        given_name: str,
        family_name: str,
        email: str,
        notes: str,
        password_hash: str = "",
        issuer: str = "",
        subject: str = "",
    ) -> Registration:
        """Ask to become a member. Raises ``ApiError`` (400, 409)."""
        if not 2 <= len(username) <= 32 or not username.replace("-", "a").replace(".", "a").isalnum():
            raise ApiError(400, "a username has 2 to 32 letters, digits, dots and hyphens")
        for what, text in (("given name", given_name), ("family name", family_name), ("notes", notes)):
            if not text.strip():
                raise ApiError(400, f"the {what} must not be empty")
        if email.count("@") != 1 or email.startswith("@") or email.endswith("@"):
            raise ApiError(400, "the email address is none")
        identifier, now = str(uuid.uuid4()), time.time()
        with self._store.transaction():
            if not self.is_free(username=username) or not self.is_free(email=email):
                raise ApiError(409, "the username or the email address is taken")
            if issuer and (
                self._members.of_institution(issuer, subject)
                or self._store.row(
                    "SELECT 1 FROM registrations WHERE status = ? AND issuer = ? AND subject = ?",
                    NEW, issuer, subject,
                )
            ):  # fmt: skip
                raise ApiError(409, "that institutional identity has asked already")
            self._store.run(
                "INSERT INTO registrations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, ?)",
                identifier, NEW, username, given_name, family_name, email, notes, password_hash,
                issuer, subject, now, now,
            )  # fmt: skip
        return self.registration(identifier)

    def is_free(self, *, username: str = "", email: str = "") -> bool:
        """Whether nobody has that username, or that address, or has asked for it."""
        column, value = ("username", username) if username else ("email", email)
        return self._members.find(column, value) is None and not self._store.row(
            f"SELECT 1 FROM registrations WHERE status = ? AND {column} = ? COLLATE NOCASE",  # noqa: S608  # one of two words
            NEW,
            value,
        )

    def registrations(self, status: str = "") -> list[Registration]:
        """Those of one status, or all, oldest first."""
        rows = self._store.rows(
            "SELECT * FROM registrations WHERE ? IN ('', status) ORDER BY created", status
        )
        return [Registration(**dict(row)) for row in rows]

    def registration(self, identifier: str) -> Registration:
        """One of them. Raises ``ApiError`` (404)."""
        row = self._store.row("SELECT * FROM registrations WHERE uuid = ?", identifier)
        if row is None:
            raise ApiError(404, f"there is no registration request {identifier!r}")
        return Registration(**dict(row))

    def approve_registration(self, identifier: str) -> Account:
        """Make somebody a member of the VO. Raises ``ApiError`` (404, 409)."""
        with self._store.transaction():
            found = self._undecided_registration(identifier)
            account = self._members.create(
                found.username,
                given_name=found.given_name,
                family_name=found.family_name,
                email=found.email,
                password_hash=found.password_hash,
            )
            self._members.join(account, self._members.group_named(self._vo))
            if found.issuer:
                self._members.link_institution(account, found.issuer, found.subject)
            self._decide("registrations", identifier, APPROVED)
        return account

    def reject_registration(self, identifier: str, motivation: str) -> None:
        """Say no. Raises ``ApiError`` (400, 404, 409)."""
        _demand_motivation(motivation)
        with self._store.transaction():
            self._undecided_registration(identifier)
            self._decide("registrations", identifier, REJECTED, motivation)

    def _undecided_registration(self, identifier: str) -> Registration:
        found = self.registration(identifier)
        if found.status != NEW:
            raise ApiError(409, f"the registration request has been decided already: {found.status}")
        return found

    # To be in a group.

    def ask_for_group(self, account: Account, group: Group, notes: str) -> GroupRequest:
        """Ask to be in a group. Raises ``ApiError`` (400)."""
        if not notes.strip():
            raise ApiError(400, "Invalid membership request: notes cannot be empty")
        identifier, now = str(uuid.uuid4()), time.time()
        with self._store.transaction():
            if group in self._members.groups_of(account):
                raise ApiError(400, f"{account.username} is a member of {group.name} already")
            if any(
                one.account.uuid == account.uuid and one.group == group
                for one in self.group_requests(PENDING)
            ):
                raise ApiError(400, f"{account.username} has asked for {group.name} already")
            self._store.run(
                "INSERT INTO group_requests VALUES (?, ?, ?, ?, ?, '', ?, ?)",
                identifier, account.uuid, group.uuid, PENDING, notes, now, now,
            )  # fmt: skip
        return self.group_request(identifier)

    def group_requests(self, status: str = "") -> list[GroupRequest]:
        """Those of one status, or all, oldest first."""
        rows = self._store.rows(
            "SELECT * FROM group_requests WHERE ? IN ('', status) ORDER BY created", status
        )
        return [self._group_request(row) for row in rows]

    def group_request(self, identifier: str) -> GroupRequest:
        """One of them. Raises ``ApiError`` (404)."""
        row = self._store.row("SELECT * FROM group_requests WHERE uuid = ?", identifier)
        if row is None:
            raise ApiError(404, f"there is no group request {identifier!r}")
        return self._group_request(row)

    def approve_group_request(self, identifier: str) -> None:
        """Let somebody in. Raises ``ApiError`` (404, 409)."""
        with self._store.transaction():
            found = self._undecided_group_request(identifier)
            self._members.join(found.account, found.group)
            self._decide("group_requests", identifier, APPROVED)

    def reject_group_request(self, identifier: str, motivation: str) -> None:
        """Say no. Raises ``ApiError`` (400, 404, 409)."""
        _demand_motivation(motivation)
        with self._store.transaction():
            self._undecided_group_request(identifier)
            self._decide("group_requests", identifier, REJECTED, motivation)

    def withdraw_group_request(self, identifier: str) -> None:
        """Forget a request. Raises ``ApiError`` (404)."""
        self.group_request(identifier)
        self._store.run("DELETE FROM group_requests WHERE uuid = ?", identifier)

    def _undecided_group_request(self, identifier: str) -> GroupRequest:
        found = self.group_request(identifier)
        if found.status != PENDING:
            raise ApiError(409, f"the group request has been decided already: {found.status}")
        return found

    def _decide(self, table: str, identifier: str, status: str, motivation: str = "") -> None:
        self._store.run(
            f"UPDATE {table} SET status = ?, motivation = ?, updated = ? WHERE uuid = ?",  # noqa: S608  # one of two words
            status, motivation, time.time(), identifier,
        )  # fmt: skip

    def _group_request(self, row: sqlite3.Row) -> GroupRequest:
        values = dict(row)
        values["account"] = self._members.account(values["account"])
        values["group"] = self._members.group(values["group"])
        return GroupRequest(**values)


def _demand_motivation(motivation: str) -> None:
    if not motivation.strip():
        raise ApiError(400, "a motivation is needed to say no")
