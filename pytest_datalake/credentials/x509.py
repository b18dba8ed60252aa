"""RFC 3820 proxies and VOMS attribute certificates.

Every field that a verifier ought to look at is a parameter, so that what is valid and what is not come from
the same place. Certificates and keys go in and out as PEM, because that is what the files of the grid hold.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from asn1crypto import cms, core, pem
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from pytest_datalake.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence

ProxyPolicy = Literal["full", "limited", "independent"]

CLOCK_SKEW = timedelta(minutes=5)
"""How long before now a certificate starts to be valid, unless told otherwise."""

VOMS_URI = "localhost:15000"
"""``host:port`` of the VOMS server that an attribute certificate names; verifiers look for ``<host>.lsc``."""

_POLICY_LANGUAGES: dict[ProxyPolicy, str] = {
    "full": "1.3.6.1.5.5.7.21.1",  # RFC 3820, 3.8.4: id-ppl-inheritAll
    "independent": "1.3.6.1.5.5.7.21.2",  # RFC 3820, 3.8.4: id-ppl-independent
    "limited": "1.3.6.1.4.1.3536.1.1.1.9",  # Globus: no new jobs; storage is open
}
PROXY_CERT_INFO = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.14")  # RFC 3820, 3.8
VOMS_ATTRIBUTE_CERTIFICATES = x509.ObjectIdentifier("1.3.6.1.4.1.8005.100.100.5")  # VOMS AC profile, 3.6
VOMS_FQANS = "1.3.6.1.4.1.8005.100.100.4"  # VOMS AC profile, 3.4.1
VOMS_CERTIFICATES = "1.3.6.1.4.1.8005.100.100.10"  # VOMS AC profile, 3.5
_AUTHORITY_KEY = "2.5.29.35"  # RFC 5280, 4.2.1.1
_TARGETS = "2.5.29.55"  # RFC 5755, 4.3.2
_NO_REVOCATION = "2.5.29.56"  # RFC 5755, 4.3.6


class _ProxyPolicy(core.Sequence):  # type: ignore[misc]
    _fields = [("language", core.ObjectIdentifier), ("policy", core.OctetString, {"optional": True})]  # noqa: RUF012


class _ProxyCertInfo(core.Sequence):  # type: ignore[misc]
    _fields = [("path_length", core.Integer, {"optional": True}), ("policy", _ProxyPolicy)]  # noqa: RUF012


class _Certificates(core.SequenceOf):  # type: ignore[misc]
    _child_spec = asn1_x509.Certificate


class CertificateLists(core.SequenceOf):  # type: ignore[misc]
    """The VOMS server's certificate with its chain, in an attribute certificate (VOMS AC profile, 3.5)."""

    _child_spec = _Certificates


class _AttributeCertificates(core.SequenceOf):  # type: ignore[misc]
    _child_spec = cms.AttributeCertificateV2


class AttributeCertificateLists(core.SequenceOf):  # type: ignore[misc]
    """The attribute certificates in a proxy (VOMS AC profile, 3.6)."""

    _child_spec = _AttributeCertificates


class _Target(core.Choice):  # type: ignore[misc]
    _alternatives = [("name", asn1_x509.GeneralName, {"explicit": 0})]  # noqa: RUF012


class _Targets(core.SequenceOf):  # type: ignore[misc]
    _child_spec = _Target


class _TargetLists(core.SequenceOf):  # type: ignore[misc]
    _child_spec = _Targets


