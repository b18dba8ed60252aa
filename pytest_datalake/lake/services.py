"""The central services of an embedded lake, each prepared from what the lake is made of."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.lake import identities
from pytest_datalake.lake.catalogue import catalogue
from pytest_datalake.lake.daemons import activemq, files, fts, iam, rucio
from pytest_datalake.lake.iam.config import AUTHORIZATION_CODE, CALLBACK, Client, Institution
from pytest_datalake.matrix.model import Forge
from pytest_datalake.matrix.technologies import BROKER, MONITORING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_datalake.lake.daemons.api import Account, AuthorityPaths, Process
    from pytest_datalake.lake.launch import Machine
    from pytest_datalake.lake.pki import Authorities
    from pytest_datalake.lake.state import StateDirectory
    from pytest_datalake.matrix.model import Endpoint, Matrix

IAM = "iam"
"""The service that every lake has, whether its matrix names it or not: the token issuer."""

_BROKER_PORTS = 1

PORTS: Mapping[str, int] = {"fts": 1, "rucio": rucio.PORTS + _BROKER_PORTS, IAM: 1}
"""How many TCP ports a service needs. That of the token issuer, which every lake has, is not among them: with
the service ``iam`` comes an institution at which people log in."""

_SHARED_ACCOUNT = 0
"""Number of the account of our own services; sites are counted from 1."""

_RUCIO_ACCOUNT = 90
"""Number of the account of Rucio and its database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a lake consists of when its services are prepared.

    Attributes:
        endpoints: with hosts, ports and prefixes.
        object_stores: ``scheme://host:port`` -> JSON file with the keys of an object store.
    """

    matrix: Matrix
    state: StateDirectory
    machine: Machine
    authorities: Authorities
    paths: AuthorityPaths
    people: identities.People
    endpoints: tuple[Endpoint, ...]
    object_stores: Mapping[str, Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What the IAM is made of, and who is known to it.

    Attributes:
        named: the matrix names it, so that people can become members.
        institution_port: of the institution's service, where it is named.
    """

    state: StateDirectory
    account: Account
    authorities: Authorities
    paths: AuthorityPaths
    people: identities.People
    vo: str
    named: bool
    port: int
    institution_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A process that serves everybody.

    Attributes:
        url: where it is called; empty for one that nobody calls.
        urls: name in the matrix -> address, of what it offers.
    """

    process: Process
    account: Account
    url: str
    urls: Mapping[str, str]


def compose(door_ports: Mapping[str, Sequence[int]], around: Surroundings) -> list[Service]:
    """Write the configurations of the services that have ports, and say what is to be started.

    Raises:
        UsageError: what a service needs is not installed.
    """
    urls = dict(around.matrix.services)
    broker = None
    composed = []
    if "rucio" in door_ports:
        *rucio_ports, broker_port = door_ports["rucio"]
        broker = _broker(broker_port, around)
    if "fts" in door_ports:
        composed.append(_transfer_manager(door_ports["fts"][0], around, broker))
        urls |= composed[0].urls
    if broker is not None:
        composed += _rucio(rucio_ports, around, broker, fts_url=urls.get("fts", ""))
    return composed


def iam_services(membership: Membership) -> list[Service]:
    """The IAM, and the institution where the matrix names the IAM."""
    about = membership
    institution, composed = None, []
    if about.named:
        institution, service = _institution(about)
        composed.append(service)
    certificate, key = about.authorities.issue_host(["localhost"], ["127.0.0.1"])
    process = iam.prepare(
        about.state.path / IAM,
        account=about.account,
        port=about.port,
        host_certificate=certificate,
        host_key=key,
        authorities=about.paths,
        keys=about.authorities.forge(),
        vo=about.vo,
        institution=institution,
        clients=about.people.clients,
        members=about.people.members_of_iam,
        policies=about.people.policies,
    )
    url = about.authorities.issuer
    urls = {IAM: url} if about.named else {}
    return [Service(process=process, account=about.account, url=url, urls=urls), *composed]


def _institution(about: Membership) -> tuple[Institution, Service]:
    """Our own service once more: an OpenID provider of an institution, whose people are no members."""
    url = f"https://localhost:{about.institution_port}/"
    institution = Institution(
        name="the Institute of Lakes", issuer=url, client_id=IAM, client_secret=secrets.token_urlsafe(32)
    )
    certificate, key = about.authorities.issue_host(["localhost"], ["127.0.0.1"])
    process = iam.prepare(
        about.state.path / "institution",
        account=about.account,
        port=about.institution_port,
        host_certificate=certificate,
        host_key=key,
        authorities=about.paths,
        keys=Forge(issuer_key=str(about.authorities.institution_key)),
        vo="institute",
        name="institution",
        issuer=url,
        clients=(
            Client(
                client_id=IAM,
                name=f"the IAM of {about.vo}",
                secret=institution.client_secret,
                grants=(AUTHORIZATION_CODE,),
                scopes=("openid", "profile", "email"),
                redirect_uris=(about.authorities.issuer + CALLBACK,),
                algorithm="ES256",
            ),
        ),
        members=about.people.at_institution,
    )
    return institution, Service(process=process, account=about.account, url=url, urls={})


def _broker(port: int, around: Surroundings) -> activemq.Broker:
    """The services speak to it, and whoever is the robot listens, by the password that it has for Rucio."""
    robot = next(one for one in around.people.accounts if one.name == identities.ADMINISTRATOR)
    own = {name: secrets.token_urlsafe(24) for name in (rucio.USER, fts.USER)}
    return activemq.Broker(port=port, passwords={**own, robot.username: robot.password})


def _transfer_manager(port: int, around: Surroundings, broker: activemq.Broker | None) -> Service:
    account = around.machine.account(_SHARED_ACCOUNT)
    certificate, key = around.authorities.issue_host(["localhost"], ["127.0.0.1"])
    process = fts.prepare(
        around.state.path / "fts",
        account=account,
        port=port,
        host_certificate=certificate,
        host_key=key,
        authorities=around.paths,
        administrators=[around.people.subject(identities.ROBOT)],
        endpoints=around.endpoints,
        object_stores=around.object_stores,
        delegated=[around.people.mover_proxy],
        broker=broker,
    )
    messages = around.state.path / "fts" / "data" / fts.MESSAGES
    return Service(
        process=process,
        account=account,
        url=f"https://{fts.HOST}:{port}",
        urls={"fts": f"https://{fts.HOST}:{port}", MONITORING: f"file://{messages}"},
    )


def _rucio(
    door_ports: Sequence[int], around: Surroundings, broker: activemq.Broker, *, fts_url: str
) -> list[Service]:
    account = around.machine.account(_RUCIO_ACCOUNT)
    certificate, key = around.authorities.issue_host(["localhost"], ["127.0.0.1"])
    plan = rucio.RucioPlan(
        vo=around.matrix.vo,
        directory=files.make_directory(around.state.path / "rucio", account),
        account=account,
        ports=tuple(door_ports),
        host_certificate=certificate,
        host_key=key,
        proxy=around.people.mover_proxy.read_bytes(),
        authorities=around.paths,
        broker=broker,
        catalogue=catalogue(
            around.matrix,
            around.endpoints,
            around.people.accounts,
            issuer=around.authorities.issuer,
            fts=fts_url,
        ),
        client_id=identities.MOVER,
        client_secret=around.people.mover_secret,
    )
    urls = {"rucio": {"rucio": plan.url}, "activemq": {BROKER: broker.url}}
    return [
        Service(
            process=process,
            account=account,
            url=next(iter(urls.get(process.name, {}).values()), ""),
            urls=urls.get(process.name, {}),
        )
        for process in rucio.prepare(plan)
    ]
