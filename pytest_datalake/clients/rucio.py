"""Rucio by its own client library: the embedded lake's or a real one, as one account.

A refusal is a ``StorageError``, for it is the lake's answer; a Rucio that does not answer, or answers with a
fault of its own, is a ``ServiceError``: no site is to blame. Nothing here is tried again.
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
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
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

Did = tuple[str, str]
"""Scope and name."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file as it is registered; ``size`` in bytes."""

    scope: str
    name: str
    size: int
    adler32: str

    @property
    def did(self) -> Did:
        """Scope and name."""
        return self.scope, self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A replication rule; the numbers count its locks."""

    state: str
    ok: int
    replicating: int
    stuck: int
    error: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether all copies are where they should be."""
        return self.state == "OK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """What the catalogue says of one file at one RSE."""

    rse: str
    state: str
    pfns: tuple[str, ...]
    size: int
    adler32: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The last transfer that Rucio asked for to bring a file to an RSE."""

    state: str
    source_rse: str
    url: str
    attempts: int


def can_log_in(identity: Identity, auth: RucioAuth) -> bool:
    """Whether the matrix gives an identity what it needs to log in that way."""
    needed = {
        "userpass": identity.password_file,
        "x509_proxy": identity.proxy,
        "x509": identity.certificate,
        "oidc": identity.has_tokens,
    }
    return bool(identity.account and needed[auth])