def new_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """A fresh RSA key: XRootD's GSI takes no other sort."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def key_to_pem(key: rsa.RSAPrivateKey) -> bytes:
    """The form every grid client reads (PKCS#1, not encrypted)."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def key_from_pem(text: bytes) -> rsa.RSAPrivateKey:
    """The RSA key of a key file or of a proxy file; EngineError when there is none."""
    if pem.detect(text):
        for kind, _, der in pem.unarmor(text, multiple=True):
            if kind.endswith("PRIVATE KEY"):
                # Checking the primes takes 50 ms, and a bad key only makes a signature that nobody accepts.
                block = pem.armor(kind, der)
                key = load_pem_private_key(block, password=None, unsafe_skip_rsa_key_validation=True)
                if isinstance(key, rsa.RSAPrivateKey):
                    return key
    raise EngineError("an RSA private key in PEM form is needed, and this file holds none")


def certificates_from_pem(text: bytes) -> list[x509.Certificate]:
    """All certificates of a file, leaf first; EngineError when there are none."""
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError as error:
        raise EngineError("a certificate in PEM form is needed, and this file holds none") from error


def slash_name(name: x509.Name) -> str:
    """A subject as grid map files spell it: ``/DC=org/O=people/CN=ska``."""
    return "".join(f"/{attribute.rfc4514_attribute_name}={attribute.value!s}" for attribute in name)


def fqan(group: str) -> str:
    """The long spelling of a group's or role's FQAN, as VOMS servers issue it."""
    if "/Role=" not in group:
        group += "/Role=NULL"
    return group if "/Capability=" in group else group + "/Capability=NULL"


def make_proxy(
    certificate: bytes,
    key: bytes,
    *,
    attribute_certificates: Sequence[bytes] = (),
    start: datetime | None = None,
    lifetime: timedelta = timedelta(hours=12),
    policy: ProxyPolicy = "full",
    path_length: int | None = None,
    proxy_key: rsa.RSAPrivateKey | None = None,
) -> bytes:
    """An RFC 3820 proxy: certificate, key and chain in one PEM text.

    Args:
        certificate: who delegates, followed by its chain; another proxy makes a proxy of the second level.
        key: signs the proxy. One that does not belong to ``certificate`` makes a proxy nobody must accept.
        attribute_certificates: DER, as ``make_attribute_certificate`` returns them.
        start: begin of validity; five minutes ago when not given.
        lifetime: validity from ``start`` on; an issuer that ends before does not shorten it.
        policy: limited proxies may not start jobs (Globus); independent ones inherit no right (RFC 3820).
        path_length: how many proxies may follow; None: any number.
        proxy_key: of the new proxy; a fresh one when not given.
    """
    chain = certificates_from_pem(certificate)
    issuer = chain[0]
    own_key = proxy_key or new_key()
    begin = start or datetime.now(UTC) - CLOCK_SKEW
    information: dict[str, object] = {"policy": {"language": _POLICY_LANGUAGES[policy]}}
    if path_length is not None:
        information["path_length"] = path_length
    builder = _proxy_of(issuer, own_key.public_key(), begin, begin + lifetime, information)
    if attribute_certificates:
        attributes = [cms.AttributeCertificateV2.load(der) for der in attribute_certificates]
        builder = builder.add_extension(
            x509.UnrecognizedExtension(
                VOMS_ATTRIBUTE_CERTIFICATES, AttributeCertificateLists([attributes]).dump()
            ),
            critical=False,
        )
    proxy = builder.sign(key_from_pem(key), hashes.SHA256())
    issuers = b"".join(link.public_bytes(Encoding.PEM) for link in chain)
    return proxy.public_bytes(Encoding.PEM) + key_to_pem(own_key) + issuers


def _proxy_of(
    issuer: x509.Certificate,
    key: rsa.RSAPublicKey,
    begin: datetime,
    end: datetime,
    information: dict[str, object],
) -> x509.CertificateBuilder:
    """A proxy of that certificate, to be signed by its key."""
    serial = secrets.randbits(63) + 1
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([*issuer.subject, x509.NameAttribute(x509.NameOID.COMMON_NAME, str(serial))]))
        .issuer_name(issuer.subject)
        .public_key(key)
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(
            x509.UnrecognizedExtension(PROXY_CERT_INFO, _ProxyCertInfo(information).dump()), critical=True
        )
        .add_extension(_PROXY_KEY_USAGE, critical=True)
    )


