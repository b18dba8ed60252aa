"""A throw-away PKI, a token issuer and a runner for single daemons, without keeper and composition."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import http.server
import ipaddress
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from joserfc import jwk, jwt

from pytest_datalake.credentials.x509 import fqan, key_to_pem, make_attribute_certificate, make_proxy, new_key
from pytest_datalake.lake.daemons.api import Account, AuthorityPaths, Process, RsePlan
from pytest_datalake.matrix.model import Experiment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.asymmetric import rsa

VO = "escape"
EXPERIMENTS = tuple(
    Experiment(name=name, group=f"/{VO}/{name}", area=f"/{name}") for name in ("ska", "lofar")
)
HOST = "127.0.0.19"
START_BUDGET = 20.0
"""Seconds until a daemon must listen, on a machine that has other things to do."""


@dataclass
class Bearer:
    """A certificate with its key, in PEM."""

    certificate: bytes
    key: bytes
    subject: str
    file: Path


def _name(common_name: str, unit: str) -> x509.Name:
    parts = [
        (NameOID.DOMAIN_COMPONENT, "test"),
        (NameOID.ORGANIZATION_NAME, unit),
        (NameOID.COMMON_NAME, common_name),
    ]
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])


class Pki:
    """One CA with its hashed directory, and whatever it signs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.certificates = directory / "certificates"
        self.voms = directory / "vomsdir" / VO
        self.certificates.mkdir(parents=True)
        self.voms.mkdir(parents=True)
        self._key = new_key()
        self.name = "/DC=test/O=authority/CN=CA"
        self._subject = _name("CA", "authority")
        self.ca = self._sign(
            self._subject, self._key.public_key(), x509.BasicConstraints(ca=True, path_length=None)
        )
        self.ca_file = directory / "ca.pem"
        self.ca_file.write_bytes(self.ca.public_bytes(Encoding.PEM))
        self.revoke()
        self.host = self.issue("host", unit="hosts", addresses=(HOST, "127.0.0.1"))
        self.voms_server = self.issue("voms", unit="hosts")
        (self.voms / "localhost.lsc").write_text(f"{self.voms_server.subject}\n{self.name}\n")

    def _sign(
        self,
        subject: x509.Name,
        key: rsa.RSAPublicKey,
        basic: x509.BasicConstraints,
        addresses: tuple[str, ...] = (),
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(days=2))
            .add_extension(basic, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )
        if addresses:
            names: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(one)) for one in addresses]
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName("localhost"), *names]), critical=False
            )
        if not basic.ca:
            usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def issue(self, common_name: str, *, unit: str = "people", addresses: tuple[str, ...] = ()) -> Bearer:
        key = new_key()
        subject = _name(common_name, unit)
        certificate = self._sign(
            subject, key.public_key(), x509.BasicConstraints(ca=False, path_length=None), addresses
        )
        text = certificate.public_bytes(Encoding.PEM)
        file = self.directory / f"{common_name}.pem"
        file.write_bytes(text + key_to_pem(key))
        file.chmod(0o600)
        return Bearer(text, key_to_pem(key), f"/DC=test/O={unit}/CN={common_name}", file)

    def proxy(self, user: Bearer, *groups: str) -> Path:
        attributes = make_attribute_certificate(
            user.certificate,
            self.voms_server.certificate,
            self.voms_server.key,
            vo=VO,
            fqans=[fqan(group) for group in groups],
        )
        file = self.directory / f"{user.file.stem}.proxy"
        file.write_bytes(make_proxy(user.certificate, user.key, attribute_certificates=[attributes]))
        file.chmod(0o600)
        return file

    def revoke(self, *users: Bearer) -> None:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._subject)
            .last_update(now - dt.timedelta(minutes=5))
            .next_update(now + dt.timedelta(days=2))
        )
        for user in users:
            serial = x509.load_pem_x509_certificate(user.certificate).serial_number
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
            )
        crl = builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)
        policy = (
            f"access_id_CA X509 '{self.name}'\n"
            "pos_rights globus CA:sign\n"
            "cond_subjects globus '\"/DC=test/*\"'\n"
        )
        for option in ("-subject_hash", "-subject_hash_old"):
            told = subprocess.run(
                ["openssl", "x509", "-in", self.ca_file, "-noout", option],
                capture_output=True,
                text=True,
                check=True,
            )
            stem = self.certificates / told.stdout.strip()
            stem.with_suffix(".0").write_bytes(self.ca_file.read_bytes())
            stem.with_suffix(".r0").write_bytes(crl)
            stem.with_suffix(".signing_policy").write_text(policy)


