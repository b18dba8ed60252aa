"""Who asks, and what they may do."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_datalake.lake.fts.model import CERTIFICATE, TOKEN
from pytest_datalake.lake.fts.refusal import Refusal

if TYPE_CHECKING:
    from pytest_datalake.lake.fts.model import Job

BASE_ID = uuid.UUID("01874efb-4735-4595-bc9c-591aef8240c9")
"""Namespace of deterministic job ids; clients compute the same from it."""

_MEMBER = {"transfer": "vo", "datamanagement": "all"}
_EVERYTHING = dict.fromkeys(("transfer", "deleg", "config", "admin", "datamanagement"), "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The sender of one request.

    Attributes:
        dn: subject of the end-entity certificate in slash form, or ``sub`` of the token.
        method: ``certificate`` or ``oauth2``.
        attributes: FQANs, or scopes.
        vos: VOs, the first of which is that of jobs.
        delegation_id: names the credential that transfers are done with.
        level: operation -> how far it reaches: ``vo`` or ``all``; own jobs are always reached.
        certificate: PEM of the certificate that was shown.
        token: the bearer token that was shown.
    """

    dn: str
    method: str
    attributes: tuple[str, ...]
    vos: tuple[str, ...]
    delegation_id: str
    level: dict[str, str]
    administrator: bool = False
    certificate: str = ""
    token: str = ""

    def __repr__(self) -> str:
        return f"Caller({self.dn!r}, {self.method})"

    @property
    def vo(self) -> str:
        """The VO of this caller's jobs."""
        return self.vos[0]

    def may_touch(self, job: Job) -> bool:
        """Whether the job may be seen and canceled."""
        reach = self.level.get("transfer", "")
        return (
            reach == "all" or job.cred_id == self.delegation_id or (reach == "vo" and job.vo_name in self.vos)
        )

    def demand_certificate(self) -> None:
        """Configuration is never changed by token. Raises ``Refusal`` (403)."""
        if self.method != CERTIFICATE:
            raise Refusal(403, "Certificate required")

    def demand_administrator(self) -> None:
        """Raises ``Refusal`` (403) for everybody else."""
        self.demand_certificate()
        if self.level.get("config") != "all":
            raise Refusal(403, "Not enough permissions")

    def demand_root(self) -> None:
        """Raises ``Refusal`` (403) for those who do not administrate the service."""
        if not self.administrator:
            raise Refusal(403, "User does not have root privileges")

    def whoami(self) -> dict[str, Any]:
        """As ``GET /whoami`` answers."""
        shown = {
            "user_dn": self.dn,
            "dn": [self.dn],
            "base_id": str(BASE_ID),
            "voms_cred": list(self.attributes),
            "vos": list(self.vos),
            "vos_id": [str(uuid.uuid5(BASE_ID, vo)) for vo in self.vos],
            "roles": ["admin"] if self.administrator else [],
            "level": self.level,
            "delegation_id": self.delegation_id,
            "method": self.method,
            "is_root": self.administrator,
        }
        if self.method == TOKEN:
            shown |= {"oauth2_scope": " ".join(self.attributes), "wlcg_profile": True}
        return shown


def by_certificate(dn: str, fqans: tuple[str, ...], *, administrators: tuple[str, ...], pem: str) -> Caller:
    """Somebody who showed a certificate or a proxy."""
    delegation_id = _short(dn + "".join(fqans))
    vos = tuple(dict.fromkeys(_vo_of(fqan) for fqan in fqans)) or (delegation_id,)
    administrator = dn in administrators
    return Caller(
        dn=dn,
        method=CERTIFICATE,
        attributes=fqans,
        vos=vos,
        delegation_id=delegation_id,
        level=dict(_EVERYTHING if administrator else _MEMBER),
        administrator=administrator,
        certificate=pem,
    )


def by_token(claims: dict[str, Any], token: str) -> Caller:
    """Somebody who showed a valid token. In FTS too, such users reach everything but the configuration."""
    issuer, subject = str(claims["iss"]), str(claims["sub"])
    groups = claims.get("wlcg.groups") or []
    vos = tuple(str(group).lstrip("/") for group in groups) or (issuer.split("/")[2].partition(":")[0],)
    return Caller(
        dn=subject,
        method=TOKEN,
        attributes=tuple(str(claims.get("scope", "")).split()),
        vos=vos,
        delegation_id=_short(issuer + subject),
        level=dict(_EVERYTHING),
        token=token,
    )


def token_id(token: str) -> str:
    """What a token is called in files and tables."""
    return _short(token)


def _short(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:16]


def _vo_of(fqan: str) -> str:
    return "/".join(part for part in fqan.split("/") if part and "=" not in part)
