"""When a declared downtime holds, and for which tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from pytest_datalake.matrix.downtimes import announced, covering, moment, over, sites
from pytest_datalake.matrix.known_issues import where
from pytest_datalake.matrix.model import Cell, Downtime, Endpoint, Link

DISK = Endpoint(
    id="D-A.davs", site="D", rse="D-A", technology="xrootd", qos="A", protocol="davs", auth=("x509-voms",)
)
DOOR = replace(DISK, id="D-A.root", protocol="root")
OTHER = replace(DISK, id="E-A.davs", site="E", rse="E-A")
THIRD = replace(DISK, id="F-A.davs", site="F", rse="F-A")
LINK = Link(source=OTHER, destination=DISK, auth="x509-voms", declared_modes=("pull",))
NOON = datetime(2030, 5, 1, 12, tzinfo=UTC)


def downtime(start: str = "2030-05-01T08:00Z", end: str = "2030-05-01T18:00Z", **match: str) -> Downtime:
    return Downtime(
        match=tuple(match.items()), start=start, end=end, reason="new disks", reference="https://example.org"
    )


@pytest.mark.parametrize(
    ("match", "on_cell", "on_link"),
    [
        ({"site": "D"}, True, True),
        ({"site": "D", "protocol": "root"}, False, False),
        ({"source_site": "E"}, False, True),
        ({"source_site": "D"}, False, False),
        ({"rse": "E-*"}, False, True),
    ],
)
def test_which_tests_fall_into_it(match: dict[str, str], on_cell: object, on_link: object) -> None:
    one = downtime(**match)
    assert bool(covering([one], NOON, cell=Cell(endpoint=DISK, auth="x509-voms"))) is on_cell
    assert bool(covering([one], NOON, link=LINK)) is on_link
    assert covering([one], NOON) is None


@pytest.mark.parametrize(
    ("hours", "holds"), [(-4.01, False), (-4, True), (0, True), (5.99, True), (6, False), (48, False)]
)
def test_it_holds_from_its_start_until_just_before_its_end(hours: float, *, holds: bool) -> None:
    at = NOON + timedelta(hours=hours)
    assert (covering([downtime(site="D")], at, link=LINK) is not None) is holds
    assert over(downtime(site="D"), at) is (hours >= 6)


def test_times_have_zones() -> None:
    east = downtime("2030-05-01T13:00+02:00", "2030-05-01T13:30+02:00", site="D")
    assert covering([east], NOON, link=LINK) is None
    half_past_eleven = datetime(2030, 5, 1, 6, 15, tzinfo=timezone(timedelta(hours=-5)))
    assert covering([east], half_past_eleven, link=LINK) is east
    assert moment("2030-05-01T13:00") is None
    assert moment("2030-05-01") is None
    assert moment("soon") is None


def test_of_several_the_one_that_ends_last_is_named() -> None:
    short, long = downtime(site="D"), downtime(end="2030-05-02T00:00Z", site="*")
    assert covering([long, short], NOON, link=LINK) is covering([short, long], NOON, link=LINK) is long


def test_what_is_over_is_not_announced() -> None:
    later = downtime("2030-06-01T00:00Z", "2030-06-02T00:00Z", site="D")
    past = downtime("2030-04-01T00:00Z", "2030-05-01T12:00Z", site="D")
    now = downtime(site="E")
    assert announced([later, past, now], NOON) == (now, later)


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({"site": "D"}, ("D",)),
        ({"qos": "A", "protocol": "root"}, ("D",)),
        ({"source_site": "E", "destination_site": "D"}, ("D", "E")),
        ({"auth": "token-*"}, ()),
    ],
)
def test_whose_it_is(match: dict[str, str], expected: tuple[str, ...]) -> None:
    assert sites(downtime(**match), [DISK, DOOR, OTHER, THIRD]) == expected


def test_where_in_words() -> None:
    assert where(downtime(source_site="E", protocol="davs")) == "source site E, protocol davs"
