"""Bearer tokens for an identity: from the issuer of the lake, or from a command that knows how to get one.

Only the standard library is used, so that a process that needs a token starts quickly.
"""

from __future__ import annotations

import base64
import fcntl
import http.client
import json
import os
import re
import shlex
import signal
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode, urlsplit

from pytest_datalake.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pytest_datalake.credentials.shared import SharedTokens
    from pytest_datalake.matrix.model import Identity, Trust

HTTP_TIMEOUT = 10.0
"""Seconds that an issuer may be silent."""

COMMAND_TIMEOUT = 30.0
"""Seconds that a token command may take."""

RENEW_BEFORE = 300.0
"""Seconds before its end in which a token is no longer handed out: longer than any single operation takes."""

_BEARER_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, 2.1
_MAX_ANSWER = 1 << 20


class TokenSource:
    """Tokens of one identity, kept in memory until shortly before they expire. Safe for threads.

    Args:
        trust: names the issuer, and the CA file that alone vouches for it; the caller's own CA settings
            (``SSL_CERT_FILE``, ``REQUESTS_CA_BUNDLE`` and the like) count only where that is empty.
        identity: has a token command, or a client id with the client's secret (RFC 6749, 4.4), a refresh
            token of a user (RFC 6749, 6), or both.
        shared: tokens that other processes got already; None: every process gets its own.
    """

    def __init__(self, trust: Trust, identity: Identity, shared: SharedTokens | None = None) -> None:
        self._trust = trust
        self._shared = shared
        self._identity = identity
        self._lock = threading.Lock()
        self._cache: dict[tuple[str, str], tuple[str, float]] = {}
        self._endpoint = ""

    def __repr__(self) -> str:
        return f"TokenSource({self._identity.name!r})"

    def token(self, *, audience: str, scope: str) -> str:
        """A token for one audience and a blank-separated list of scopes.

        Raises ``EngineError`` that names the identity and the issuer or command, and never holds a secret.
        """
        with self._lock:
            token, renew_at = self._cache.get((audience, scope), ("", 0.0))
            if time.time() >= renew_at:
                token, expires_at = self._get(audience, scope)
                lifetime = expires_at - time.time()
                self._cache[audience, scope] = token, expires_at - min(RENEW_BEFORE, lifetime / 2)
            return token

    def _get(self, audience: str, scope: str) -> tuple[str, float]:
        if self._shared is None:
            return self._fetch(audience, scope)
        return self._shared.get(
            (self._identity.name, audience, scope),
            lambda: self._fetch(audience, scope),
            lambda expires_at: time.time() < expires_at - RENEW_BEFORE,
        )

    def _fetch(self, audience: str, scope: str) -> tuple[str, float]:
        if self._identity.token_command:
            return self._from_command(audience, scope)
        if self._identity.client_id:
            return self._from_issuer(audience, scope)
        raise EngineError(
            f"identity {self._identity.name} has no way to get a token: give it a token_command, "
            "or a client_id with a client_secret_file or a refresh_token_file"
        )

    def _from_command(self, audience: str, scope: str) -> tuple[str, float]:
        template = self._identity.token_command
        command = [word.replace("{audience}", audience).replace("{scope}", scope) for word in template]
        who = f"identity {self._identity.name}: the token command `{shlex.join(template)}`"
        try:
            # A group of its own: a command that hangs is stopped with everything it started.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise EngineError(f"{who} could not be started: {error.strerror}") from error
        with process:
            try:
                output, _ = process.communicate(timeout=COMMAND_TIMEOUT)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise EngineError(f"{who} gave no answer within {COMMAND_TIMEOUT:g} s") from None
        if process.returncode != 0:
            raise EngineError(f"{who} ended with status {process.returncode}; run it by hand to see why")
        token = output.decode("ascii", errors="replace").strip()
        if not _BEARER_TOKEN.fullmatch(token):
            raise EngineError(f"{who} must print one token and nothing else, and printed something else")
        return token, _expiry(token)

    def _from_issuer(self, audience: str, scope: str) -> tuple[str, float]:
        form = {"scope": scope, "audience": audience}
        if not self._identity.refresh_token_file:
            return self._grant({**form, "grant_type": "client_credentials"})[:2]
        with self._refresh_token() as file:
            kept = file.read().strip()
            token, expires_at, fresh = self._grant(
                {**form, "grant_type": "refresh_token", "refresh_token": kept}
            )
            if fresh not in ("", kept):  # the old one is of no use any more (RFC 6749, 6)
                file.seek(0)
                file.write(f"{fresh}\n")
                file.truncate()
        return token, expires_at

    def _grant(self, form: dict[str, str]) -> tuple[str, float, str]:
        """Access token, its end, and the refresh token of an answer."""
        what = f"a token (audience {form['audience']!r}, scope {form['scope']!r})"
        secrets = [form.get("refresh_token", "")]
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if self._identity.client_secret_file:
            secrets.append(self._secret())
            pair = f"{quote_plus(self._identity.client_id)}:{quote_plus(secrets[-1])}"  # RFC 6749, 2.3.1
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        else:
            form = {**form, "client_id": self._identity.client_id}
        asked_at = time.time()
        status, answer = self._ask("POST", self._token_endpoint(), body=urlencode(form), headers=headers)
        if status != http.HTTPStatus.OK:
            raise EngineError(f"{self._who} refused {what}: {status} {_reason(answer, secrets)}".rstrip())
        token, lifetime = answer.get("access_token"), answer.get("expires_in", 0)
        if not isinstance(token, str) or not _BEARER_TOKEN.fullmatch(token):
            raise EngineError(f"{self._who} answered the request for {what} without an access_token")
        fresh = str(answer.get("refresh_token") or "")
        if not isinstance(lifetime, int | float) or isinstance(lifetime, bool) or lifetime <= 0:
            return token, _expiry(token), fresh
        return token, asked_at + lifetime, fresh

    @contextmanager
    def _refresh_token(self) -> Iterator[IO[str]]:
        """The file of the refresh token, for us alone: an issuer may take each one only once."""
        path = self._identity.refresh_token_file
        try:
            file = Path(path).open("r+")  # noqa: SIM115  (closed below)
        except OSError as error:
            raise EngineError(
                f"identity {self._identity.name}: the refresh token {path!r} cannot be read and replaced: "
                f"{error.strerror}"
            ) from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file

    @property
    def _who(self) -> str:
        return f"identity {self._identity.name}: the issuer {self._trust.issuer}"

    def _secret(self) -> str:
        path = self._identity.client_secret_file
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise EngineError(
                f"identity {self._identity.name}: the client secret cannot be read from {path!r}: "
                f"{error.strerror}"
            ) from error

    def _token_endpoint(self) -> str:
        if not self._endpoint:
            self._endpoint = self._discover()
        return self._endpoint

    def _discover(self) -> str:
        """The token endpoint from the issuer's metadata (OpenID Connect Discovery, then RFC 8414, 3.1)."""
        issuer = self._trust.issuer
        parts = urlsplit(issuer)
        places = (
            f"{issuer.rstrip('/')}/.well-known/openid-configuration",
            f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path.rstrip('/')}",
        )
        status, metadata = self._ask("GET", places[0])
        if status != http.HTTPStatus.OK:
            status, metadata = self._ask("GET", places[1])
        if status != http.HTTPStatus.OK:
            raise EngineError(f"{self._who} has no metadata at {places[0]}: HTTP status {status}")
        if metadata.get("issuer") != issuer:
            raise EngineError(
                f"{self._who} calls itself {metadata.get('issuer')!r}; the matrix must spell it the same way"
            )
        endpoint = metadata.get("token_endpoint")
        if not isinstance(endpoint, str) or not endpoint.startswith("https://"):
            raise EngineError(f"{self._who} names no https token_endpoint in its metadata")
        return endpoint

    def _ask(
        self, method: str, url: str, *, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of an answer; an answer that is none counts as an empty one."""
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise EngineError(f"{self._who} must be an https URL")
        try:
            connection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=HTTP_TIMEOUT, context=self._tls()
            )
            try:
                connection.request(
                    method, parts.path or "/", body, {"Accept": "application/json", **(headers or {})}
                )
                response = connection.getresponse()
                content = response.read(_MAX_ANSWER)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "verify_message", "") or error
            raise EngineError(f"{self._who} could not be asked ({method} {url}): {reason}") from error
        try:
            answer = json.loads(content)
        except ValueError:
            answer = {}
        return response.status, answer if isinstance(answer, dict) else {}

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._trust.ca_file or None)


def _reason(answer: Mapping[str, Any], secrets: Iterable[str]) -> str:
    """What an error response says (RFC 6749, 5.2), unless it repeats a secret of ours."""
    text = f"{answer.get('error', '')} {answer.get('error_description', '')}".strip()
    return "" if any(secret and secret in text for secret in secrets) else text[:300]


def _expiry(token: str) -> float:
    """When a token ends by its own account (RFC 7519, 4.1.4); now, if it does not say so."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, ValueError, KeyError, TypeError):
        return time.time()
