"""The users of an embedded lake: one per experiment, and a robot that moves files but may read none."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.lake.issuer.config import Client
from pytest_datalake.lake.state import write_private
from pytest_datalake.matrix.model import Identity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_datalake.lake.pki import Authorities
    from pytest_datalake.matrix.model import Experiment

ROBOT = "robot"


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """All identities of a lake, and what its daemons must know of them.

    Attributes:
        clients: the identities at the token issuer, with their secrets.
        members: experiment name -> subjects of its users.
        robot_proxy: PEM, no VOMS attributes.
    """

    identities: tuple[Identity, ...]
    clients: tuple[Client, ...]
    members: Mapping[str, tuple[str, ...]]
    robot_proxy: bytes

    def subject(self, name: str) -> str:
        """The distinguished name of an identity, in slash form."""
        return next(one.subject for one in self.identities if one.name == name)


def enrol(
    authorities: Authorities, experiments: tuple[Experiment, ...], directory: Path, *, vo: str
) -> People:
    """Make the identities of a lake; their files lie in ``directory/<name>``, for their owner alone."""
    directory.mkdir(mode=0o700)
    identities = []
    clients = []
    robot_proxy = b""
    for name, experiment in [*((one.name, one) for one in experiments), (ROBOT, None)]:
        home = directory / name
        home.mkdir(mode=0o700)
        groups = (experiment.group, f"/{vo}") if experiment else ()
        certificate, key = authorities.issue_user(name)
        proxy = authorities.proxy(certificate, key, fqans=groups)
        plain_proxy = authorities.proxy(certificate, key) if groups else proxy
        secret = secrets.token_urlsafe(32)
        for file, content in (
            ("certificate.pem", certificate),
            ("key.pem", key),
            ("proxy.pem", proxy),
            ("plain-proxy.pem", plain_proxy),
            ("client-secret", secret),
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
                subject=f"/DC=org/DC=datalake/O=people/CN={name}",
                groups=groups,
                certificate=str(home / "certificate.pem"),
                key=str(home / "key.pem"),
                proxy=str(home / "proxy.pem"),
                plain_proxy=str(home / "plain-proxy.pem"),
                client_id=name,
                client_secret_file=str(home / "client-secret"),
            )
        )
        if experiment is None:
            robot_proxy = plain_proxy
    members = {one.experiment: (one.subject,) for one in identities if one.experiment}
    return People(
        identities=tuple(identities), clients=tuple(clients), members=members, robot_proxy=robot_proxy
    )
