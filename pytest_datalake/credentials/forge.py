"""Credentials that no real authority would issue, made with the keys that an embedded lake gives away."""

from __future__ import annotations

import base64
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_datalake.credentials.signing import ANY_AUDIENCE, Signer, SigningAlgorithm
from pytest_datalake.credentials.x509 import (
    ProxyPolicy,
    certificates_from_pem,
    fqan,
    key_from_pem,
    make_attribute_certificate,
    make_proxy,
    slash_name,
)
from pytest_datalake.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_datalake.matrix.model import Forge, Identity

_HOUR = timedelta(hours=1)


def forge_token(
    forge: Forge,
    issuer: str,
    *,
    algorithm: SigningAlgorithm = "RS256",
    header: Mapping[str, Any] | None = None,
    **claims: Any,  # noqa: ANN401  (a claim may be anything that JSON can say, and wrong)
) -> str:
    """A token signed by the lake's issuer with any claims whatever.

    It starts from the claims of a valid token of the WLCG profile without scopes and groups; ``claims`` add
    to and replace them, and one that is None is left out. The same goes for ``header``. Raises
    ``EngineError`` where the lake gives no issuer key away.
    """
    key = given(forge.issuer_key, "the token issuer's key")
    return Signer(key).sign(_claims(issuer, claims), algorithm=algorithm, header=header)


def expired_token(forge: Forge, issuer: str, **claims: Any) -> str:  # noqa: ANN401  (as above)
    """A token that was valid for an hour and ended an hour ago."""
    now = int(time.time())
    return forge_token(forge, issuer, **{"iat": now - 7200, "nbf": now - 7200, "exp": now - 3600, **claims})


def unsigned_token(issuer: str, **claims: Any) -> str:  # noqa: ANN401  (as above)
    """A token with ``alg: none`` (RFC 7519, 6), which no service may accept."""
    return f"{_encoded({'alg': 'none', 'typ': 'JWT'})}.{_encoded(_claims(issuer, claims))}."


def tampered_token(token: str, **claims: Any) -> str:  # noqa: ANN401  (as above)
    """The token with other claims under the old signature."""
    header, payload, signature = token.split(".")
    changed = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))) | claims
    return f"{header}.{_encoded(changed)}.{signature}"


def forge_proxy(
    forge: Forge,
    identity: Identity,
    *,
    vo: str = "",
    fqans: Sequence[str] = (),
    start: datetime | None = None,
    lifetime: timedelta = _HOUR,
    policy: ProxyPolicy = "full",
    path_length: int | None = None,
    attributes_start: datetime | None = None,
    attributes_lifetime: timedelta = _HOUR,
    attributes_key: bytes | None = None,
    targets: Sequence[str] = (),
    holder: bytes = b"",
) -> bytes:
    """A proxy of an identity, PEM, with its VOMS attributes' validity and signer of our choosing.

    Args:
        forge: gives the VOMS server's certificate and key.
        identity: gives the user certificate and key.
        vo: VO of the attributes.
        fqans: groups or roles; none: a plain proxy.
        start: begin of the proxy's validity; five minutes ago when not given.
        lifetime: of the proxy.
        policy: see ``make_proxy``.
        path_length: see ``make_proxy``.
        attributes_start: begin of the attributes' validity; five minutes ago when not given.
        attributes_lifetime: of the attributes.
        attributes_key: PEM key that signs the attributes instead of the VOMS server's.
        targets: hosts that alone may accept the attributes.
        holder: PEM certificate and key to make the proxy of, instead of the identity's own.
    """
    certificate = holder or given(identity.certificate, f"the certificate of identity {identity.name}")
    key = holder or given(identity.key, f"the key of identity {identity.name}")
    attributes = []
    if fqans:
        attributes.append(
            make_attribute_certificate(
                certificate,
                given(forge.voms_certificate, "the VOMS server's certificate"),
                attributes_key or given(forge.voms_key, "the VOMS server's key"),
                vo=vo,
                fqans=[fqan(group) for group in fqans],
                start=attributes_start,
                lifetime=attributes_lifetime,
                targets=targets,
            )
        )
    return make_proxy(
        certificate,
        key,
        attribute_certificates=attributes,
        start=start,
        lifetime=lifetime,
        policy=policy,
        path_length=path_length,
    )


def expired_proxy(forge: Forge, identity: Identity, *, vo: str = "", fqans: Sequence[str] = ()) -> bytes:
    """A proxy that ended an hour ago, while its VOMS attributes are still valid."""
    return forge_proxy(
        forge, identity, vo=vo, fqans=fqans, start=datetime.now(UTC) - 2 * _HOUR, lifetime=_HOUR
    )


def revoked_twin(forge: Forge, identity: Identity, ca_directory: str) -> bytes:
    """A certificate of an identity that the CA has revoked, and its key, PEM.

    Everything but the serial number is that of the identity's own certificate; that number stands on the CA's
    revocation list. Raises ``EngineError`` where the lake gives no CA key away, or where nothing is revoked.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    ca = certificates_from_pem(given(forge.ca_certificate, "the CA's certificate"))[0]
    ca_key = key_from_pem(given(forge.ca_key, "the CA's key"))
    own = certificates_from_pem(given(identity.certificate, f"the certificate of identity {identity.name}"))[
        0
    ]
    lists = (x509.load_pem_x509_crl(path.read_bytes()) for path in sorted(Path(ca_directory).glob("*.r0")))
    revoked = [entry.serial_number for found in lists if found.issuer == ca.subject for entry in found]
    if not revoked:
        raise EngineError(f"no revocation list in {ca_directory} has an entry of {slash_name(ca.subject)}")
    builder = (
        x509.CertificateBuilder()
        .subject_name(own.subject)
        .issuer_name(ca.subject)
        .public_key(own.public_key())
        .serial_number(revoked[0])
        .not_valid_before(own.not_valid_before_utc)
        .not_valid_after(own.not_valid_after_utc)
    )
    for extension in own.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    twin = builder.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return twin + given(identity.key, f"the key of identity {identity.name}")


def usual_claims(issuer: str) -> dict[str, Any]:
    """The claims of a valid token of the WLCG profile for every service, without scopes and groups."""
    now = int(time.time())
    return {
        "iss": issuer,
        "sub": "forged",
        "aud": ANY_AUDIENCE,
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "jti": str(uuid.uuid4()),
        "wlcg.ver": "1.0",
    }


def _claims(issuer: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    claims = {**usual_claims(issuer), **changes}
    return {name: value for name, value in claims.items() if value is not None}


def _encoded(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part, separators=(",", ":")).encode()).decode().rstrip("=")


def given(path: str, what: str) -> bytes:
    """What a file of a test authority holds. Raises ``EngineError`` where the lake does not give it away."""
    if not path:
        raise EngineError(f"{what} is needed to forge a credential, and this lake does not give it away")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise EngineError(f"{what} cannot be read from {path!r}: {error.strerror}") from error
