"""Makes the proxies that the conformance table describes, good and bad, with the keys of test authorities."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from string import Template
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from pytest_datalake.credentials.forge import given, revoked_twin
from pytest_datalake.credentials.x509 import (
    certificates_from_pem,
    key_from_pem,
    key_to_pem,
    make_attribute_certificate,
    make_proxy,
    new_key,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric import rsa

    from pytest_datalake.conformance.case import Proxy
    from pytest_datalake.matrix.model import Forge, Identity

_BARE = {"certificate-alone", "revoked", "unknown-ca"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyMaker:
    """Makes proxies of one identity.

    Attributes:
        forge: keys of the test authorities.
        identity: who acts.
        other: somebody else.
        ca_directory: where the revocation lists are.
        names: what ``$group`` and the other names of a row stand for.
    """

    forge: Forge
    identity: Identity
    other: Identity
    ca_directory: str
    names: Mapping[str, str]

    def proxy_of(self, recipe: Proxy) -> bytes:
        """What a row describes: certificates and key in one PEM text.

        A row without FQANs whose certificate is what it is about gives that certificate, not a proxy of it.

        Raises:
            EngineError: the lake does not give away a key that is needed.
        """
        holder = self._holder(recipe)
        if not recipe.fqans and recipe.spoiled in _BARE:
            return holder
        key = key_to_pem(new_key()) if recipe.spoiled == "foreign-key" else holder
        limited = recipe.spoiled == "proxy-of-a-limited-one"
        proxy = make_proxy(
            holder,
            key,
            attribute_certificates=[self._attributes(recipe, holder)] if recipe.fqans else (),
            start=_moment(recipe.start),
            lifetime=timedelta(seconds=recipe.end - recipe.start),
            policy="limited" if limited else recipe.policy,
            path_length=0 if recipe.spoiled == "proxy-beyond-path-length" else None,
            proxy_key=_proxy_key(),
        )
        if limited or recipe.spoiled in {"proxy-of-a-proxy", "proxy-beyond-path-length"}:
            return make_proxy(proxy, proxy, lifetime=timedelta(hours=1))
        return proxy

    def _attributes(self, recipe: Proxy, holder: bytes) -> bytes:
        fqans = [Template(fqan).safe_substitute(self.names) for fqan in recipe.fqans]
        signed = fqans
        if recipe.spoiled == "changed-attributes":
            signed = [fqan.replace("Role=NULL", "Role=NONE") for fqan in fqans]
        authority = given(self.forge.voms_certificate, "the VOMS server's certificate")
        key = given(self.forge.voms_key, "the VOMS server's key")
        match recipe.spoiled:
            case "foreign-authority":
                key = key_to_pem(new_key())
            case "own-authority":
                authority = key = self._own(self.identity)
            case "attributes-of-another":
                holder = self._own(self.other)
        attributes = make_attribute_certificate(
            holder,
            authority,
            key,
            vo=Template(recipe.vo).safe_substitute(self.names),
            fqans=signed,
            start=_moment(recipe.attributes_start),
            lifetime=timedelta(seconds=recipe.attributes_end - recipe.attributes_start),
            targets=recipe.targets,
            include_authority=recipe.spoiled != "no-authority-enclosed",
        )
        return attributes.replace(b"Role=NONE", b"Role=NULL")

    def _holder(self, recipe: Proxy) -> bytes:
        match recipe.spoiled:
            case "revoked":
                return revoked_twin(self.forge, self.identity, self.ca_directory)
            case "unknown-ca":
                return _twin_of_an_unknown_ca(self._own(self.identity))
        return self._own(self.identity)

    def _own(self, identity: Identity) -> bytes:
        name = identity.name
        certificate = given(identity.certificate, f"the certificate of identity {name}")
        return certificate + (given(identity.key, f"the key of identity {name}") if identity.key else b"")


def _twin_of_an_unknown_ca(own: bytes) -> bytes:
    """A certificate of the same subject and key, by an authority that nobody knows but by its name."""
    certificate = certificates_from_pem(own)[0]
    builder = (
        x509.CertificateBuilder()
        .subject_name(certificate.subject)
        .issuer_name(certificate.issuer)
        .public_key(certificate.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc)
    )
    for extension in certificate.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    twin = builder.sign(new_key(), hashes.SHA256()).public_bytes(Encoding.PEM)
    return twin + key_to_pem(key_from_pem(own))


@cache
def _proxy_key() -> rsa.RSAPrivateKey:
    """One key for all proxies of this process: making one takes a tenth of a second."""
    return new_key()


def _moment(seconds: int) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)