class Issuer:
    """Publishes one key over https and signs tokens with it."""

    def __init__(self, pki: Pki) -> None:
        self._key = jwk.RSAKey.generate_key(2048, {"kid": "k1", "use": "sig", "alg": "RS256"})
        document = json.dumps({"keys": [self._key.as_dict(private=False)]}).encode()
        self.jwks_file = pki.directory / "jwks.json"
        self.jwks_file.write_bytes(document)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path == "/jwk" else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(document)))
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, *_: object) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki.host.file)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def token(self, scope: str = "", *, groups: tuple[str, ...] = (), **changes: object) -> str:
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url, "sub": "ska", "aud": HOST, "iat": now, "nbf": now, "exp": now + 600,
            "jti": str(uuid.uuid4()), "wlcg.ver": "1.0", "scope": scope,
        }  # fmt: skip
        if groups:
            claims["wlcg.groups"] = list(groups)
        claims.update(changes)
        return jwt.encode({"alg": "RS256", "kid": "k1"}, claims, self._key)


@dataclass
class Rig:
    """Makes plans and runs their processes."""

    directory: Path
    pki: Pki
    issuer: Issuer
    users: dict[str, Bearer]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def plan(self, technology: str, ports: int) -> RsePlan:
        root = os.geteuid() == 0
        account = (
            Account(uid=30990, gid=30990, drop=True)
            if root
            else Account(uid=os.getuid(), gid=os.getgid(), drop=False)
        )
        directory = Path(tempfile.mkdtemp(prefix=f"{technology}-", dir=self.directory))
        files = {"host.pem": self.pki.host.certificate, "host.key": self.pki.host.key}
        for name, content in files.items():
            (directory / name).write_bytes(content)
            (directory / name).chmod(0o600)
        if root:
            for path in (directory, *directory.iterdir()):
                os.chown(path, account.uid, account.gid)
        return RsePlan(
            rse=f"TEST-{technology}", site="TEST", technology=technology, vo=VO, experiments=EXPERIMENTS,
            directory=directory, data=directory / "data", account=account, host=HOST, ports=free_ports(ports),
            host_certificate=directory / "host.pem", host_key=directory / "host.key",
            robot_proxy=directory / "robot.proxy",
            authorities=AuthorityPaths(
                ca_directory=self.pki.certificates, ca_file=self.pki.ca_file, ca_name=self.pki.name,
                voms_directory=self.pki.voms.parent, issuer=self.issuer.url,
                issuer_jwks=self.issuer.jwks_file, keys_are_fetched=False,
            ),
            endpoints=(), audience=HOST,
            members={name: (user.subject,) for name, user in self.users.items()},
        )  # fmt: skip

    def start(self, plan: RsePlan, processes: tuple[Process, ...]) -> None:
        for process in processes:
            drop = plan.account.drop and not process.as_root
            with process.log.with_name(f"{process.name}.out").open("ab") as output:
                child = subprocess.Popen(
                    process.command, env=dict(process.environment), cwd=plan.directory,
                    stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                    user=plan.account.uid if drop else None, group=plan.account.gid if drop else None,
                    extra_groups=[] if drop else None,
                )  # fmt: skip
            self.running.append(child)
        deadline = time.monotonic() + START_BUDGET
        for process in processes:
            for address in process.ready:
                while not _listens(address):
                    assert time.monotonic() < deadline, f"{process.name} does not listen on {address}"
                    for child in self.running:
                        with contextlib.suppress(subprocess.TimeoutExpired):
                            ended = child.wait(0.01)
                            pytest.fail(f"{child.args!r} ended with {ended}")

    def https(self, plan: RsePlan) -> Https:
        return Https(plan.host, plan.ports[0], self.pki.ca_file)

    def stop(self) -> None:
        for child in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
        for child in self.running:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait(10)
        self.running.clear()


def _listens(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, 1).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> tuple[int, ...]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return tuple(one.getsockname()[1] for one in sockets)


@dataclass
class Answer:
    """What a door said."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Https:
    """One request a call, to one door, trusting our CA alone."""

    host: str
    port: int
    ca_file: Path

    def __call__(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        token: str = "",
        user: Bearer | None = None,
        headers: dict[str, str] | None = None,
        **more_headers: str,
    ) -> Answer:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.ca_file)
        if user is not None:
            context.load_cert_chain(user.file)
        sent = dict(headers or {})
        sent |= {name.replace("_", "-"): value for name, value in more_headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=10, context=context)
        with contextlib.closing(connection):
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            received = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, received, response.read())


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    directory = Path(tempfile.mkdtemp(prefix="daemons-", dir="/var/tmp"))
    directory.chmod(0o711)
    pki = Pki(directory / "pki")
    issuer = Issuer(pki)
    made = Rig(directory, pki, issuer, {name: pki.issue(name) for name in ("ska", "lofar")})
    try:
        yield made
    finally:
        made.stop()
        issuer.close()
        shutil.rmtree(directory)
