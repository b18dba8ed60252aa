"""One set of authorities and one issuer for all tests of this directory: making keys is what takes the time."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class Aai:
    authorities: Authorities
    issuer: str
    port: int
    trust: Trust
    identities: dict[str, Identity]
    settings: Settings
    server: IssuerServer


@pytest.fixture(scope="session")
def aai(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aai]:
    directory = tmp_path_factory.mktemp("aai")
    # Bound but not listening, it keeps the port for the server, which may bind it as well (SO_REUSEADDR).
    with socket.socket() as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        port = reservation.getsockname()[1]
        issuer = f"https://localhost:{port}/"
        authorities = Authorities.create(directory / "pki", vo="escape", issuer=issuer)
        certificate, key = authorities.issue_host(["localhost"], ["127.0.0.1", "127.0.0.11"])
        settings = Settings(
            issuer=issuer,
            vo="escape",
            port=port,
            host_certificate=_private(directory / "host.pem", certificate),
            host_key=_private(directory / "host.key", key),
            signing_key=str(authorities.issuer_key),
            clients=tuple(
                Client(
                    client_id=name,
                    secret=secret,
                    groups=(f"/escape/{name}", "/escape"),
                    areas=(f"/{name}",),
                ).hashed()
                for name, secret in SECRETS.items()
            ),
        )
        identities = {name: _identity(authorities, directory, name) for name in SECRETS}
        trust = Trust(
            ca_directory=str(authorities.paths(keys_are_fetched=False).ca_directory),
            ca_file=str(authorities.paths(keys_are_fetched=False).ca_file),
            issuer=issuer,
            forge=authorities.forge(),
        )
        with IssuerServer(settings) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield Aai(
                    authorities=authorities,
                    issuer=issuer,
                    port=port,
                    trust=trust,
                    identities=identities,
                    settings=settings,
                    server=server,
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
