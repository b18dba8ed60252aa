"""Accounts, groups, and who is in which: the one membership behind tokens and VOMS attributes."""

from __future__ import annotations

import sqlite3
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.lake.iam.refusal import ApiError
from pytest_datalake.lake.iam.scopes import GROUP_NAME

if TYPE_CHECKING:
    from pytest_datalake.lake.iam.store import Store

OPTIONAL_GROUP = "wlcg.optional-group"
"""Label of a group that is told only when asked for (INDIGO IAM)."""

VOMS_ROLE = "voms.role"
"""Label of a group that is a role in VOMS: ``escape/ska/manager`` is ``/escape/ska/Role=manager``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person. ``ends``: seconds since the epoch after which the account opens nothing; None: never."""

    uuid: str
    username: str
    given_name: str
    family_name: str
    email: str
    password_hash: str
    active: bool
    administrator: bool
    created: float
    ends: float | None

    @property
    def is_valid(self) -> bool:
        """Neither suspended nor ended."""
        return self.active and (self.ends is None or self.ends > time.time())

    @property
    def full_name(self) -> str:
        """For people."""
        return f"{self.given_name} {self.family_name}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group; ``name`` is ``escape/ska``."""

    uuid: str
    name: str
    description: str = ""

    @property
    def path(self) -> str:
        """As tokens and FQANs have it: ``/escape/ska``."""
        return f"/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """What somebody is in. Each list is sorted by name; all names are paths such as ``/escape/ska``.

    Attributes:
        default: told in every answer.
        optional: told when asked for.
        roles: FQANs of VOMS roles.
    """

    default: tuple[str, ...]
    optional: tuple[str, ...]
    roles: tuple[str, ...]


class Members:
    """All that is known of people and groups."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # People.

    def create(
        self,
        username: str,
        *,
        given_name: str,
        family_name: str,
        email: str,
        password_hash: str = "",
        administrator: bool = False,
        identifier: str = "",
    ) -> Account:
        """A new account. Raises ``ApiError`` (409) where the username or the address is taken."""
        identifier = identifier or str(uuid.uuid4())
        try:
            self._store.run(
                "INSERT INTO accounts VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, NULL)",
                identifier, username, given_name, family_name, email, password_hash, administrator,
                time.time(),
            )  # fmt: skip
        except sqlite3.IntegrityError as error:
            raise ApiError(409, "the username or the email address is taken") from error
        return self.account(identifier)

    def find(self, column: str, value: str) -> Account | None:
        """The account whose uuid, username or email this is."""
        assert column in {"uuid", "username", "email"}
        row = self._store.row(f"SELECT * FROM accounts WHERE {column} = ?", value)  # noqa: S608  # one of three words
        return _account(row) if row else None

    def account(self, identifier: str) -> Account:
        """The account of that uuid. Raises ``ApiError`` (404)."""
        found = self.find("uuid", identifier)
        if found is None:
            raise ApiError(404, f"no account has the id {identifier!r}")
        return found

    def accounts(self) -> list[Account]:
        """All of them, by username."""
        return [_account(row) for row in self._store.rows("SELECT * FROM accounts ORDER BY username")]

    def set_active(self, account: Account, *, active: bool) -> None:
        """Suspend, or let back in. All sessions that outlive a token end with a suspension."""
        with self._store.transaction():
            self._store.run("UPDATE accounts SET active = ? WHERE uuid = ?", active, account.uuid)

    def set_end(self, account: Account, ends: float | None) -> None:
        """After which time the account opens nothing any more."""
        self._store.run("UPDATE accounts SET ends = ? WHERE uuid = ?", ends, account.uuid)

    def update(self, account: Account, **changes: str) -> None:
        """Change names or the address. Raises ``ApiError`` (409) where it is taken."""
        for column, value in changes.items():
            assert column in {"username", "given_name", "family_name", "email"}
            try:
                self._store.run(f"UPDATE accounts SET {column} = ? WHERE uuid = ?", value, account.uuid)  # noqa: S608  # one of four words
            except sqlite3.IntegrityError as error:
                raise ApiError(409, "the username or the email address is taken") from error

    def delete(self, account: Account) -> None:
        """Forget somebody, with everything that hangs on the account."""
        with self._store.transaction():
            self._store.run("DELETE FROM labels WHERE owner = ?", account.uuid)
            self._store.run("DELETE FROM accounts WHERE uuid = ?", account.uuid)

    # Groups.

    def create_group(self, name: str, description: str = "") -> Group:
        """A new group, with all parents that are missing; the group of that name if it is there.

        Raises ``ApiError`` (400) for a name that the WLCG token profile does not allow.
        """
        if not GROUP_NAME.fullmatch(f"/{name}"):
            raise ApiError(400, f"{name!r} is no name for a group: letters, digits, '.', '_', '-' and '/'")
        with self._store.transaction():
            parent = name.rpartition("/")[0]
            if parent and self.find_group(parent) is None:
                self.create_group(parent)
            self._store.run(
                "INSERT OR IGNORE INTO groups VALUES (?, ?, ?)", str(uuid.uuid4()), name, description
            )
        return self.group_named(name)

    def find_group(self, name: str) -> Group | None:
        """The group of that name, with or without the first slash."""
        row = self._store.row("SELECT * FROM groups WHERE name = ?", name.removeprefix("/"))
        return Group(**dict(row)) if row else None

    def group_named(self, name: str) -> Group:
        """The group of that name. Raises ``ApiError`` (404)."""
        found = self.find_group(name)
        if found is None:
            raise ApiError(404, f"there is no group {name!r}")
        return found

    def group(self, identifier: str) -> Group:
        """The group of that uuid. Raises ``ApiError`` (404)."""
        row = self._store.row("SELECT * FROM groups WHERE uuid = ?", identifier)
        if row is None:
            raise ApiError(404, f"no group has the id {identifier!r}")
        return Group(**dict(row))

    def groups(self) -> list[Group]:
        """All of them, by name."""
        return [Group(**dict(row)) for row in self._store.rows("SELECT * FROM groups ORDER BY name")]

    def delete_group(self, group: Group) -> None:
        """Forget a group. Raises ``ApiError`` (409) where it has subgroups."""
        if self._store.row("SELECT 1 FROM groups WHERE name GLOB ?", f"{group.name}/*"):
            raise ApiError(409, f"{group.name} has subgroups")
        with self._store.transaction():
            self._store.run("DELETE FROM labels WHERE owner = ?", group.uuid)
            self._store.run("DELETE FROM groups WHERE uuid = ?", group.uuid)

    # Who is in which.

    def join(self, account: Account, group: Group) -> None:
        """Make somebody a member of a group and of all its parents."""
        with self._store.transaction():
            parts = group.name.split("/")
            for length in range(1, len(parts) + 1):
                other = self.group_named("/".join(parts[:length]))
                self._store.run("INSERT OR IGNORE INTO members VALUES (?, ?)", account.uuid, other.uuid)

    def leave(self, account: Account, group: Group) -> None:
        """End a membership, and that of all subgroups with it."""
        self._store.run(
            'DELETE FROM members WHERE account = ? AND "group" IN'
            " (SELECT uuid FROM groups WHERE name = ? OR name GLOB ?)",
            account.uuid, group.name, f"{group.name}/*",
        )  # fmt: skip

    def groups_of(self, account: Account) -> list[Group]:
        """The groups that somebody is in, by name."""
        return [
            Group(**dict(row))
            for row in self._store.rows(
                'SELECT groups.* FROM groups JOIN members ON members."group" = groups.uuid'
                " WHERE members.account = ? ORDER BY groups.name",
                account.uuid,
            )
        ]

    def members_of(self, group: Group) -> list[Account]:
        """Who is in a group, by username."""
        rows = self._store.rows(
            "SELECT accounts.* FROM accounts JOIN members ON members.account = accounts.uuid"
            ' WHERE members."group" = ? ORDER BY accounts.username',
            group.uuid,
        )
        return [_account(row) for row in rows]

    def told_of(self, account: Account) -> Groups:
        """What tokens and VOMS attributes may say of somebody, who is valid."""
        default: list[str] = []
        optional: list[str] = []
        roles: list[str] = []
        for group in self.groups_of(account):
            labels = self.labels(group.uuid)
            if VOMS_ROLE in labels:
                parent, _, role = group.path.rpartition("/")
                roles.append(f"{parent}/Role={role}")
            (optional if OPTIONAL_GROUP in labels else default).append(group.path)
        return Groups(default=tuple(default), optional=tuple(optional), roles=tuple(roles))

    def set_manager(self, account: Account, group: Group, *, manages: bool) -> None:
        """Let somebody decide who is in a group, or no longer."""
        statement = (
            "INSERT OR IGNORE INTO managers VALUES (?, ?)"
            if manages
            else 'DELETE FROM managers WHERE account = ? AND "group" = ?'
        )
        self._store.run(statement, account.uuid, group.uuid)

    def manages(self, account: Account, group: Group) -> bool:
        """Whether somebody decides who is in that group."""
        return group in self.managed_by(account)

    def managed_by(self, account: Account) -> list[Group]:
        """The groups that somebody decides about."""
        rows = self._store.rows(
            'SELECT groups.* FROM groups JOIN managers ON managers."group" = groups.uuid'
            " WHERE managers.account = ? ORDER BY groups.name",
            account.uuid,
        )
        return [Group(**dict(row)) for row in rows]

    def managers_of(self, group: Group) -> list[Account]:
        """Who decides about a group."""
        rows = self._store.rows(
            "SELECT accounts.* FROM accounts JOIN managers ON managers.account = accounts.uuid"
            ' WHERE managers."group" = ? ORDER BY accounts.username',
            group.uuid,
        )
        return [_account(row) for row in rows]

    # Labels of accounts and groups.

    def labels(self, owner: str) -> dict[str, str]:
        """Name -> value of the labels without a prefix."""
        return {row["name"]: row["value"] for row in self.all_labels(owner) if not row["prefix"]}

    def all_labels(self, owner: str) -> list[dict[str, str]]:
        """prefix, name and value of all labels of an account or a group."""
        rows = self._store.rows(
            "SELECT prefix, name, value FROM labels WHERE owner = ? ORDER BY prefix, name", owner
        )
        return [dict(row) for row in rows]

    def set_label(self, owner: str, name: str, value: str = "", prefix: str = "") -> None:
        """Give an account or a group a label, or change it."""
        self._store.run("INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?)", owner, prefix, name, value)

    def remove_label(self, owner: str, name: str, prefix: str = "") -> None:
        """Take a label away."""
        self._store.run("DELETE FROM labels WHERE owner = ? AND prefix = ? AND name = ?", owner, prefix, name)

    # What proves who somebody is.

    def link_certificate(self, account: Account, *, subject: str, issuer: str, pem: str) -> None:
        """Let a certificate stand for an account. Raises ``ApiError`` (409) where it stands for another."""
        owner = self.of_certificate(subject, issuer)
        if owner is not None and owner.uuid != account.uuid:
            raise ApiError(409, f"the certificate {subject} is linked to another account")
        self._store.run(
            "INSERT OR REPLACE INTO certificates VALUES (?, ?, ?, ?)", account.uuid, subject, issuer, pem
        )

    def unlink_certificate(self, account: Account, subject: str) -> bool:
        """Let a certificate no longer stand for an account; whether it did."""
        return bool(
            self._store.run(
                "DELETE FROM certificates WHERE account = ? AND subject = ?", account.uuid, subject
            )
        )

    def certificates_of(self, account: Account) -> list[dict[str, str]]:
        """subject, issuer and pem of an account's certificates."""
        rows = self._store.rows(
            "SELECT subject, issuer, pem FROM certificates WHERE account = ? ORDER BY subject", account.uuid
        )
        return [dict(row) for row in rows]

    def of_certificate(self, subject: str, issuer: str) -> Account | None:
        """For whom a certificate stands."""
        row = self._store.row(
            "SELECT accounts.* FROM accounts JOIN certificates ON certificates.account = accounts.uuid"
            " WHERE certificates.subject = ? AND certificates.issuer = ?",
            subject, issuer,
        )  # fmt: skip
        return _account(row) if row else None

    def link_institution(self, account: Account, issuer: str, subject: str) -> None:
        """Let a login at an institution stand for an account. Raises ``ApiError`` (409)."""
        try:
            self._store.run(
                "INSERT INTO institutional_identities VALUES (?, ?, ?)", account.uuid, issuer, subject
            )
        except sqlite3.IntegrityError as error:
            raise ApiError(409, "that institutional identity is linked to another account") from error

    def of_institution(self, issuer: str, subject: str) -> Account | None:
        """For whom a login at an institution stands."""
        row = self._store.row(
            "SELECT accounts.* FROM accounts JOIN institutional_identities AS known"
            " ON known.account = accounts.uuid WHERE known.issuer = ? AND known.subject = ?",
            issuer, subject,
        )  # fmt: skip
        return _account(row) if row else None

    def institutions_of(self, account: Account) -> list[dict[str, str]]:
        """Issuer and subject of an account's institutional identities."""
        rows = self._store.rows(
            "SELECT issuer, subject FROM institutional_identities WHERE account = ?", account.uuid
        )
        return [dict(row) for row in rows]


def _account(row: sqlite3.Row) -> Account:
    values = dict(row)
    return Account(
        **{**values, "active": bool(values["active"]), "administrator": bool(values["administrator"])}
    )
