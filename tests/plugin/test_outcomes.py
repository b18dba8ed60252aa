"""What becomes of a test: its row, the verdict and the exit code."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.plugin.conftest import LAKE, UPLOAD, matrix_of, rse

if TYPE_CHECKING:
    from tests.plugin.conftest import Playground

ONE = matrix_of(rse("alpha"))
CELL = "ALPHA-A.memory-by-x509-voms"

KINDS = """
import pytest
from pytest_datalake.errors import EngineError, StorageError

pytestmark = pytest.mark.capability("access")

@pytest.fixture
def broken():
    raise OSError("the disk of this machine is full")

@pytest.fixture
def engine():
    raise EngineError("no broker")

@pytest.fixture
def refused_setup(storage):
    storage.stat("nothing")

@pytest.fixture
def bad_end():
    yield
    raise ValueError("cannot tidy up")

@pytest.fixture
def refused_end():
    yield
    raise StorageError("cannot remove", kind="denied")

@pytest.mark.requirement("wlcg-1")
def test_passes(storage, evidence):
    storage.mkdir()
    evidence["bytes"] = 5

def test_assertion(storage):
    assert storage.auth == "other", "not the auth"

def test_storage_error(storage):
    storage.stat("nothing")

def test_engine_error(storage):
    raise EngineError("the broker has gone")

def test_broken_fixture(storage, broken): ...

def test_engine_fixture(storage, engine): ...

def test_refused_fixture(storage, refused_setup): ...

def test_teardown(storage, bad_end): ...

def test_refused_teardown(storage, refused_end): ...

def test_failed_and_teardown(storage, bad_end):
    assert not storage

def test_skip(storage):
    pytest.skip("no time")
"""

EXPECTED = {
    "test_passes": ("passed", ""),
    "test_assertion": ("failed", "not the auth"),
    "test_storage_error": ("failed", "no such file or directory"),
    "test_engine_error": ("error", "EngineError: the broker has gone"),
    "test_broken_fixture": ("error", "OSError: the disk of this machine is full"),
    "test_engine_fixture": ("error", "EngineError: no broker"),
    "test_refused_fixture": ("failed", "no such file or directory"),
    "test_teardown": ("error", "ValueError: cannot tidy up"),
    "test_refused_teardown": ("failed", "cannot remove"),
    "test_failed_and_teardown": ("error", "ValueError: cannot tidy up"),
    "test_skip": ("not-run", "no time"),
}


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["alone", "workers"])
def test_every_kind_of_end_has_its_outcome(playground: Playground, workers: list[str]) -> None:
    playground.matrix(ONE)
    playground.suite(KINDS)
    ran = playground.run("suites", *workers)
    assert ran.outcomes == {f"{name}[{CELL}]": outcome for name, (outcome, _) in EXPECTED.items()}
    assert ran.tests[f"test_assertion[{CELL}]"]["reason"] == "not the auth"
    assert "assert 'x509-voms' == 'other'" in ran.tests[f"test_assertion[{CELL}]"]["details"]
    for name, (_, reason) in EXPECTED.items():
        assert reason in ran.tests[f"{name}[{CELL}]"]["reason"]
    ran.ends_with(
        "DATA LAKE RED 1/11 tests, 0 known issues, 4 new failures, 5 errors, 1 not run",
    )
    assert ran.code == 1
    counts = json.loads((playground.path / "reports/verdict.json").read_text())["tests"]
    assert counts.pop("planned") == sum(counts.values()) == 11
    passed = ran.tests[f"test_passes[{CELL}]"]
    assert passed["requirement"] == "wlcg-1"
    assert passed["evidence"]["bytes"] == 5
    assert passed["evidence"]["auth"] == "x509-voms"
    assert (passed["site"], passed["rse"], passed["qos"], passed["vo"]) == ("ALPHA", "ALPHA-A", "A", "escape")
    assert passed["reproduce"] == f"pytest 'suites/test_it.py::test_passes[{CELL}]'"
    refused = ran.tests[f"test_storage_error[{CELL}]"]["reproduce"]
    assert re.fullmatch(
        r"unset BEARER_TOKEN; voms-proxy-init --voms escape:/escape/\w+\n"
        r"head -c 1024 /dev/urandom > /tmp/sent && "
        r"gfal-copy --force --parent file:///tmp/sent '(memory://\S+)' && gfal-stat '\1'; gfal-rm '\1'  "
        r"# or: pytest 'suites/test_it\.py::test_storage_error\[.*\]'",
        refused,
    ), refused


ISSUES = """
known_issues:
  - {match: {rse: ALPHA-A}, requirement: r-known, reason: it breaks, reference: "https://bugs.invalid/1"}
  - {match: {rse: ALPHA-A}, requirement: r-fixed, reason: it broke, reference: "https://bugs.invalid/2"}
  - {match: {rse: ALPHA-A}, requirement: r-loose, reason: it may break, reference: "https://bugs.invalid/3",
     strict: false}
  - {match: {rse: ALPHA-A}, requirement: r-old*, reason: it was to be mended, reference: "https://bugs.invalid/4",
     until: "2020-01-01"}
  - {match: {rse: ALPHA-A}, requirement: r-soon, reason: it will be mended, reference: "https://bugs.invalid/5",
     until: "9999-12-31"}
  - {match: {rse: ALPHA-A}, requirement: r-one-thing, reason: it loses files, reference: "https://bugs.invalid/7",
     symptom: no such file, strict: false}
  - {match: {rse: ALPHA-A}, requirement: r-one-*, reason: it is too kind, reference: "https://bugs.invalid/8",
     symptom: "^was done"}
  - {match: {rse: ALPHA-A}, requirement: r-engine, reason: it breaks, reference: "https://bugs.invalid/6"}
