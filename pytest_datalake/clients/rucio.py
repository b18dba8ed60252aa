"""Rucio by its own client library: the embedded lake's or a real one, as one account.

Nothing here is tried again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_datalake.clients.rucio_login import answers, log_in
from pytest_datalake.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from pytest_datalake.clients.rucio_login import Login


Did = tuple[str, str]
"""Scope and name."""


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
        self._client = log_in(url, login, ca_file, scratch, timeout)

    def whoami(self) -> str:
        """The account that the server takes us for."""
        with answers(self.url, "whoami"):
            return str(self._client.whoami()["account"])

    def add_files(self, rse: str, files: Sequence[File]) -> None:
        """Register replicas that are there already, at the place that the RSE's naming gives them."""
        with answers(self.url, f"add {len(files)} replicas at {rse}"):
            self._client.add_replicas(
                rse=rse,
                files=[
                    {"scope": one.scope, "name": one.name, "bytes": one.size, "adler32": one.adler32}
                    for one in files
                ],
            )

    def add_dataset(self, did: Did, files: Iterable[Did] = ()) -> None:
        """Make a dataset of files that are registered."""
        with answers(self.url, f"add the dataset {_text(did)}"):
            self._client.add_dids(
                [{"scope": did[0], "name": did[1], "type": "DATASET", "dids": _dids(files)}]
            )

    def places(self, rse: str, dids: Sequence[Did], scheme: str) -> dict[str, str]:
        """``scope:name`` -> the address at which an RSE would keep a file."""
        with answers(self.url, f"names of files at {rse}"):
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
        with answers(self.url, f"add a rule for {_text(dids[0])} at {expression}"):
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
        with answers(self.url, f"rule {rule_id}"):
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
        with answers(self.url, f"rules of {_text(did)}"):
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
        with answers(self.url, f"boost rule {rule_id}"):
            self._client.update_replication_rule(rule_id, {"boost_rule": True})

    def delete_rule(self, rule_id: str) -> None:
        """End a rule, and have the copies that no other rule needs deleted."""
        with answers(self.url, f"delete rule {rule_id}"):
            # the library's delete_replication_rule gives a rule one more hour
            self._client.update_replication_rule(rule_id, {"lifetime": 0, "purge_replicas": True})

    def replicas(self, dids: Sequence[Did]) -> dict[Did, dict[str, Replica]]:
        """File -> RSE -> what the catalogue says, replicas that are not available too."""
        with answers(self.url, f"replicas of {len(dids)} files"):
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
        with answers(self.url, f"request of {_text(did)} at {rse}"):
            found = self._client.list_request_history_by_did(name, rse, scope)
        return Request(
            state=str(found["state"]),
            source_rse=str(found.get("source_rse") or ""),
            url=str(found.get("dest_url") or ""),
            attempts=int(found.get("retry_count") or 0) + 1,
        )

    def names(self, scope: str, pattern: str) -> list[str]:
        """Names in a scope that match a pattern with ``*``: files and datasets."""
        with answers(self.url, f"names {pattern} in {scope}"):
            return [str(name) for name in self._client.list_dids(scope, {"name": pattern}, did_type="all")]

    def forget(self, dids: Sequence[Did]) -> None:
        """Let names expire: Rucio removes what no rule protects, and keeps the names for itself."""
        with answers(self.url, f"expire {len(dids)} names"):
            self._client.set_dids_metadata_bulk([one | {"meta": {"lifetime": 1}} for one in _dids(dids)])

    def rses(self, expression: str) -> list[str]:
        """The RSEs that an expression means, sorted."""
        with answers(self.url, f"RSEs {expression}"):
            return sorted(str(one["rse"]) for one in self._client.list_rses(expression))

    def free_quota(self, rse: str) -> float:
        """Bytes that this account may still have in rules at an RSE."""
        with answers(self.url, f"quota at {rse}"):
            found = list(self._client.get_local_account_usage(self.account, rse))
            return float(found[0]["bytes_remaining"]) if found else float("inf")

    def touch(self, did: Did, rse: str) -> None:
        """Tell Rucio that a replica has been used, as its clients do by a trace."""
        import warnings

        with answers(self.url, f"trace of {_text(did)} at {rse}"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library sends traces without looking at certificates
            self._client.touch(*did, rse=rse)

    def last_access(self, did: Did) -> datetime | None:
        """When a file or dataset was used last, as far as traces told; UTC, to the second. None: never."""
        with answers(self.url, f"metadata of {_text(did)}"):
            found: datetime | None = self._client.get_metadata(*did)["accessed_at"]
            return found

    def declare_bad(self, pfns: Sequence[str], reason: str) -> None:
        """Tell Rucio that these copies are broken; it makes them anew from others."""
        with answers(self.url, f"declare {len(pfns)} replicas bad"):
            self._client.declare_bad_file_replicas(list(pfns), reason)


def _dids(dids: Iterable[Did]) -> list[dict[str, Any]]:
    return [{"scope": scope, "name": name} for scope, name in dids]


def _text(did: Did) -> str:
    return ":".join(did)
