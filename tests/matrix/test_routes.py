"""Between which RSEs Rucio can bring a file."""

from __future__ import annotations

from pytest_datalake.matrix import routes
from pytest_datalake.matrix.load import parse

HEAD = """\
version: 1
lake: embedded
vo: escape
experiments: [ska]
qos_classes: [A]
sites:
"""

XROOTD = """\
  {site}:
    rses:
      {site}-A:
        technology: xrootd
        qos: A
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer]
        endpoints:
          - protocol: davs
            auth: [token-scope, x509-voms]
            tpc: {{active: [pull, push], passive: [pull, push]}}
          - {{protocol: root, auth: [token-scope, x509-voms], tpc: {{active: [pull], passive: [pull]}}}}
"""

APACHE = """\
  {site}:
    rses:
      {site}-A:
        technology: apache
        qos: A
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer]
        endpoints:
          - {{protocol: davs, auth: [token-scope, x509], tpc: {{passive: [pull, push]}}}}
"""

GRIDFTP = """\
  {site}:
    rses:
      {site}-A:
        technology: gridftp
        qos: A
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer]
        endpoints:
          - {{protocol: gsiftp, auth: [x509-voms], tpc: {{active: [push], passive: [push]}}}}
"""


def links(**technologies: str) -> dict[tuple[str, str], str]:
    """Pair of sites -> what its link is like."""
    text = HEAD + "".join(shape.format(site=site) for site, shape in technologies.items())
    return {
        (link.source.site, link.destination.site): "multihop"
        if link.multihop
        else f"{link.source.protocol} by {link.auth}"
        for link in routes.rule_links(parse(text, "m.yaml"))
    }


def test_a_pair_has_one_link_by_the_preferred_protocol_and_auth() -> None:
    assert links(COMO=XROOTD, GARDA=XROOTD) == {
        ("COMO", "GARDA"): "davs by token-scope",
        ("GARDA", "COMO"): "davs by token-scope",
    }


def test_two_that_only_wait_are_joined_by_a_third() -> None:
    found = links(COMO=APACHE, GARDA=APACHE, LEMAN=XROOTD)
    assert found["COMO", "GARDA"] == found["GARDA", "COMO"] == "multihop"
    assert found["COMO", "LEMAN"] == "davs by token-scope"


def test_two_that_only_wait_are_not_joined_by_nobody() -> None:
    assert links(COMO=APACHE, GARDA=APACHE) == {}


def test_gridftp_is_not_routed() -> None:
    assert links(COMO=GRIDFTP, GARDA=GRIDFTP) == {}


def reasons(**technologies: str) -> dict[tuple[str, str], str]:
    """Pair of RSEs that nothing joins -> why."""
    text = HEAD + "".join(shape.format(site=site) for site, shape in technologies.items())
    found = routes.unroutable(parse(text, "m.yaml"))
    return {(source.rse, destination.rse): reason for source, destination, reason in found}


def test_a_pair_without_a_common_protocol_has_no_route() -> None:
    assert reasons(COMO=XROOTD, GARDA=GRIDFTP) == {
        ("COMO-A", "GARDA-A"): "no route: Rucio sends files by davs and root; "
        "COMO-A speaks davs, root and GARDA-A speaks gsiftp",
        ("GARDA-A", "COMO-A"): "no route: Rucio sends files by davs and root; "
        "GARDA-A speaks gsiftp and COMO-A speaks davs, root",
    }


def test_a_pair_that_nobody_joins_has_no_route() -> None:
    found = reasons(COMO=APACHE, GARDA=APACHE)
    assert set(found) == {("COMO-A", "GARDA-A"), ("GARDA-A", "COMO-A")}
    assert all("neither end moves the bytes" in reason for reason in found.values())


def test_every_pair_either_has_a_link_or_a_reason() -> None:
    sites = {"COMO": APACHE, "GARDA": APACHE, "LEMAN": XROOTD, "OHRID": GRIDFTP}
    joined = set(links(**sites))
    left = {(source.removesuffix("-A"), there.removesuffix("-A")) for source, there in reasons(**sites)}
    assert not joined & left
    assert joined | left == {(one, other) for one in sites for other in sites if one != other}
    assert left == {pair for pair in joined | left if "OHRID" in pair}
