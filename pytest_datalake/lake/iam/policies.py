"""Scope policies: who may have which scopes, whatever the client may ask for.

As in INDIGO IAM, those of an account come before those of its groups, and these before those for everybody.
The first of the three levels that says something about a scope decides; within a level, DENY wins. What no
policy speaks of may be had.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.lake.iam.refusal import ApiError
from pytest_datalake.lake.iam.scopes import (
    ADMINISTRATION,
    CAPABILITY_SET,
    NotEntitledError,
    ScopeRefusedError,
    covers,
    normalised,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from pytest_datalake.lake.iam.members import Account, Members
    from pytest_datalake.lake.iam.store import Store

RULES = ("PERMIT", "DENY")
MATCHING = ("EQ", "REGEXP", "PATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One policy. ``account`` and ``group`` are uuids; without both it is for everybody."""

    id: int
    rule: str
    matching: str
    scopes: tuple[str, ...]
    account: str | None
    group: str | None
    description: str

    def speaks_of(self, scope: str) -> bool:
        """Whether the policy decides about that scope, which has been normalised."""
        match self.matching:
            case "PATH":
                return any(covers(one, scope) for one in self.scopes)
            case "REGEXP":
                return any(re.fullmatch(one, scope) for one in self.scopes)
        return scope in self.scopes


class Policies:
    """All scope policies."""

    def __init__(self, store: Store, members: Members) -> None:
        self._store = store
        self._members = members

    def add(
        self,
        rule: str,
        matching: str,
        scopes: Iterable[str],
        *,
        account: str | None = None,
        group: str | None = None,
        description: str = "",
    ) -> Policy:
        """A new policy. Raises ``ApiError`` (400)."""
        wanted = tuple(scopes)
        if rule not in RULES or matching not in MATCHING or not wanted or (account and group):
            raise ApiError(
                400,
                "a scope policy needs a rule (PERMIT, DENY), a matchingPolicy (EQ, REGEXP, PATH), scopes, "
                "and at most one of account and group",
            )
        self._demand_readable(matching, wanted)
        with self._store.transaction():
            self._store.run(
                "INSERT INTO policies VALUES (NULL, ?, ?, ?, ?, ?, ?)",
                rule, matching, json.dumps(wanted), account, group, description,
            )  # fmt: skip
            row = self._store.row("SELECT * FROM policies WHERE id = last_insert_rowid()")
        assert row is not None
        return _policy(row)

    @staticmethod
    def _demand_readable(matching: str, scopes: tuple[str, ...]) -> None:
        try:
            for scope in scopes:
                if matching == "REGEXP":
                    re.compile(scope)
                elif matching == "PATH" and normalised(scope) != (scope,):
                    raise ApiError(400, f"the path of {scope!r} must be absolute, plain and URL-escaped")
        except (re.error, ScopeRefusedError) as error:
            raise ApiError(400, f"a scope of the policy cannot be used: {error}") from error

    def all(self) -> list[Policy]:
        """All of them, in the order in which they were made."""
        return [_policy(row) for row in self._store.rows("SELECT * FROM policies ORDER BY id")]

    def get(self, number: int) -> Policy:
        """One of them. Raises ``ApiError`` (404)."""
        row = self._store.row("SELECT * FROM policies WHERE id = ?", number)
        if row is None:
            raise ApiError(404, f"there is no scope policy {number}")
        return _policy(row)

    def remove(self, number: int) -> None:
        """Forget one. Raises ``ApiError`` (404)."""
        self.get(number)
        self._store.run("DELETE FROM policies WHERE id = ?", number)

    def demand_permitted(self, account: Account, scopes: Iterable[str]) -> None:
        """Raise ``ScopeRefusedError`` unless the account may have all these scopes."""
        groups = {group.uuid for group in self._members.groups_of(account)}
        levels: tuple[list[Policy], ...] = ([], [], [])
        for policy in self.all():
            if policy.account is not None:
                if policy.account == account.uuid:
                    levels[0].append(policy)
            elif policy.group is not None:
                if policy.group in groups:
                    levels[1].append(policy)
            else:
                levels[2].append(policy)
        for scope in scopes:
            if scope in ADMINISTRATION and not account.administrator:
                raise ScopeRefusedError("a scope that was asked for is for administrators")
            if not _permitted(scope, levels):
                raise ScopeRefusedError("the user may not have a scope that was asked for")

    def expand(self, account: Account, scopes: Iterable[str]) -> tuple[str, ...]:
        """The scopes with each capability set replaced by what its group is permitted (WLCG profile, 3.3).

        Raises:
            NotEntitledError: for a set of a group that the account is not in, or that has none.
        """
        found: list[str] = []
        for scope in scopes:
            action, _, path = scope.partition(":")
            if action != CAPABILITY_SET:
                found.append(scope)
                continue
            group = next((one for one in self._members.groups_of(account) if one.path == path), None)
            known = [
                one
                for policy in self.all()
                if group and policy.group == group.uuid and policy.rule == "PERMIT"
                for one in policy.scopes
                if policy.matching != "REGEXP"
            ]
            if not known:
                raise NotEntitledError("a capability set was asked for that the user does not have")
            found += known
        return tuple(dict.fromkeys(found))


def _permitted(scope: str, levels: Iterable[list[Policy]]) -> bool:
    for level in levels:
        rules = {policy.rule for policy in level if policy.speaks_of(scope)}
        if rules:
            return "DENY" not in rules
    return True


def _policy(row: sqlite3.Row) -> Policy:
    values = dict(row)
    return Policy(**{**values, "scopes": tuple(json.loads(values["scopes"]))})
