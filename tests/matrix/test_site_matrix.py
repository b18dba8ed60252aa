"""The repository's own matrix, and a large one."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pytest_datalake.matrix import axes
from pytest_datalake.matrix.dump import to_yaml
from pytest_datalake.matrix.load import load, parse
from pytest_datalake.matrix.model import Identity, Matrix
from pytest_datalake.matrix.selection import Selection, cover, select
from pytest_datalake.matrix.technologies import MINIMUM

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return load(ROOT / "site_matrix.yaml")


def test_the_lake_is_the_one_the_project_exists_for(matrix: Matrix) -> None:
    rses = {endpoint.rse: endpoint.technology for endpoint in matrix.endpoints}
    assert matrix.embedded
    assert len(matrix.sites) == 10
    assert Counter(rses.values()) == {"xrootd": 8, "apache": 2, "gridftp": 3, "swift": 1}
    assert {endpoint.family for endpoint in matrix.endpoints} == {"http", "xroot", "gsiftp"}
    assert matrix.qos_classes == ("A", "B", "C")
    assert [experiment.name for experiment in matrix.experiments] == ["ska", "lofar", "lhc", "lsst", "magic"]
    assert matrix.experiment("ska").group == "/escape/ska"
    assert matrix.experiment("ska").area == "/ska"


def test_every_third_party_copy_is_counted(matrix: Matrix) -> None:
    counts: Counter[str] = Counter()
    for link in axes.links(matrix):
        odd = {link.source.technology, link.destination.technology} - {"xrootd"}
        counts[f"{link.source.family} {odd.pop() if odd else 'xrootd'}"] += 1
    assert counts == {
        "http xrootd": 112,
        "xroot xrootd": 112,
        "http apache": 32,
        "http swift": 32,
        "gsiftp gridftp": 6,
    }
    assert sum(counts.values()) == 294


def test_streamed_links_cross_families_and_promise_no_mode(matrix: Matrix) -> None:
    streamed = axes.streamed_links(matrix)
    assert streamed
    for link in streamed:
        families = {link.source.family, link.destination.family}
        assert len(families) == 2
        assert link.streamed
        assert not link.declared_modes
        assert link.auth == ("x509-voms" if "gsiftp" in families else "token-scope")
    assert not {link.id for link in streamed} & {link.id for link in axes.links(matrix)}


def test_locations_lead_to_the_entry_and_not_to_the_anchor(matrix: Matrix) -> None:
    lines = (ROOT / "site_matrix.yaml").read_text(encoding="utf-8").splitlines()
    for endpoint in matrix.endpoints:
        line = lines[int(endpoint.location.rpartition(":")[2]) - 1]
        assert endpoint.rse in line or f"protocol: {endpoint.protocol}" in line


def test_the_digest_stays_when_the_lake_is_up(matrix: Matrix) -> None:
    running = replace(
        matrix,
        embedded=False,
        endpoints=tuple(
            replace(endpoint, host="localhost", port=4000, prefix="/data") for endpoint in matrix.endpoints
        ),
        services=tuple((name, "https://localhost:4001") for name, _ in matrix.services),
        identities=(Identity(name="x", proxy="/p", token_command=("t",), access_key_file="/a"),),
    )
    first = replace(running.endpoints[0], qos="C")
    changed = replace(running, endpoints=(first, *running.endpoints[1:]))
    assert parse(to_yaml(running), "x.yaml").digest == matrix.digest
    assert parse(to_yaml(changed), "x.yaml").digest != matrix.digest


def test_covers_are_small(matrix: Matrix) -> None:
    links = axes.links(matrix)
    assert len(cover(links, "smoke")) == 7
    assert len(cover(links, "pairwise")) < 20
    assert len(cover(axes.cells(matrix), "smoke")) == 5
    assert len(cover(axes.cells(matrix), "pairwise")) < 30
    assert "anonymous" not in {cell.auth for cell in cover(axes.cells(matrix), "smoke")}


def test_cells_and_links_of_a_capability(matrix: Matrix) -> None:
    selected = select(matrix)
    assert {cell.endpoint.rse for cell in selected.cells_for("md5")} == {"BODENSEE-B"}
    assert selected.links_for("transfer") == selected.links
    assert not selected.links_for("md5")
    assert not select(matrix, Selection(capability=("!md5",))).cells_for("md5")
    assert not select(matrix, Selection(capability=("access",))).links_for("transfer")


def test_loading_is_quick() -> None:
    started = time.process_time()
    assert load(ROOT / "site_matrix.yaml").endpoints
    assert time.process_time() - started < 0.3


def fifty_sites() -> Matrix:
    doors = [
        {
            "protocol": protocol,
            "auth": ["anonymous", "token-scope", "token-group", "x509-voms"],
            "tpc": {"active": ["pull", "push"], "passive": ["pull", "push"]},
        }
        for protocol in ("davs", "root")
    ]
    rse = {"technology": "xrootd", "qos": "A", "supports": sorted(MINIMUM["xrootd"]), "endpoints": doors}
    document = {
        "version": 1,
        "lake": "embedded",
        "vo": "escape",
        "experiments": ["ska"],
        "qos_classes": ["A"],
        "sites": {f"S{number}": {"rses": {f"S{number}-A": rse}} for number in range(53)},
    }
    return parse(yaml.safe_dump(document), "fifty.yaml")


def test_ten_thousand_links_are_quick() -> None:
    started = time.process_time()
    matrix = fifty_sites()
    links = axes.links(matrix)
    assert len(links) > 10_000
    assert time.process_time() - started < 1
    started = time.process_time()
    assert len(cover(links, "pairwise")) < 60
    assert time.process_time() - started < 1


def test_workers_need_neither_yaml_nor_pydantic() -> None:
    code = (
        "import sys; from pytest_datalake.matrix import axes, known_issues, model, plan, selection; "
        "print(sorted({'yaml', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
