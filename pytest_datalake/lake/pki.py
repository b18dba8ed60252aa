"""Throw-away authorities of an embedded lake: a CA, a VOMS server's certificate, a token issuer's keys.

Everything lives in files of one directory, so a second process can go on where the first one stopped.
RSA with 2048 bits throughout, except the issuer's second key: GSI in XRootD and Globus takes nothing else.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pytest_datalake.credentials.x509 import (
    VOMS_URI,
    certificates_from_pem,
    fqan,
    key_from_pem,
    key_to_pem,
    make_attribute_certificate,
    make_proxy,
    new_key,
    slash_name,
)
from pytest_datalake.lake.daemons.api import AuthorityPaths
from pytest_datalake.matrix.model import Forge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

LIFETIME = timedelta(days=30)
"""Of all certificates, proxies and attributes: no lake is meant to live longer."""

_BACKDATED = timedelta(hours=1)
_DOMAIN = ((NameOID.DOMAIN_COMPONENT, "org"), (NameOID.DOMAIN_COMPONENT, "datalake"))


@dataclass(frozen=True, kw_only=True)
class Authorities:
    """All who are trusted in one embedded lake.

    Attributes:
        directory: holds public files, readable by every daemon, and keys, readable by the owner alone.
        issuer: URL of the token issuer, ending in "/".
    """

    directory: Path
    vo: str
    issuer: str

    @classmethod
    def create(cls, directory: Path, *, vo: str, issuer: str) -> Authorities:
        """Make new authorities in a directory that need not be there."""
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        authorities = cls(directory=directory, vo=vo, issuer=issuer)
        authorities._make_certificate_authority()
        authorities._make_voms_authority()
        authorities._make_issuer_keys()
        _write(directory / "authorities.json", json.dumps({"vo": vo, "issuer": issuer}).encode())
        return authorities

    @classmethod
    def load(cls, directory: Path) -> Authorities:
        """The authorities that ``create`` made in this directory, perhaps in another process."""
        facts = json.loads((directory / "authorities.json").read_text())
        return cls(directory=directory, vo=facts["vo"], issuer=facts["issuer"])

    @property
    def issuer_key(self) -> Path:
        """The token issuer's private keys in one file, PEM (PKCS#8): RSA for RS256, then P-256 for ES256."""
        return self.directory / "issuer.pem"

    @property
    def institution_key(self) -> Path:
        """The key of an institution's OpenID provider, PEM (PKCS#8): P-256 for ES256."""
        return self.directory / "institution.pem"

    @property
    def ca_name(self) -> str:
        """Subject of the CA in slash form."""
        return slash_name(self._ca.subject)

    @property
    def vomses_file(self) -> Path:
        """Where voms-proxy-init finds the VOMS server, which is the IAM."""
        return self.directory / "vomses"

    def paths(self, *, keys_are_fetched: bool) -> AuthorityPaths:
        """Where daemons find the public files."""
        return AuthorityPaths(
            ca_directory=self.directory / "certificates",
            ca_file=self.directory / "ca.pem",
            ca_name=self.ca_name,
            voms_directory=self.directory / "vomsdir",
            issuer=self.issuer,
            issuer_jwks=self.directory / "jwks.json",
            keys_are_fetched=keys_are_fetched,
        )

    def forge(self) -> Forge:
        """The private keys, for tests that make what a real authority never would."""
        return Forge(
            issuer_key=str(self.issuer_key),
            ca_certificate=str(self.directory / "ca.pem"),
            ca_key=str(self.directory / "ca.key"),
            voms_certificate=str(self.directory / "voms.pem"),
            voms_key=str(self.directory / "voms.key"),
        )

    def issue_host(self, names: Sequence[str], addresses: Sequence[str]) -> tuple[bytes, bytes]:
        """A host certificate for CN=localhost and its key, PEM.

        All hosts of a lake share one key pair: making one costs as much as starting a daemon.

        Args:
            names: DNS names to be put into the certificate.
            addresses: IP addresses to be put into the certificate (davs, gsiftp and s3s go by them).
        """
        alternatives = [x509.DNSName(name) for name in names]
        numeric = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        certificate = self._issue(
            self.host_subject,
            self._host_key,
            x509.SubjectAlternativeName([*alternatives, *numeric]),
            server=True,
        )
        return certificate, key_to_pem(self._host_key)

    @property
    def host_subject(self) -> x509.Name:
        """Of all host certificates."""
        return _name((NameOID.ORGANIZATION_NAME, "hosts"), (NameOID.COMMON_NAME, "localhost"))

    def issue_user(self, name: str) -> tuple[bytes, bytes]:
        """A user certificate for ``/DC=org/DC=datalake/O=people/CN=<name>`` and its key, PEM."""
        key = new_key()
        subject = _name((NameOID.ORGANIZATION_NAME, "people"), (NameOID.COMMON_NAME, name))
        return self._issue(subject, key, None, server=False), key_to_pem(key)

    def proxy(self, certificate: bytes, key: bytes, *, fqans: Sequence[str] = ()) -> bytes:
        """An RFC 3820 proxy that lives as long as the lake, with VOMS attributes where groups are named.

        Args:
            certificate: user certificate, PEM.
            key: its key, PEM.
            fqans: groups or roles such as ``/escape/ska``, the primary one first.
        """
        attributes = []
        if fqans:
            voms = self.directory / "voms.pem", self.directory / "voms.key"
            attributes.append(
                make_attribute_certificate(
                    certificate,
                    *(path.read_bytes() for path in voms),
                    vo=self.vo,
                    fqans=[fqan(group) for group in fqans],
                    lifetime=LIFETIME,
                )
            )
        return make_proxy(
            certificate, key, attribute_certificates=attributes, lifetime=LIFETIME, proxy_key=self._proxy_key
        )

    def revoke(self, certificate: bytes) -> None:
        """Put a certificate (PEM) on the CA's revocation list; daemons see it when they read that again."""
        listed = x509.load_pem_x509_crl(self._revocation_files[0].read_bytes())
        serials = {entry.serial_number: entry for entry in listed}
        serial = certificates_from_pem(certificate)[0].serial_number
        if serial not in serials:
            serials[serial] = _revoked(serial)
        self._write_revocation_list(list(serials.values()))

    @cached_property
    def _ca(self) -> x509.Certificate:
        return certificates_from_pem((self.directory / "ca.pem").read_bytes())[0]

    @cached_property
    def _ca_key(self) -> RSAPrivateKey:
        return key_from_pem((self.directory / "ca.key").read_bytes())

    @cached_property
    def _host_key(self) -> RSAPrivateKey:
        return new_key()

    @cached_property
    def _proxy_key(self) -> RSAPrivateKey:
        return new_key()

    @property
    def _revocation_files(self) -> list[Path]:
        return [
            self.directory / "certificates" / f"{name}.r0"
            for name in sorted(set(subject_hashes(self._ca.subject)))
        ]

    def _make_certificate_authority(self) -> None:
        key = new_key()
        # A name of its own for each lake: clients that cache by subject must not confuse two of them.
        subject = _name((NameOID.COMMON_NAME, f"Test CA {secrets.token_hex(4)}"))
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * _BACKDATED)
            .not_valid_after(now + 2 * LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )
        _write(self.directory / "ca.key", key_to_pem(key), mode=0o600)
        _write(self.directory / "ca.pem", certificate)
        hashed = self.directory / "certificates"
        _make_directory(hashed)
        name = slash_name(subject)
        policy = (
            f"access_id_CA X509 '{name}'\npos_rights globus CA:sign\n"
            "cond_subjects globus '\"/DC=org/DC=datalake/*\"'\n"
        )
        for stem in subject_hashes(subject):
            _write(hashed / f"{stem}.0", certificate)
            _write(hashed / f"{stem}.signing_policy", policy.encode())
        # One from the start, so that tests can show a revoked certificate to daemons that read the list once.
        self._write_revocation_list([_revoked(x509.random_serial_number())])

    def _make_voms_authority(self) -> None:
        key = new_key()
        subject = _name((NameOID.ORGANIZATION_NAME, "services"), (NameOID.COMMON_NAME, "voms"))
        _write(self.directory / "voms.key", key_to_pem(key), mode=0o600)
        _write(self.directory / "voms.pem", self._issue(subject, key, None, server=True))
        _make_directory(self.directory / "vomsdir")
        _make_directory(self.directory / "vomsdir" / self.vo)
        host = VOMS_URI.partition(":")[0]
        chain = f"{slash_name(subject)}\n{slash_name(self._ca.subject)}\n"
        _write(self.directory / "vomsdir" / self.vo / f"{host}.lsc", chain.encode())
        place = urlsplit(self.issuer)
        names = (self.vo, place.hostname, place.port, slash_name(self.host_subject), self.vo)
        _write(self.vomses_file, (" ".join(f'"{name}"' for name in names) + "\n").encode())

    def _make_issuer_keys(self) -> None:
        from pytest_datalake.credentials.signing import public_keys

        private = b"".join(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            for key in (new_key(), ec.generate_private_key(ec.SECP256R1()))
        )
        _write(self.issuer_key, private, mode=0o600)
        institution = ec.generate_private_key(ec.SECP256R1())
        pem = institution.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(self.institution_key, pem, mode=0o600)
        _write(self.directory / "jwks.json", json.dumps(public_keys(private), indent=1).encode())

    def _issue(
        self,
        subject: x509.Name,
        key: RSAPrivateKey,
        alternatives: x509.SubjectAlternativeName | None,
        *,
        server: bool,
    ) -> bytes:
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if server:
            purposes.append(ExtendedKeyUsageOID.SERVER_AUTH)
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._ca.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._ca_key.public_key()), critical=False
            )
        )
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(self._ca_key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def _write_revocation_list(self, revoked: Sequence[x509.RevokedCertificate]) -> None:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._ca.subject)
            .last_update(now - _BACKDATED)
            .next_update(now + LIFETIME)
        )
        for entry in revoked:
            builder = builder.add_revoked_certificate(entry)
        text = builder.sign(self._ca_key, hashes.SHA256()).public_bytes(Encoding.PEM)
        for path in self._revocation_files:
            _write(path, text)


