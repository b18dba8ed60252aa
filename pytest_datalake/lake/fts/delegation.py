"""Delegated credentials: a key that is made here, and a proxy that its owner signs for it (RFC 3820)."""

from __future__ import annotations

import hashlib
import json
import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_datalake.lake.fts.model import moment
from pytest_datalake.lake.fts.refusal import NEED_DELEGATION, Refusal

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.lake.fts.caller import Caller
    from pytest_datalake.lake.fts.store import Store

LEAST_SECONDS = 3600
"""A job is refused where the delegated proxy ends earlier than this."""


class Delegations:
    """The proxies that copies are made with; as files for their owner alone, named after their content.

    Args:
        store: keeps them.
        directory: for the files.
    """

    def __init__(self, store: Store, directory: Path) -> None:
        self._store = store
        self._directory = directory
        directory.mkdir(mode=0o700, exist_ok=True)

    def info(self, caller: Caller) -> dict[str, Any] | None:
        """When the caller's delegation ends, and its attributes; None: there is none."""
        known = self._store.delegation(caller.delegation_id)
        if known is None or known["proxy"] is None:
            return None
        return {"termination_time": moment(known["expires"]), "voms_attrs": json.loads(known["attributes"])}

    def demand(self, caller: Caller) -> None:
        """Raises ``Refusal`` (419) where there is no proxy with an hour left."""
        known = self._store.delegation(caller.delegation_id)
        if known is None or known["proxy"] is None:
            raise Refusal(NEED_DELEGATION, f"No delegation found for {caller.dn!r}")
        left = known["expires"] - time.time()
        if left < 0:
            raise Refusal(NEED_DELEGATION, "The delegated credentials expired")
        if left < LEAST_SECONDS:
            raise Refusal(NEED_DELEGATION, "The delegated credentials has less than one hour left")

    def proxy_file(self, delegation_id: str) -> str:
        """The file of a proxy that is still valid; empty: there is none."""
        known = self._store.delegation(delegation_id)
        if known is None or known["proxy"] is None or known["expires"] <= time.time():
            return ""
        name = f"{delegation_id}-{hashlib.sha256(known['proxy']).hexdigest()[:12]}.pem"
        path = self._directory / name
        if not path.exists():
            fresh = path.with_suffix(".new")
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
                stream.write(known["proxy"])
            fresh.replace(path)
        return str(path)

    def request(self, caller: Caller) -> bytes:
        """A certificate request for a new key; the same one until it is answered."""
        known = self._store.delegation(caller.delegation_id)
        if known is not None and known["request"] is not None:
            return bytes(known["request"])
        key, request = _new_request(caller.certificate)
        self._store.save_delegation(caller.delegation_id, dn=caller.dn, pending_key=key, request=request)
        return request

    def accept(self, caller: Caller, chain: bytes) -> None:
        """Take the proxy that was signed for the request. Raises ``Refusal`` (400)."""
        from cryptography import x509
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        known = self._store.delegation(caller.delegation_id)
        if known is None or known["pending_key"] is None:
            raise Refusal(400, "No credential cache found")
        try:
            certificates = x509.load_pem_x509_certificates(chain)
            _demand_signed(certificates, load_pem_private_key(known["pending_key"], password=None))
        except (ValueError, TypeError, InvalidSignature) as error:
            said = str(error) or "its signature is wrong"
            raise Refusal(400, f"Could not process the proxy: {said}") from error
        self._keep(caller, [*certificates], known["pending_key"])

    def _keep(self, caller: Caller, certificates: list[Any], key: bytes) -> None:
        from cryptography.hazmat.primitives.serialization import Encoding

        texts = [certificate.public_bytes(Encoding.PEM) for certificate in certificates]
        self._store.save_delegation(
            caller.delegation_id,
            dn=caller.dn,
            attributes=json.dumps(list(caller.attributes)),
            expires=min(certificate.not_valid_after_utc for certificate in certificates).timestamp(),
            proxy=texts[0] + key + b"".join(texts[1:]),
            pending_key=None,
            request=None,
        )

    def load(self, caller: Caller, proxy: bytes) -> None:
        """Keep a whole proxy, key and all, of somebody who never delegates."""
        from cryptography import x509

        certificates = x509.load_pem_x509_certificates(proxy)
        self._store.save_delegation(
            caller.delegation_id,
            dn=caller.dn,
            attributes=json.dumps(list(caller.attributes)),
            expires=min(certificate.not_valid_after_utc for certificate in certificates).timestamp(),
            proxy=proxy,
            pending_key=None,
            request=None,
        )

    def remove(self, caller: Caller) -> None:
        """Forget the delegation. Raises ``Refusal`` (404)."""
        if not self._store.remove_delegation(caller.delegation_id):
            raise Refusal(404, f"Delegation ID {caller.delegation_id} not found")
        for path in self._directory.glob(f"{caller.delegation_id}-*"):
            path.unlink()


def _new_request(certificate: str) -> tuple[bytes, bytes]:
    """A key as long as the caller's, and a request for it, in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    theirs = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    bits = theirs.key_size if isinstance(theirs, rsa.RSAPublicKey) else 2048
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Dummy")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    text = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return text, request.public_bytes(Encoding.PEM)


def _demand_signed(certificates: list[Any], key: Any) -> None:  # noqa: ANN401  # cryptography loads late
    """Raises ``ValueError`` or ``InvalidSignature`` for all but a proxy of the signer for our key."""
    from cryptography.x509.oid import NameOID

    if len(certificates) < 2:
        raise ValueError("the proxy and the certificate that signed it are needed")
    proxy, signer = certificates[:2]
    if proxy.public_key() != key.public_key():
        raise ValueError("it is not for the key of the request")
    proxy.verify_directly_issued_by(signer)

    subject, issuer = list(proxy.subject), list(signer.subject)
    if subject[:-1] != issuer or subject[-1].oid != NameOID.COMMON_NAME:
        raise ValueError("its subject must be its issuer's and one CN")
    if proxy.not_valid_after_utc <= datetime.now(UTC):
        raise ValueError("it has expired")
