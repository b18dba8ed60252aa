"""The transfer manager: our own service, started like every other daemon of the lake."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest_datalake
from pytest_datalake.credentials.signing import ANY_AUDIENCE
from pytest_datalake.lake.daemons.api import Process
from pytest_datalake.lake.daemons.files import make_directory, need
from pytest_datalake.lake.fts.config import Settings
from pytest_datalake.lake.fts.model import storage_of
from pytest_datalake.lake.state import write_private

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_datalake.lake.daemons.activemq import Broker
    from pytest_datalake.lake.daemons.api import Account, AuthorityPaths
    from pytest_datalake.matrix.model import Endpoint

HOST = "localhost"
USER = "fts"
"""Name of its user at the broker."""

CONFIG = "fts.json"
MESSAGES = "messages.jsonl"

_WORKERS = 24
"""More than processors: a copy over root waits for most of its time."""

_GFAL2 = "/usr/lib/x86_64-linux-gnu/gfal2-plugins/libgfal_plugin_http.so"


def prepare(
    directory: Path,
    *,
    account: Account,
    port: int,
    host_certificate: bytes,
    host_key: bytes,
    authorities: AuthorityPaths,
    administrators: Sequence[str],
    endpoints: Iterable[Endpoint],
    object_stores: Mapping[str, Path],
    delegated: Sequence[Path] = (),
    broker: Broker | None = None,
) -> Process:
    """Write the settings of the transfer manager and say how it is started.

    As root it reads keys and settings, and loads its code, before it becomes the account.

    Args:
        directory: of the service; its database, proxies and messages lie below, for the account alone.
        account: who the service becomes.
        port: on loopback.
        host_certificate: PEM, for ``localhost``.
        host_key: PEM.
        authorities: whom it trusts.
        administrators: subjects who may ban and configure.
        endpoints: of the lake, with hosts and ports: their limits and what they can do in third-party copies.
        object_stores: ``scheme://host:port`` -> JSON file with the keys of an object store.
        delegated: proxies of holders who never delegate.
        broker: takes its messages, and knows ``USER``; None: they stay in a file.

    Raises:
        UsageError: gfal2 is missing.
    """
    need(_GFAL2, "gfal2-plugin-http")
    directory.mkdir(mode=0o711)
    data = make_directory(directory / "data", account)
    for name, content in (("host.pem", host_certificate), ("host.key", host_key)):
        write_private(directory / name, content)
    password = directory / "broker-password"
    if broker is not None:
        write_private(password, broker.passwords[USER])
    settings = Settings(
        url=f"https://{HOST}:{port}",
        port=port,
        directory=str(data),
        host_certificate=str(directory / "host.pem"),
        host_key=str(directory / "host.key"),
        ca_file=str(authorities.ca_file),
        ca_directory=str(authorities.ca_directory),
        voms_directory=str(authorities.voms_directory),
        issuers={authorities.issuer: str(authorities.issuer_jwks)},
        audiences=(HOST, f"https://{HOST}:{port}", ANY_AUDIENCE),
        administrators=tuple(administrators),
        delegated=tuple(str(path) for path in delegated),
        object_stores={storage: str(path) for storage, path in object_stores.items()},
        workers=_WORKERS,
        storages={storage_of(one.url("/")): _storage(one) for one in endpoints},
        uid=account.uid if account.drop else None,
        gid=account.gid if account.drop else None,
        broker_port=broker.port if broker else None,
        broker_user=USER if broker else "",
        broker_password_file=str(password) if broker else "",
    )
    config = directory / CONFIG
    write_private(config, settings.to_json())
    return Process(
        name="fts",
        command=(sys.executable, "-m", "pytest_datalake.lake.fts", str(config)),
        environment={
            "PATH": os.defpath,
            "PYTHONPATH": str(Path(pytest_datalake.__file__).parents[1]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        },
        ready=(("127.0.0.1", port),),
        log=directory / "fts.out",
        config=config,
        as_root=account.drop,
    )


def _storage(endpoint: Endpoint) -> dict[str, Any]:
    """Limits and third-party support of a door, as FTS names them."""
    active = set(endpoint.tpc.active)
    support = {frozenset({"pull"}): "PULL", frozenset({"push"}): "PUSH", frozenset(): "NONE"}
    return {
        "inbound_max_active": endpoint.limits.concurrent,
        "outbound_max_active": endpoint.limits.concurrent,
        "tpc_support": support.get(frozenset(active), "FULL"),
        "site": endpoint.site,
    }
