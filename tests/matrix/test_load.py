"""What people see when their matrix is wrong, and what it means when it is right."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.errors import UsageError
from pytest_datalake.matrix.load import load, parse

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
version: 1
vo: escape
experiments: [ska]
qos_classes: [A, B]
auth:
  ca_file: trust/ca.pem
  issuer: https://iam.example.org/
  identities:
    ska: {experiment: ska, proxy: ~/proxy, token_command: [oidc-token, x], access_key_file: keys/s3.json}
services: {rucio: "https://rucio.example.org", fts: {url: "https://fts.example.org:8446"}}
sites:
  COMO:
    rses:
      COMO-A:
        technology: dcache
        qos: A
        supports: &all [access, list]
        endpoints: &doors
          - protocol: davs
            host: h.example.org
            prefix: /pnfs/data/
            auth: [token-scope, x509-voms]
          - {protocol: root, host: h.example.org, auth: [token-scope]}
      COMO-B: &b
        technology: dcache
        qos: B
        supports: *all
        endpoints: *doors
  OHRID:
    rses:
      OHRID-A:
        <<: *b
        qos: A
known_issues:
  - match: {site: C*, auth: x509-voms}
    capability: trans*
    reason: r
    reference: https://example.org/1
    symptom: SIG\\w+
    until: 2031-02-03
downtimes:
  - match: {site: COMO}
    start: 2031-02-03T08:00Z
    end: 2031-02-04 08:00+01:00
    reason: new disks
    reference: https://example.org/2
"""


def errors_of(text: str) -> list[str]:
    with pytest.raises(UsageError) as raised:
        parse(text, "lake.yaml")
    return str(raised.value).splitlines()


def broken(old: str, new: str) -> list[str]:
    assert old in GOOD
    return errors_of(GOOD.replace(old, new, 1))


def test_a_good_file_means_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    file = tmp_path / "lake.yaml"
    file.write_text(GOOD, encoding="utf-8")
    matrix = load(file)
    assert [endpoint.id for endpoint in matrix.endpoints] == [
        "COMO-A.davs",
        "COMO-A.root",
        "COMO-B.davs",
        "COMO-B.root",
        "OHRID-A.davs",
        "OHRID-A.root",
    ]
    door = matrix.endpoint("COMO-A.davs")
    assert door.url("/ska/f") == "davs://h.example.org:443/pnfs/data/ska/f"
    assert door.location == f"{file}:19"
    assert matrix.endpoint("COMO-B.davs").location == f"{file}:24"
    assert matrix.endpoint("OHRID-A.root").location == f"{file}:31"
    assert matrix.endpoint("OHRID-A.root").qos == "A"
    assert matrix.endpoint("COMO-A.root").port == 1094
    assert matrix.trust.ca_file == str(tmp_path / "trust/ca.pem")
    assert matrix.trust.ca_directory == "/etc/grid-security/certificates"
    assert matrix.identity("ska").proxy == "/home/somebody/proxy"
    assert matrix.identity("ska").access_key_file == str(tmp_path / "keys/s3.json")
    assert matrix.services == (
        ("rucio", "https://rucio.example.org"),
        ("fts", "https://fts.example.org:8446"),
    )
    issue = matrix.known_issues[0]
    assert (issue.until, issue.strict, issue.location) == ("2031-02-03", True, f"{file}:35")
    (downtime,) = matrix.downtimes
    assert (downtime.start, downtime.end) == ("2031-02-03T08:00Z", "2031-02-04 08:00+01:00")
    assert (downtime.match, downtime.location) == ((("site", "COMO"),), f"{file}:42")
    assert len(matrix.digest) == 16


def test_experiments_may_have_groups_and_areas_of_their_own() -> None:
    text = GOOD.replace("[ska]\nqos", "{ska: {group: /escape/radio, area: /radio/ska}, lofar: }\nqos")
    matrix = parse(text, "lake.yaml")
    assert (matrix.experiment("ska").group, matrix.experiment("ska").area) == ("/escape/radio", "/radio/ska")
    assert (matrix.experiment("lofar").group, matrix.experiment("lofar").area) == ("/escape/lofar", "/lofar")


