"""Which cells and links a test function runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_datalake.fixtures import planning
from tests.plugin.conftest import EVERYTHING, HEAD, UPLOAD, matrix_of, rse

if TYPE_CHECKING:
    from tests.plugin.conftest import Playground

ALPHA, BETA = "ALPHA-A.memory", "BETA-B.memory"
CELLS = {f"{ALPHA}-by-x509-voms", f"{BETA}-by-x509", f"{BETA}-by-x509-voms"}
LINKS = {f"{ALPHA}-to-{BETA}-by-x509-voms", f"{BETA}-to-{ALPHA}-by-x509-voms"}

MARKED = """
import pytest

def test_plain(): ...

def test_cell(cell): ...

def test_link(link): ...

@pytest.mark.cells(auth="anonymous")
def test_anonymous(cell): ...

@pytest.mark.cells(qos="B", auth="x509")
def test_one_cell(cell): ...

@pytest.mark.cells(cover="smoke")
def test_smoke(cell): ...

@pytest.mark.links(mode="push")
def test_push(link): ...

@pytest.mark.links(streamed=True)
def test_streamed(link): ...

@pytest.mark.links(technology="other")
def test_other_technology(link): ...

@pytest.mark.forge
def test_forge(cell): ...

@pytest.mark.disruptive
def test_disruptive(cell): ...

@pytest.mark.parametrize("size", [1, 2])
def test_sizes(cell, size): ...
"""


def test_markers_say_where_a_test_runs(playground: Playground) -> None:
    playground.suite(MARKED)
    ran = playground.collect()
    assert ran.cells == {
        "test_cell": CELLS,
        "test_link": LINKS,
        "test_anonymous": {f"{ALPHA}-by-anonymous"},
        "test_one_cell": {f"{BETA}-by-x509"},
        "test_smoke": {f"{BETA}-by-x509"},
        "test_push": LINKS,
        "test_sizes": {f"{cell}-{size}" for cell in CELLS for size in (1, 2)},
    }
    assert "suites/test_it.py::test_plain" in ran.lines


def test_real_lake_sees_disruption_only_where_both_allow_it(playground: Playground) -> None:
    playground.matrix(matrix_of(rse("alpha", more="allow_disruptive: true"), rse("beta")))
    playground.suite("import pytest\n@pytest.mark.disruptive\ndef test_kill(cell): ...")
    assert playground.collect().cells == {}
    assert playground.collect("--allow-disruptive").cells == {"test_kill": {f"{ALPHA}-by-x509-voms"}}


def test_undeclared_is_not_generated_and_listed(playground: Playground) -> None:
    less = EVERYTHING.replace("rename, ", "")
    playground.matrix(matrix_of(rse("alpha"), rse("beta", supports=less)))
    playground.suite(
        f"{UPLOAD}\n"
        "@pytest.mark.requires('rename')\ndef test_rename(cell): ...\n"
        "@pytest.mark.requires('rename')\ndef test_over(link): ...\n"
    )
    ran = playground.run()
    assert set(ran.outcomes) == {
        f"test_upload[{ALPHA}-by-x509-voms]",
        "test_upload[BETA-A.memory-by-x509-voms]",
        f"test_rename[{ALPHA}-by-x509-voms]",
    }
    assert ran.rows[0]["unsupported"] == [
        {"capability": "rename", "endpoint": "BETA-A.memory", "reason": "BETA-A does not declare rename"}
    ]
    assert ran.code == 0, ran.text


def test_pairs_that_no_rule_joins_are_listed(playground: Playground) -> None:
    rses = [rse(name, supports=f"{EVERYTHING}, rule") for name in ("alpha", "beta")]
    services = "services: {rucio: https://rucio.invalid}\n"
    playground.matrix(matrix_of(*rses, rse("gamma"), head=HEAD + services))
    playground.suite(
        f"{UPLOAD}\n@pytest.mark.capability('rule')\n@pytest.mark.layer('rule')\ndef test_rule(link): ...\n"
    )
    ran = playground.run()
    assert "test_rule" not in " ".join(ran.outcomes)
    listed = {(one["capability"], one["endpoint"]): one["reason"] for one in ran.rows[0]["unsupported"]}
    assert set(listed) == {
        ("rule", "ALPHA-A > BETA-A"), ("rule", "BETA-A > ALPHA-A"), ("rule", "GAMMA-A.memory")
    }  # fmt: skip
    assert listed["rule", "GAMMA-A.memory"] == "GAMMA-A does not declare rule"
    assert "no route: Rucio sends files by davs and root" in listed["rule", "ALPHA-A > BETA-A"]


@pytest.mark.parametrize(
    ("arguments", "cells", "links"),
    [
        (["--site", "ALPHA"], {f"{ALPHA}-by-x509-voms"}, LINKS),
        (["--site", "!ALPHA"], CELLS - {f"{ALPHA}-by-x509-voms"}, None),
        (["--rse", "BETA-*", "--auth", "x509"], {f"{BETA}-by-x509"}, None),
        (["--qos", "A"], {f"{ALPHA}-by-x509-voms"}, LINKS),
        (["--protocol", "mem*"], CELLS, LINKS),
        (["--capability", "access"], CELLS, None),
        (["--capability", "!access"], None, LINKS),
        (["--cells", "smoke"], {f"{BETA}-by-x509"}, {f"{ALPHA}-to-{BETA}-by-x509-voms"}),
        (["--cells", "full"], CELLS, LINKS),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_cut_the_matrix(
    playground: Playground, arguments: list[str], cells: set[str] | None, links: set[str] | None
) -> None:
    playground.suite(
        "import pytest\n"
        "@pytest.mark.capability('access')\ndef test_cell(cell): ...\n"
        "@pytest.mark.capability('transfer')\ndef test_link(link): ...\n"
    )
    expected = {"test_cell": cells, "test_link": links}
    assert playground.collect(*arguments).cells == {name: ids for name, ids in expected.items() if ids}


def test_vo_says_whom_to_act_as(playground: Playground) -> None:
    playground.suite(UPLOAD)
    rows = playground.run("suites", "--vo", "lofar").tests.values()
    assert {row["identity"] for row in rows} == {"lofar"}


def test_pairwise_is_between_smoke_and_full(playground: Playground) -> None:
    playground.matrix(matrix_of(*(rse(name, qos=name[0].upper()) for name in ("alpha", "al", "beta", "b"))))
    playground.suite("import pytest\n@pytest.mark.cells(cover='pairwise')\ndef test_cell(cell): ...")
    chosen = [
        len(playground.collect(*options).cells["test_cell"])
        for options in (["--cells", "smoke"], [], ["--cells", "full"])
    ]
    assert chosen == [1, 4, 4]


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["alone", "workers"])
def test_node_id_of_one_cell_runs_alone(playground: Playground, workers: list[str]) -> None:
    playground.suite(UPLOAD)
    name = f"test_upload[{BETA}-by-x509]"
    ran = playground.run(f"suites/test_it.py::{name}", *workers)
    assert ran.outcomes == {name: "passed"}
    assert ran.rows[0]["planned"] == {"access": 1}
    assert ran.code == 0


def test_ids_are_the_same_in_every_process(playground: Playground) -> None:
    playground.suite(MARKED.replace(": ...", ": pass"))
    collected = {name for name in playground.collect().lines if "[" in name}
    ran = playground.run("suites", "-n2", "-v")
    assert {row["nodeid"] for row in ran.rows if row["type"] == "test"} == collected
    assert "Different tests were collected" not in ran.text


def test_misused_marker_is_one_clear_message(playground: Playground) -> None:
    playground.suite("import pytest\n@pytest.mark.cells(colour='red')\ndef test_cell(cell): ...")
    ran = playground.run()
    assert "test_cell: marker cells takes only the keywords auth, cover, protocol, qos" in ran.text
    assert "Traceback" not in ran.text
    assert ".py:1" not in ran.text
    assert ran.code == 3


def test_too_many_cells_are_refused(playground: Playground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MOST_CELLS", 2)
    playground.suite("def test_cell(cell): ...")
    ran = playground.collect()
    assert "would run on 3 cells, more than 2; select fewer with --site" in ran.text
    assert ran.cells == {}


TOKEN_LAKE = """\
version: 1
vo: escape
experiments: [ska, lofar]
qos_classes: [A]
auth:
  issuer: https://issuer.invalid/
  identities:
    ska: {experiment: ska, token_command: [print-token]}
    lofar: {experiment: lofar, token_command: [print-token]}
