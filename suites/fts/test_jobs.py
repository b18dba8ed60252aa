"""Jobs that need more than one plain copy, or that must not copy at all."""

import pytest

pytestmark = [
    pytest.mark.capability("transfer"),
    pytest.mark.layer("fts"),
    pytest.mark.links(cover="pairwise"),
    pytest.mark.cost(size="64 KiB"),
]

WRONG = "adler32:00000001"


@pytest.mark.links(protocol="[!s]*")  # S3 knows no adler32
@pytest.mark.parametrize("mode", ["both", "source", "target"])
def test_wrong_checksum_is_noticed_and_leaves_nothing(link, mode, test_file, by_fts):
    source = test_file(size="64 KiB", at=link.source, shared=True)
    job = by_fts.copy(source, checksum=WRONG, verify_checksum=mode)
    assert job.state == "FAILED"
    assert "checksum" in job.files[0].reason.lower()
    assert not by_fts.destination.exists("arrived")


@pytest.mark.links(protocol="[!s]*")
def test_wrong_checksum_is_not_looked_at_when_told_so(link, test_file, by_fts):
    source = test_file(size="64 KiB", at=link.source, shared=True)
    job = by_fts.copy(source, checksum=WRONG, verify_checksum="none")
    assert job.state == "FINISHED", job.files[0].reason
    assert by_fts.destination.stat("arrived").size == source.size


def test_wrong_size_is_noticed_and_leaves_nothing(link, test_file, by_fts):
    source = test_file(size="64 KiB", at=link.source, shared=True)
    job = by_fts.copy(source, size=source.size + 1)
    assert job.state == "FAILED"
    assert "size" in job.files[0].reason.lower()
    assert not by_fts.destination.exists("arrived")


def test_existing_file_is_kept_without_overwrite(link, test_file, by_fts, make_local):
    source = test_file(size="64 KiB", at=link.source, shared=True)
    by_fts.destination.put(make_local("1 KiB"), "arrived")
    job = by_fts.copy(source)
    assert job.state == "FAILED"
    assert "exists and overwrite is not enabled" in job.files[0].reason
    assert by_fts.destination.read("arrived", offset=0, length=2048) == make_local("1 KiB").bytes()


def test_existing_file_is_replaced_with_overwrite(link, test_file, by_fts, make_local):
    source = test_file(size="64 KiB", at=link.source, shared=True)
    by_fts.destination.put(make_local("1 KiB"), "arrived")
    job = by_fts.copy(source, overwrite=True)
    assert job.state == "FINISHED", job.files[0].reason
    assert by_fts.destination.read("arrived", offset=0, length=source.size) == source.content.bytes()


def test_missing_source_is_named(link, missing_file, by_fts):
    job = by_fts.copy(missing_file(link.source))
    assert job.state == "FAILED"
    assert job.files[0].reason.startswith("SOURCE [2]")
    assert not by_fts.destination.exists("arrived")


def test_second_source_serves_where_the_first_fails(link, test_file, missing_file, by_fts):
    source = test_file(size="64 KiB", at=link.source, shared=True)
    job = by_fts.copy(missing_file(link.source), source)
    assert job.type == "R"
    assert job.state == "FINISHED", job.files[-1].reason
    assert [file.state for file in job.files] == ["FAILED", "FINISHED"]
    assert by_fts.destination.read("arrived", offset=0, length=source.size) == source.content.bytes()


@pytest.mark.links(protocol="davs", detour=True)
def test_file_goes_by_way_of_a_third_site(link, test_file, by_fts, third_place):
    source = test_file(size="64 KiB", at=link.source, shared=True)
    job = by_fts.wait(by_fts.submit_hops(source, (third_place, "hop"), (by_fts.destination, "arrived")))
    assert job.type == "H"
    assert job.state == "FINISHED", [file.reason for file in job.files]
    assert by_fts.destination.read("arrived", offset=0, length=source.size) == source.content.bytes()


@pytest.mark.links(protocol="root")  # such a copy takes seconds
def test_running_copy_is_canceled_and_leaves_nothing(link, test_file, by_fts, eventually):
    source = test_file(size="64 KiB", at=link.source, shared=True)
    job_id = by_fts.submit(source)
    eventually(
        lambda: by_fts.client.job(job_id).files[0].state,
        until=lambda state: state not in {"SUBMITTED", "READY"},
        within=300,
    )
    assert by_fts.client.cancel(job_id) == {job_id: "200 Ok"}
    job = by_fts.wait(job_id)
    assert (job.state, job.files[0].state) == ("CANCELED", "CANCELED")
    eventually(lambda: by_fts.client.job(job_id).files[0].finished, until=bool, within=300)
    assert not by_fts.destination.exists("arrived")


@pytest.mark.needs("embedded")
@pytest.mark.links(protocol="davs", technology="xrootd")
def test_site_that_comes_back_is_tried_again(link, test_file, by_fts, door_that_opens, eventually):
    source, door = door_that_opens(test_file(size="64 KiB", at=link.source, shared=True))
    job_id = by_fts.submit(source, retry=3, retry_delay=1)
    eventually(lambda: by_fts.client.job(job_id).files[0].retry, until=bool, within=300)
    door.open()
    job = by_fts.wait(job_id)
    assert job.state == "FINISHED", job.files[0].reason
    assert by_fts.client.retries(job_id, job.files[0].file_id)


@pytest.mark.needs("embedded")
@pytest.mark.links(protocol="davs", technology="xrootd")
def test_waiting_job_takes_another_priority_and_is_canceled(
    link, test_file, by_fts, door_that_opens, eventually
):
    source, _ = door_that_opens(test_file(size="64 KiB", at=link.source, shared=True))
    job_id = by_fts.submit(source, retry=1, retry_delay=3600, priority=2)
    eventually(lambda: by_fts.client.job(job_id).files[0].retry, until=bool, within=300)
    by_fts.client.set_priority(job_id, 5)
    assert by_fts.client.job(job_id).files[0].priority == 5
    assert by_fts.client.cancel(job_id) == {job_id: "200 Ok"}
    assert by_fts.client.job(job_id).state == "CANCELED"
    assert by_fts.client.cancel(job_id) == {job_id: "304 Not Modified"}
