"""A rule brings a file from one RSE to another: catalogue and storage agree about what arrived.

The rules of all pairs are made by the first test that awaits one.
"""

import pytest

pytestmark = [pytest.mark.capability("rule"), pytest.mark.layer("rule")]


@pytest.mark.cost(files=1, size="1 MiB")
def test_rule_brings_the_file(link, rule_of_link, rule_ends, arrived_at):
    source, rule = rule_of_link
    rule_ends(rule)
    arrived = arrived_at(source, link.destination)
    assert arrived.difference is None, f"differs from the source at byte {arrived.difference}"
    assert arrived.server_checksum == source.stored.content.checksum(arrived.storage.algorithm)


@pytest.mark.links(cover="smoke")
@pytest.mark.cost(files=20, size="64 KiB")
def test_dataset_arrives_whole(link, rucio, registered, add_rule, rule_ends, arrived_at):
    sources = registered(size="64 KiB", at=link.source, count=20)
    rule_ends(add_rule(sources, link.destination.rse))
    replicas = rucio.replicas([source.did for source in sources])
    assert {did: here[link.destination.rse].state for did, here in replicas.items()} == {
        source.did: "AVAILABLE" for source in sources
    }
    for source in (sources[0], sources[-1]):
        assert arrived_at(source, link.destination).difference is None


@pytest.mark.links(cover="pairwise")
@pytest.mark.cost(size="64 KiB")
def test_expression_places_the_copy(link, lake, rucio, registered, add_rule, rule_ends):
    (source,) = registered(size="64 KiB", at=link.source)
    there = link.destination
    expression = rf"(QOS={there.qos}&site={there.site}&technology={there.technology})\{link.source.rse}"
    meant = {
        one.rse
        for one in lake.matrix.endpoints
        if (one.qos, one.site, one.technology) == (there.qos, there.site, there.technology)
    } - {link.source.rse}
    assert set(rucio.rses(expression)) == meant
    rule_ends(add_rule(source, expression))
    replicas = rucio.replicas([source.did])[source.did]
    assert len(meant & set(replicas)) == 1


@pytest.mark.links(cover="smoke")
@pytest.mark.cost(size="64 KiB")
def test_rule_for_two_copies_makes_two(link, rucio, registered, add_rule, rule_ends):
    (source,) = registered(size="64 KiB", at=link.source)
    # the source counts as one, for the file is there already
    rule_ends(add_rule(source, f"{link.source.rse}|{link.destination.rse}", copies=2))
    replicas = rucio.replicas([source.did])[source.did]
    states = [replicas[rse].state for rse in (link.source.rse, link.destination.rse)]
    assert states == ["AVAILABLE", "AVAILABLE"]


@pytest.mark.links(cover="smoke")
@pytest.mark.cost(size="64 KiB")
def test_end_of_the_rule_frees_the_file(link, rucio, registered, add_rule, rule_ends, arrived_at, eventually):
    (source,) = registered(size="64 KiB", at=link.source)
    rule = add_rule(source, link.destination.rse)
    rule_ends(rule)
    arrived = arrived_at(source, link.destination)
    rucio.delete_rule(rule)
    eventually(lambda: arrived.storage.exists(arrived.path), until=lambda there: not there, within=90)
    there = eventually(  # a copy that a multihop left on its way may stay: it is not the rule's
        lambda: sorted(rucio.replicas([source.did])[source.did]),
        until=lambda rses: link.destination.rse not in rses,
        within=90,
    )
    assert link.source.rse in there
    assert source.stored.storage.exists(source.stored.path), "the source was deleted, too"


@pytest.mark.requirement("stuck-rule-says-why")
@pytest.mark.links(cover="smoke")
@pytest.mark.cost(size="64 KiB")
def test_rule_that_cannot_be_satisfied_says_why(link, rucio, registered, add_rule, rule_ends):
    (source,) = registered(size="64 KiB", at=link.source, as_size=65_537)
    rule = add_rule(source, link.destination.rse)
    assert "size" in rule_ends(rule, state="STUCK").error
    there = rucio.replicas([source.did])[source.did].get(link.destination.rse)
    assert there is None or there.state != "AVAILABLE", "the catalogue has a copy that was never made"


@pytest.mark.links(cover="smoke")
@pytest.mark.cost(size="64 KiB")
def test_rule_is_stuck_while_the_source_is_gone(link, rucio, registered, add_rule, rule_ends, arrived_at):
    (source,) = registered(size="64 KiB", at=link.source, upload=False)
    rule = add_rule(source, link.destination.rse)
    assert rule_ends(rule, state="STUCK").error, "a rule that is stuck does not say why"
    storage, content = source.stored.storage, source.stored.content
    storage.put(content, source.stored.path)
    rucio.retry_rule(rule)
    rule_ends(rule, may_be_stuck=True)
    assert arrived_at(source, link.destination).difference is None
