"""One set of authorities and one IAM for all tests here: making keys is what takes the time."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.capabilities.enrol import Newcomer
from pytest_datalake.clients.iam import Client, Iam
from pytest_datalake.credentials.tokens import TokenSource
from pytest_datalake.lake import services
from pytest_datalake.lake.daemons.api import Account
from pytest_datalake.lake.iam import service
from pytest_datalake.lake.iam.config import Settings
from pytest_datalake.lake.iam.server import IamServer
from pytest_datalake.lake.identities import TESTS, enrol
from pytest_datalake.lake.pki import Authorities
from pytest_datalake.lake.state import StateDirectory
from pytest_datalake.matrix.model import Experiment, Identity, Trust

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_datalake.lake.identities import People

EXPERIMENTS = tuple(
    Experiment(name=name, group=f"/escape/{name}", area=f"/{name}") for name in ("ska", "lofar")
)


@contextmanager
def free_port() -> Iterator[int]:
    # Bound but not listening, it keeps the port for the server, which may bind it as well (SO_REUSEADDR).
    with socket.socket() as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        yield reservation.getsockname()[1]


@contextmanager
def serving(settings: Settings) -> Iterator[service.Iam]:
    """An IAM in a thread of this process."""
    voms = (b"", b"")
    if settings.voms_key:
        voms = (Path(settings.voms_certificate).read_bytes(), Path(settings.voms_key).read_bytes())
    with IamServer(settings) as server:
        iam = service.Iam(settings, Path(settings.signing_key).read_bytes(), voms)
        server.serve(iam)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield iam
        finally:
            server.shutdown()
            thread.join()
            iam.close()


@pytest.fixture(scope="session")
def issuer_port() -> Iterator[int]:
    with free_port() as port:
        yield port


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("aai")


@pytest.fixture(scope="session")
def authorities(directory: Path, issuer_port: int) -> Authorities:
    return Authorities.create(directory / "pki", vo="escape", issuer=f"https://localhost:{issuer_port}/")


@pytest.fixture(scope="session")
def people(authorities: Authorities, directory: Path) -> People:
    return enrol(authorities, EXPERIMENTS, directory / "identities", vo="escape", administered=("iam",))


@pytest.fixture(scope="session")
def identities(people: People) -> dict[str, Identity]:
    return {one.name: one for one in people.identities}


@pytest.fixture(scope="session")
def all_settings(
    authorities: Authorities, people: People, directory: Path, issuer_port: int
) -> Iterator[tuple[Settings, Settings]]:
    """Of the IAM, and of the institution at which people log in."""
    with free_port() as institution_port:
        composed = services.iam_services(
            services.Membership(
                state=StateDirectory(directory),
                account=Account(uid=os.getuid(), gid=os.getgid(), drop=False),
                authorities=authorities,
                paths=authorities.paths(keys_are_fetched=True),
                people=people,
                vo="escape",
                named=True,
                port=issuer_port,
                institution_port=institution_port,
            )
        )
        iam, institution = (Settings.read(one.process.config) for one in composed)
        yield iam, institution


@pytest.fixture(scope="session")
def settings(all_settings: tuple[Settings, Settings]) -> Settings:
    return all_settings[0]


@pytest.fixture(scope="session")
def trust(authorities: Authorities, all_settings: tuple[Settings, Settings]) -> Iterator[Trust]:
    """What a client knows of the AAI, with its IAM and the institution running."""
    paths = authorities.paths(keys_are_fetched=False)
    with serving(all_settings[0]), serving(all_settings[1]):
        yield Trust(
            ca_directory=str(paths.ca_directory),
            ca_file=str(paths.ca_file),
            voms_directory=str(paths.voms_directory),
            vomses=str(authorities.vomses_file),
            issuer=authorities.issuer,
            forge=authorities.forge(),
        )


@pytest.fixture(scope="session")
def iam(trust: Trust) -> Iam:
    """The service, as somebody without a token."""
    return Iam(trust.issuer, ca_file=trust.ca_file)


@pytest.fixture(scope="session")
def tests_client(identities: dict[str, Identity]) -> Client:
    return Client(client_id=TESTS, secret=Path(identities["ska"].client_secret_file).read_text())


@pytest.fixture
def iam_as(trust: Trust, identities: dict[str, Identity], iam: Iam) -> Callable[..., Iam]:
    """The service as one of the identities: ``iam_as("robot", "scim:read")``."""

    def make(name: str, scope: str = "openid", *, certificate: str = "") -> Iam:
        token = TokenSource(trust, identities[name]).token(audience="localhost", scope=scope)
        return iam.with_token(token, certificate=certificate)

    return make


@pytest.fixture
def newcomer(
    iam: Iam, trust: Trust, identities: dict[str, Identity], tests_client: Client, tmp_path: Path
) -> Newcomer:
    """Somebody with a login at the institution, who is no member."""
    identity = identities["newcomer"]
    return Newcomer(
        iam,
        identity,
        password=Path(identity.password_file).read_text(),
        client=tests_client,
        trust=trust,
        vo="escape",
        directory=tmp_path / "proxies",
    )
