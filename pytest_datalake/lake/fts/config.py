"""What the transfer manager is told when it starts: one JSON file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that one transfer manager needs.

    Attributes:
        url: how clients reach it, ``https://localhost:PORT``.
        address: to listen on.
        port: to listen on; 0: any free one.
        directory: database, proxies and messages; belongs to the account.
        host_certificate, host_key: PEM files.
        ca_file: PEM file of the CA that signs users and doors.
        ca_directory: the same as a hashed directory.
        voms_directory: holds ``<vo>/<host>.lsc``.
        issuers: URL of a token issuer -> file with its key set.
        audiences: of tokens for this service.
        administrators: subjects (slash form) who may ban and configure.
        delegated: proxy files of holders who never delegate; loaded at the start.
        object_stores: ``scheme://host:port`` -> JSON file with access_key and secret_key.
        storages: ``scheme://host:port`` -> limits and third-party support, until somebody changes them.
        workers: copies at the same time.
        link_limit: copies at the same time between two storages, unless a link says otherwise.
        storage_limit: copies at the same time from, and to, a storage, unless it says otherwise.
        poll_interval: seconds between two looks at a tape system.
        uid, gid: account to become once everything is read and bound; None: stay who we are.
        broker_port: where a message broker speaks STOMP, on loopback; None: messages stay in a file.
        broker_user, broker_password_file: as whom the service speaks to it.
        default_retry: attempts after the first where a job leaves that to the service.
    """

    url: str
    port: int
    directory: str
    host_certificate: str
    host_key: str
    ca_file: str
    ca_directory: str
    voms_directory: str
    address: str = "127.0.0.1"
    issuers: Mapping[str, str] = field(default_factory=dict)
    audiences: tuple[str, ...] = ()
    administrators: tuple[str, ...] = ()
    delegated: tuple[str, ...] = ()
    object_stores: Mapping[str, str] = field(default_factory=dict)
    storages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    workers: int = 16
    link_limit: int = 16
    storage_limit: int = 32
    poll_interval: float = 1.0
    default_retry: int = 0
    uid: int | None = None
    gid: int | None = None
    broker_port: int | None = None
    broker_user: str = ""
    broker_password_file: str = ""

    def to_json(self) -> str:
        """As it stands in the file; it names files and holds no secret."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def read(cls, path: Path) -> Settings:
        """What ``to_json`` wrote to a file."""
        values = json.loads(path.read_text())
        for name in ("audiences", "administrators", "delegated"):
            values[name] = tuple(values[name])
        return cls(**values)
