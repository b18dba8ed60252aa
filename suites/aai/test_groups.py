"""Which groups a token tells, and in which order (WLCG token profile, 2.1.1 and 3.1)."""

import re

import pytest

pytestmark = [
    pytest.mark.capability("authorisation"),
    pytest.mark.needs("iam", "iam-client"),
    pytest.mark.requirement("token-groups"),
]

GROUP = r"(/[a-zA-Z0-9][a-zA-Z0-9_.-]*)+"


@pytest.fixture
def groups(claims_of):
    """The groups that a token tells: ``groups("wlcg.groups")``."""
    return lambda scope: claims_of(scope).get("wlcg.groups", [])


@pytest.fixture
def own(user):
    """A group of the user's that is not the VO's."""
    return next(group for group in user.groups if group.count("/") > 1)


def test_default_groups_are_those_of_the_user(groups, user):
    assert set(user.groups) <= set(groups("wlcg.groups"))


def test_names_are_those_of_the_profile_and_begin_with_the_vo(groups, lake):
    for group in groups("wlcg.groups"):
        assert re.fullmatch(GROUP, group)
        assert group.split("/")[1] == lake.matrix.vo


def test_group_that_is_asked_for_comes_first_and_the_defaults_follow(groups, own):
    default = groups("wlcg.groups")
    assert groups(f"wlcg.groups:{own}") == [own, *[one for one in default if one != own]]
    assert groups(f"wlcg.groups:{own} wlcg.groups") == [own, *[one for one in default if one != own]]


def test_defaults_come_first_where_they_are_asked_for_first(groups, own):
    assert groups(f"wlcg.groups wlcg.groups:{own}") == groups("wlcg.groups")


def test_order_of_the_request_is_that_of_the_token(groups, own, lake):
    root = f"/{lake.matrix.vo}"
    assert groups(f"wlcg.groups:{own} wlcg.groups:{root}")[:2] == [own, root]
    assert groups(f"wlcg.groups:{root} wlcg.groups:{own}")[:2] == [root, own]


def test_no_group_is_told_twice(groups, own):
    told = groups(f"wlcg.groups:{own} wlcg.groups wlcg.groups:{own}")
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("wanted", ["other", "longer", "shorter", "unknown", "upper"])
def test_group_of_others_is_not_told(ask, iam, identities, user, own, wanted):
    group = {
        "other": identities.other_than(user).groups[0],
        "longer": f"{own}x",
        "shorter": own[:-1],
        "unknown": f"{own}/of-nobody",
        "upper": own.upper(),
    }[wanted]
    answer = ask(f"wlcg.groups:{group}")
    if answer.status == 200:  # then the client must be told what it got (RFC 6749, 3.3)
        assert group not in iam.claims(answer.token).get("wlcg.groups", [])
        assert f"wlcg.groups:{group}" not in answer.document["scope"].split()
    else:
        assert answer.error in {"access_denied", "invalid_scope"}


@pytest.mark.needs("iam-administrator")
def test_optional_group_is_told_only_when_asked_for(iam, user, groups, lake):
    with iam.optional_group(f"optional-{lake.run_id}", member=user) as group:
        assert group not in groups("wlcg.groups")
        assert groups(f"wlcg.groups:{group}") == [group, *groups("wlcg.groups")]
