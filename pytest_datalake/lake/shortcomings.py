"""What an embedded lake cannot do on this machine: no finding of the tests."""

from __future__ import annotations

import os
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
        symptom=r"^was done; it should have been refused (as denied|\()",
        strict=False,  # only some of these tests are about isolation
        location="the lake of an ordinary user",
    )
    for capability in ("authorisation", "transfer")
)


def with_known_here(matrix: Matrix) -> Matrix:
    """The matrix with known issues that the lake has here and would not have elsewhere."""
    gridftp = any(endpoint.technology == "gridftp" for endpoint in matrix.endpoints)
    if not matrix.embedded or not gridftp or os.geteuid() == 0:
        return matrix
    more = [one for one in _ONE_ACCOUNT if one not in matrix.known_issues]
    return replace(matrix, known_issues=(*matrix.known_issues, *more))
