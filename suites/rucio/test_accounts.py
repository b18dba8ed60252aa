"""Who may do what in Rucio: logins, scopes and quotas."""

import pytest

pytestmark = [pytest.mark.capability("rule"), pytest.mark.layer("rule")]


def test_account_logs_in(rucio_auth, rucio_as, member, evidence):
    evidence["auth"] = rucio_auth
    assert rucio_as(member, rucio_auth).whoami() == member.account


def test_scope_of_another_experiment_is_refused(rucio, identities, member, test_directory, refused):
    scope = identities.experiment(identities.other_than(member)).rucio_scope
    with refused("denied"):
        rucio.add_dataset((scope, test_directory.strip("/")))


@pytest.mark.links(cover="smoke")
@pytest.mark.cost(files=0)
def test_rule_beyond_the_quota_is_refused(link, rucio, registered, add_rule, refused):
    more = int(rucio.free_quota(link.destination.rse)) + 1
    (source,) = registered(size="1 KiB", at=link.source, upload=False, as_size=more)
    with refused("no-space"):
        add_rule(source, link.destination.rse)


@pytest.mark.links(cover="smoke")
@pytest.mark.cost(size="1 KiB")
def test_rule_for_more_copies_than_rses_is_refused(link, registered, add_rule, refused):
    (source,) = registered(size="1 KiB", at=link.source)
    with refused("unsupported"):
        add_rule(source, link.destination.rse, copies=2)


@pytest.mark.links(cover="smoke")
@pytest.mark.cost(size="1 KiB")
def test_rule_for_no_rse_is_refused(link, registered, add_rule, refused):
    (source,) = registered(size="1 KiB", at=link.source)
    with refused("unsupported"):
        add_rule(source, f"{link.destination.rse}&site=nowhere")
