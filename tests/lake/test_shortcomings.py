"""What a lake cannot do on this machine is expected there, and nowhere else."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.lake import shortcomings
from pytest_datalake.matrix.known_issues import excusing
from pytest_datalake.matrix.load import parse

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Matrix

LAKE = """\
version: 1
lake: embedded
vo: escape
experiments: [ska, lofar]
qos_classes: [A]
sites:
  SAIMAA:
    rses:
      SAIMAA-A:
        technology: gridftp
        qos: A
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer]
        endpoints: [{protocol: gsiftp, auth: [x509-voms], tpc: {active: [push], passive: [push]}}]
"""


@pytest.fixture
def gridftp() -> Matrix:
    return parse(LAKE, "gridftp.yaml")


def test_gridftp_of_an_ordinary_user_is_expected_to_let_everybody_in(
    gridftp: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    here = shortcomings.with_known_here(gridftp)
    assert shortcomings.with_known_here(here) == here
    assert here.digest == gridftp.digest
    assert {issue.capability for issue in here.known_issues} == {"authorisation", "transfer"}
    assert excusing(here.known_issues, "was done; it should have been refused as denied")
    assert excusing(here.known_issues, "was done; it should have been refused (done)")
    assert not excusing(here.known_issues, "connection refused")


def test_nothing_is_expected_of_root_nor_elsewhere_nor_without_gridftp(
    gridftp: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert shortcomings.with_known_here(gridftp) == gridftp
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    elsewhere = replace(gridftp, embedded=False)
    without = replace(gridftp, endpoints=())
    assert [shortcomings.with_known_here(one) for one in (elsewhere, without)] == [elsewhere, without]
