"""What can be declared, and what the embedded lake's technologies must declare."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_datalake.matrix.model import Auth, Protocol

CAPABILITIES: Mapping[str, str] = {
    "access": "write, stat, read back and remove a file",
    "list": "list a directory",
    "mkdir": "make and remove directories",
    "rename": "rename a file within the endpoint",
    "ranged-read": "read part of a file",
    "adler32": "the server computes ADLER32 checksums",
    "md5": "the server computes MD5 checksums",
    "authorisation": "grants what a credential allows and refuses everything else",
    "transfer": "takes part in copies between sites",
    "rule": "takes and gives files that Rucio's rules ask for",
}
"""Every capability that an RSE can declare, and what it promises by that."""

_POSIX = frozenset(
    {"access", "list", "mkdir", "rename", "ranged-read", "adler32", "authorisation", "transfer"}
)

MINIMUM: Mapping[str, frozenset[str]] = {
    "xrootd": _POSIX,
    "apache": _POSIX,
    "gridftp": _POSIX,
    "swift": frozenset({"access", "list", "ranged-read", "md5", "transfer"}),
}
"""What every RSE of an embedded lake declares at least, so that green cannot be bought by undeclaring."""

MINIMUM_WITH: Mapping[str, Mapping[str, frozenset[str]]] = {
    "rucio": {"xrootd": frozenset({"rule"}), "apache": frozenset({"rule"})},
}
"""Service -> technology -> what its RSEs declare besides, in an embedded lake that has the service."""

DOORS: Mapping[str, frozenset[Protocol]] = {
    "xrootd": frozenset({"davs", "root"}),
    "apache": frozenset({"davs"}),
    "gridftp": frozenset({"gsiftp"}),
    "swift": frozenset({"s3s"}),
}
"""The protocols that the embedded lake serves, by technology."""

SERVICES: frozenset[str] = frozenset({"fts", "iam", "rucio"})
"""The central services that the embedded lake can start."""

MONITORING = "fts-monitoring"
"""The service whose URL is a file of the transfer manager's messages, one JSON object a line."""

BROKER = "broker"
"""The service, ``stomp://host:port``, that takes the transfer manager's messages and Rucio's events."""

BROUGHT_ALONG: Mapping[str, frozenset[str]] = {
    "fts": frozenset({MONITORING}),
    "rucio": frozenset({BROKER}),
}
"""Service -> services that an embedded lake starts together with it."""

DEFAULT_PORT: Mapping[Protocol, int] = {"davs": 443, "root": 1094, "gsiftp": 2811, "s3s": 443, "memory": 0}
"""The port where an endpoint of a real lake names none (IANA; 1094: rootd)."""

_WEB: frozenset[Auth] = frozenset({"anonymous", "token-scope", "token-group", "x509", "x509-voms"})

LEGAL_AUTHS: Mapping[Protocol, frozenset[Auth]] = {
    "davs": _WEB,
    "root": _WEB,
    "gsiftp": frozenset({"x509", "x509-voms"}),
    "s3s": frozenset({"anonymous", "access-key"}),
    "memory": _WEB | {"access-key"},
}
"""The ways of showing who we are that a protocol knows."""
