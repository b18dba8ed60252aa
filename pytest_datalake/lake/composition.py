"""From a matrix that says ``lake: embedded`` to a running lake and the matrix of its doors."""

from __future__ import annotations

import time
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pytest_datalake.errors import DatalakeError, UsageError
from pytest_datalake.lake import identities, launch, ports, services, shortcomings
from pytest_datalake.lake.daemons import files
from pytest_datalake.lake.daemons.api import RsePlan
from pytest_datalake.lake.keeper import SYSTEM_BUNDLE
from pytest_datalake.lake.pki import Authorities
from pytest_datalake.lake.running import Lake, abandon, adopt, end_leftovers
from pytest_datalake.lake.state import StateDirectory, default_for, write_json, write_private
from pytest_datalake.matrix.model import Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from pytest_datalake.lake.daemons.api import Account, AuthorityPaths, Process
    from pytest_datalake.matrix.model import Endpoint, Matrix

__all__ = ["DAEMONS", "Lake", "adopt", "default_state_directory", "up"]

DAEMONS = {
    "xrootd": "pytest_datalake.lake.daemons.xrootd",
    "apache": "pytest_datalake.lake.daemons.apache",
    "gridftp": "pytest_datalake.lake.daemons.gridftp",
    "swift": "pytest_datalake.lake.daemons.swift",
}
"""Technology in the matrix -> module that serves it (``daemons.api.Daemon``)."""

ANY_AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"
"""Audience of root doors: one client process logs in at both ends of a copy with one token."""

_SECONDS_TO_COME_UP = 40
_SECONDS_FOR_SERVICES = 40
"""On top, where there are any: they take more work to load than a storage."""
_ATTEMPTS = 3


def default_state_directory(matrix: Matrix) -> Path:
    """Where this user's lake for that matrix lives unless told otherwise."""
    return default_for(matrix.path)


def up(matrix: Matrix, state_dir: Path, *, detached: bool, progress: Callable[[str], None]) -> Lake:
    """Put a lake up, or adopt the one that lives in the state directory already.

    Args:
        matrix: says ``lake: embedded``.
        state_dir: holds one lake; what a dead one left there is removed.
        detached: the lake lives until it is taken down; otherwise it ends with this process, however it ends.
        progress: called with lines for people.

    Raises:
        UsageError: nothing to start, a bad state directory, a missing executable, another lake in it.
        EngineError: a daemon did not come up.
    """
    if not matrix.embedded:
        raise UsageError(f"{matrix.path} describes a lake elsewhere: it does not say `lake: embedded`")
    matrix = shortcomings.with_known_here(matrix)
    state = StateDirectory(state_dir)
    with state.locked():
        state.prepare()
        if state.is_alive():
            lake = Lake(state, adopted=True)
            if lake.digest != matrix.digest:
                raise UsageError(
                    f"the lake in {state.path} was started from another version of {matrix.path}; "
                    "`datalake down` stops it"
                )
            progress(f"adopted the lake in {state.path}")
            return lake
        end_leftovers(state)
        machine = launch.Machine.probe()
        machine.demand_host_name()
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return _put_up(matrix, state, machine, detached=detached, progress=progress)
            except launch.PortTakenError as error:
                if attempt == _ATTEMPTS:
                    raise
                progress(f"{error}; trying other ports")
    raise AssertionError("unreachable")


def _put_up(
    matrix: Matrix,
    state: StateDirectory,
    machine: launch.Machine,
    *,
    detached: bool,
    progress: Callable[[str], None],
) -> Lake:
    started = time.monotonic()
    state.wipe()
    rses = sorted({endpoint.rse for endpoint in matrix.endpoints})
    progress(f"starting {len(rses)} RSEs at {len(matrix.sites)} sites in {state.path}")
    modules = {name: daemon_module(matrix, name) for name in rses}
    own = [name for name, url in matrix.services if not url]
    claims = ports.claim(
        1 + sum(module.PORTS for module in modules.values()) + sum(services.PORTS[name] for name in own)
    )
    try:
        try:
            free = [claim.port for claim in claims]
            composer = _Composer(
                matrix,
                state,
                machine,
                issuer_port=free.pop(),
                institution_port=free.pop() if services.IAM in own else 0,
            )
            for name in rses:
                count = modules[name].PORTS
                composer.add(name, modules[name], [free.pop() for _ in range(count)])
            composer.add_services(
                {
                    name: [free.pop() for _ in range(services.PORTS[name])]
                    for name in own
                    if name != services.IAM
                }
            )
            composer.write()
        except BaseException:
            state.wipe()  # half a lake is of no use, and no daemon has written a log yet
            raise
        keeper = launch.keep(
            state,
            claims,
            machine,
            detached=detached,
            on_ready=lambda name: progress(f"{time.monotonic() - started:5.1f} s  {name} answers"),
        )
    except DatalakeError:
        raise  # the daemons' logs are wanted
    except BaseException:
        abandon(state)
        raise
    finally:
        for claim in claims:
            claim.release()
    return Lake(state, adopted=False, keeper=keeper)


