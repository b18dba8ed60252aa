"""One set of authorities and one issuer for all tests here: making keys is what takes the time."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.lake.issuer.config import Client, Settings
from pytest_datalake.lake.issuer.server import IssuerServer
from pytest_datalake.lake.pki import Authorities
from pytest_datalake.matrix.model import Identity, Trust

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRETS = {"ska": "ska-+%: very secret", "lofar": "lofar-very-secret"}


@pytest.fixture(scope="session")
def issuer_port() -> Iterator[int]:
    # Bound but not listening, it keeps the port for the server, which may bind it as well (SO_REUSEADDR).
    with socket.socket() as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        yield reservation.getsockname()[1]


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("aai")


@pytest.fixture(scope="session")
def authorities(directory: Path, issuer_port: int) -> Authorities:
    return Authorities.create(directory / "pki", vo="escape", issuer=f"https://localhost:{issuer_port}/")


@pytest.fixture(scope="session")
def identities(authorities: Authorities, directory: Path) -> dict[str, Identity]:
    return {name: _identity(authorities, directory, name) for name in SECRETS}


@pytest.fixture(scope="session")
def issuer_settings(authorities: Authorities, directory: Path, issuer_port: int) -> Settings:
    certificate, key = authorities.issue_host(["localhost"], ["127.0.0.1", "127.0.0.11"])
    return Settings(
        issuer=authorities.issuer,
        vo="escape",
        port=issuer_port,
        host_certificate=_private(directory / "host.pem", certificate),
        host_key=_private(directory / "host.key", key),
        signing_key=str(authorities.issuer_key),
        clients=tuple(
            Client(
                client_id=name, secret=secret, groups=(f"/escape/{name}", "/escape"), areas=(f"/{name}",)
            ).hashed()
            for name, secret in SECRETS.items()
        ),
    )


@pytest.fixture(scope="session")
def trust(authorities: Authorities, issuer_settings: Settings) -> Iterator[Trust]:
    """What a client knows of the AAI, with its issuer running."""
    paths = authorities.paths(keys_are_fetched=False)
    with IssuerServer(issuer_settings) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield Trust(
                ca_directory=str(paths.ca_directory),
                ca_file=str(paths.ca_file),
                issuer=authorities.issuer,
                forge=authorities.forge(),
            )
        finally:
            server.shutdown()
            thread.join()


def _identity(authorities: Authorities, directory: Path, name: str) -> Identity:
    certificate, key = authorities.issue_user(name)
    groups = (f"/escape/{name}", "/escape")
    return Identity(
        name=name,
        experiment=name,
        subject=f"/DC=org/DC=datalake/O=people/CN={name}",
        groups=groups,
        certificate=_private(directory / f"{name}.pem", certificate),
        key=_private(directory / f"{name}.key", key),
        proxy=_private(directory / f"{name}.proxy", authorities.proxy(certificate, key, fqans=groups)),
        plain_proxy=_private(directory / f"{name}.plain", authorities.proxy(certificate, key)),
        client_id=name,
        client_secret_file=_private(directory / f"{name}.secret", SECRETS[name].encode() + b"\n"),
    )


def _private(path: Path, content: bytes) -> str:
    path.touch(mode=0o600)
    path.write_bytes(content)
    return str(path)