sites:
  ALPHA:
    rses:
      ALPHA-A: &rse
        technology: xrootd
        qos: A
        supports: [access, mkdir, authorisation, transfer]
        endpoints:
          - protocol: davs
            host: alpha.invalid
            auth: [token-scope, token-group]
            audience: https://alpha.invalid
            tpc: {active: [pull], passive: [pull]}
  BETA:
    rses:
      BETA-A: *rse
known_issues:
  - match: {site: ALPHA}
    requirement: path-prefix-*
    reason: compares texts
    reference: https://github.com/xrootd/xrootd/pull/2152
"""

CONFORMANCE = """
import pytest
pytestmark = [pytest.mark.capability("authorisation"), pytest.mark.conformance]

@pytest.mark.cells(cover="turns")
def test_case(case, cell): ...

@pytest.mark.links(cover="turns")
def test_copy(case, link): ...
"""


def test_cases_run_where_they_fit(playground: Playground) -> None:
    playground.matrix(TOKEN_LAKE)
    playground.suite(CONFORMANCE)
    every = playground.collect("--cells", "full").cells
    where = ("ALPHA-A.davs-by-token-scope", "BETA-A.davs-by-token-scope")
    assert {f"path-prefix-directory-{cell}" for cell in where} < every["test_case"]
    assert "group-reads-BETA-A.davs-by-token-group" in every["test_case"]
    told = " ".join(every["test_case"])
    for missing in ("audience-missing", "voms-", "read-lists", "create-renames", "path-dots-leading-out"):
        assert missing not in told
    links = {name for name in every["test_copy"] if "ALPHA-A.davs-to-BETA-A.davs" in name}
    assert "pull-source-without-read-ALPHA-A.davs-to-BETA-A.davs-by-token-scope" in links
    assert not [name for name in links if name.startswith("push-")]
    turns = playground.collect().cells
    assert len(turns["test_case"]) * 2 == len(every["test_case"])
    assert turns["test_copy"] < every["test_copy"]


def test_case_is_a_requirement_of_the_result_and_of_known_issues(playground: Playground) -> None:
    playground.matrix(TOKEN_LAKE)
    playground.suite(CONFORMANCE.replace(": ...", ": raise AssertionError('was done')"))
    name = "test_case[path-prefix-directory-{}-A.davs-by-token-scope]"
    names = [name.format(site) for site in ("ALPHA", "BETA")]
    ran = playground.run(*(f"suites/test_it.py::{one}" for one in names), "--cells", "full")
    assert ran.outcomes == dict(zip(names, ("known-issue", "failed"), strict=True)), ran.text
    row = ran.tests[names[1]]
    assert (row["requirement"], row["level"]) == ("path-prefix-directory", "MUST")
    assert row["clause"] == "WLCG profile, path of storage scopes"
