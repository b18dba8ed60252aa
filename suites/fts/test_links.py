"""A file that the transfer manager sends over a link arrives whole, and its message tells of it.

The transfers of all links are submitted in bulk, by the first test that awaits one.
"""

import pytest

pytestmark = [pytest.mark.capability("transfer"), pytest.mark.layer("fts")]


@pytest.mark.cost(files=1, size="1 MiB")
def test_file_arrives_intact(sent_by_fts, arrival):
    assert sent_by_fts.file.state == "FINISHED", sent_by_fts.file.reason
    arrived = arrival(sent_by_fts)
    assert arrived.difference is None, f"differs from the source at byte {arrived.difference}"
    assert arrived.checksum == sent_by_fts.source.checksum
    assert sent_by_fts.file.size == arrived.size


@pytest.mark.needs("fts-monitoring")
@pytest.mark.cost(files=0, size="0 B")
def test_message_agrees_with_the_job(link, sent_by_fts, monitoring):
    messages = monitoring.complete(sent_by_fts)
    assert len(messages) == 1, f"{len(messages)} messages tell of the end of one transfer"
    message = messages[0]
    assert message["job_id"] == sent_by_fts.job.job_id
    assert message["src_url"] == sent_by_fts.file.source
    assert message["dst_url"] == sent_by_fts.file.destination
    assert message["t_final_transfer_state"] == ("Ok" if sent_by_fts.file.state == "FINISHED" else "Error")
    assert message["f_size"] == sent_by_fts.file.size
    assert message["file_metadata"] == {"link": link.id}
    if sent_by_fts.file.state == "FINISHED":
        assert monitoring.mode(message) in link.declared_modes, "no third party carried the bytes"