def test_names_that_yaml_takes_for_something_else_are_names() -> None:
    text = GOOD.replace("  COMO:", "  NO:", 1).replace("C*", "'NO'").replace("site: COMO", "site: 'NO'")
    matrix = parse(text, "lake.yaml")
    assert matrix.sites == ("NO", "OHRID")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "technology: dcache\n        qos: A",
            "tecnology: dcache\n        qos: A",
            ("15:9: sites.COMO.rses.COMO-A.tecnology: unknown key 'tecnology'; did you mean 'technology'?"),
        ),
        (
            "qos: A",
            "qos: AA",
            "16:14: sites.COMO.rses.COMO-A.qos: 'AA' is not one of qos_classes; did you mean 'A'?",
        ),
        ("qos: A", "qos: 1", "16:14: sites.COMO.rses.COMO-A.qos: must be text; put it in quotes"),
        ("version: 1", "version: 2", "1:10: version: must be 1"),
        ("version: 1\n", "", "1:1: version: the key 'version' is missing"),
        ("vo: escape", "vo: [escape]", "2:5: vo: must be text; put it in quotes"),
        (
            "experiments: [ska]",
            "experiments: 5",
            "3:14: experiments: must be a mapping (key: value)",
        ),
        ("[A, B]", "[A, B, A]", "4:21: qos_classes.2: 'A' stands in this list already"),
        (
            "  ca_file",
            "  ca_fiel",
            "6:3: auth.ca_fiel: unknown key 'ca_fiel'; did you mean 'ca_file'?",
        ),
        (
            "https://iam.example.org/",
            "https://iam.example.org",
            "7:11: auth.issuer: must be an http(s) address that ends in '/' and holds no user or password",
        ),
        (
            "experiment: ska",
            "experiment: skaa",
            "9:23: auth.identities.ska.experiment: 'skaa' is not one of experiments; did you mean 'ska'?",
        ),
        (
            "[access, list]",
            "[acces, list]",
            (
                "17:25: sites.COMO.rses.COMO-A.supports.0: "
                "unknown capability 'acces'; did you mean 'access'? (and 2 more that share these lines)"
            ),
        ),
        (
            "{protocol: root,",
            "{protocol: davs,",
            (
                "23:24: sites.COMO.rses.COMO-A.endpoints.1.protocol: "
                "this RSE has a davs endpoint already (and 2 more that share these lines)"
            ),
        ),
        (
            "{protocol: root, host: h.example.org,",
            "{protocol: root,",
            (
                "23:13: sites.COMO.rses.COMO-A.endpoints.1.host: the key 'host' is missing; "
                "only an embedded lake fills it in (and 2 more that share these lines)"
            ),
        ),
        (
            "{protocol: root,",
            "{protocol: root, port: 70000,",
            (
                "23:36: sites.COMO.rses.COMO-A.endpoints.1.port: "
                "must be 65535 or less (and 2 more that share these lines)"
            ),
        ),
        (
            "{protocol: root,",
            "{protocol: gsiftp,",
            (
                "23:60: sites.COMO.rses.COMO-A.endpoints.1.auth.0: "
                "gsiftp has no tokens (and 2 more that share these lines)"
            ),
        ),
        (
            "/pnfs/data/",
            "pnfs",
            (
                "21:21: sites.COMO.rses.COMO-A.endpoints.0.prefix: "
                "must be an absolute path without blanks, '//', '.' and '..' "
                "(and 2 more that share these lines)"
            ),
        ),
        (
            "host: h.example.org",
            "host: davs://h",
            (
                "20:19: sites.COMO.rses.COMO-A.endpoints.0.host: must be a host name or an address "
                "([...] around IPv6), without protocol or port (and 2 more that share these lines)"
            ),
        ),
        (
            "      OHRID-A:",
            "      COMO-A:",
            "31:7: sites.OHRID.rses.COMO-A: the RSE 'COMO-A' belongs to the site COMO already",
        ),
        (
            "proxy: ~/proxy, ",
            "",
            (
                "22:33: sites.COMO.rses.COMO-A.endpoints.0.auth.1: "
                "nobody can show x509-voms: no identity in auth.identities has proxy or certificate"
            ),
        ),
        (
            "site: C*",
            "site: COMOO",
            ("35:19: known_issues.0.match.site: 'COMOO' matches no site of this lake; did you mean 'COMO'?"),
        ),
        (
            "site: C*",
            "sites: C*",
            "35:13: known_issues.0.match.sites: unknown key 'sites'; did you mean 'site'?",
        ),
        (
            "auth: x509-voms",
            "source_rse: COMO-A, destination_rse: COMO-A",
            "35:12: known_issues.0.match: no cell and no link matches all of these together",
        ),
        (
            "trans*",
            "tranfer",
            "36:17: known_issues.0.capability: unknown capability 'tranfer'; did you mean 'transfer'?",
        ),
        ("2031-02-03", "soon", "40:12: known_issues.0.until: must be a date such as 2030-12-31"),
        (
            "SIG\\w+",
            '"SIG("',
            (
                "39:14: known_issues.0.symptom: is no regular expression: "
                "missing ), unterminated subpattern at position 3"
            ),
        ),
        ("reason: r", 'reason: ""', "37:13: known_issues.0.reason: must not be empty"),
        (
            "{site: COMO}",
            "{site: COMOO}",
            "42:19: downtimes.0.match.site: 'COMOO' matches no site of this lake; did you mean 'COMO'?",
        ),
        (
            "{site: COMO}",
            "{sites: COMO}",
            "42:13: downtimes.0.match.sites: unknown key 'sites'; did you mean 'site'?",
        ),
        ("{site: COMO}", "{}", "42:12: downtimes.0.match: must not be empty"),
        (
            "{site: COMO}",
            "{source_rse: COMO-A, destination_rse: COMO-A}",
            "42:12: downtimes.0.match: no cell and no link matches all of these together",
        ),
        (
            "2031-02-03T08:00Z",
            "2031-02-03T08:00",
            "43:12: downtimes.0.start: must be a time with its zone, such as 2030-12-31T08:00Z",
        ),
        (
            "2031-02-04 08:00+01:00",
            "2031-02-04",
            "44:10: downtimes.0.end: must be a time with its zone, such as 2030-12-31T08:00Z",
        ),
        (
            "2031-02-04 08:00+01:00",
            "2031-02-03T09:00+01:00",
            "44:10: downtimes.0.end: must be later than 'start'",
        ),
        (
            "    reference: https://example.org/2\n",
            "",
            "42:5: downtimes.0.reference: the key 'reference' is missing",
        ),
        (
            "match: {site: C*, auth: x509-voms}",
            "match: {}",
            (
                "35:5: known_issues.0: hides everything: say where it holds by 'match', "
                "or which 'requirement' it breaks"
            ),
        ),
    ],
)
def test_one_mistake_is_one_line(old: str, new: str, expected: str) -> None:
    assert broken(old, new) == [f"lake.yaml:{expected}"]