class Rucio:
    """One account at one Rucio. Every method raises ``StorageError`` or ``ServiceError``.

    Args:
        url: of the server.
        login: who and how.
        ca_file: PEM bundle that the server's certificate is checked with; empty: the system's.
        scratch: private directory for the token that the library keeps in a file.
        timeout: seconds that the server may be silent.
    """

    def __init__(self, url: str, login: Login, *, ca_file: str, scratch: Path, timeout: float) -> None:
        self.url = url
        self.account = login.account
        self._client = self._log_in(login, ca_file, scratch, timeout)

    def whoami(self) -> str:
        """The account that the server takes us for."""
        with self._answers("whoami"):
            return str(self._client.whoami()["account"])

    def add_files(self, rse: str, files: Sequence[File]) -> None:
        """Register replicas that are there already, at the place that the RSE's naming gives them."""
        with self._answers(f"add {len(files)} replicas at {rse}"):
            self._client.add_replicas(
                rse=rse,
                files=[
                    {"scope": one.scope, "name": one.name, "bytes": one.size, "adler32": one.adler32}
                    for one in files
                ],
            )

    def add_dataset(self, did: Did, files: Iterable[Did] = ()) -> None:
        """Make a dataset of files that are registered."""
        with self._answers(f"add the dataset {_text(did)}"):
            self._client.add_dids(
                [{"scope": did[0], "name": did[1], "type": "DATASET", "dids": _dids(files)}]
            )

    def places(self, rse: str, dids: Sequence[Did], scheme: str) -> dict[str, str]:
        """``scope:name`` -> the address at which an RSE would keep a file."""
        with self._answers(f"names of files at {rse}"):
            found = self._client.lfns2pfns(
                rse, [_text(did) for did in dids], operation="write", scheme=scheme
            )
            return {str(name): str(address) for name, address in found.items()}

    def add_rule(
        self, dids: Sequence[Did], expression: str, *, copies: int = 1, lifetime: int, source: str = ""
    ) -> list[str]:
        """Ask for copies; returns the ids of the rules.

        Args:
            dids: files, datasets.
            expression: which RSEs may hold the copies.
            copies: how many.
            lifetime: seconds after which the rule ends by itself, should nobody end it.
            source: which RSEs the copies may be made from; empty: any.
        """
        with self._answers(f"add a rule for {_text(dids[0])} at {expression}"):
            return [
                str(one)
                for one in self._client.add_replication_rule(
                    dids=_dids(dids),
                    copies=copies,
                    rse_expression=expression,
                    lifetime=lifetime,
                    source_replica_expression=source or None,
                )
            ]

    def rule(self, rule_id: str) -> Rule:
        """How a rule stands."""
        with self._answers(f"rule {rule_id}"):
            found = self._client.get_replication_rule(rule_id)
        return Rule(
            state=str(found["state"]),
            ok=int(found["locks_ok_cnt"]),
            replicating=int(found["locks_replicating_cnt"]),
            stuck=int(found["locks_stuck_cnt"]),
            error=str(found["error"] or ""),
        )

    def rules_of(self, did: Did) -> list[str]:
        """Ids of all rules on a file or dataset."""
        with self._answers(f"rules of {_text(did)}"):
            return [str(one["id"]) for one in self._client.list_did_rules(*did)]

    def rule_exists(self, rule_id: str) -> bool:
        """Whether the rule has not been removed yet."""
        try:
            self.rule(rule_id)
        except StorageError as error:
            if error.kind == "not-found":
                return False
            raise
        return True

    def retry_rule(self, rule_id: str) -> None:
        """Have Rucio look again at a rule that is stuck, now and not when it next would."""
        with self._answers(f"boost rule {rule_id}"):
            self._client.update_replication_rule(rule_id, {"boost_rule": True})

    def delete_rule(self, rule_id: str) -> None:
        """End a rule, and have the copies that no other rule needs deleted."""
        with self._answers(f"delete rule {rule_id}"):
            # the library's delete_replication_rule gives a rule one more hour
            self._client.update_replication_rule(rule_id, {"lifetime": 0, "purge_replicas": True})

    def replicas(self, dids: Sequence[Did]) -> dict[Did, dict[str, Replica]]:
        """File -> RSE -> what the catalogue says, replicas that are not available too."""
        with self._answers(f"replicas of {len(dids)} files"):
            found = list(self._client.list_replicas(_dids(dids), all_states=True))
        return {
            (one["scope"], one["name"]): {
                rse: Replica(
                    rse=rse,
                    state=str(one["states"].get(rse, "")),
                    pfns=tuple(pfns),
                    size=int(one["bytes"]),
                    adler32=str(one["adler32"]),
                )
                for rse, pfns in one["rses"].items()
            }
            for one in found
        }

    def last_request(self, did: Did, rse: str) -> Request:
        """The transfer that brought a file to an RSE, once it has ended."""
        scope, name = did
        with self._answers(f"request of {_text(did)} at {rse}"):
            found = self._client.list_request_history_by_did(name, rse, scope)
        return Request(
            state=str(found["state"]),
            source_rse=str(found.get("source_rse") or ""),
            url=str(found.get("dest_url") or ""),
            attempts=int(found.get("retry_count") or 0) + 1,
        )

    def names(self, scope: str, pattern: str) -> list[str]:
        """Names in a scope that match a pattern with ``*``: files and datasets."""
        with self._answers(f"names {pattern} in {scope}"):
            return [str(name) for name in self._client.list_dids(scope, {"name": pattern}, did_type="all")]

    def forget(self, dids: Sequence[Did]) -> None:
        """Let names expire: Rucio removes what no rule protects, and keeps the names for itself."""
        with self._answers(f"expire {len(dids)} names"):
            self._client.set_dids_metadata_bulk([one | {"meta": {"lifetime": 1}} for one in _dids(dids)])

    def rses(self, expression: str) -> list[str]:
        """The RSEs that an expression means, sorted."""
        with self._answers(f"RSEs {expression}"):
            return sorted(str(one["rse"]) for one in self._client.list_rses(expression))

    def free_quota(self, rse: str) -> float:
        """Bytes that this account may still have in rules at an RSE."""
        with self._answers(f"quota at {rse}"):
            found = list(self._client.get_local_account_usage(self.account, rse))
            return float(found[0]["bytes_remaining"]) if found else float("inf")

    def touch(self, did: Did, rse: str) -> None:
        """Tell Rucio that a replica has been used, as its clients do by a trace."""
        import warnings

        with self._answers(f"trace of {_text(did)} at {rse}"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library sends traces without looking at certificates
            self._client.touch(*did, rse=rse)

    def last_access(self, did: Did) -> datetime | None:
        """When a file or dataset was used last, as far as traces told; UTC, to the second. None: never."""
        with self._answers(f"metadata of {_text(did)}"):
            found: datetime | None = self._client.get_metadata(*did)["accessed_at"]
            return found

    def declare_bad(self, pfns: Sequence[str], reason: str) -> None:
        """Tell Rucio that these copies are broken; it makes them anew from others."""
        with self._answers(f"declare {len(pfns)} replicas bad"):
            self._client.declare_bad_file_replicas(list(pfns), reason)

    def _log_in(self, login: Login, ca_file: str, scratch: Path, timeout: float) -> Any:  # noqa: ANN401  # untyped
        token_file = scratch / f"rucio-{os.getpid()}-{login.account}-{login.auth}"
        token_file.unlink(missing_ok=True)
        with _LOCK:
            _prepare_library(scratch)
            from rucio.client import Client
            from rucio.common.config import config_set

            if login.auth == "oidc":
                _write_private(token_file, login.token)
            config_set("client", "auth_token_file_path", str(token_file))
            with self._answers(f"log in as {login.account} by {login.auth}"), self._healthy(ca_file, timeout):
                return Client(
                    rucio_host=self.url,
                    auth_host=self.url,
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
    def _healthy(self, ca_file: str, timeout: float) -> Iterator[None]:
        """The library calls every login that fails a refusal: one of a server in trouble is none."""
        import requests
        from rucio.common.exception import CannotAuthenticate

        try:
            yield
        except CannotAuthenticate as error:
            status = requests.get(f"{self.url}/ping", verify=ca_file or True, timeout=timeout).status_code
            said = next((name for name in _FAULTS if name in str(error)), "")
            if status < 500 and not said:
                raise
            raise ServiceError(
                f"Rucio at {self.url} serves nobody: {said or f'GET /ping is answered with {status}'}",
                service="rucio",
            ) from error

    @contextmanager
    def _answers(self, what: str) -> Iterator[None]:
        """Turn the library's exceptions into ours."""
        import requests
        from rucio.common.exception import RucioException

        try:
            yield
        except requests.RequestException as error:
            raise ServiceError(
                f"Rucio at {self.url} does not answer ({what}): {_reason(error)}", service="rucio"
            ) from error
        except RucioException as error:
            name = type(error).__name__
            if name in _FAULTS:
                raise ServiceError(
                    f"Rucio at {self.url} failed ({what}): {error}", service="rucio"
                ) from error
            raise StorageError(
                f"Rucio at {self.url} ({what}): {error}",
                kind=_KINDS.get(name, "other"),
                operation=what,
                url=self.url,
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


def _dids(dids: Iterable[Did]) -> list[dict[str, Any]]:
    return [{"scope": scope, "name": name} for scope, name in dids]


def _text(did: Did) -> str:
    return ":".join(did)
