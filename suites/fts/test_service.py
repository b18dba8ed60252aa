"""What the transfer manager itself promises: who may do what, and for how long it acts for somebody."""

import pytest

pytestmark = [pytest.mark.capability("transfer"), pytest.mark.layer("fts")]

NOWHERE = "davs://storage-of-nobody.invalid:1"
BANNED = "davs://storage-that-is-banned.invalid:1"
"""Nobody else asks for it: other tests run at the same time."""


def test_user_is_known_by_certificate_and_by_token(transfer_manager, identities):
    member = identities.members[0]
    by_proxy = transfer_manager.as_user(member, "x509-voms").whoami()
    by_token = transfer_manager.as_user(member, "token-scope").whoami()
    assert (by_proxy["method"], by_token["method"]) == ("certificate", "oauth2")
    group = member.groups[0].lstrip("/")
    assert group in by_proxy["vos"]
    assert group in by_token["vos"]


def test_delegation_that_is_about_to_expire_is_not_enough(transfer_manager, identities, refused, a_transfer):
    # A proxy without attributes: its delegation is apart from the one that all other tests use.
    client = transfer_manager.by_proxy(identities.members[0].plain_proxy)
    client.delegate(seconds=1800)
    with refused("denied"):
        client.submit([a_transfer(NOWHERE)], job_metadata=transfer_manager.metadata)
    client.delegate(seconds=2 * 3600)
    job_id = client.submit([a_transfer(NOWHERE)], job_metadata=transfer_manager.metadata)
    client.cancel(job_id)
    client.undelegate()
    assert client.delegated_until() == ""


def test_jobs_of_others_are_not_seen(transfer_manager, identities, a_transfer):
    owner, stranger = identities.members[0], identities.other_than(identities.members[0])
    client = transfer_manager.as_user(owner, "x509-voms")
    job_id = client.submit([a_transfer(NOWHERE)], job_metadata=transfer_manager.metadata)
    other = transfer_manager.as_user(stranger, "x509-voms")
    assert other.jobs([job_id]) == {}
    assert "200 Ok" not in other.cancel(job_id).values()
    client.cancel(job_id)


@pytest.mark.disruptive
def test_banned_storage_is_refused_until_the_ban_is_lifted(
    transfer_manager, identities, fts_administrator, a_transfer, refused
):
    client = transfer_manager.as_user(identities.members[0], "x509-voms")
    with refused("denied"):
        client.ban(BANNED)
    fts_administrator.ban(BANNED)
    assert client.banned()[BANNED] == "CANCEL"
    with refused("denied"):
        client.submit([a_transfer(BANNED)], job_metadata=transfer_manager.metadata)
    fts_administrator.ban(BANNED, status="wait", allow_submit=True)
    job_id = client.submit([a_transfer(BANNED)], job_metadata=transfer_manager.metadata)
    assert client.job(job_id).files[0].state == "ON_HOLD"
    fts_administrator.unban(BANNED)
    assert BANNED not in client.banned()
    assert client.job(job_id).files[0].state != "ON_HOLD"
    client.cancel(job_id)
