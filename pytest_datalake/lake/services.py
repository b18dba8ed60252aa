"""The central services of an embedded lake, each prepared from what the lake is made of."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_datalake.lake import identities
from pytest_datalake.lake.catalogue import catalogue
from pytest_datalake.lake.daemons import activemq, files, fts, rucio
from pytest_datalake.matrix.technologies import BROKER, MONITORING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_datalake.lake.daemons.api import Account, AuthorityPaths, Process
    from pytest_datalake.lake.launch import Machine
    from pytest_datalake.lake.pki import Authorities
    from pytest_datalake.lake.state import StateDirectory
    from pytest_datalake.matrix.model import Endpoint, Matrix

_BROKER_PORTS = 1

PORTS: Mapping[str, int] = {"fts": 1, "rucio": rucio.PORTS + _BROKER_PORTS}
"""How many TCP ports a service needs."""

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
class Service:
    """A process that serves everybody.

    Attributes:
        urls: name in the matrix -> address, of what it offers; the first is its own.
    """

    process: Process
    account: Account
    urls: Mapping[str, str]

    @property
    def url(self) -> str:
        """Where it is called; empty for one that nobody calls."""
        return next(iter(self.urls.values()), "")


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
        Service(process=process, account=account, urls=urls.get(process.name, {}))
        for process in rucio.prepare(plan)
    ]
