"""Another OpenID provider at which people log in: this service as its client (OpenID Connect Core, 3.1)."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import secrets
import ssl
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from pytest_datalake.lake.iam.keys import ALGORITHMS
from pytest_datalake.lake.iam.refusal import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_datalake.lake.iam.config import Institution

SCOPE = "openid profile email"

_PATIENCE = 10.0
_MAX_ANSWER = 1 << 20


class Provider:
    """One institution's provider.

    Args:
        institution: where it is, and who we are there.
        ca_file: PEM file of the CA that vouches for it.
        callback: our own address, to which people are sent back.
    """

    def __init__(self, institution: Institution, *, ca_file: str, callback: str) -> None:
        self._institution = institution
        self._tls = ssl.create_default_context(cafile=ca_file)
        self._callback = callback

    def begin(self) -> tuple[str, dict[str, str]]:
        """Where to send somebody's browser, and what must be known when it comes back."""
        state = {name: secrets.token_urlsafe(24) for name in ("state", "nonce", "verifier")}
        digest = hashlib.sha256(state["verifier"].encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._institution.client_id,
            "redirect_uri": self._callback,
            "scope": SCOPE,
            "state": state["state"],
            "nonce": state["nonce"],
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{self._endpoint('authorization_endpoint')}?{urlencode(query)}", state

    def finish(self, state: Mapping[str, str], sent: Mapping[str, str]) -> dict[str, Any]:
        """Who has logged in: the claims of the ID token. Raises ``ApiError`` (400, 403, 502)."""
        if not secrets.compare_digest(sent.get("state", ""), state["state"]):
            raise ApiError(400, "the answer belongs to another login")
        if "error" in sent or "code" not in sent:
            raise ApiError(403, f"{self._institution.name} let nobody in")
        if sent.get("iss", self._institution.issuer) != self._institution.issuer:  # RFC 9207
            raise ApiError(400, "the answer is from another provider")
        pair = f"{quote_plus(self._institution.client_id)}:{quote_plus(self._institution.client_secret)}"
        answer = self._ask(
            self._endpoint("token_endpoint"),
            {
                "grant_type": "authorization_code",
                "code": sent["code"],
                "redirect_uri": self._callback,
                "code_verifier": state["verifier"],
            },
            {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()},
        )
        return self._read(str(answer.get("id_token", "")), nonce=state["nonce"])

    def _read(self, token: str, *, nonce: str) -> dict[str, Any]:
        """The claims of an ID token that is meant for us (OpenID Connect Core, 3.1.3.7)."""
        keys = KeySet.import_key_set(self._ask(self._endpoint("jwks_uri")))  # type: ignore[arg-type]  # whatever was sent
        try:
            claims = dict(jwt.decode(token, keys, algorithms=ALGORITHMS).claims)
        except (JoseError, ValueError) as error:
            raise self._fault("sent no ID token that can be verified") from error
        audience = claims.get("aud")
        if (
            claims.get("iss") != self._institution.issuer
            or self._institution.client_id not in (audience if isinstance(audience, list) else [audience])
            or claims.get("nonce") != nonce
            or not isinstance(claims.get("sub"), str)
            or not isinstance(claims.get("exp"), int)
            or claims["exp"] <= time.time()
        ):
            raise self._fault("sent an ID token that is not for this login")
        return claims

    def _endpoint(self, name: str) -> str:
        issuer = self._institution.issuer
        metadata = self._ask(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        place = metadata.get(name)
        if metadata.get("issuer") != issuer or not isinstance(place, str) or not place.startswith("https://"):
            raise self._fault("has no usable metadata")
        return place

    def _ask(
        self, url: str, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        parts = urlsplit(url)
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=_PATIENCE, context=self._tls
        )
        media = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        try:
            connection.request(
                "POST" if form else "GET",
                parts.path,
                urlencode(form) if form else None,
                {**media, **(headers or {})},
            )
            response = connection.getresponse()
            answer = json.loads(response.read(_MAX_ANSWER))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._fault("cannot be asked") from error
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK or not isinstance(answer, dict):
            raise self._fault(f"answered with status {response.status}")
        return answer

    def _fault(self, what: str) -> ApiError:
        return ApiError(502, f"{self._institution.name} {what}")
