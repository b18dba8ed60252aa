"""``--plan`` says what a run would do and cost, and starts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.plugin.conftest import LAKE

if TYPE_CHECKING:
    from tests.plugin.conftest import Playground

COSTLY = """
import pytest

@pytest.mark.capability("access")
@pytest.mark.cost(files=3, size="2 MiB")
def test_upload(cell):
    raise SystemExit("was run")

@pytest.mark.capability("transfer")
@pytest.mark.cost(size="1 KiB")
def test_copy(link):
    raise SystemExit("was run")
"""


@pytest.mark.parametrize("workers", [[], ["-n32"]], ids=["alone", "workers"])
def test_plan_is_printed_and_nothing_starts(playground: Playground, workers: list[str]) -> None:
    playground.suite(COSTLY)
    ran = playground.run("suites", "--plan", *workers)
    rows = {tuple(line.split()) for line in ran.lines}
    assert {
        ("ALPHA", "ALPHA-A", "memory", "A", "memory", "5", "6", "MiB"),
        ("BETA", "BETA-B", "memory", "B", "memory", "8", "12", "MiB"),
        ("access", "2", "3"),
        ("transfer", "2", "2"),
    } <= rows, ran.text
    assert ran.rows == []
    assert ran.code == 0
    assert "created:" not in ran.text
    assert "workers" not in ran.text.replace(str(playground.path), "")
    assert not (playground.path / "state").exists()
    assert not (playground.path / "reports").exists()


def test_plan_of_an_embedded_lake_starts_no_daemon(playground: Playground) -> None:
    embedded = LAKE.split("auth:", maxsplit=1)[0].replace("version: 1", "version: 1\nlake: embedded")
    playground.matrix(
        embedded + "sites:\n  COMO:\n    rses:\n      COMO-A:\n        technology: xrootd\n        qos: A\n"
        "        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer]\n"
        "        endpoints: [{protocol: root, auth: [x509-voms]}]\n"
    )
    playground.suite(COSTLY)
    ran = playground.run("suites", "--plan")
    assert "embedded lake of the VO escape" in ran.text
    assert ran.code == 0
    assert not (playground.path / "state").exists()


def test_selection_cuts_the_plan(playground: Playground) -> None:
    playground.suite(COSTLY)
    ran = playground.run("suites", "--plan", "--capability=transfer")
    assert "capabilities: 1, tests: 2" in ran.lines, ran.text


def test_bad_cost_is_a_usage_error(playground: Playground) -> None:
    playground.suite(COSTLY.replace("2 MiB", "2 lots"))
    ran = playground.run("suites", "--plan")
    assert "marker cost: '2 lots' is not a size" in ran.text
    assert "Traceback" not in ran.text
    assert ran.code == 4
