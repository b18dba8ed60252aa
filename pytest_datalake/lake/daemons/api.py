"""What the keeper needs to know about a daemon."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_datalake.matrix.model import Endpoint, Experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The user that daemons of one site run as. ``drop`` is False where the caller's own identity is kept."""

    uid: int
    gid: int
    drop: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityPaths:
    """Public files of the throw-away authorities, readable by every daemon.

    Attributes:
        ca_directory: hashed directory with ``.0``, ``.r0`` and ``.signing_policy`` under both hash names.
        ca_file: the CA alone, PEM.
        ca_name: subject of the CA in slash form.
        voms_directory: holds ``<vo>/<host>.lsc``.
        issuer: URL, ending in "/".
        issuer_jwks: JSON Web Key Set of the issuer.
        keys_are_fetched: doors can fetch the issuer's keys live (a mount namespace holds our CA bundle);
            otherwise the daemon must be given ``issuer_jwks``.
    """

    ca_directory: Path
    ca_file: Path
    ca_name: str
    voms_directory: Path
    issuer: str
    issuer_jwks: Path
    keys_are_fetched: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RsePlan:
    """One RSE to be served.

    Attributes:
        directory: the RSE's private directory, owned by its account; configuration, logs and data live in it.
        data: root of the data; the namespace of the lake is ``data / vo``.
        host_certificate, host_key, robot_proxy: PEM files in ``directory``, readable by the account alone.
        host: address of the site for davs, gsiftp and s3s (``127.0.0.N``); root is ``localhost``.
        ports: as many as the technology's ``PORTS`` asks for; the first is the door.
        endpoints: what the matrix declares, with host, port, prefix and audience filled in.
        members: experiment name -> subjects (slash form) of its users, for doors that map subjects.
    """

    rse: str
    site: str
    technology: str
    vo: str
    experiments: tuple[Experiment, ...]
    directory: Path
    data: Path
    account: Account
    host: str
    ports: tuple[int, ...]
    host_certificate: Path
    host_key: Path
    robot_proxy: Path
    authorities: AuthorityPaths
    endpoints: tuple[Endpoint, ...]
    audience: str
    members: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process that the keeper starts and watches.

    Attributes:
        name: unique within the RSE ("xrootd", "memcached", ...).
        command: in the foreground; a daemon that forks away is found by the keeper all the same.
        environment: the whole environment; nothing is inherited (a daemon must never see the caller's proxy).
        ready: (host, port) pairs that accept connections when the process is ready.
        log: file that shows what the daemon did; stdout and stderr are appended to ``<name>.out`` beside it.
        as_root: start without dropping to the account (a daemon that sets its own user per connection).
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready: tuple[tuple[str, int], ...]
    log: Path
    config: Path
    as_root: bool = False
    working_directory: Path | None = None
    files: Mapping[str, str] = field(default_factory=dict)


class Daemon(Protocol):
    """What a module of this package offers, at module level."""

    PORTS: int
    """How many TCP ports one RSE needs."""

    PREFIX: str
    """Endpoint prefix in the matrix of a running lake; ``{data}`` and ``{vo}`` are replaced."""

    @staticmethod
    def prepare(plan: RsePlan) -> tuple[Process, ...]:
        """Write configuration and data directories, and say which processes serve the RSE.

        Raises ``UsageError`` naming the Debian package when an executable is missing.
        """
