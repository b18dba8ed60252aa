"""What the transfer manager tells a message broker agrees with what it did."""

import pytest

pytestmark = [
    pytest.mark.capability("transfer"),
    pytest.mark.layer("fts"),
    pytest.mark.needs("broker"),
    pytest.mark.links(cover="smoke"),
    pytest.mark.cost(size="64 KiB"),
]

STATE, START, COMPLETE = (f"/topic/transfer.fts_monitoring_{kind}" for kind in ("state", "start", "complete"))


def test_broker_is_told_of_every_step(link, test_file, by_fts, broker, eventually):
    source = test_file(size="64 KiB", at=link.source, shared=True)
    with broker.listening(STATE, START, COMPLETE) as inbox:
        job = by_fts.copy(source)
        states = eventually(
            lambda: [one["file_state"] for one in inbox.messages(STATE, job_id=job.job_id)],
            until=lambda seen: job.state in seen,
            within=60,
        )
        ended = eventually(
            lambda: inbox.messages(COMPLETE, job_id=job.job_id), until=lambda seen: len(seen) > 0, within=60
        )
        started = inbox.messages(START, job_id=job.job_id)
    assert job.state == "FINISHED", job.files[0].reason
    assert (states[0], states[-1]) == ("SUBMITTED", "FINISHED")
    file = job.files[0]
    assert [(one["src_url"], one["dst_url"]) for one in started] == [(file.source, file.destination)]
    assert [
        (one["src_url"], one["dst_url"], one["f_size"], one["t_final_transfer_state"]) for one in ended
    ] == [(file.source, file.destination, source.size, "Ok")]
    assert started[0]["transfer_id"] == ended[0]["tr_id"]


def test_broker_is_told_why_a_copy_failed(link, missing_file, by_fts, broker, eventually):
    with broker.listening(COMPLETE) as inbox:
        job = by_fts.copy(missing_file(link.source))
        (ended,) = eventually(
            lambda: inbox.messages(COMPLETE, job_id=job.job_id), until=lambda seen: len(seen) > 0, within=60
        )
    assert job.state == "FAILED"
    assert (ended["t_final_transfer_state"], ended["tr_error_scope"]) == ("Error", "SOURCE")
    assert ended["t_error_code"] == 2
    assert ended["tr_error_category"] == "NO_SUCH_FILE_OR_DIRECTORY"
