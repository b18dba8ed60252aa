"""The IAM-compatible service: our own, started like every other daemon of the lake."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_datalake
from pytest_datalake.lake.daemons.api import Process
from pytest_datalake.lake.daemons.files import make_directory
from pytest_datalake.lake.iam.config import Settings
from pytest_datalake.lake.state import write_private

if TYPE_CHECKING:
    from pytest_datalake.lake.daemons.api import Account, AuthorityPaths
    from pytest_datalake.lake.iam.config import Account as Member
    from pytest_datalake.lake.iam.config import Client, Institution, Policy
    from pytest_datalake.matrix.model import Forge

HOST = "localhost"


def prepare(
    directory: Path,
    *,
    account: Account,
    port: int,
    host_certificate: bytes,
    host_key: bytes,
    authorities: AuthorityPaths,
    keys: Forge,
    vo: str,
    name: str = "iam",
    issuer: str = "",
    institution: Institution | None = None,
    clients: tuple[Client, ...] = (),
    members: tuple[Member, ...] = (),
    policies: tuple[Policy, ...] = (),
) -> Process:
    """Write the settings of the service and say how it is started.

    As root it reads keys and settings, and loads its code, before it becomes the account.

    Args:
        directory: of the service; its database lies below, for the account alone.
        account: who the service becomes.
        port: on loopback.
        host_certificate: PEM, for ``localhost``.
        host_key: PEM.
        authorities: whom it trusts, and what it is called.
        keys: files of the keys that it signs tokens and VOMS attributes with.
        vo: name of the VO.
        name: of the process.
        issuer: its URL, where that is not the lake's token issuer.
        institution: where people log in; None: by local password alone.
        clients: with their secrets, of which the settings keep a hash.
        members: with their refresh tokens, likewise.
        policies: what is granted to whom.
    """
    directory.mkdir(mode=0o711, parents=True, exist_ok=True)
    data = make_directory(directory / "data", account)
    for file, content in (("host.pem", host_certificate), ("host.key", host_key)):
        write_private(directory / file, content)
    settings = Settings(
        issuer=issuer or authorities.issuer,
        vo=vo,
        port=port,
        directory=str(data),
        host_certificate=str(directory / "host.pem"),
        host_key=str(directory / "host.key"),
        ca_file=str(authorities.ca_file),
        signing_key=keys.issuer_key,
        voms_certificate=keys.voms_certificate,
        voms_key=keys.voms_key,
        clients=clients,
        accounts=members,
        groups=tuple(dict.fromkeys(group for one in members for group in one.groups)),
        policies=policies,
        institution=institution,
        uid=account.uid if account.drop else None,
        gid=account.gid if account.drop else None,
    )
    config = directory / f"{name}.json"
    write_private(config, settings.to_json())
    return Process(
        name=name,
        command=(sys.executable, "-m", "pytest_datalake.lake.iam", str(config)),
        environment={
            "PATH": os.defpath,
            "PYTHONPATH": str(Path(pytest_datalake.__file__).parents[1]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        },
        ready=(("127.0.0.1", port),),
        log=directory / f"{name}.out",
        config=config,
        as_root=account.drop,
    )
