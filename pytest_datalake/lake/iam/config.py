"""What the service is told when it starts: one JSON file, in which secrets are hashed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TOKEN_LIFETIME = 3600
"""Seconds that an access token is valid (WLCG token profile, "Token Lifetime Guidance")."""

CALLBACK = "openid_connect_login"
"""Path at which people come back from an institution; INDIGO IAM has it there too."""

CLIENT_CREDENTIALS = "client_credentials"
AUTHORIZATION_CODE = "authorization_code"
REFRESH_TOKEN = "refresh_token"  # noqa: S105  # the name of a grant
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105  # the name of a grant
GRANTS = (CLIENT_CREDENTIALS, AUTHORIZATION_CODE, REFRESH_TOKEN, DEVICE_CODE, TOKEN_EXCHANGE)


def secret_hash(secret: str) -> str:
    """SHA-256, hexadecimal, of a secret that is long and random: a slow hash would protect nothing more."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Software that may ask for tokens, and for which (RFC 6749, 2; RFC 7591).

    Attributes:
        client_id: its name, and the ``sub`` of tokens that it gets in its own name.
        secret: to be shown at the token endpoint; empty once it has been hashed, or for a public client.
        secret_hash: see ``secret_hash``; empty for a public client.
        grants: grant types that it may use.
        scopes: that it may ask for; a storage scope stands for all paths below its own.
        redirect_uris: where people may be sent back to.
        algorithm: that signs its tokens: RS256 or ES256.
    """

    client_id: str
    name: str = ""
    secret: str = field(default="", repr=False)
    secret_hash: str = field(default="", repr=False)
    grants: tuple[str, ...] = (CLIENT_CREDENTIALS,)
    scopes: tuple[str, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    algorithm: str = "RS256"

    def hashed(self) -> Client:
        """The same client without its secret."""
        return replace(self, secret="", secret_hash=secret_hash(self.secret)) if self.secret else self

    @classmethod
    def from_json(cls, text: str) -> Client:
        """What ``json.dumps(asdict(client))`` made of one."""
        return cls(**_tuples(json.loads(text)))

    @property
    def is_public(self) -> bool:
        """Whether it has no secret: an application on somebody's own machine (RFC 6749, 2.1)."""
        return not (self.secret or self.secret_hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who is a member from the start.

    Attributes:
        uuid: the ``sub`` of this person's tokens.
        groups: such as ``escape/ska``; each with all its parents.
        subject, issuer: of the X.509 certificate, in slash form; empty: none.
        password_hash: as werkzeug makes it; empty: no local login.
        refresh_token: that is handed out before anybody has logged in; for ``refresh_client`` alone.
        refresh_scopes: that it was granted for.
        administrator: may administer the service.
        institution: (issuer, sub) at an institution's OpenID provider; empty: none.
    """

    uuid: str
    username: str
    groups: tuple[str, ...] = ()
    subject: str = ""
    issuer: str = ""
    email: str = ""
    password_hash: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    refresh_hash: str = field(default="", repr=False)
    refresh_client: str = ""
    refresh_scopes: tuple[str, ...] = ()
    administrator: bool = False
    institution: tuple[str, ...] = ()

    def hashed(self) -> Account:
        """The same account without its refresh token."""
        if not self.refresh_token:
            return self
        return replace(self, refresh_token="", refresh_hash=secret_hash(self.refresh_token))


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A scope policy: who may have which scopes, whatever the client may ask for.

    Attributes:
        rule: PERMIT or DENY.
        matching: EQ, REGEXP or PATH.
        group: that it is about, such as ``escape/ska``; empty: everybody.
    """

    rule: str
    matching: str
    scopes: tuple[str, ...]
    group: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Institution:
    """An OpenID provider at which people log in, instead of by a password of their own here.

    Attributes:
        name: for people.
        issuer: its URL, ending in "/".
        client_id, client_secret: by which this service is known there.
    """

    name: str
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that one service needs.

    Attributes:
        issuer: its URL, ending in "/".
        vo: name of the VO, and of its root group.
        address: to listen on.
        port: to listen on; 0: any free one.
        directory: holds the database; belongs to the account.
        host_certificate, host_key: PEM files.
        ca_file: PEM file of the CA that signs users, and the institution's service.
        signing_key: PEM file of an RSA key (RS256) and perhaps a P-256 key (ES256): the first keys.
        voms_certificate, voms_key: PEM files that sign VOMS attributes; empty: none are made.
        groups: that are there from the start, with their parents.
        optional_groups, roles: those of them that are only told when asked for; that are roles in VOMS.
        uid, gid: account to become once everything is read and bound; None: stay who we are.
        institution: where people log in; None: by local password alone.
        token_lifetime: seconds that an access token is valid.
        poll_interval: seconds between two questions of a device (RFC 8628, 3.2).
    """

    issuer: str
    vo: str
    port: int
    directory: str
    host_certificate: str
    host_key: str
    ca_file: str
    signing_key: str
    voms_certificate: str = ""
    voms_key: str = ""
    clients: tuple[Client, ...] = ()
    accounts: tuple[Account, ...] = ()
    groups: tuple[str, ...] = ()
    optional_groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    policies: tuple[Policy, ...] = ()
    institution: Institution | None = None
    address: str = "127.0.0.1"
    uid: int | None = None
    gid: int | None = None
    token_lifetime: int = TOKEN_LIFETIME
    poll_interval: int = 1

    def to_json(self) -> str:
        """As it stands in the file. Only a client secret of our own at the institution is in it."""
        safe = replace(
            self,
            clients=tuple(one.hashed() for one in self.clients),
            accounts=tuple(one.hashed() for one in self.accounts),
        )
        return json.dumps(asdict(safe), indent=1)

    @classmethod
    def read(cls, path: Path) -> Settings:
        """What ``to_json`` wrote to a file."""
        values = json.loads(path.read_text())
        institution = values.pop("institution")
        return cls(
            **{**_tuples(values), **{name: _seeds(values[name], kind) for name, kind in _LISTS.items()}},
            institution=Institution(**institution) if institution else None,
        )


_LISTS: dict[str, Any] = {"clients": Client, "accounts": Account, "policies": Policy}


def _seeds(entries: list[dict[str, Any]], kind: Any) -> Any:  # noqa: ANN401  # one of the dataclasses above
    return tuple(kind(**_tuples(one)) for one in entries)


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has lists where we have tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
