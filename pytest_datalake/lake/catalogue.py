"""What the matrix means to Rucio: accounts, scopes, RSEs with protocols and attributes, distances."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_datalake.matrix import routes
from pytest_datalake.matrix.routes import ROUTABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_datalake.matrix.model import Endpoint, Matrix

LIMIT = 10 * 2**40
"""Bytes that an experiment's account may have in rules at each RSE."""

_FREE = 10 * 2**40
_DIRECT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RucioAccount:
    """An account and what logs in to it.

    Attributes:
        subject: of its X.509 identity, in slash form.
        token_subject: claim ``sub`` of its OIDC identity; empty: it has none.
    """

    name: str
    scopes: tuple[str, ...] = ()
    username: str
    password: str = field(repr=False)
    subject: str
    token_subject: str = ""


def catalogue(
    matrix: Matrix, endpoints: Sequence[Endpoint], accounts: Sequence[RucioAccount], *, issuer: str, fts: str
) -> dict[str, Any]:
    """The catalogue as plain data; ``rucio_start.py`` enters it.

    Args:
        matrix: what was declared.
        endpoints: with hosts, ports and prefixes filled in.
        accounts: the first is the administrator, who has no limits.
        issuer: URL of the token issuer.
        fts: URL of the transfer manager; empty: there is none.
    """
    rses: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        rses.setdefault(endpoint.rse, []).append(endpoint)
    administrator, *others = accounts
    return {
        "accounts": [
            {**_account(administrator, issuer), "type": "SERVICE", "limits": {}},
            *(
                {**_account(one, issuer), "type": "USER", "limits": dict.fromkeys(rses, LIMIT)}
                for one in others
            ),
        ],
        "rses": [
            {
                "name": name,
                "free": _FREE,
                "attributes": _attributes(doors, fts),
                "protocols": [_protocol(one) for one in doors],
            }
            for name, doors in sorted(rses.items())
        ],
        "distances": [
            [source, destination, _DIRECT] for source, destination in sorted(routes.direct(matrix))
        ],
    }


def rfc2253(subject: str) -> str:
    """A distinguished name in slash form as Rucio knows it: ``CN=ska,O=people,DC=datalake``."""
    return ",".join(reversed(subject.strip("/").split("/")))


def _account(account: RucioAccount, issuer: str) -> dict[str, Any]:
    identities = [
        {"type": "USERPASS", "identity": account.username, "password": account.password},
        {"type": "X509", "identity": rfc2253(account.subject)},
    ]
    if account.token_subject:
        identities.append({"type": "OIDC", "identity": f"SUB={account.token_subject}, ISS={issuer}"})
    return {"name": account.name, "scopes": list(account.scopes), "identities": identities}


def _attributes(doors: Sequence[Endpoint], fts: str) -> dict[str, Any]:
    first = doors[0]
    attributes: dict[str, Any] = {
        "QOS": first.qos,
        "site": first.site,
        "technology": first.technology,
        "verify_checksum": True,
        "greedyDeletion": True,
        "lfn2pfn_algorithm": "identity",
    }
    if fts:
        attributes["fts"] = fts
    if any(routes.can_be_passed_through(one) for one in doors):
        attributes["available_for_multihop"] = True
    web = next((one for one in doors if one.protocol == "davs" and "token-scope" in one.auth), None)
    if web is not None:
        attributes |= {"oidc_support": True, "oidc_base_path": web.prefix}
    return attributes


def _protocol(endpoint: Endpoint) -> dict[str, Any]:
    rank = ROUTABLE.index(endpoint.protocol) + 1 if endpoint.protocol in ROUTABLE else len(ROUTABLE) + 1
    local = {"read": rank, "write": rank, "delete": rank}
    slash = "/" if endpoint.protocol == "root" else ""
    return {
        "scheme": endpoint.protocol,
        "hostname": endpoint.host,
        "port": endpoint.port,
        "prefix": f"{slash}{endpoint.prefix}/",
        "impl": "rucio.rse.protocols.gfal.Default",
        "domains": {
            "lan": local,
            "wan": {**local, "third_party_copy_read": rank, "third_party_copy_write": rank},
        },
        "extended_attributes": None,
    }
