"""The parts of one service, and what it knows before anybody has asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_datalake.lake.iam.clients import Clients
from pytest_datalake.lake.iam.codes import Codes
from pytest_datalake.lake.iam.keys import KeyRing
from pytest_datalake.lake.iam.members import OPTIONAL_GROUP, VOMS_ROLE, Members
from pytest_datalake.lake.iam.policies import Policies
from pytest_datalake.lake.iam.requests import Requests
from pytest_datalake.lake.iam.store import Store
from pytest_datalake.lake.iam.tokens import Refresh, Tokens

if TYPE_CHECKING:
    from pytest_datalake.lake.iam.config import Account, Settings

DATABASE = "iam.db"


class Iam:
    """A service without its listener.

    Args:
        settings: who and what is there from the start; a database that is there already is left as it is.
        signing_keys: PEM, ``Settings.signing_key``.
        voms: certificate and key (PEM) of the attribute authority; empty: there is none.
    """

    def __init__(
        self, settings: Settings, signing_keys: bytes, voms: tuple[bytes, bytes] = (b"", b"")
    ) -> None:
        self.settings = settings
        self.voms_certificate, self.voms_key = voms
        self.store = Store(Path(settings.directory) / DATABASE)
        self.members = Members(self.store)
        self.policies = Policies(self.store, self.members)
        self.requests = Requests(self.store, self.members, vo=settings.vo)
        self.clients = Clients(self.store)
        self.codes = Codes(self.store)
        self.keys = KeyRing(self.store)
        self.keys.begin(signing_keys)
        self.tokens = Tokens(
            self.store, self.keys, self.members, issuer=settings.issuer, lifetime=settings.token_lifetime
        )
        with self.store.transaction():
            if self.members.find_group(settings.vo) is None:
                self._begin()

    def close(self) -> None:
        """End."""
        self.store.close()

    def _begin(self) -> None:
        settings = self.settings
        for group in (settings.vo, *settings.groups, *settings.optional_groups, *settings.roles):
            self.members.create_group(group)
        for label, groups in ((OPTIONAL_GROUP, settings.optional_groups), (VOMS_ROLE, settings.roles)):
            for group in groups:
                self.members.set_label(self.members.group_named(group).uuid, label)
        for client in settings.clients:
            self.clients.add(client)
        for account in settings.accounts:
            self._enrol(account)
        for policy in settings.policies:
            group_uuid = self.members.group_named(policy.group).uuid if policy.group else None
            self.policies.add(
                policy.rule, policy.matching, policy.scopes, group=group_uuid, description=policy.description
            )

    def _enrol(self, seed: Account) -> None:
        account = self.members.create(
            seed.username,
            identifier=seed.uuid,
            given_name=seed.username.capitalize(),
            family_name="of the lake",
            email=seed.email or f"{seed.username}@localhost",
            password_hash=seed.password_hash,
            administrator=seed.administrator,
        )
        for name in seed.groups:
            self.members.join(account, self.members.group_named(name))
        if seed.subject:
            self.members.link_certificate(account, subject=seed.subject, issuer=seed.issuer, pem="")
        if seed.institution:
            self.members.link_institution(account, *seed.institution)
        hashed = seed.hashed()
        if hashed.refresh_hash:
            refresh = Refresh(
                account=account.uuid,
                client_id=seed.refresh_client,
                scopes=seed.refresh_scopes,
                logged_in=0.0,
            )
            self.tokens.keep_refresh_token(hashed.refresh_hash, refresh)
