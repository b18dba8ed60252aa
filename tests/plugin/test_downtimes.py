"""What a site has announced is tested all the same, and what fails then is not held against it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.plugin.conftest import matrix_of, rse

if TYPE_CHECKING:
    from tests.plugin.conftest import Playground

SUITE = """
import pytest
from pytest_datalake.errors import EngineError, StorageError

pytestmark = pytest.mark.capability("access")

@pytest.fixture
def refused_setup(storage):
    storage.stat("nothing")

@pytest.fixture
def refused_end():
    yield
    raise StorageError("cannot remove", kind="denied")

def test_works(storage):
    storage.mkdir()

def test_fails(storage):
    storage.stat("nothing")

def test_fails_before(storage, refused_setup): ...

def test_fails_after(storage, refused_end): ...

def test_engine(storage):
    raise EngineError("the broker has gone")
"""


def downtime(site: str, start: timedelta, end: timedelta) -> str:
    first, last = (f"{datetime.now(UTC) + offset:%Y-%m-%dT%H:%M:%SZ}" for offset in (start, end))
    return (
        f"  - {{match: {{site: {site}}}, start: '{first}', end: '{last}', reason: new disks, "
        "reference: 'https://goc.invalid/1'}\n"
    )


HOUR = timedelta(hours=1)
NOW = ("downtimes:\n", downtime("ALPHA", -HOUR, HOUR))
NOT_NOW = (
    "downtimes:\n",
    downtime("ALPHA", -2 * HOUR, -HOUR),
    downtime("ALPHA", HOUR, 2 * HOUR),
    downtime("BETA", -HOUR, HOUR),
)


def lake(*downtimes: str) -> str:
    return matrix_of(rse("alpha"), rse("beta")) + "".join(downtimes)


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["alone", "workers"])
def test_failures_in_a_downtime_do_not_count(playground: Playground, workers: list[str]) -> None:
    playground.matrix(lake(*NOW))
    playground.suite(SUITE)
    ran = playground.run("suites", "--site", "ALPHA", *workers)
    assert {name.partition("[")[0]: outcome for name, outcome in ran.outcomes.items()} == {
        "test_works": "passed",
        "test_fails": "downtime",
        "test_fails_before": "downtime",
        "test_fails_after": "downtime",
        "test_engine": "error",
    }
    rows = {name.partition("[")[0]: row for name, row in ran.tests.items()}
    assert "no such file" in rows["test_fails"]["reason"]
    assert "stat" in rows["test_fails"]["details"]
    for row in rows.values():
        assert row["downtime"]["where"] == "site ALPHA"
        assert row["downtime"]["sites"] == ["ALPHA"]
        assert row["downtime"]["reference"] == "https://goc.invalid/1"
    assert ran.rows[0]["downtimes"] == [rows["test_works"]["downtime"]]
    ran.ends_with("DATA LAKE INCOMPLETE 1/5 tests, 0 known issues, 0 new failures, 3 in downtime, 1 error")
    assert ran.code == 3


def test_a_downtime_alone_is_green(playground: Playground) -> None:
    playground.matrix(lake(*NOW))
    playground.suite(SUITE)
    ran = playground.run("suites", "-k", "works or test_fails and ALPHA")
    ran.ends_with("DATA LAKE GREEN 2/5 tests, 0 known issues, 0 new failures, 3 in downtime")
    assert ran.code == 0
    assert "3 xfailed" in ran.text


def test_what_is_over_or_to_come_or_elsewhere_excuses_nothing(playground: Playground) -> None:
    playground.matrix(lake(*NOT_NOW))
    playground.suite(SUITE)
    ran = playground.run("suites", "--site", "ALPHA", "-k", "test_fails")
    assert set(ran.outcomes.values()) == {"failed"}
    assert all("downtime" not in row for row in ran.tests.values())
    assert [one["where"] for one in ran.rows[0]["downtimes"]] == ["site BETA", "site ALPHA"]
    assert ran.code == 1


def test_an_expired_known_issue_stays_red_in_a_downtime(playground: Playground) -> None:
    old = "known_issues:\n  - {match: {site: ALPHA}, reason: r, reference: x, until: '2020-01-01'}\n"
    playground.matrix(lake(*NOW) + old)
    playground.suite(SUITE)
    ran = playground.run("suites", "--site", "ALPHA", "-k", "test_works or test_fails")
    outcomes = {name.partition("[")[0]: outcome for name, outcome in ran.outcomes.items()}
    assert outcomes == {
        "test_works": "failed",
        "test_fails": "downtime",
        "test_fails_before": "downtime",
        "test_fails_after": "failed",
    }
    assert ran.code == 1
