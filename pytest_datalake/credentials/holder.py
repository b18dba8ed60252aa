"""Who shows a chain of certificates: the user behind a proxy, and VOMS attributes that can be believed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from asn1crypto import cms
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from pytest_datalake.credentials.x509 import (
    PROXY_CERT_INFO,
    VOMS_ATTRIBUTE_CERTIFICATES,
    VOMS_CERTIFICATES,
    VOMS_FQANS,
    AttributeCertificateLists,
    CertificateLists,
    slash_name,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from asn1crypto import x509 as asn1_x509


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A user.

    Attributes:
        subject: of the end-entity certificate, in slash form.
        fqans: VOMS attributes, the primary one first; none where there are none that can be believed.
    """

    subject: str
    fqans: tuple[str, ...]


def read_holder(
    chain: Sequence[x509.Certificate], *, authority: x509.Certificate, voms_directory: Path
) -> Holder:
    """The user of a chain that has been verified, leaf first.

    Args:
        chain: a proxy or a user's certificate, and what signed it.
        authority: the CA that signs VOMS servers.
        voms_directory: holds ``<vo>/<host>.lsc``.

    Raises:
        ValueError: the chain holds proxies only.
    """
    for position, certificate in enumerate(chain):
        if not is_proxy(certificate):
            fqans = next(
                (
                    found
                    for proxy in chain[:position]
                    if (found := _fqans(proxy, certificate, authority, voms_directory))
                ),
                (),
            )
            return Holder(subject=slash_name(certificate.subject), fqans=fqans)
    raise ValueError("the chain holds no user's certificate")


def is_proxy(certificate: x509.Certificate) -> bool:
    """Whether it is an RFC 3820 proxy."""
    return any(extension.oid == PROXY_CERT_INFO for extension in certificate.extensions)


def _fqans(
    proxy: x509.Certificate, user: x509.Certificate, authority: x509.Certificate, voms_directory: Path
) -> tuple[str, ...]:
    for extension in proxy.extensions:
        if extension.oid == VOMS_ATTRIBUTE_CERTIFICATES:
            lists = AttributeCertificateLists.load(extension.value.public_bytes())
            return tuple(
                fqan
                for certificates in lists
                for one in certificates
                if _can_be_believed(one, user, authority, voms_directory)
                for fqan in _names(one)
            )
    return ()


def _can_be_believed(
    attributes: cms.AttributeCertificateV2,
    user: x509.Certificate,
    authority: x509.Certificate,
    voms_directory: Path,
) -> bool:
    """Whether it is this user's, valid now, and signed by a VOMS server that a ``.lsc`` file names."""
    body = attributes["ac_info"]
    if body["holder"]["base_certificate_id"]["serial"].native != user.serial_number:
        return False
    period = body["att_cert_validity_period"]
    if not period["not_before_time"].native <= datetime.now(UTC) <= period["not_after_time"].native:
        return False
    server = _server(attributes)
    if server is None or not _is_named(server, voms_directory):
        return False
    key = server.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    try:
        server.verify_directly_issued_by(authority)
        key.verify(attributes["signature"].native, body.dump(), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _server(attributes: cms.AttributeCertificateV2) -> x509.Certificate | None:
    for extension in attributes["ac_info"]["extensions"]:
        if extension["extn_id"].dotted == VOMS_CERTIFICATES:
            chains = CertificateLists.load(bytes(extension["extn_value"]))
            certificate: asn1_x509.Certificate = chains[0][0]
            return x509.load_der_x509_certificate(certificate.dump())
    return None


def _is_named(server: x509.Certificate, voms_directory: Path) -> bool:
    wanted = [slash_name(server.subject), slash_name(server.issuer)]
    return any(path.read_text().split("\n")[:2] == wanted for path in voms_directory.glob("*/*.lsc"))


def _names(attributes: cms.AttributeCertificateV2) -> list[str]:
    found = []
    for attribute in attributes["ac_info"]["attributes"]:
        if attribute["type"].dotted == VOMS_FQANS:
            for value in attribute["values"]:  # asn1crypto does not know the type of this attribute
                syntax = cms.IetfAttrSyntax.load(value.dump())
                found += [bytes(name.native).decode() for name in syntax["values"]]
    return found
