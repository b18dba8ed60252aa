"""The table says what it says once, and the nightly tries all of it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.conformance.case import Case, Nothing, Proxy, Token
from pytest_datalake.conformance.copies import COPIES, CopyCase
from pytest_datalake.conformance.table import CASES, TABLES
from pytest_datalake.fixtures.planning import Planning
from pytest_datalake.lake.iam.scopes import normalised
from pytest_datalake.matrix import selection
from pytest_datalake.matrix.load import load

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Cell, Matrix

ROOT = Path(__file__).parents[2]

NAMES = {"top": "/ska/top", "other": "/lofar/top", "group": "/escape/ska", "other_group": "/escape/lofar"}


def planning_of(matrix: Matrix) -> Planning:
    return Planning(
        matrix=matrix,
        selected=selection.select(matrix),
        capabilities=(),
        cover="",
        allow_disruptive=False,
        today=date(2026, 1, 1),
    )


@pytest.fixture(scope="module")
def planning() -> Planning:
    return planning_of(load(ROOT / "site_matrix.yaml"))


def cells_of(case: Case, planning: Planning, level: str) -> tuple[Cell, ...]:
    return planning.cells_of(case, planning.selected.cells, level)


def test_every_case_has_an_id_of_its_own() -> None:
    ids = [*(case.id for case in CASES), *(case.id for case in COPIES)]
    twice = [name for name, times in Counter(ids).items() if times > 1]
    assert not twice
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", case.id) for case in CASES)
    assert sum(len(cases) for cases in TABLES.values()) == len(CASES)


def test_every_case_says_what_is_asked_and_by_whom() -> None:
    every: list[Case | CopyCase] = [*CASES, *COPIES]
    for case in every:
        assert case.says[0].isupper(), case.id
        assert case.says.endswith("."), case.id
        assert case.clause, case.id
        assert (case.level == "INFO") == (case.expect == "either"), case.id


def test_every_text_uses_names_that_there_are() -> None:
    known = {
        *("top", "relative_top", "other", "subject", "vo", "issuer", "audience"),
        *("issuer_without_slash", "issuer_in_capitals", "issuer_by_http"),
        "audience_cut_short",
        *("group", "group_cut_short", "group_in_capitals", "group_without_slash", "other_group"),
    }
    used = {name for case in CASES for name in Template(repr(case)).get_identifiers()}
    assert used <= known


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_case_is_tried_in_the_nightly(case: Case, planning: Planning) -> None:
    for level in ("turns", "full"):
        cells = cells_of(case, planning, level)
        assert cells
        assert {cell.auth for cell in cells} == {case.auth}
        assert not {cell.endpoint.technology for cell in cells} & set(case.kills)
    turns = cells_of(case, planning, "turns")
    doors = Counter((cell.endpoint.technology, cell.endpoint.protocol) for cell in turns)
    assert set(doors.values()) == {1}
    assert set(turns) <= set(cells_of(case, planning, "full"))


def test_a_case_that_kills_a_door_is_tried_at_one_technology_apart() -> None:
    killers = [case for case in CASES if case.kills]
    assert [case.kills for case in killers] == [("xrootd",), ("xrootd",)]
    assert all(case.protocols == ("davs",) and case.forged for case in killers)


@pytest.mark.parametrize("case", COPIES, ids=lambda case: case.id)
def test_every_case_of_copies_is_tried_in_the_nightly(case: CopyCase, planning: Planning) -> None:
    links = planning.links_of(case, planning.selected.links, "turns")
    ends = [(link.source.technology, link.destination.technology) for link in links]
    assert len(ends) == len(set(ends)) >= 2
    assert ("xrootd", "xrootd") in ends
    assert {link.auth for link in links} == {"token-scope"}


def test_turns_reach_every_door_and_stay_cheap(planning: Planning) -> None:
    tried = Counter(cell.endpoint.id for case in CASES for cell in cells_of(case, planning, "turns"))
    doors = {one.id for one in planning.matrix.endpoints if "authorisation" in one.supports}
    assert set(tried) == doors
    assert sum(tried.values()) < 700


def test_real_lake_is_shown_forged_credentials_only_where_it_allows_them(planning: Planning) -> None:
    matrix = planning.matrix
    real = replace(matrix, embedded=False)
    strict = planning_of(real)
    assert not [case.id for case in CASES if case.forged and cells_of(case, strict, "full")]
    links = strict.selected.links
    assert not [case.id for case in COPIES if case.forged and strict.links_of(case, links, "full")]
    endpoints = tuple(replace(one, allow_disruptive=one.site == "COMO") for one in matrix.endpoints)
    trust = replace(matrix.trust, forge=replace(matrix.trust.forge, issuer_key="key"))
    allowing = planning_of(replace(real, endpoints=endpoints, trust=trust))
    sites = {cell.endpoint.site for case in CASES if case.forged for cell in cells_of(case, allowing, "full")}
    assert sites == {"COMO"}


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if not case.forged and isinstance(case.credential, Token)],
    ids=lambda case: case.id,
)
def test_what_is_not_forged_an_issuer_gives_out(case: Case) -> None:
    assert isinstance(case.credential, Token)
    given_out = {"scope", "groups"}
    usual = Token()
    others = [
        name
        for name in Token.__dataclass_fields__
        if name not in given_out and getattr(case.credential, name) != getattr(usual, name)
    ]
    if case.id == "audience-right":
        others.remove("claims")
    assert not others
    scope = Template(case.credential.scope or "").substitute(NAMES)
    assert " ".join(normalised(scope)) == scope


def test_rows_without_a_credential_need_no_forge() -> None:
    assert not [case.id for case in CASES if isinstance(case.credential, Nothing) and case.forged]
    assert {type(case.credential) for case in CASES} == {Token, Proxy, Nothing}