_PROXY_KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=True,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def make_attribute_certificate(
    holder: bytes,
    authority: bytes,
    authority_key: bytes,
    *,
    vo: str,
    fqans: Sequence[str],
    uri: str = VOMS_URI,
    start: datetime | None = None,
    lifetime: timedelta = timedelta(hours=12),
    targets: Sequence[str] = (),
    include_authority: bool = True,
) -> bytes:
    """A VOMS attribute certificate in DER (RFC 5755 with the VOMS AC profile of the OGF).

    Args:
        holder: user certificate (PEM), not a proxy of it.
        authority: certificate of the VOMS server that the attribute certificate names (PEM).
        authority_key: signs; a foreign key makes an attribute certificate nobody must accept.
        vo: name of the VO, and of the directory below ``X509_VOMS_DIR``.
        fqans: groups and roles in the order they are to be seen; the first is the primary one. They go in as
            given: see ``fqan`` for the spelling that servers use.
        uri: ``host:port`` of the VOMS server.
        start: begin of validity; five minutes ago when not given.
        lifetime: validity from ``start`` on.
        targets: host names that alone may accept it; empty: any.
        include_authority: carry the certificate of the VOMS server, which verifiers with ``.lsc`` files need.
    """
    user = _as_asn1(certificates_from_pem(holder)[0])
    server = certificates_from_pem(authority)[0]
    begin = (start or datetime.now(UTC) - CLOCK_SKEW).replace(microsecond=0)
    algorithm = {"algorithm": "sha256_rsa", "parameters": core.Null()}
    attribute = cms.IetfAttrSyntax(
        {
            "policy_authority": [_uri(f"{vo}://{uri}")],
            "values": [cms.IetfAttrValue(name="octets", value=name.encode()) for name in fqans],
        }
    )
    body = cms.AttributeCertificateInfoV2(
        {
            "version": "v2",
            "holder": {
                "base_certificate_id": {
                    "issuer": [_directory_name(user.issuer)],
                    "serial": user.serial_number,
                }
            },
            "issuer": cms.AttCertIssuer(
                name="v2_form", value={"issuer_name": [_directory_name(_as_asn1(server).subject)]}
            ),
            "signature": algorithm,
            "serial_number": secrets.randbits(120) + 1,
            "att_cert_validity_period": {"not_before_time": begin, "not_after_time": begin + lifetime},
            "attributes": [{"type": VOMS_FQANS, "values": [attribute]}],
            "extensions": _attribute_certificate_extensions(
                server, targets, include_authority=include_authority
            ),
        }
    )
    signature = key_from_pem(authority_key).sign(body.dump(), padding.PKCS1v15(), hashes.SHA256())
    signed = cms.AttributeCertificateV2(
        {"ac_info": body, "signature_algorithm": algorithm, "signature": signature}
    )
    return bytes(signed.dump())


def _attribute_certificate_extensions(
    server: x509.Certificate, targets: Sequence[str], *, include_authority: bool
) -> list[asn1_x509.Extension]:
    extensions = []
    if include_authority:
        extensions.append(_extension(VOMS_CERTIFICATES, CertificateLists([[_as_asn1(server)]])))
    extensions.append(_extension(_NO_REVOCATION, core.Null()))
    key_identifier = x509.SubjectKeyIdentifier.from_public_key(server.public_key()).digest
    extensions.append(
        _extension(_AUTHORITY_KEY, asn1_x509.AuthorityKeyIdentifier({"key_identifier": key_identifier}))
    )
    if targets:
        names = [_Target(name="name", value=_uri(target)) for target in targets]
        extensions.append(_extension(_TARGETS, _TargetLists([names]), critical=True))
    return extensions


def _extension(identifier: str, value: core.Asn1Value, *, critical: bool = False) -> asn1_x509.Extension:
    return asn1_x509.Extension(
        {
            "extn_id": identifier,
            "critical": critical,
            "extn_value": core.ParsableOctetString(value.dump()),
        }
    )


def _as_asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def _directory_name(name: asn1_x509.Name) -> asn1_x509.GeneralName:
    return asn1_x509.GeneralName(name="directory_name", value=name)


def _uri(text: str) -> asn1_x509.GeneralName:
    # A plain IA5String: asn1crypto's own URI type would rewrite what is not a web address.
    return asn1_x509.GeneralName(name="uniform_resource_identifier", value=_PlainUri(text))


class _PlainUri(asn1_x509.URI):  # type: ignore[misc]
    def set(self, value: str) -> None:
        core.IA5String.set(self, value)


def delegate(request: bytes, credential: bytes, *, seconds: float) -> bytes:
    """Sign somebody else's key: a proxy for a certificate request, followed by the chain, in PEM.

    Args:
        request: of the service that will act in our name.
        credential: certificate or proxy with its key and chain.
        seconds: validity from now on, at most as long as that of the credential.

    Raises:
        EngineError: the request or the credential cannot be read.
    """
    try:
        wanted = x509.load_pem_x509_csr(request)
    except ValueError as error:
        raise EngineError(f"a certificate request in PEM form is needed: {error}") from error
    key = wanted.public_key()
    if not wanted.is_signature_valid or not isinstance(key, rsa.RSAPublicKey):
        raise EngineError("the certificate request is not signed by its own RSA key")
    chain = certificates_from_pem(credential)
    now = datetime.now(UTC)
    end = min(now + timedelta(seconds=seconds), *(one.not_valid_after_utc for one in chain))
    proxy = _proxy_of(
        chain[0], key, now - CLOCK_SKEW, end, {"policy": {"language": _POLICY_LANGUAGES["full"]}}
    )
    signed = proxy.sign(key_from_pem(credential), hashes.SHA256())
    return b"".join(one.public_bytes(Encoding.PEM) for one in [signed, *chain])
