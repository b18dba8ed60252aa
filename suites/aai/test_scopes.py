"""Which paths a token may name: the user's, normalised, compared by whole components (profile 2.2.1)."""

import pytest

pytestmark = [pytest.mark.capability("authorisation"), pytest.mark.needs("iam", "iam-client")]

ACTIONS = ("storage.read", "storage.create", "storage.modify")


@pytest.mark.parametrize("action", ACTIONS)
def test_own_area_is_granted(granted, area, action):
    assert granted(f"{action}:{area}") == [f"{action}:{area}"]


@pytest.mark.parametrize("action", ACTIONS)
def test_path_below_the_own_area_is_granted_as_it_is(granted, area, action):
    scope = f"{action}:{area}/run/1"
    assert granted(scope) == [scope]


def test_two_paths_are_two_scopes(granted, area):
    scopes = [f"storage.read:{area}/a", f"storage.create:{area}/b"]
    assert granted(" ".join(scopes)) == scopes


@pytest.mark.requirement("scope-not-widened")
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("tail", ["x", "-x", ".x", "%20x", "%2Fx"])
def test_area_whose_name_only_begins_alike_is_not_granted(granted, area, action, tail):
    assert granted(f"{action}:{area}{tail}") == []


@pytest.mark.requirement("scope-not-widened")
def test_area_of_others_and_everything_are_not_granted(granted, identities, user):
    other = identities.experiment(identities.other_than(user)).area
    for path in (other, f"{other}/a", "/", f"{other}/"):
        assert granted(f"storage.read:{path}") == [], path


@pytest.mark.requirement("scope-normalised")
@pytest.mark.parametrize(
    "path",
    [
        "{area}/../x",
        "{area}/..",
        "{area}/%2e%2e/x",
        "{area}/./a",
        "{area}//a",
        "/..{area}",
        "{area}/a/../../x",
    ],
)
def test_path_that_is_not_normal_is_not_told(granted, area, path):
    for scope in granted(f"storage.read:{path.format(area=area)}"):
        assert scope.startswith(f"storage.read:{area}/")
        parts = scope.partition(":")[2].split("/")[1:]
        assert not {"", ".", ".."} & {part.lower().replace("%2e", ".") for part in parts}


@pytest.mark.requirement("scope-normalised")
def test_escapes_that_are_not_needed_are_not_told(granted, area):
    # RFC 3986, 6.2.2: letters are not escaped, and the digits of escapes are in upper case.
    assert granted(f"storage.read:{area}/%61%c3%a9") in ([], [f"storage.read:{area}/a%C3%A9"])


@pytest.mark.requirement("scope-has-path")
@pytest.mark.parametrize(
    "scope", ["storage.read", "storage.read:", "storage.modify", "storage.create:relative"]
)
def test_storage_scope_without_an_absolute_path_is_not_told(granted, scope):
    assert granted(scope) == []


@pytest.mark.parametrize("scope", ["storage.write:/", "STORAGE.READ:/", "no-such-scope", "iam:admin.write"])
def test_scope_that_is_not_for_users_is_not_granted(granted, scope):
    assert granted(scope) == []


@pytest.mark.requirement("scope-not-widened")
def test_one_scope_too_many_gives_no_right_to_it(granted, identities, user, area):
    other = f"storage.read:{identities.experiment(identities.other_than(user)).area}"
    assert other not in granted(f"storage.read:{area} {other}")
