"""A transfer manager that lies, forgets or may not act any more turns red what it was asked to do."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from .midrun import run_while

if TYPE_CHECKING:
    from .conftest import LakeOf
    from .harness import SmallLake

ARRIVES = "suites/fts/test_links.py::test_file_arrives_intact"
AUTHS = ("--auth", "token-scope", "--auth", "x509-voms")
BY_TOKEN = ("--auth", "token-scope", "--protocol", "davs")

COPIES_NOTHING = """
from pytest_datalake.lake.fts import copying

def copies_nothing(self):
    self._report.filesize = self._context.stat(self._order.source).st_size
    if self._order.destination.partition("//")[2].startswith("127.0.0.12"):
        self._report.mode = "3rd pull"
    else:
        honest(self)

honest, copying.Copy._do = copying.Copy._do, copies_nothing
"""

FORGETS_JOBS = """
from pytest_datalake.lake.fts import job_api, store

def add(self, job, files):
    added(self, job, files)
    known.append(job.job_id)

def shown(service, request, job_id, job):
    return honest(service, request, job_id, None if job_id in known[::10] else job)

known = []
added, store.Store.add = store.Store.add, add
honest, job_api._shown = job_api._shown, shown
"""

HOLDS_NO_PROXY = """
from pytest_datalake.lake.fts import delegation

delegation.Delegations.proxy_file = lambda self, delegation_id: ""
"""

IS_OUT_OF_ORDER = """
from pytest_datalake.lake.fts import service, web

service.Service.answer = lambda *_: web.Answer(body={"message": "out of order"}, status=500)
"""

ANSWERS_TOO_LATE = """
import threading
from pytest_datalake.lake.fts import service

def answer(self, *arguments):
    threading.Event().wait(120)
    return honest(self, *arguments)

honest, service.Service.answer = service.Service.answer, answer
"""


@pytest.fixture(scope="module")
def lake(shared_lake_of: LakeOf) -> SmallLake:
    return shared_lake_of("fts", COMO="xrootd", GARDA="xrootd", LEMAN="xrootd")


def test_healthy_transfer_manager_is_green(lake: SmallLake) -> None:
    lake.change_services({})
    lake.run("suites/fts", "--cells", "smoke", "--allow-disruptive").is_green(tests=30)


def test_copies_that_were_never_made_turn_red(lake: SmallLake) -> None:
    lake.change_services({"fts": COPIES_NOTHING})
    verdict = lake.run(ARRIVES, *AUTHS, "--protocol", "davs")
    verdict.is_red(lambda row: row.enters("GARDA-A"), red=4, green=8, because="not found|no such file|404")


def test_forgotten_jobs_are_errors_that_name_the_service(lake: SmallLake) -> None:
    lake.change_services({"fts": FORGETS_JOBS})
    verdict = lake.run(ARRIVES, *AUTHS)
    lost = [row for row in verdict.rows if row.outcome != "passed"]
    assert {row.outcome for row in lost} == {"error"}, json.dumps([row.reason for row in lost], indent=1)
    assert all("does not know the job" in row.reason for row in lost)
    assert (len(lost), len(verdict.rows), verdict.word) == (4, 24, "INCOMPLETE")


def test_expired_delegation_turns_certificates_red(lake: SmallLake) -> None:
    lake.change_services({"fts": HOLDS_NO_PROXY})
    verdict = lake.run(ARRIVES, *AUTHS, "--protocol", "davs")
    verdict.is_red(lambda row: row.auth == "x509-voms", red=6, green=6, because="proxy expired or missing")


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        pytest.param(IS_OUT_OF_ORDER, "with 500: out of order", id="500"),
        pytest.param(ANSWERS_TOO_LATE, "did not answer", id="slow"),
    ],
)
def test_transfer_manager_in_trouble_is_an_error_of_its_own(
    lake: SmallLake, changes: str, because: str
) -> None:
    lake.change_services({"fts": changes})
    started = time.monotonic()
    verdict = lake.run(ARRIVES, *BY_TOKEN, "--budget", "5")
    assert time.monotonic() - started < 90
    assert [row.outcome for row in verdict.rows] == ["error"] * 6
    assert all(
        "the transfer manager https://localhost" in row.reason and because in row.reason
        for row in verdict.rows
    ), verdict.output
    assert (verdict.word, verdict.exit_code) == ("INCOMPLETE", 3)


def test_transfer_manager_killed_in_mid_run_is_nobody_elses_fault(lake: SmallLake) -> None:
    lake.change_services({})
    verdict = run_while(lake, lambda: lake.replace_service("fts", ""), ARRIVES, *AUTHS)
    assert len(verdict.rows) == 24
    others = [row for row in verdict.rows if row.outcome != "passed"]
    assert {row.outcome for row in others} <= {"error"}, json.dumps([row.reason for row in others], indent=1)
    assert all("the transfer manager https://localhost" in row.reason for row in others)
    again = lake.run(ARRIVES, *BY_TOKEN)
    again.is_green(tests=6)


def test_dead_transfer_manager_is_an_error_of_its_own(lake: SmallLake) -> None:
    lake.stop_service("fts")
    verdict = lake.run(ARRIVES, *BY_TOKEN)
    assert [row.outcome for row in verdict.rows] == ["error"] * 6
    assert all("the transfer manager https://localhost" in row.reason for row in verdict.rows)
