"""The users of an embedded lake: one per experiment, and a robot that moves files but may read none."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_datalake.lake.catalogue import RucioAccount
from pytest_datalake.lake.iam.config import (
    AUTHORIZATION_CODE,
    CLIENT_CREDENTIALS,
    DEVICE_CODE,
    REFRESH_TOKEN,
    TOKEN_EXCHANGE,
    Account,
    Client,
    Policy,
)
from pytest_datalake.lake.iam.scopes import ADMINISTRATION, GROUPS, STORAGE_ACTIONS
from pytest_datalake.lake.state import write_private
from pytest_datalake.matrix.model import Identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_datalake.lake.pki import Authorities
    from pytest_datalake.matrix.model import Experiment

ROBOT = "robot"

NEWCOMER = "newcomer"
"""Somebody who has a login at the institution, and is no member until a test makes them one."""

ADMINISTRATOR = "root"
"""The account in Rucio that may do everything; the robot's."""

MOVER = "rucio"
"""Client of the token issuer that may have tokens for every area, to move files with."""

TESTS = "pytest-datalake"
"""Client of the token issuer by which the identities get their tokens."""

REDIRECT_URI = "https://localhost/pytest-datalake"
"""Where that client has people sent back to. Nobody listens there: the tests read the address."""

_ABOUT_THE_USER = ("openid", "profile", "email", "offline_access", GROUPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """All identities of a lake, and what its daemons must know of them.

    Attributes:
        accounts: what logs in to Rucio, the administrator first.
        clients: of the token issuer, with their secrets.
        members_of_iam: the identities at the token issuer, with their refresh tokens.
        policies: what the token issuer grants whom.
        at_institution: who has a login there.
        members: experiment name -> subjects of its users.
        robot_proxy: PEM, no VOMS attributes.
        mover_proxy: file, PEM, the robot with the attributes of all experiments: by it Rucio acts.
        mover_secret: of the client ``MOVER`` at the token issuer.
    """

    identities: tuple[Identity, ...]
    accounts: tuple[RucioAccount, ...]
    clients: tuple[Client, ...]
    members_of_iam: tuple[Account, ...]
    policies: tuple[Policy, ...]
    at_institution: tuple[Account, ...]
    members: Mapping[str, tuple[str, ...]]
    robot_proxy: bytes
    mover_proxy: Path
    mover_secret: str = field(repr=False)

    def subject(self, name: str) -> str:
        """The distinguished name of an identity, in slash form."""
        return next(one.subject for one in self.identities if one.name == name)


def enrol(
    authorities: Authorities,
    experiments: tuple[Experiment, ...],
    directory: Path,
    *,
    vo: str,
    administered: tuple[str, ...] = (),
) -> People:
    """Make the identities of a lake; their files lie in ``directory/<name>``, for their owner alone.

    Args:
        authorities: sign certificates and proxies.
        experiments: each has one user.
        directory: need not be there.
        vo: name of the VO.
        administered: services of the matrix that the robot administers.
    """
    directory.mkdir(mode=0o700)
    identities = []
    accounts = []
    members_of_iam = []
    robot_proxy = b""
    mover_proxy = directory / "mover-proxy.pem"
    tests_secret = secrets.token_urlsafe(32)
    for name, experiment in [*((one.name, one) for one in experiments), (ROBOT, None)]:
        home = directory / name
        home.mkdir(mode=0o700)
        groups = (experiment.group, f"/{vo}") if experiment else ()
        subject = f"/DC=org/DC=datalake/O=people/CN={name}"
        account = name.lower() if experiment else ADMINISTRATOR
        certificate, key = authorities.issue_user(name)
        proxy = authorities.proxy(certificate, key, fqans=groups)
        plain_proxy = authorities.proxy(certificate, key) if groups else proxy
        refresh_token, password = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        for file, content in (
            ("certificate.pem", certificate),
            ("key.pem", key),
            ("proxy.pem", proxy),
            ("plain-proxy.pem", plain_proxy),
            ("client-secret", tests_secret),
            ("refresh-token", refresh_token),
            ("password", password),
        ):
            write_private(home / file, content)
        members_of_iam.append(
            Account(
                uuid=str(uuid.uuid4()),
                username=name,
                groups=tuple(group.removeprefix("/") for group in groups),
                subject=subject,
                issuer=authorities.ca_name,
                refresh_token=refresh_token,
                refresh_client=TESTS,
                refresh_scopes=(
                    *_ABOUT_THE_USER,
                    *(_storage_scopes(experiment.area) if experiment else ADMINISTRATION),
                ),
                administrator=experiment is None,
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
                client_id=TESTS,
                client_secret_file=str(home / "client-secret"),
                refresh_token_file=str(home / "refresh-token"),
                administers=administered if experiment is None else (),
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
                token_subject=members_of_iam[-1].uuid,
            )
        )
        if experiment is None:
            robot_proxy = plain_proxy
            everybody = [*(one.group for one in experiments), f"/{vo}"]
            write_private(mover_proxy, authorities.proxy(certificate, key, fqans=everybody))
    at_institution: tuple[Account, ...] = ()
    if administered:
        identities.append(newcomer(authorities, directory))
        at_institution = (_at_institution(identities[-1]),)
    mover_secret = secrets.token_urlsafe(32)
    members = {one.experiment: (one.subject,) for one in identities if one.experiment}
    return People(
        identities=tuple(identities),
        accounts=tuple(sorted(accounts, key=lambda one: one.name != ADMINISTRATOR)),
        clients=_clients(tests_secret, mover_secret),
        members_of_iam=tuple(members_of_iam),
        policies=_policies(experiments),
        at_institution=at_institution,
        members=members,
        robot_proxy=robot_proxy,
        mover_proxy=mover_proxy,
        mover_secret=mover_secret,
    )


def newcomer(authorities: Authorities, directory: Path) -> Identity:
    """Somebody who can become a member, by a login at the institution."""
    home = directory / NEWCOMER
    home.mkdir(mode=0o700)
    certificate, key = authorities.issue_user(NEWCOMER)
    for file, content in (
        ("certificate.pem", certificate),
        ("key.pem", key),
        ("password", secrets.token_urlsafe(24)),
    ):
        write_private(home / file, content)
    return Identity(
        name=NEWCOMER,
        subject=f"/DC=org/DC=datalake/O=people/CN={NEWCOMER}",
        certificate=str(home / "certificate.pem"),
        key=str(home / "key.pem"),
        enrols=True,
        username=NEWCOMER,
        password_file=str(home / "password"),
    )


def _at_institution(identity: Identity) -> Account:
    from werkzeug.security import generate_password_hash  # slow to load, and few lakes have an institution

    return Account(
        uuid=str(uuid.uuid4()),
        username=identity.username,
        email=f"{identity.username}@institute.example",
        password_hash=generate_password_hash(Path(identity.password_file).read_text()),
    )


def _clients(tests_secret: str, mover_secret: str) -> tuple[Client, ...]:
    everything = _storage_scopes("/")
    return (
        Client(
            client_id=TESTS,
            name="the tests",
            secret=tests_secret,
            grants=(CLIENT_CREDENTIALS, REFRESH_TOKEN, AUTHORIZATION_CODE, DEVICE_CODE, TOKEN_EXCHANGE),
            scopes=(*_ABOUT_THE_USER, *ADMINISTRATION, *everything),
            redirect_uris=(REDIRECT_URI,),
        ),
        Client(client_id=MOVER, secret=mover_secret, scopes=(*everything, "fts", "offline_access")),
    )


def _policies(experiments: tuple[Experiment, ...]) -> tuple[Policy, ...]:
    """Everybody is kept out of everything, and each experiment let into its own area."""
    return (
        Policy(rule="DENY", matching="PATH", scopes=_storage_scopes("/"), description="areas have owners"),
        *(
            Policy(
                rule="PERMIT",
                matching="PATH",
                scopes=_storage_scopes(one.area),
                group=one.group.removeprefix("/"),
                description=f"the area of {one.name}",
            )
            for one in experiments
        ),
    )


def _storage_scopes(area: str) -> tuple[str, ...]:
    return tuple(f"{action}:{area}" for action in STORAGE_ACTIONS)
