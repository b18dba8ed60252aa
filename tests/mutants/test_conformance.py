"""A door that forgets one thing to look at turns red in just the cases that are about it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.conformance.table import CASES

if TYPE_CHECKING:
    from .conftest import LakeOf
    from .verdicts import Row

NEIGHBOURS = " or ".join(f"case[{word}-" for word in ("issuer", "audience", "version", "path", "group"))
"""A hundred cases, of which each mutant must turn a few red; the other two hundred take a minute more."""

SUITE = "suites/authorisation/test_conformance.py::test_case"

AUDIENCES = {
    case.id for case in CASES if case.id.startswith("audience-") and case.expect == "refused" and case.binding
} | {"group-for-another-audience"}
PREFIXES = {case.id for case in CASES if case.id.startswith("path-prefix-")}
VO_FOR_GROUP = {
    "group-of-the-vo-alone",
    "group-of-the-vo-alone-does-not-write",
    # a member's own token asserts the VO's group, too
    "group-own-does-not-open-others",
    "group-own-does-not-write-at-others",
}
GROUP_FOR_GROUP = {
    "voms-others-do-not-read",
    "voms-others-do-not-write",
    "voms-member-does-not-open-others",
    "voms-member-does-not-write-at-others",
}

MUTANTS = (
    (
        "lua/apache_token.lua",
        'if not names_us(claim.aud) then return "meant for another audience" end',
        "if false then return end",
        AUDIENCES,
    ),
    (
        "lua/apache_paths.lua",
        'path:sub(1, #top + 1) == top .. "/"',
        "path:sub(1, #top) == top",
        PREFIXES,
    ),
    (
        "lua/apache_site.lua",
        "areas = { ",
        'areas = { ["/escape"] = "/", ',
        VO_FOR_GROUP,
    ),
)
MUTANT_NAMES = ("audience", "path-prefix", "vo-for-group")


def _is_about(requirements: set[str], row: Row) -> bool:
    return row.requirement in requirements


@pytest.mark.parametrize(("name", "check", "without", "expected"), MUTANTS, ids=MUTANT_NAMES)
def test_door_that_forgets_something_turns_red_in_just_the_cases_about_it(
    lake_of: LakeOf, name: str, check: str, without: str, expected: set[str]
) -> None:
    lake = lake_of(LEMAN="apache")
    lake.edit("LEMAN-A", name, check, without)
    lake.restart("LEMAN-A")
    verdict = lake.run(SUITE, "--auth", "token-*", "-k", NEIGHBOURS)
    verdict.is_red(
        partial(_is_about, expected),
        red=len(expected),
        green=len(verdict.rows) - len(expected),
        because=r"^was done; it should have been refused",
    )


def test_door_that_takes_one_group_for_another_turns_red_in_just_the_cases_about_it(lake_of: LakeOf) -> None:
    lake = lake_of(COMO="xrootd")
    for group, area in (("ska", "lofar"), ("lofar", "ska")):
        own = f"g /escape/{group} /escape/{group} a\n"
        lake.edit("COMO-A", "authdb", own, f"g /escape/{group} /escape/{group} a /escape/{area} a\n")
    lake.restart("COMO-A")
    # XRootD's known issue with blanks is no part of this
    verdict = lake.run(SUITE, "--auth", "x509-voms", "--protocol", "davs", "-k", "case[voms- and not blank")
    verdict.is_red(
        partial(_is_about, GROUP_FOR_GROUP),
        red=len(GROUP_FOR_GROUP),
        green=len(verdict.rows) - len(GROUP_FOR_GROUP),
        because=r"^was done; it should have been refused",
    )
