"""The users of an embedded lake: one per experiment, and a robot that moves files but may read none."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_datalake.lake.catalogue import RucioAccount
from pytest_datalake.lake.issuer.config import Client
from pytest_datalake.lake.state import write_private
from pytest_datalake.matrix.model import Identity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_datalake.lake.pki import Authorities
    from pytest_datalake.matrix.model import Experiment

ROBOT = "robot"

ADMINISTRATOR = "root"
"""The account in Rucio that may do everything; the robot's."""

MOVER = "rucio"
"""Client of the token issuer that may have tokens for every area, to move files with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """All identities of a lake, and what its daemons must know of them.

    Attributes:
        accounts: what logs in to Rucio, the administrator first.
        clients: the identities at the token issuer, with their secrets.
        members: experiment name -> subjects of its users.
        robot_proxy: PEM, no VOMS attributes.
        mover_proxy: file, PEM, the robot with the attributes of all experiments: by it Rucio acts.
        mover_secret: of the client ``MOVER`` at the token issuer.
    """

    identities: tuple[Identity, ...]
    accounts: tuple[RucioAccount, ...]
    clients: tuple[Client, ...]
    members: Mapping[str, tuple[str, ...]]
    robot_proxy: bytes
    mover_proxy: Path
    mover_secret: str = field(repr=False)

    def subject(self, name: str) -> str:
        """The distinguished name of an identity, in slash form."""
        return next(one.subject for one in self.identities if one.name == name)


def enrol(
    authorities: Authorities, experiments: tuple[Experiment, ...], directory: Path, *, vo: str
) -> People:
    """Make the identities of a lake; their files lie in ``directory/<name>``, for their owner alone."""
    directory.mkdir(mode=0o700)
    identities = []
    accounts = []
    clients = []
    robot_proxy = b""
    mover_proxy = directory / "mover-proxy.pem"
    for name, experiment in [*((one.name, one) for one in experiments), (ROBOT, None)]:
        home = directory / name
        home.mkdir(mode=0o700)
        groups = (experiment.group, f"/{vo}") if experiment else ()
        subject = f"/DC=org/DC=datalake/O=people/CN={name}"
        account = name.lower() if experiment else ADMINISTRATOR
        certificate, key = authorities.issue_user(name)
        proxy = authorities.proxy(certificate, key, fqans=groups)
        plain_proxy = authorities.proxy(certificate, key) if groups else proxy
        secret, password = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        for file, content in (
            ("certificate.pem", certificate),
            ("key.pem", key),
            ("proxy.pem", proxy),
            ("plain-proxy.pem", plain_proxy),
            ("client-secret", secret),
            ("password", password),
        ):
            write_private(home / file, content)
        clients.append(
            Client(
                client_id=name,
                secret=secret,
                groups=groups,
                areas=(experiment.area,) if experiment else (),
            )
        )
        identities.append(
            Identity(
                name=name,
                experiment=experiment.name if experiment else "",
                subject=subject,
                groups=groups,
                certificate=str(home / "certificate.pem"),
                key=str(home / "key.pem"),
                proxy=str(home / "proxy.pem"),
                plain_proxy=str(home / "plain-proxy.pem"),
                client_id=name,
                client_secret_file=str(home / "client-secret"),
                account=account,
                username=name,
                password_file=str(home / "password"),
            )
        )
        accounts.append(
            RucioAccount(
                name=account,
                scopes=(experiment.rucio_scope,) if experiment else (),
                username=name,
                password=password,
                subject=subject,
                token_subject=name,
            )
        )
        if experiment is None:
            robot_proxy = plain_proxy
            everybody = [*(one.group for one in experiments), f"/{vo}"]
            write_private(mover_proxy, authorities.proxy(certificate, key, fqans=everybody))
    mover_secret = secrets.token_urlsafe(32)
    clients.append(
        Client(client_id=MOVER, secret=mover_secret, areas=("/",), scopes=("fts", "offline_access"))
    )
    members = {one.experiment: (one.subject,) for one in identities if one.experiment}
    return People(
        identities=tuple(identities),
        accounts=tuple(sorted(accounts, key=lambda one: one.name != ADMINISTRATOR)),
        clients=tuple(clients),
        members=members,
        robot_proxy=robot_proxy,
        mover_proxy=mover_proxy,
        mover_secret=mover_secret,
    )