"""

KNOWN = """
import pytest
from pytest_datalake.errors import EngineError

pytestmark = pytest.mark.capability("access")
requirement = pytest.mark.requirement

@requirement("r-known")
def test_known(storage):
    assert not storage

@requirement("r-known")
def test_known_by_storage(storage):
    storage.stat("nothing")

@requirement("r-fixed")
def test_fixed(storage): ...

@requirement("r-loose")
def test_loose(storage): ...

@requirement("r-loose")
def test_loose_fails(storage):
    assert not storage

@requirement("r-old")
def test_expired_fails(storage):
    assert not storage

@requirement("r-old-2")
def test_expired_passes(storage): ...

@requirement("r-soon")
def test_not_yet_expired(storage):
    assert not storage

@requirement("r-one-thing")
def test_first_symptom(storage):
    storage.stat("nothing")

@requirement("r-one-thing")
def test_second_symptom(storage, refused):
    with refused("denied"): ...

@requirement("r-one-thing")
def test_something_else(storage):
    assert storage.path("x") == "wrong"

@requirement("r-one-thing")
def test_symptoms_are_gone(storage): ...

@requirement("r-engine")
def test_engine_is_no_known_issue(storage):
    raise EngineError("the broker has gone")
"""


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["alone", "workers"])
def test_known_issues_keep_the_list_honest(playground: Playground, workers: list[str]) -> None:
    playground.matrix(ONE + ISSUES)
    playground.suite(KNOWN)
    ran = playground.run("suites", *workers)
    assert {name.partition("[")[0]: outcome for name, outcome in ran.outcomes.items()} == {
        "test_known": "known-issue",
        "test_known_by_storage": "known-issue",
        "test_fixed": "fixed",
        "test_loose": "passed",
        "test_loose_fails": "known-issue",
        "test_expired_fails": "failed",
        "test_expired_passes": "failed",
        "test_not_yet_expired": "known-issue",
        "test_first_symptom": "known-issue",
        "test_second_symptom": "known-issue",
        "test_something_else": "failed",
        "test_symptoms_are_gone": "fixed",
        "test_engine_is_no_known_issue": "error",
    }
    expired = ran.tests[f"test_expired_passes[{CELL}]"]
    assert "known issue expired on 2020-01-01: remove or renew it" in expired["reason"]
    assert "matrix.yaml:" in expired["reason"]
    assert "remove it from the matrix" in ran.tests[f"test_fixed[{CELL}]"]["reason"]
    assert ran.tests[f"test_known[{CELL}]"]["known_issue"]["reference"] == "https://bugs.invalid/1"
    references = {
        name: ran.tests[f"{name}[{CELL}]"].get("known_issue", {}).get("reference", "")
        for name in ("test_first_symptom", "test_second_symptom", "test_something_else", "test_fixed")
    }
    assert references == {
        "test_first_symptom": "https://bugs.invalid/7",
        "test_second_symptom": "https://bugs.invalid/8",
        "test_something_else": "",
        "test_fixed": "https://bugs.invalid/2",
    }
    other = ran.tests[f"test_something_else[{CELL}]"]["reason"]
    assert re.match(r"something else than the known issue at \S*matrix.yaml:\d+: assert ", other)
    ran.ends_with("DATA LAKE RED 1/13 tests, 6 known issues, 3 new failures, 2 fixed, 1 error")
    assert ran.code == 1


def test_fixed_issue_alone_is_red(playground: Playground) -> None:
    playground.matrix(ONE + ISSUES)
    playground.suite(KNOWN)
    ran = playground.run("suites", "-k", "test_fixed")
    ran.ends_with("DATA LAKE RED 0/1 tests, 0 known issues, 0 new failures, 1 fixed")
    assert ran.code == 1


def test_known_issues_alone_are_green(playground: Playground) -> None:
    playground.matrix(ONE + ISSUES)
    playground.suite(KNOWN)
    ran = playground.run("suites", "-k", "test_known or test_loose")
    ran.ends_with("DATA LAKE GREEN 1/4 tests, 3 known issues, 0 new failures")
    assert ran.code == 0


LOST = """
import os, pytest
pytestmark = pytest.mark.capability("access")