class _CanonicalAttribute(core.Sequence):  # type: ignore[misc]
    _fields = [("type", core.ObjectIdentifier), ("value", core.UTF8String)]  # noqa: RUF012


class _CanonicalName(core.SetOf):  # type: ignore[misc]
    _child_spec = _CanonicalAttribute


def subject_hashes(name: x509.Name) -> tuple[str, str]:
    """The file names of a CA in a hashed directory: OpenSSL's, then the one of OpenSSL before 1.0 (Globus).

    X509_NAME_hash_ex(3) hashes a canonical form (SHA-1; UTF-8, lower case, single blanks, no outer sequence),
    X509_NAME_hash_old(3) the encoding itself (MD5).
    """
    canonical = b"".join(
        _CanonicalName(
            [
                {"type": attribute.oid.dotted_string, "value": " ".join(str(attribute.value).lower().split())}
                for attribute in part
            ]
        ).dump()
        for part in name.rdns
    )
    digests = (
        hashlib.sha1(canonical, usedforsecurity=False).digest(),
        hashlib.md5(name.public_bytes(), usedforsecurity=False).digest(),
    )
    new, old = (f"{int.from_bytes(digest[:4], 'little'):08x}" for digest in digests)
    return new, old


def _name(*parts: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(identifier, value) for identifier, value in (*_DOMAIN, *parts)])


def _revoked(serial: int) -> x509.RevokedCertificate:
    return (
        x509.RevokedCertificateBuilder()
        .serial_number(serial)
        .revocation_date(datetime.now(UTC) - _BACKDATED)
        .build()
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not sign_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _make_directory(path: Path) -> None:
    path.mkdir(exist_ok=True)
    path.chmod(0o755)


def _write(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Put a file in its place in one step; nobody ever sees half of it, or a key with the wrong mode."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
    Path(temporary).replace(path)
