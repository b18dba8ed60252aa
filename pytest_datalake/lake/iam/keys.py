"""The keys that sign tokens: two that sign, and those before them that still verify."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey

from pytest_datalake.credentials.signing import private_keys
from pytest_datalake.lake.iam.refusal import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from joserfc.jwk import KeyParameters

    from pytest_datalake.lake.iam.store import Store

ALGORITHMS = ["RS256", "ES256"]
"""WLCG token profile, "Token Verification": both must be known everywhere."""


class KeyRing:
    """Keys in memory, and in the database so that they outlive the process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._signing: dict[str, RSAKey | ECKey] = {}
        self._published: list[tuple[str, RSAKey | ECKey]] = []
        self._load()

    def begin(self, pem: bytes) -> None:
        """Sign with these keys (PEM), unless there are others already."""
        if not self._signing:
            self._add(cast("dict[str, RSAKey | ECKey]", private_keys(pem)))

    def rotate(self) -> list[str]:
        """Sign with new keys from now on, and go on publishing the old ones; the new keys' ids."""
        fresh: dict[str, RSAKey | ECKey] = {
            "RS256": RSAKey.generate_key(2048),
            "ES256": ECKey.generate_key("P-256"),
        }
        self._add(fresh)
        return [key.thumbprint() for key in fresh.values()]

    def retire(self, kid: str) -> None:
        """Stop publishing a key that no longer signs. Raises ``ApiError`` (404, 409)."""
        row = self._store.row("SELECT signs FROM keys WHERE kid = ?", kid)
        if row is None:
            raise ApiError(404, f"there is no key {kid!r}")
        if row["signs"]:
            raise ApiError(409, "the key still signs: rotate the keys first")
        self._store.run("DELETE FROM keys WHERE kid = ?", kid)
        self._load()

    def sign(self, claims: Mapping[str, Any], *, algorithm: str) -> str:
        """A signed token in compact form."""
        key = self._signing[algorithm]
        header = {"alg": algorithm, "kid": key.thumbprint()}
        return jwt.encode(header, dict(claims), key, algorithms=[algorithm])

    def verify(self, token: str) -> dict[str, Any] | None:
        """The claims of a token that one of our keys has signed; None for any other text."""
        try:
            keys = KeySet([key for _, key in self._published])
            return dict(jwt.decode(token, keys, algorithms=ALGORITHMS).claims)
        except (JoseError, ValueError):
            return None

    def public(self) -> dict[str, list[dict[str, Any]]]:
        """The JSON Web Key Set (RFC 7517): signing keys first."""
        return {
            "keys": [
                {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": algorithm}
                for algorithm, key in self._published
            ]
        }

    def _add(self, fresh: Mapping[str, RSAKey | ECKey]) -> None:
        now = time.time()
        with self._store.transaction():
            self._store.run("UPDATE keys SET signs = 0")
            for algorithm, key in fresh.items():
                self._store.run(
                    "INSERT INTO keys VALUES (?, ?, ?, 1, ?)",
                    key.thumbprint(), algorithm, key.as_pem(private=True).decode(), now,
                )  # fmt: skip
        self._load()

    def _load(self) -> None:
        kinds: dict[str, type[RSAKey | ECKey]] = {"RS256": RSAKey, "ES256": ECKey}
        signing: dict[str, RSAKey | ECKey] = {}
        published = []
        for row in self._store.rows("SELECT * FROM keys ORDER BY signs DESC, created DESC, algorithm DESC"):
            parameters: KeyParameters = {"kid": row["kid"], "alg": row["algorithm"], "use": "sig"}
            key = kinds[row["algorithm"]].import_key(row["pem"], parameters)
            published.append((row["algorithm"], key))
            if row["signs"]:
                signing[row["algorithm"]] = key
        self._signing, self._published = signing, published
