"""A door that forgets one thing to look at turns red in just the cases that are about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .conftest import LakeOf

CASES = "suites/authorisation/test_conformance.py::test_case"
WAS_DONE = "was done; it should have been refused"


def test_door_that_forgets_what_a_token_is_for_turns_red(lake_of: LakeOf) -> None:
    lake = lake_of(LEMAN="apache")
    lake.run(CASES, "--cells", "full").is_green(tests=0)

    def red(changed: dict[str, tuple[str, str]], expected: set[str]) -> None:
        for name, (check, nothing) in changed.items():
            lake.edit("LEMAN-A", name, check, nothing)
        lake.restart("LEMAN-A")
        verdict = lake.run(CASES, "--cells", "full", "--auth", "token-*")
        assert {row.requirement for row in verdict.rows if row.outcome != "passed"} == expected
        for name, (check, nothing) in changed.items():
            lake.edit("LEMAN-A", name, nothing, check)

    red({"lua/apache_token.lua": ("if one == ours then return true end", "return true")}, set())
    red(
        {"lua/apache_paths.lua": ('path:sub(1, #top + 1) == top .. "/"', "path:sub(1, #top) == top")},
        set(),
    )
    red({"lua/apache_site.lua": ("areas = { ", 'areas = { ["/escape"] = "/", ')}, set())
