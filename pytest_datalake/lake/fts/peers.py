"""From a TLS connection and its headers to a caller."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_datalake.lake.fts.caller import by_certificate, by_token
from pytest_datalake.lake.fts.refusal import Refusal
from pytest_datalake.lake.fts.tokens import TokenVerifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_datalake.lake.fts.caller import Caller
    from pytest_datalake.lake.fts.config import Settings

_REMEMBERED_SECONDS = 60.0
_MOST_REMEMBERED = 1000


class Peers:
    """Says who callers are."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._verifier = TokenVerifier(settings.issuers, settings.audiences)
        self._remembered: dict[bytes, tuple[float, Caller]] = {}

    def caller(self, chain: tuple[bytes, ...], authorization: str) -> Caller:
        """Whoever asks; a token counts before a certificate. Raises ``Refusal`` (401, 403)."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return self._by_token(value.strip())
        if not chain:
            raise Refusal(403, "Not authenticated: show a certificate, a proxy or a bearer token")
        return self._by_chain(chain)

    def _by_token(self, token: str) -> Caller:
        def verify() -> tuple[Caller, float]:
            claims = self._verifier.verify(token)
            return by_token(claims, token), float(claims["exp"]) - time.time()

        return self._remember(hashlib.sha256(token.encode()).digest(), verify)

    def _by_chain(self, chain: tuple[bytes, ...]) -> Caller:
        mark = hashlib.sha256(b"".join(chain)).digest()
        return self._remember(mark, lambda: (self._read(chain), _REMEMBERED_SECONDS))

    def _remember(self, mark: bytes, find: Callable[[], tuple[Caller, float]]) -> Caller:
        known = self._remembered.get(mark)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        caller, seconds = find()
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[mark] = (time.monotonic() + min(seconds, _REMEMBERED_SECONDS), caller)
        return caller

    def _read(self, chain: tuple[bytes, ...]) -> Caller:
        from cryptography import x509

        return self.by_certificates([x509.load_der_x509_certificate(one) for one in chain])

    def by_certificates(self, certificates: list[Any]) -> Caller:
        """The user of a chain that has been verified. Raises ``Refusal`` (401)."""
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding

        from pytest_datalake.credentials.holder import read_holder

        authority = x509.load_pem_x509_certificate(Path(self._settings.ca_file).read_bytes())
        try:
            holder = read_holder(
                certificates, authority=authority, voms_directory=Path(self._settings.voms_directory)
            )
        except ValueError as error:
            raise Refusal(401, f"Certificate rejected: {error}") from error
        return by_certificate(
            holder.subject,
            holder.fqans,
            administrators=self._settings.administrators,
            pem=certificates[0].public_bytes(Encoding.PEM).decode(),
        )