def daemon_module(matrix: Matrix, rse: str) -> ModuleType:
    """The module that serves an RSE's technology.

    Raises:
        UsageError: the embedded lake has none.
    """
    endpoint = next(one for one in matrix.endpoints if one.rse == rse)
    if endpoint.technology not in DAEMONS:
        raise UsageError(
            f"{endpoint.location or matrix.path}: the embedded lake cannot start {endpoint.technology}; "
            f"it knows {', '.join(sorted(DAEMONS))}"
        )
    return import_module(DAEMONS[endpoint.technology])


class _Composer:
    """Gathers processes and resolved endpoints, and writes what keeper and clients read."""

    def __init__(
        self,
        matrix: Matrix,
        state: StateDirectory,
        machine: launch.Machine,
        *,
        issuer_port: int,
        institution_port: int,
    ) -> None:
        self._matrix = matrix
        self._state = state
        self._machine = machine
        self._authorities = Authorities.create(
            state.path / "pki", vo=matrix.vo, issuer=f"https://localhost:{issuer_port}/"
        )
        self._people = identities.enrol(
            self._authorities,
            matrix.experiments,
            state.path / "identities",
            vo=matrix.vo,
            administered=(services.IAM,) if institution_port else (),
        )
        self._access_key_file = ""
        self._processes: list[dict[str, Any]] = []
        self._endpoints: list[Endpoint] = []
        self._object_stores: dict[str, Path] = {}
        self._services: dict[str, dict[str, str]] = {}
        self._urls = dict(matrix.services)
        self._rses: dict[str, dict[str, Any]] = {}
        self._start_iam(issuer_port, institution_port)

    @property
    def _paths(self) -> AuthorityPaths:
        return self._authorities.paths(keys_are_fetched=self._machine.mounts)

    def _start_iam(self, port: int, institution_port: int) -> None:
        composed = services.iam_services(
            services.Membership(
                state=self._state,
                account=self._machine.account(0),
                authorities=self._authorities,
                paths=self._paths,
                people=self._people,
                vo=self._matrix.vo,
                named=bool(institution_port),
                port=port,
                institution_port=institution_port,
            )
        )
        for service in composed:
            self._urls |= service.urls
            self._add_service(service.process, service.account, service.url)

    def add(self, rse: str, module: ModuleType, door_ports: Sequence[int]) -> None:
        """Prepare one RSE."""
        declared = [one for one in self._matrix.endpoints if one.rse == rse]
        site = declared[0].site
        number = self._matrix.sites.index(site) + 1
        host = f"127.0.0.{10 + number}"
        account = self._machine.account(number)
        directory = self._state.path / "rse" / rse
        directory.parent.mkdir(mode=0o711, exist_ok=True)
        directory.parent.chmod(0o711)
        files.make_directory(directory, account)
        data = files.make_directory(directory / "data", account)
        endpoints = tuple(
            self._resolve(one, host, door_ports[0], module.PREFIX.format(data=data, vo=self._matrix.vo))
            for one in declared
        )
        certificate, key = self._authorities.issue_host(["localhost"], ["127.0.0.1", host])
        plan = RsePlan(
            rse=rse,
            site=site,
            technology=declared[0].technology,
            vo=self._matrix.vo,
            experiments=self._matrix.experiments,
            directory=directory,
            data=data,
            account=account,
            host=host,
            ports=tuple(door_ports),
            host_certificate=files.write_file(directory / "host.pem", certificate.decode(), account),
            host_key=files.write_file(directory / "host.key", key.decode(), account),
            robot_proxy=files.write_file(directory / "robot.pem", self._people.robot_proxy.decode(), account),
            authorities=self._paths,
            endpoints=endpoints,
            audience=next((one.audience for one in endpoints if one.protocol == "davs"), host),
            members=self._people.members,
        )
        processes = module.prepare(plan)
        for process in processes:
            self._processes.append(
                launch.process_plan(f"{rse}/{process.name}", process, account, self._state)
            )
        if key_file := getattr(module, "ACCESS_KEY_FILE", ""):
            self._access_key_file = str(directory / key_file)
            self._object_stores |= {
                f"{one.protocol}://{one.host}:{one.port}": directory / key_file for one in endpoints
            }
        self._describe(plan, processes)
        self._endpoints.extend(endpoints)

    def add_services(self, door_ports: Mapping[str, Sequence[int]]) -> None:
        """Prepare the central services of those names; all RSEs have been added."""
        composed = services.compose(
            door_ports,
            services.Surroundings(
                matrix=self._matrix,
                state=self._state,
                machine=self._machine,
                authorities=self._authorities,
                paths=self._paths,
                people=self._people,
                endpoints=tuple(self._endpoints),
                object_stores=self._object_stores,
            ),
        )
        for service in composed:
            self._urls |= service.urls
            self._add_service(service.process, service.account, service.url)

    def _add_service(self, process: Process, account: Account, url: str) -> None:
        self._processes.append(launch.process_plan(process.name, process, account, self._state))
        self._services[process.name] = {
            "url": url,
            "process": process.name,
            "log": str(process.log),
            "config": str(process.config),
        }

    @staticmethod
    def _resolve(endpoint: Endpoint, host: str, port: int, prefix: str) -> Endpoint:
        audience = {"davs": host, "root": ANY_AUDIENCE}.get(endpoint.protocol, "")
        return replace(
            endpoint,
            host="localhost" if endpoint.protocol == "root" else host,  # XRootD ignores IP addresses in SANs
            port=port,
            prefix=prefix,
            audience=endpoint.audience or audience,
        )

    def _describe(self, plan: RsePlan, processes: tuple[Process, ...]) -> None:
        door = processes[0]
        self._rses[plan.rse] = {
            "site": plan.site,
            "technology": plan.technology,
            "qos": plan.endpoints[0].qos,
            "root": str(plan.data),
            "processes": [f"{plan.rse}/{process.name}" for process in processes],
            "endpoints": [
                {
                    "protocol": one.protocol,
                    "url": one.url(""),
                    "auth": list(one.auth),
                    "audience": one.audience,
                    "log": str(door.log),
                    "config": str(door.config),
                }
                for one in plan.endpoints
            ],
        }

    def write(self) -> None:
        """Write the keeper's plan, the lake's description and the resolved matrix."""
        from pytest_datalake.matrix.dump import to_yaml  # YAML is slow to load

        bundle = ""
        if self._machine.mounts:
            path = self._state.path / "pki" / "bundle.pem"
            path.write_bytes(SYSTEM_BUNDLE.read_bytes() + b"\n" + self._paths.ca_file.read_bytes())
            path.chmod(0o644)
            bundle = str(path)
        write_json(
            self._state.plan,
            {
                "bundle": bundle,
                "hostname": "" if self._machine.resolves else "localhost",
                "budget": _SECONDS_TO_COME_UP + (_SECONDS_FOR_SERVICES if self._urls else 0),
                "processes": self._processes,
            },
        )
        write_json(
            self._state.description,
            {
                "digest": self._matrix.digest,
                "issuer_keys": "fetched" if self._machine.mounts else "seeded",
                "trust": {
                    "ca_directory": str(self._paths.ca_directory),
                    "ca_file": str(self._paths.ca_file),
                    "voms_directory": str(self._paths.voms_directory),
                },
                "services": self._services,
                "rses": self._rses,
                "identities": {
                    one.name: {"subject": one.subject, "groups": list(one.groups), "proxy": one.proxy}
                    for one in self._people.identities
                },
            },
        )
        write_private(self._state.matrix, to_yaml(self._resolved()))

    def _resolved(self) -> Matrix:
        return replace(
            self._matrix,
            embedded=False,
            services=tuple(self._urls.items()),
            endpoints=tuple(sorted(self._endpoints, key=lambda one: one.id)),
            identities=tuple(
                # The object store knows one user: whoever holds its keys may do everything there.
                replace(one, access_key_file=self._access_key_file) if one.experiment else one
                for one in self._people.identities
            ),
            trust=Trust(
                ca_directory=str(self._paths.ca_directory),
                ca_file=str(self._paths.ca_file),
                voms_directory=str(self._paths.voms_directory),
                vomses=str(self._authorities.vomses_file),
                issuer=self._authorities.issuer,
                forge=self._authorities.forge(),
            ),
        )
