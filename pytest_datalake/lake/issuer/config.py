"""What an issuer is told when it starts: one JSON file, in which client secrets are hashed."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAME = "pytest-datalake issuer"

TOKEN_LIFETIME = 3600
"""Seconds that a token is valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who may ask for tokens (RFC 6749, 4.4), and for which.

    Attributes:
        client_id: name at the token endpoint, and the ``sub`` of its tokens.
        secret: to be shown at the token endpoint; empty once it has been hashed.
        secret_hash: SHA-256 of the secret, hexadecimal. Secrets are long and random, so that a slow hash
            would protect nothing and only slow down the issuer.
        groups: groups of the VO such as ``/escape/ska``; the ones that ``wlcg.groups`` may name.
        scopes: further scopes that it may ask for, such as ``fts``.
        areas: paths below the VO's root such as ``/ska``; storage scopes may name them and what lies below.
    """

    client_id: str
    secret: str = field(default="", repr=False)
    secret_hash: str = field(default="", repr=False)
    groups: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()

    def hashed(self) -> Client:
        """The same client without its secret."""
        return replace(self, secret="", secret_hash=_hash(self.secret)) if self.secret else self

    def proves_itself_with(self, secret: str) -> bool:
        """Whether this is the client's secret, in constant time."""
        return bool(self.secret_hash) and hmac.compare_digest(self.secret_hash, _hash(secret))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that one issuer needs.

    Attributes:
        issuer: its URL, ending in "/".
        address: to listen on.
        port: to listen on; 0: any free one.
        host_certificate: PEM file.
        host_key: PEM file.
        signing_key: PEM file of an RSA key, which signs, and perhaps a P-256 key, which is only published.
        uid: user to become once everything is read and bound; None: stay who we are.
        gid: group to become.
    """

    issuer: str
    vo: str
    port: int
    host_certificate: str
    host_key: str
    signing_key: str
    clients: tuple[Client, ...]
    address: str = "127.0.0.1"
    uid: int | None = None
    gid: int | None = None
    token_lifetime: int = TOKEN_LIFETIME

    def to_json(self) -> str:
        """As it stands in the file: without secrets, but still for our eyes alone."""
        return json.dumps(
            asdict(replace(self, clients=tuple(client.hashed() for client in self.clients))), indent=1
        )

    @classmethod
    def read(cls, path: Path) -> Settings:
        """What ``to_json`` wrote to a file."""
        values = json.loads(path.read_text())
        clients = tuple(
            Client(**{**entry, **{name: tuple(entry[name]) for name in ("groups", "areas", "scopes")}})
            for entry in values.pop("clients")
        )
        return cls(**values, clients=clients)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
