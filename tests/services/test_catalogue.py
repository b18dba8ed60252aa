"""What Rucio is told of a matrix."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_datalake.lake.catalogue import LIMIT, RucioAccount, catalogue, rfc2253
from pytest_datalake.matrix.load import parse

MATRIX = """\
version: 1
lake: embedded
vo: escape
experiments: [ska]
qos_classes: [A, C]
sites:
  COMO:
    rses:
      COMO-A:
        technology: xrootd
        qos: A
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer]
        endpoints: &xrootd
          - {protocol: davs, auth: [token-scope], tpc: {active: [pull], passive: [pull]}}
          - {protocol: root, auth: [token-scope], tpc: {active: [pull], passive: [pull]}}
  GARDA:
    rses:
      GARDA-C:
        technology: xrootd
        qos: C
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer]
        endpoints: *xrootd
  SAIMAA:
    rses:
      SAIMAA-A:
        technology: gridftp
        qos: A
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer]
        endpoints:
          - {protocol: gsiftp, auth: [x509-voms], tpc: {active: [push], passive: [push]}}
"""

ROOT = RucioAccount(name="root", username="robot", password="p", subject="/DC=org/O=people/CN=robot")
SKA = RucioAccount(
    name="ska", scopes=("ska",), username="ska", password="q", subject="/CN=ska", token_subject="ska"
)


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    matrix = parse(MATRIX, "m.yaml")
    endpoints = [replace(one, host="127.0.0.11", port=1094, prefix="/escape") for one in matrix.endpoints]
    return catalogue(matrix, endpoints, [ROOT, SKA], issuer="https://i/", fts="https://localhost:8446")


def rse(told: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in told["rses"] if one["name"] == name)
    return found


def test_attributes_say_what_expressions_ask_for(told: dict[str, Any]) -> None:
    attributes = rse(told, "GARDA-C")["attributes"]
    asked = {name: attributes[name] for name in ("QOS", "site", "technology", "fts", "verify_checksum")}
    assert asked == {
        "QOS": "C",
        "site": "GARDA",
        "technology": "xrootd",
        "fts": "https://localhost:8446",
        "verify_checksum": True,
    }


def test_tokens_are_for_doors_that_take_them(told: dict[str, Any]) -> None:
    assert rse(told, "COMO-A")["attributes"]["oidc_base_path"] == "/escape"
    assert "oidc_support" not in rse(told, "SAIMAA-A")["attributes"]


def test_root_has_two_slashes_and_comes_second(told: dict[str, Any]) -> None:
    davs, root = rse(told, "COMO-A")["protocols"]
    assert (davs["scheme"], davs["prefix"], davs["domains"]["wan"]["read"]) == ("davs", "/escape/", 1)
    assert (root["scheme"], root["prefix"], root["domains"]["wan"]["read"]) == ("root", "//escape/", 2)


def test_only_routes_have_distances(told: dict[str, Any]) -> None:
    assert told["distances"] == [["COMO-A", "GARDA-C", 1], ["GARDA-C", "COMO-A", 1]]


def test_accounts_log_in_three_ways_and_have_limits(told: dict[str, Any]) -> None:
    root, ska = told["accounts"]
    assert (root["name"], root["type"], root["limits"]) == ("root", "SERVICE", {})
    assert [one["type"] for one in ska["identities"]] == ["USERPASS", "X509", "OIDC"]
    assert ska["identities"][2]["identity"] == "SUB=ska, ISS=https://i/"
    assert ska["limits"] == dict.fromkeys(("COMO-A", "GARDA-C", "SAIMAA-A"), LIMIT)


def test_names_are_turned_round() -> None:
    assert rfc2253("/DC=org/DC=datalake/O=people/CN=ska") == "CN=ska,O=people,DC=datalake,DC=org"