@pytest.mark.parametrize("number", range(8))
def test_one(storage, number):
    if number == 3:
        os._exit(7)
    storage.mkdir()
"""


def test_crash_loses_one_cell_as_an_error(playground: Playground) -> None:
    playground.matrix(ONE)
    playground.suite(LOST)
    ran = playground.run("suites", "-n2")
    lost = f"test_one[{CELL}-3]"
    assert ran.outcomes == {
        f"test_one[{CELL}-{number}]": "error" if number == 3 else "passed" for number in range(8)
    }
    assert "the test process died in this test" in ran.tests[lost]["reason"]
    ran.ends_with("DATA LAKE INCOMPLETE 7/8 tests, 0 known issues, 0 new failures, 1 error")
    assert ran.code == 3


def test_crash_without_replacement_leaves_the_rest_not_run(playground: Playground) -> None:
    playground.matrix(ONE)
    playground.suite(LOST.replace("number == 3", "True"))
    ran = playground.run("suites", "-n2", "--max-worker-restart=0")
    outcomes = list(ran.outcomes.values())
    assert len(outcomes) == 8
    assert set(outcomes) == {"error", "not-run"}
    assert ran.code == 3


CRASHED = """
import pytest
pytestmark = pytest.mark.capability("access")

def test_crash(storage, pool, monkeypatch):
    ask = pool._ask
    monkeypatch.setattr(pool, "_ask", lambda message: ask(message) | {"client_crashes": 1})
    storage.mkdir()
    monkeypatch.undo()
    storage.stat()

def test_no_crash(storage):
    storage.mkdir()
"""


def test_crashes_of_the_client_are_kept_with_the_result(playground: Playground) -> None:
    playground.matrix(ONE)
    playground.suite(CRASHED)
    ran = playground.run("suites")
    assert ran.tests[f"test_crash[{CELL}]"]["evidence"]["client_crashes"] == 1
    assert "client_crashes" not in ran.tests[f"test_no_crash[{CELL}]"]["evidence"]
    assert ran.code == 0


STOPPING = """
import pytest
pytestmark = pytest.mark.capability("access")

@pytest.mark.parametrize("number", range(200))
def test_one(storage, number):
    storage.mkdir()
    assert number, "the first fails"
"""


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["alone", "workers"])
@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_stopping_early_leaves_rows_for_what_did_not_run(
    playground: Playground, workers: list[str], option: str
) -> None:
    playground.matrix(ONE)
    playground.suite(STOPPING)
    ran = playground.run("suites", option, *workers)
    outcomes = list(ran.outcomes.values())
    assert len(outcomes) == 200
    assert outcomes.count("failed") == 1
    assert outcomes.count("not-run") > 5
    assert ran.rows[-1]["counts"]["not-run"] == outcomes.count("not-run")
    assert ran.rows[-1]["interrupted"] is False
    assert f"{outcomes.count('not-run')} not run" in ran.lines[-1]
    assert ran.code == 1


def test_nothing_of_that_name_is_5(playground: Playground) -> None:
    playground.suite(UPLOAD)
    assert playground.run("suites", "-k", "nothing_like_that").code == 5


def test_nothing_selected_is_5(playground: Playground) -> None:
    playground.suite(UPLOAD.replace('"access"', '"authorisation"'))
    for workers in ([], ["-n2"]):
        ran = playground.run("suites", "--capability", "access", *workers)
        assert ran.code == 5, ran.text
        assert ran.rows == []


def test_broken_test_file_is_incomplete_whatever_else_passes(playground: Playground) -> None:
    playground.suite(UPLOAD)
    playground.suite("import nothing_of_that_name", "test_broken.py")
    for workers in ([], ["-n2"]):
        ran = playground.run("suites", *workers)
        assert ran.code == 3, ran.text
        assert "nothing_of_that_name" in ran.text
        assert "GREEN" not in ran.text


def test_plain_tests_beside_the_suites_are_no_cells(playground: Playground) -> None:
    playground.suite(f"{UPLOAD}\n\ndef pytest_free(): ...\n")
    playground.suite("def test_unit():\n    assert True\n", "test_unit.py")
    ran = playground.run()
    assert len(ran.tests) == 3
    assert "test_unit" not in ran.outcomes
    assert ran.code == 0


def test_failing_plain_test_is_not_green(playground: Playground) -> None:
    playground.matrix(LAKE)
    playground.suite(UPLOAD)
    playground.suite("def test_unit():\n    assert False\n", "test_unit.py")
    ran = playground.run()
    assert ran.lines[-2] == "suites/test_unit.py::test_unit failed"
    ran.ends_with("DATA LAKE INCOMPLETE 3/3 tests, 0 known issues, 0 new failures")
    assert ran.code == 3
