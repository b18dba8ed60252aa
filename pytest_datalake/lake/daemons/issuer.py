"""The token issuer: our own server, started like every other daemon of the lake."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_datalake
from pytest_datalake.lake.daemons.api import Process
from pytest_datalake.lake.issuer.config import Client, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_datalake.lake.daemons.api import Account

__all__ = ["Client", "prepare"]


def prepare(
    directory: Path,
    *,
    account: Account,
    port: int,
    host_certificate: Path,
    host_key: Path,
    signing_key: Path,
    clients: Sequence[Client],
    vo: str,
    issuer: str,
) -> Process:
    """Write the issuer's settings and say how it is started.

    The keys and the settings need only be readable by whoever starts the process: as root it reads them
    before it becomes the account, and the code too may lie where the account cannot go.

    Args:
        directory: the issuer's private directory.
        account: who the issuer becomes.
        port: on loopback.
        host_certificate: PEM, for ``localhost``.
        host_key: PEM.
        signing_key: PEM, ``Authorities.issuer_key``.
        clients: with their secrets, of which the settings keep a hash.
        vo: name of the VO.
        issuer: URL of the issuer, ``https://localhost:PORT/``.
    """
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    settings = Settings(
        issuer=issuer,
        vo=vo,
        port=port,
        host_certificate=str(host_certificate),
        host_key=str(host_key),
        signing_key=str(signing_key),
        clients=tuple(clients),
        uid=account.uid if account.drop else None,
        gid=account.gid if account.drop else None,
    )
    config = directory / "issuer.json"
    with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(settings.to_json())
    return Process(
        name="issuer",
        command=(sys.executable, "-m", "pytest_datalake.lake.issuer", str(config)),
        environment={
            "PATH": os.defpath,
            "PYTHONPATH": str(Path(pytest_datalake.__file__).parents[1]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        },
        ready=(("127.0.0.1", port),),
        log=directory / "issuer.out",
        config=config,
        as_root=account.drop,
    )
