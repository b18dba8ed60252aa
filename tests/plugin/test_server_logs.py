"""What servers logged about a failed test is kept with it, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_datalake.fixtures.server_logs import ServerLogs
from pytest_datalake.report.rows import TestRow

if TYPE_CHECKING:
    from pathlib import Path

ROW = TestRow(
    run_id="r",
    nodeid="n",
    outcome="failed",
    source="A-1.davs",
    destination="B-1.davs",
    evidence={
        "source_url": "davs://a:1/escape/ska/run/shared-davs/source-1",
        "destination_url": "davs://b:1/escape/ska/run/0a1b/arrived",
    },
)


FTS = """\
job 77aa, file 1, davs://127.0.0.1:1001/x to davs://127.0.0.1:1002/x: FAILED 403 by eyJhbGciOiJub25lIn0.e.c
job 77ab, file 2, davs://127.0.0.1:1001/x to davs://127.0.0.1:1002/x: FINISHED
job 88, file 3, davs://127.0.0.1:1001/f/rules/from-A to davs://127.0.0.1:1002/f/rules/from-A: FAILED too late
job 89, file 4, davs://127.0.0.1:1001/f/rules/from-A to davs://127.0.0.1:1003/f/rules/from-A: FINISHED
"""

ISSUER = """\
token 1 for ska: storage.read:/ska, audience 'aud-B'
token 2 for ska: storage.read:/ska, audience 'aud-C'
token 3 for lofar: storage.read:/lofar, audience 'aud-B'
refused for 'ska': invalid_scope (no such scope)
refused for 'skate': invalid_scope (no such scope)
"""


def logs(directory: Path) -> ServerLogs:
    (directory / "a.log").write_text("stat /escape/ska/run/shared-davs/source-1: refused\nother: 0a1b\n")
    (directory / "b.log").write_text(
        "noise\n" * 100_000
        + "open /escape/ska/run/0a1b/arrived: Bearer eyJhbGciOiJub25lIn0.e30.c2ln\nopen /escape/else\n"
    )
    (directory / "fts.log").write_text(FTS)
    (directory / "rucio.log").write_text(
        "rule 4d3c is stuck\nrule 0000 is stuck\n127.0.0.1 GET /rules/4d3c\n"
    )
    (directory / "iam.log").write_text(ISSUER)
    sites = {
        name: {"rses": {f"{name}-1": {"endpoints": [door(directory, name)]}}} for name in ("A", "B", "C")
    }
    services = {name: {"log": f"{directory}/{name}.log"} for name in ("fts", "rucio", "iam", "activemq")}
    return ServerLogs({"sites": sites, "services": services})


def door(directory: Path, name: str) -> dict[str, str]:
    port = {"A": 1001, "B": 1002, "C": 1003}[name]
    return {
        "protocol": "davs",
        "url": f"davs://127.0.0.1:{port}",
        "audience": f"aud-{name}",
        "log": f"{directory}/{name.lower()}.log",
    }


def test_lines_about_the_files_of_a_failure(tmp_path: Path) -> None:
    assert logs(tmp_path).about(ROW) == {
        "A-1.davs": "stat /escape/ska/run/shared-davs/source-1: refused",
        "B-1.davs": "open /escape/ska/run/0a1b/arrived: Bearer (secret left out)",
    }


def test_what_the_transfer_manager_and_the_issuer_say_of_a_job(tmp_path: Path) -> None:
    row = replace(ROW, layer="fts", auth="token-scope", identity="ska", rse="B-1", evidence={"job": "77aa"})
    assert logs(tmp_path).about(row) == {
        "fts": FTS.splitlines()[0].replace("eyJhbGciOiJub25lIn0.e.c", "(secret left out)"),
        "iam": "token 1 for ska: storage.read:/ska, audience 'aud-B'\n"
        "refused for 'ska': invalid_scope (no such scope)",
    }


def test_what_services_say_of_a_rule_and_of_its_file_on_its_way(tmp_path: Path) -> None:
    evidence = {"rule": "4d3c", "did": "ska:rules/from-A"}
    row = replace(ROW, layer="rule", auth="x509-voms", rse="B-1", evidence=evidence)
    assert logs(tmp_path).about(row) == {"rucio": "rule 4d3c is stuck", "fts": FTS.splitlines()[2]}


def test_services_are_not_asked_about_what_they_have_no_part_in(tmp_path: Path) -> None:
    row = replace(ROW, layer="direct", auth="token-scope", identity="ska", evidence={"job": "77aa"})
    assert logs(tmp_path).about(row) == {}
    assert logs(tmp_path).about(replace(row, layer="fts", auth="x509-voms", evidence={})) == {}


def test_long_lines_are_left_out_whole(tmp_path: Path) -> None:
    row = replace(ROW, layer="fts", rse="B-1", evidence={"job": "77aa"})
    found = logs(tmp_path)
    (tmp_path / "fts.log").write_text("".join(f"job 77aa: {letter * 900}\n" for letter in "abc"))
    assert [line[10] for line in found.about(row)["fts"].splitlines()] == ["b", "c"]


def test_a_file_of_the_same_name_is_another(tmp_path: Path) -> None:
    found = logs(tmp_path)
    (tmp_path / "a.log").write_text("stat /escape/lofar/run/shared-davs/source-1: refused\n")
    assert "A-1.davs" not in found.about(ROW)


def test_nothing_of_a_pass_nor_of_a_server_without_a_log(tmp_path: Path) -> None:
    found = logs(tmp_path)
    assert found.about(replace(ROW, outcome="passed")) == {}
    assert found.about(replace(ROW, source="C-1.davs", destination="")) == {}
    assert found.about(replace(ROW, evidence={})) == {}


def test_a_real_lake_has_no_logs_of_ours() -> None:
    assert ServerLogs({}).about(ROW) == {}
