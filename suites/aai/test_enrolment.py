"""From a login at the institution to data, and out again: tokens and VOMS attributes follow membership."""

from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.capability("authorisation"),
    pytest.mark.needs("iam", "iam-client", "iam-administrator", "newcomer"),
    pytest.mark.requirement("enrolment"),
]


@pytest.fixture
def administrator(iam):
    """The IAM as its administrator sees it."""
    return iam.administrator()


@pytest.fixture
def member(newcomer, administrator):
    """The newcomer, as a member of the VO and of none of its groups: the account."""
    newcomer.register("a test")
    (request,) = [one for one in administrator.registrations() if one["username"] == newcomer.username]
    administrator.approve_registration(request["uuid"])
    (account,) = administrator.users(newcomer.username)
    return account


@pytest.fixture
def group(administrator, identity):
    """The group of the cell's experiment at the IAM."""
    (found,) = administrator.groups(identity.groups[0].lstrip("/"))
    return found


@pytest.fixture
def opens(cell, storage_with, storage, make_local, storage_as, identity, identities, refused):
    """Assert that a credential opens the experiment's data and not that of another, or opens nothing."""
    storage.put(make_local("1 KiB"), "data")
    others = storage_as(cell.endpoint, cell.auth, identities.other_than(identity))
    others.put(make_local("1 KiB"), "data")

    def check(credential, *, nothing=False):
        view = storage_with(credential)
        if nothing:
            with refused("denied"):
                view.read(storage.path("data"), offset=0, length=10)
        else:
            assert view.read(storage.path("data"), offset=0, length=2048) == make_local("1 KiB").bytes()
        with refused("denied"):
            view.read(others.path("data"), offset=0, length=10)

    return check


@pytest.fixture
def doors(newcomer, cell):
    """Ways in which the newcomer shows who that is at the cell's endpoint; each makes a fresh credential."""
    ways = [lambda: newcomer.by_token("openid wlcg.groups", audience=cell.endpoint.audience)]
    return ways + ([newcomer.by_voms] if "x509-voms" in cell.endpoint.auth else [])


@pytest.mark.cells(cover="smoke", protocol="davs", auth="token-group")
@pytest.mark.cost(size="1 KiB", files=2)
def test_membership_opens_data_and_its_end_closes_them(
    newcomer, administrator, iam, identity, member, group, opens, doors, refused
):
    administrator.link_certificate(member["id"], newcomer.certificate, name="of the test")

    # a member of the VO alone
    for credential in doors:
        opens(credential(), nothing=True)

    # asks for the group, and its manager says yes
    request = newcomer.as_user().ask_for_group(group["displayName"], "a test")
    manager = iam.as_user(identity)
    with refused("denied"):
        manager.approve_group_request(request)
    own_id = manager.me()["id"]
    administrator.add_manager(own_id, group["id"])
    try:
        manager.approve_group_request(request)
    finally:
        administrator.remove_manager(own_id, group["id"])
    for credential in doors:
        opens(credential())

    # the group is left again
    administrator.remove_member(member["id"], group["id"])
    for credential in doors:
        opens(credential(), nothing=True)

    # suspended
    refresh = newcomer.token_response("openid offline_access")["refresh_token"]
    administrator.set_active(member["id"], active=False)
    for attempt in (*doors, newcomer.by_voms, lambda: newcomer.refreshed(refresh)):
        with refused("denied"):
            attempt()


def test_nobody_is_a_member_before_somebody_said_yes(newcomer, administrator, refused):
    with refused("denied"):
        newcomer.token("openid")
    newcomer.register("a test")
    with refused("denied", "exists"):
        newcomer.register("a test, again")
    with refused("denied"):
        newcomer.token("openid")
    (request,) = [one for one in administrator.registrations() if one["username"] == newcomer.username]
    administrator.reject_registration(request["uuid"], "a test")
    with refused("denied"):
        newcomer.token("openid")
    assert not administrator.users(newcomer.username)


@pytest.mark.usefixtures("member")
def test_request_is_decided_once_and_by_those_who_may(newcomer, administrator, identities, iam, refused):
    name = identities.members[0].groups[0].lstrip("/")
    applicant = newcomer.as_user()
    with refused("other", "unsupported"):
        applicant.ask_for_group(name, " ")
    with refused("not-found", "other"):
        applicant.ask_for_group(f"{name}-of-nobody", "a test")
    request = applicant.ask_for_group(name, "a test")
    with refused("other", "exists"):
        applicant.ask_for_group(name, "a test, again")
    for stranger in (applicant, iam.as_user(identities.members[0])):
        with refused("denied"):
            stranger.approve_group_request(request)
    administrator.reject_group_request(request, "a test")
    with refused("exists", "other"):
        administrator.approve_group_request(request)
    with refused("exists", "other"):
        administrator.reject_group_request(request, "a test, again")
    me = applicant.me()
    assert name not in {group["display"] for group in me.get("groups", [])}


def test_certificate_stands_for_one_account(newcomer, administrator, member, identities, refused):
    with refused("denied"):
        newcomer.voms_proxy()
    taken = identities.members[0]
    with refused("exists", "other"):
        administrator.link_certificate(member["id"], Path(taken.certificate).read_text(), name="stolen")
    administrator.link_certificate(member["id"], newcomer.certificate, name="own")
    newcomer.voms_proxy()
    with refused("denied"):
        newcomer.voms_proxy(taken.groups[0])
