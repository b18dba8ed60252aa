"""What an embedded lake cannot do on this machine: said at its start, and no finding of the tests."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_datalake.matrix.model import KnownIssue

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Matrix

_ONE_ACCOUNT = tuple(
    KnownIssue(
        match=(("technology", "gridftp"),),
        capability=capability,
        requirement="",
        reason="a GridFTP server that was not started by root has one account for all experiments",
        reference="docs/explanation/the-embedded-lake.md#as-root-and-as-an-ordinary-user",
        symptom="^was done; it should have been refused as denied",
        strict=False,  # only some of these tests are about isolation
        location="the lake of an ordinary user",
    )
    for capability in ("authorisation", "transfer")
)


def with_known_here(matrix: Matrix) -> Matrix:
    """The matrix with known issues that the lake has here and would not have elsewhere."""
    if not matrix.embedded or os.geteuid() == 0:
        return matrix
    more = [one for one in _ONE_ACCOUNT if one not in matrix.known_issues]
    return replace(matrix, known_issues=(*matrix.known_issues, *more))


def notes(matrix: Matrix) -> list[str]:
    """Lines for people about what will not work here, and what to do about it."""
    said = []
    if any(endpoint.technology == "gridftp" for endpoint in matrix.endpoints) and not _resolves_addresses():
        said.append(
            "this machine has no IPv4 address but 127.0.0.1, so that GridFTP's libraries will find no server "
            "(getaddrinfo(3), AI_ADDRCONFIG); a second one is enough: ip address add 127.0.0.2/8 dev lo"
        )
    return said


def _resolves_addresses() -> bool:
    """Whether names are resolved for libraries that ask for addresses which this machine can reach."""
    try:
        socket.getaddrinfo("127.0.0.1", 1, socket.AF_INET, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
    except OSError:
        return False
    return True