def test_all_mistakes_are_said_at_once() -> None:
    text = (
        GOOD.replace("version: 1", "version: one")
        .replace("qos: B", "qoss: B")
        .replace("protocol: davs", "protocol: dav")
        .replace("reference:", "refrence:", 1)
        .replace("experiment: ska", "experiment: lofar")
    )
    places = [line.split(": ", maxsplit=1)[0] for line in errors_of(text)]
    assert places == [f"lake.yaml:{place}" for place in ("1:10", "9:23", "19:23", "26:9", "38:5")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: the file is empty"),
        ("# nothing\n", "1:1: the file is empty"),
        ("- a\n", "1:1: must be a mapping (key: value)"),
        ("a: [1\n", "2:1: this is not YAML"),
        ("a: *nobody\n", "1:4: this is not YAML"),
        ("a: 1\n--- \nb: 2\n", "2:1: this is not YAML"),
        ("a: \x07\n", "1:4: this is not YAML"),
        (GOOD.partition("sites:")[0] + "sites: {}\n", "11:8: sites: must not be empty"),
        (GOOD + "vo: other\n", "47:1: vo: the key 'vo' stands on line 2 already"),
        (GOOD + "? [a]\n: b\n", "47:3: a key must be text"),
        (GOOD + "services: !!python/name:os.system\n", "47:1: services: the key 'services' stands"),
        (GOOD.replace("escape", "!!python/name:os.system x", 1), "2:5: vo: the tag"),
        (
            GOOD.replace("known_issues:", "known_issues: &k\n  - *k\n", 1),
            "34:15: known_issues.0: an alias",
        ),
        (GOOD.replace("<<: *b", "<<: 5"), "32:13: sites.OHRID.rses.OHRID-A: << takes"),
    ],
)
def test_what_is_hardly_a_matrix_is_refused_with_a_place(text: str, expected: str) -> None:
    assert any(line.startswith(f"lake.yaml:{expected}") for line in errors_of(text)), errors_of(text)


def test_a_mistyped_key_is_not_missing_besides() -> None:
    assert len(broken("vo: escape", "v0: escape")) == 2
    assert len(broken("experiments: [ska]", "experimens: [ska]")) == 1


def test_values_that_may_be_secret_are_not_repeated() -> None:
    secret = "hunter2hunter2"
    for old, new in [
        ("token_command: [oidc-token, x]", f"client_secret: {secret}"),
        ("token_command: [oidc-token, x]", f"token_command: {secret}"),
        ("https://iam.example.org/", f"https://me:{secret}@iam.example.org/"),
        ("https://rucio.example.org", f"https://me:{secret}@rucio.example.org"),
        ("host: h.example.org", f"host: me:{secret}@h"),
    ]:
        assert secret not in "\n".join(broken(old, new))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such matrix file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"vo: \xe9\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        load(tmp_path / "latin.yaml")


def test_a_client_needs_its_secret_and_its_issuer() -> None:
    text = GOOD.replace("token_command: [oidc-token, x]", "client_id: x")
    text = text.replace("  issuer: https://iam.example.org/\n", "")
    assert {line.split(": ", 2)[2] for line in errors_of(text)} == {
        "needs client_secret_file beside it, or refresh_token_file",
        "needs auth.issuer, the token issuer to ask",
    }


def test_an_in_memory_lake_needs_no_host_and_no_identity() -> None:
    text = dedent("""\
        version: 1
        vo: escape
        experiments: [ska]
        qos_classes: [A]
        sites:
          A: {rses: {A1: {technology: memory, qos: A, endpoints: [{protocol: memory, auth: [token-scope]}]}}}
        """)
    assert parse(text, "lake.yaml").endpoints[0].id == "A1.memory"
