"""An IAM that widens, forgets or obeys too much turns red in just the tests that are about that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import LakeOf
    from .harness import SmallLake

COMPARES_TEXTS = """
from pytest_datalake.lake.iam import policies, scopes

def covers(allowed, wanted):
    return wanted.startswith(allowed) or by_components(allowed, wanted)

by_components, scopes.covers = scopes.covers, covers
policies.covers = covers
"""

REVOKES_NOTHING = """
from pytest_datalake.lake.iam.tokens import Tokens

Tokens.revoke = lambda self, token, client: True
"""

TELLS_ALL_GROUPS_BY_NAME = """
from pytest_datalake.lake.iam import tokens

def groups_claim(scopes, default, optional):
    told = in_order(scopes, default, optional)
    return tuple(sorted({*told, *optional})) if told else ()

in_order, tokens.groups_claim = tokens.groups_claim, groups_claim
"""

IS_FOR_EVERYBODY = """
from pytest_datalake.lake.iam import grants

grants.audience_of = lambda form: ""
"""

GIVES_A_DAY = """
from pytest_datalake.lake.iam import config

read = config.Settings.read
config.Settings.read = lambda path: config.replace(read(path), token_lifetime=86400)
"""

LETS_EVERYBODY_DECIDE = """
from pytest_datalake.lake.iam import dashboard_pages, request_api

request_api.demand_decider = dashboard_pages.demand_decider = lambda group: request_api.caller()
"""

FORGETS_NOBODY = """
from pytest_datalake.lake.iam.members import Members

Members.leave = lambda self, account, group: None
"""

SUSPENDS_NOBODY = """
from pytest_datalake.lake.iam.members import Account

Account.is_valid = property(lambda self: True)
"""

SCOPES = "suites/aai/test_scopes.py"
GROUPS = "suites/aai/test_groups.py"
CONTENT = "suites/aai/test_token_content.py"
LIFE = "suites/aai/test_token_life.py"
ENROLMENT = "suites/aai/test_enrolment.py"


@pytest.fixture(scope="module")
def lake(shared_lake_of: LakeOf) -> SmallLake:
    return shared_lake_of("iam", COMO="xrootd", GARDA="apache")


@pytest.mark.parametrize(
    ("changes", "suites", "red"),
    [
        pytest.param(
            (COMPARES_TEXTS, REVOKES_NOTHING),
            (SCOPES, LIFE),
            {
                "test_area_whose_name_only_begins_alike_is_not_granted": 12,
                "test_token_is_not_exchanged_for_a_wider_one": 1,
                "test_revoked_token_is_not_active": 1,
                "test_revoked_token_opens_nothing_at_the_issuer": 1,
                "test_revoked_token_is_not_exchanged": 1,
            },
            id="widens, and revokes nothing",
        ),
        pytest.param(
            (TELLS_ALL_GROUPS_BY_NAME, IS_FOR_EVERYBODY, GIVES_A_DAY),
            (GROUPS, CONTENT),
            {
                "test_group_that_is_asked_for_comes_first_and_the_defaults_follow": 1,
                "test_order_of_the_request_is_that_of_the_token": 1,
                "test_optional_group_is_told_only_when_asked_for": 1,
                "test_audience_is_told_as_it_was_asked_for": 3,
                "test_two_audiences_are_two": 1,
                "test_lifetime_is_within_bounds_and_told": 1,
            },
            id="has its own order, ignores audience, and gives a day",
        ),
        pytest.param(
            (LETS_EVERYBODY_DECIDE,),
            (ENROLMENT,),
            {
                "test_membership_opens_data_and_its_end_closes_them": 1,
                "test_request_is_decided_once_and_by_those_who_may": 1,
            },
            id="lets everybody decide",
        ),
        pytest.param(
            (FORGETS_NOBODY,),
            (ENROLMENT,),
            {"test_membership_opens_data_and_its_end_closes_them": 1},
            id="forgets nobody",
        ),
        pytest.param(
            (SUSPENDS_NOBODY,),
            (ENROLMENT,),
            {"test_membership_opens_data_and_its_end_closes_them": 1},
            id="suspends nobody",
        ),
    ],
)
def test_faulty_iam_turns_red_where_it_is_wrong(
    lake: SmallLake, changes: tuple[str, ...], suites: tuple[str, ...], red: dict[str, int]
) -> None:
    """Faults that no test has in common share a run."""
    lake.change_services({"iam": "\n".join(changes)})
    verdict = lake.run(*suites, "--site", "COMO")
    failed: dict[str, int] = {}
    for row in verdict.rows:
        assert row.outcome in {"passed", "failed"}, f"{row.test}: {row.reason}"
        if row.outcome == "failed":
            failed[row.test] = failed.get(row.test, 0) + 1
    reasons = {row.test: row.reason for row in verdict.rows if row.outcome == "failed"}
    assert failed == red, json.dumps(reasons, indent=1)
    assert (verdict.word, verdict.exit_code) == ("RED", 1), verdict.output
