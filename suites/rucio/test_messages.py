"""What Rucio tells of transfers, and what it is told of the use of files."""

from datetime import UTC, datetime, timedelta

import pytest

pytestmark = [
    pytest.mark.capability("rule"),
    pytest.mark.layer("rule"),
    pytest.mark.needs("broker"),
    pytest.mark.links(cover="smoke"),
]

EVENTS = "/topic/rucio.events"


@pytest.mark.cost(size="64 KiB")
def test_events_tell_of_the_transfer(link, rucio, registered, add_rule, rule_ends, broker, eventually):
    with broker.listening(EVENTS) as inbox:
        (source,) = registered(size="64 KiB", at=link.source)
        rule_ends(add_rule(source, link.destination.rse))
        told = eventually(
            lambda: {
                event["event_type"]: event["payload"]
                for event in inbox.messages(EVENTS)
                if event["payload"].get("name") == source.file.name
                and event["payload"].get("dst-rse") == link.destination.rse
            },
            until=lambda seen: {"transfer-submitted", "transfer-done"} <= set(seen),  # in any order
            within=60,
        )
    request = rucio.last_request(source.did, link.destination.rse)
    done = told["transfer-done"]
    assert (done["scope"], done["bytes"], done["checksum-adler"]) == (
        source.file.scope,
        source.file.size,
        source.file.adler32,
    )
    assert (done["src-rse"], done["dst-url"]) == (request.source_rse, request.url)


@pytest.mark.cost(size="1 KiB")
def test_last_use_is_known_from_traces(link, rucio, registered, eventually):
    (source,) = registered(size="1 KiB", at=link.source)
    before = rucio.last_access(source.did)
    rucio.touch(source.did, link.source.rse)
    used = eventually(
        lambda: rucio.last_access(source.did), until=lambda seen: seen not in {before, None}, within=60
    )
    assert abs(datetime.now(UTC).replace(tzinfo=None) - used) < timedelta(minutes=2)
