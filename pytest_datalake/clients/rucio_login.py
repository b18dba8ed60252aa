"""Logging in to Rucio by its own client library, and telling its exceptions apart.

A refusal is a ``StorageError``, for it is the lake's answer; a Rucio that does not answer, or answers with a
fault of its own, is a ``ServiceError``: no site is to blame.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pytest_datalake.errors import EngineError, ErrorKind, ServiceError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_datalake.matrix.model import Identity

RucioAuth = Literal["userpass", "x509_proxy", "x509", "oidc"]
"""Ways of logging in, in the words of ``rucio.cfg``; the cheapest first."""

_KINDS: dict[str, ErrorKind] = {
    "AccessDenied": "denied",
    "CannotAuthenticate": "denied",
    "CannotAuthorize": "denied",
    "ScopeAccessDenied": "denied",
    "IdentityError": "denied",
    "InsufficientAccountLimit": "no-space",
    "RSEOverQuota": "no-space",
    "FullStorage": "no-space",
    "Duplicate": "exists",
    "DataIdentifierAlreadyExists": "exists",
    "DuplicateRule": "exists",
    "FileReplicaAlreadyExists": "exists",
    "DataIdentifierNotFound": "not-found",
    "ReplicaNotFound": "not-found",
    "RequestNotFound": "not-found",
    "RSENotFound": "not-found",
    "RuleNotFound": "not-found",
    "ScopeNotFound": "not-found",
    "InsufficientTargetRSEs": "unsupported",
    "InvalidRSEExpression": "unsupported",
    "InvalidReplicationRule": "unsupported",
}
"""Exceptions that are answers, and the kind that they are of; any other one named here not is "other"."""

_FAULTS = ("RucioException", "DatabaseException", "ServerConnectionException", "ServiceUnavailable")
"""Exceptions that say that Rucio itself is in trouble."""

_LOCK = threading.Lock()
"""The library has one configuration for the whole process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to log in.

    Attributes:
        proxy: PEM of a proxy, for ``x509_proxy``.
        token: access token for Rucio, for ``oidc``; its scope and audience are what Rucio expects.
    """

    account: str
    auth: RucioAuth
    username: str = ""
    password: str = field(default="", repr=False)
    certificate: str = ""
    key: str = ""
    proxy: str = ""
    token: str = field(default="", repr=False)


def can_log_in(identity: Identity, auth: RucioAuth) -> bool:
    """Whether the matrix gives an identity what it needs to log in that way."""
    needed = {
        "userpass": identity.password_file,
        "x509_proxy": identity.proxy,
        "x509": identity.certificate,
        "oidc": identity.has_tokens,
    }
    return bool(identity.account and needed[auth])


def log_in(url: str, login: Login, ca_file: str, scratch: Path, timeout: float) -> Any:  # noqa: ANN401  # untyped
    """The library's client, logged in.

    Args:
        url: of the server.
        login: who and how.
        ca_file: PEM bundle that the server's certificate is checked with; empty: the system's.
        scratch: private directory for the token that the library keeps in a file.
        timeout: seconds that the server may be silent.

    Raises:
        StorageError: it refused.
        ServiceError: it does not answer, or is in trouble.
        EngineError: the directory cannot be written to.
    """
    token_file = scratch / f"rucio-{os.getpid()}-{login.account}-{login.auth}"
    token_file.unlink(missing_ok=True)
    with _LOCK:
        _prepare_library(scratch)
        from rucio.client import Client
        from rucio.common.config import config_set

        if login.auth == "oidc":
            _write_private(token_file, login.token)
        config_set("client", "auth_token_file_path", str(token_file))
        with answers(url, f"log in as {login.account} by {login.auth}"), _healthy(url, ca_file, timeout):
            return Client(
                rucio_host=url,
                auth_host=url,
                account=login.account,
                ca_cert=ca_file or True,
                auth_type=login.auth,
                creds=_credentials(login),
                timeout=timeout,
                user_agent="pytest-datalake",
                vo="def",
                logger=_quiet(),
            )


@contextmanager
def _healthy(url: str, ca_file: str, timeout: float) -> Iterator[None]:
    """The library calls every login that fails a refusal, and does not say why it cannot connect."""
    import requests
    from rucio.common.exception import CannotAuthenticate, ServerConnectionException

    try:
        yield
    except (CannotAuthenticate, ServerConnectionException) as error:
        failure = error
    else:
        return
    status = requests.get(f"{url}/ping", verify=ca_file or True, timeout=timeout).status_code
    said = next((name for name in _FAULTS if name in str(failure)), "")
    if status < 500 and not said:
        raise failure
    raise ServiceError(
        f"Rucio at {url} serves nobody: {said or f'GET /ping is answered with {status}'}",
        service="rucio",
    ) from failure


@contextmanager
def answers(url: str, what: str) -> Iterator[None]:
    """Turn the library's exceptions into ours."""
    import requests
    from rucio.common.exception import RucioException

    try:
        yield
    except requests.RequestException as error:
        raise ServiceError(
            f"Rucio at {url} does not answer ({what}): {_reason(error)}", service="rucio"
        ) from error
    except RucioException as error:
        name = type(error).__name__
        # a statement's parameters can be tokens
        said = str(error).partition("[SQL:")[0].strip()
        if name in _FAULTS:
            raise ServiceError(f"Rucio at {url} failed ({what}): {said}", service="rucio") from error
        raise StorageError(
            f"Rucio at {url} ({what}): {said}",
            kind=_KINDS.get(name, "other"),
            operation=what,
            url=url,
        ) from error


def _credentials(login: Login) -> dict[str, str]:
    match login.auth:
        case "userpass":
            return {"username": login.username, "password": login.password}
        case "x509":
            return {"client_cert": login.certificate, "client_key": login.key}
        case "x509_proxy":
            return {"client_proxy": login.proxy}
        case "oidc":
            return {"oidc_scope": "openid"}


def _prepare_library(scratch: Path) -> None:
    """Have the library read a configuration of ours and not the user's, which may be for another Rucio."""
    configuration = scratch / f"rucio-{os.getpid()}.cfg"
    if not configuration.exists():
        _write_private(
            configuration, "[client]\nrequest_retries = 0\n[policy]\nlfn2pfn_algorithm_default = hash\n"
        )
    os.environ["RUCIO_CONFIG"] = str(configuration)
    os.environ["RUCIO_CLIENT_MODE"] = "1"


def _write_private(path: Path, content: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
    except OSError as error:
        raise EngineError(f"cannot write {path}: {error.strerror}") from error


def _quiet() -> logging.Logger:
    logger = logging.getLogger("pytest_datalake.clients.rucio.library")
    logger.setLevel(logging.CRITICAL)  # what it logs is in the exception, too
    return logger


def _reason(error: BaseException) -> str:
    """The innermost reason: outer ones repeat the address."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__
