"""What a matrix of an embedded lake may say, and what the lake fills in."""

from __future__ import annotations

import pytest

from pytest_datalake.errors import UsageError
from pytest_datalake.matrix.load import parse

EMBEDDED = """\
version: 1
lake: embedded
vo: escape
experiments: [ska]
qos_classes: {A: fast}
sites:
  COMO:
    rses:
      COMO-A:
        technology: xrootd
        qos: A
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer]
        endpoints:
          - protocol: davs
            auth: [token-scope, x509-voms]
"""


def test_an_embedded_lake_fills_in_addresses_later() -> None:
    (endpoint,) = parse(EMBEDDED, "lake.yaml").endpoints
    assert (endpoint.host, endpoint.port, endpoint.prefix) == ("", 0, "")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "technology: xrootd",
            "technology: xrood",
            (
                "10:21: sites.COMO.rses.COMO-A.technology: the embedded lake cannot start 'xrood', "
                "only apache, gridftp, swift, xrootd; did you mean 'xrootd'?"
            ),
        ),
        (
            ", authorisation, transfer]",
            "]",
            (
                "12:19: sites.COMO.rses.COMO-A.supports: authorisation, transfer must be declared: "
                "every xrootd of an embedded lake supports at least access, adler32, authorisation, list, "
                "mkdir, ranged-read, rename, transfer"
            ),
        ),
        (
            "protocol: davs",
            "protocol: s3s",
            (
                "14:23: sites.COMO.rses.COMO-A.endpoints.0.protocol: "
                "an embedded xrootd speaks davs, root, not s3s"
            ),
        ),
        (
            "protocol: davs",
            "port: 1\n            protocol: davs",
            (
                "14:19: sites.COMO.rses.COMO-A.endpoints.0.port: "
                "an embedded lake chooses the port itself; leave out this key, or 'lake: embedded'"
            ),
        ),
        (
            "sites:",
            "auth: {issuer: 'https://h/'}\nsites:",
            (
                "6:1: auth: an embedded lake makes its own authorities and identities; "
                "leave out 'auth', or 'lake'"
            ),
        ),
        ("lake: embedded", "lake: real", "2:7: lake: must be embedded"),
    ],
)
def test_an_embedded_lake_has_rules_of_its_own(old: str, new: str, expected: str) -> None:
    assert old in EMBEDDED
    with pytest.raises(UsageError) as raised:
        parse(EMBEDDED.replace(old, new, 1), "lake.yaml")
    assert f"lake.yaml:{expected}" in str(raised.value).splitlines()
