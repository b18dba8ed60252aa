"""The transfer manager of a real lake, driven over HTTPS."""

from __future__ import annotations

import json
import re
import select
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from pytest_datalake.credentials.x509 import delegate
from pytest_datalake.lake.fts.model import storage_of
from tests.fts.small_lake import ADLER32, CONTENT

if TYPE_CHECKING:
    from tests.fts.small_lake import SmallLake

WRONG = ADLER32 + "deadbeef"
RIGHT = f"{ADLER32}{zlib.adler32(CONTENT):08x}"
ANY = "https://wlcg.cern.ch/jwt/v1/any"


@pytest.fixture(scope="module", autouse=True)
def session(lake: SmallLake) -> dict[str, Any]:
    """What a user saw who delegated by the unmodified client; the other tests use that delegation."""
    return lake.fts3(
        proxy=lake.matrix.identity("ska").proxy,
        boss=lake.matrix.identity("robot").proxy,
        sources=[lake.source("COMO"), lake.source("GARDA")],
        directory=lake.address("/ska", "LEMAN"),
        storage=storage_of(lake.source("COMO")),
        **{"unused storage": "davs://127.0.0.200:1"},
    )


def test_the_fts3_client_is_content(lake: SmallLake, session: dict[str, Any]) -> None:
    assert session["about"]["core"].startswith("pytest-datalake transfer manager")
    assert session["whoami"]["vos"][0] == "escape/ska"
    assert session["whoami"]["delegation_id"] == session["delegation id"]
    assert session["without delegation"] == "NeedDelegation"
    assert session["twice"] == session["local"] == "ClientError"
    assert session["unknown"] == "NotFound"
    assert session["ban by a user"] == session["to a banned storage"] == "Unauthorized"
    assert session["submitted"] in session["listed"]
    names = ("submitted", "bulk", "several", "deterministic")
    for job in lake.ended(*(session[name] for name in names)):
        assert job["job_state"] == "FINISHED", job
        for file in job["files"]:
            if file["file_state"] == "FINISHED":
                assert lake.on_disk(file["dest_surl"]).read_bytes() == CONTENT


@pytest.mark.parametrize("protocol", ["davs", "root"])
def test_a_file_arrives_by_certificate(lake: SmallLake, protocol: str) -> None:
    there = lake.fresh("GARDA", protocol)
    job_id = lake.submit((lake.source("COMO", protocol), there), verify_checksum=True)
    assert lake.ended(job_id)[0]["job_state"] == "FINISHED"
    assert lake.on_disk(there).read_bytes() == CONTENT
    (message,) = (one for one in lake.messages("complete") if one["job_id"] == job_id)
    assert message["transfer_type"] == "3rd pull"
    assert message["t_final_transfer_state"] == "Ok"
    assert message["dst_url"] == there


def test_a_file_arrives_by_tokens_of_both_ends(lake: SmallLake) -> None:
    there = lake.fresh()
    file = {
        "sources": [lake.source()],
        "destinations": [there],
        "source_tokens": [lake.token("storage.read:/ska", "127.0.0.11")],
        "destination_tokens": [
            lake.token("storage.read:/ska storage.create:/ska storage.modify:/ska", "127.0.0.12")
        ],
    }
    bearer = lake.token("openid wlcg.groups", "localhost")
    job_id = lake.submit_files([file], token=bearer, verify_checksum=True)
    job = lake.ended(job_id)[0]
    assert (job["job_state"], job["job_metadata"]["auth_method"]) == ("FINISHED", "oauth2")
    assert lake.on_disk(there).read_bytes() == CONTENT
    everything = json.dumps([job, lake.files(job_id), lake.messages("")])
    assert file["source_tokens"][0] not in everything
    assert file["source_tokens"][0].split(".")[2] not in (lake.state / "fts" / "fts.out").read_text()


@pytest.mark.parametrize("scope", ["storage.read:/ska", "openid wlcg.groups"])
def test_a_token_for_somebody_else_is_refused(lake: SmallLake, scope: str) -> None:
    answer = lake.call("GET", "/whoami", token=lake.token(scope, "127.0.0.11"))
    assert (answer.status, "for this service" in answer.body["message"]) == (401, True)


def test_nobody_may_only_ask_what_this_is(lake: SmallLake) -> None:
    assert lake.call("GET", "/", identity="").status == 200
    assert lake.call("GET", "/jobs", identity="").status == 403


def test_a_proxy_that_is_about_to_expire_is_refused(lake: SmallLake) -> None:
    identity = lake.matrix.identity("lofar")
    own = lake.call("GET", "/whoami", identity="lofar").body["delegation_id"]
    body = {"files": [{"sources": [lake.source()], "destinations": [lake.fresh()]}]}
    assert lake.call("POST", "/jobs", body, identity="lofar").status == 419
    for seconds, status in ((1800, 419), (7200, 200)):
        request = lake.call("GET", f"/delegation/{own}/request", identity="lofar")
        assert request.headers["x-delegation-id"] == own
        assert lake.call("GET", f"/delegation/{own}/request", identity="lofar").text == request.text
        with open(identity.proxy, "rb") as proxy:  # noqa: PTH123  # a path as the matrix has it
            chain = delegate(request.text.encode(), proxy.read(), seconds=seconds).decode()
        assert lake.call("PUT", f"/delegation/{own}/credential", chain, identity="lofar").status == 201
        answer = lake.call("POST", "/jobs", body, identity="lofar")
        assert answer.status == status, answer.text
    assert lake.call("GET", f"/delegation/{own}", identity="ska").status == 403
    assert lake.call("DELETE", f"/delegation/{own}", identity="lofar").status == 204
    assert lake.call("GET", f"/delegation/{own}", identity="lofar").body is None


@pytest.mark.parametrize(
    ("mode", "checksum", "reason"),
    [
        ("both", WRONG, r"SOURCE \[5\] Source and user-defined ADLER32 checksum do not match"),
        ("source", WRONG, r"SOURCE \[5\] Source and user-defined ADLER32 checksum do not match"),
        ("target", WRONG, r"DESTINATION \[5\] User-defined and destination ADLER32 checksum do not match"),
        ("none", WRONG, ""),
        ("both", RIGHT, ""),
        ("target", RIGHT, ""),
    ],
)
def test_checksum_modes(lake: SmallLake, mode: str, checksum: str, reason: str) -> None:
    there = lake.fresh()
    file = {"sources": [lake.source()], "destinations": [there], "checksum": checksum}
    job = lake.ended(lake.submit_files([file], verify_checksum=mode))[0]
    assert job["job_state"] == ("FAILED" if reason else "FINISHED"), job
    assert re.match(reason, job["files"][0]["reason"])
    assert lake.on_disk(there).exists() == (not reason)


def test_an_existing_file_is_only_replaced_when_asked_to(lake: SmallLake) -> None:
    there = lake.place("/ska/in-the-way", "GARDA", b"old")
    refused = lake.ended(lake.submit((lake.source(), there)))[0]
    reason = "DESTINATION [17] Destination file exists and overwrite is not enabled"
    assert (refused["job_state"], refused["files"][0]["reason"]) == ("FAILED", reason)
    assert lake.on_disk(there).read_bytes() == b"old"
    assert lake.ended(lake.submit((lake.source(), there), overwrite=True))[0]["job_state"] == "FINISHED"
    assert lake.on_disk(there).read_bytes() == CONTENT


def test_hops_go_through_a_third_site(lake: SmallLake) -> None:
    middle, there = lake.fresh("GARDA"), lake.fresh("LEMAN")
    job_id = lake.submit((lake.source(), middle), (middle, there), multihop=True)
    assert lake.ended(job_id)[0]["job_state"] == "FINISHED"
    assert lake.on_disk(there).read_bytes() == CONTENT
    told = [one["job_state"] for one in lake.messages("complete") if one["job_id"] == job_id]
    assert told == ["ACTIVE", "FINISHED"]


def test_several_jobs_in_one_look(lake: SmallLake) -> None:
    job_id = lake.submit((lake.source(), lake.fresh()))
    answer = lake.call("GET", f"//jobs/{job_id},nowhere?files=file_state,start_time,staging_start")
    assert answer.status == 207
    assert [job["http_status"] for job in answer.body] == ["200 Ok", "404 Not Found"]
    assert set(answer.body[0]["files"][0]) == {"file_state", "start_time", "staging_start"}
    lake.ended(job_id)
    again = lake.call("DELETE", f"/jobs/{job_id}")
    assert (again.status, again.body["http_status"]) == (200, "304 Not Modified")


def test_a_running_copy_is_canceled_and_leaves_nothing(lake: SmallLake) -> None:
    big = lake.place("/ska/big", "COMO", b"x" * (256 << 20))
    there = lake.fresh()
    job_id = lake.submit((big, there), verify_checksum="none")
    lake.wait_for(lambda: lake.on_disk(there).exists())
    assert lake.call("DELETE", f"/jobs/{job_id}").body["job_state"] == "CANCELED"
    files = lake.wait_for(lambda: [one for one in lake.files(job_id) if one["finish_time"]])
    assert [one["file_state"] for one in files] == ["CANCELED"]
    lake.wait_for(lambda: not lake.on_disk(there).exists())
    lake.on_disk(big).unlink()


def test_nothing_is_lost_by_a_kill_in_the_middle(lake: SmallLake) -> None:
    big = lake.place("/ska/big", "COMO", b"x" * (256 << 20))
    partial = lake.fresh()
    jobs = [lake.submit((big, partial), verify_checksum="none")]
    jobs += [lake.submit((lake.source(), lake.fresh())) for _ in range(10)]
    lake.wait_for(lambda: lake.on_disk(partial).exists())
    handles = lake.kill()
    for handle in handles:
        assert select.select([handle], [], [], 10)[0], "a worker outlived the service"
    lake.start_again()
    ended = lake.ended(*jobs)
    assert [job["job_state"] for job in ended] == ["FINISHED"] * 11, ended
    assert lake.on_disk(partial).stat().st_size == 256 << 20
    lake.on_disk(big).unlink()


def test_a_ban_waits_or_cancels_and_is_for_administrators(lake: SmallLake) -> None:
    storage = storage_of(lake.fresh("LEMAN"))
    ban = {"storage": storage, "status": "wait", "allow_submit": True}
    assert lake.call("POST", "/ban/se", ban).status == 403
    assert lake.call("POST", "/ban/se", ban | {"status": "maybe"}, identity="robot").status == 400
    assert lake.call("POST", "/ban/se", ban, identity="robot").status == 200
    job_id = lake.submit((lake.source(), lake.fresh("LEMAN")))
    assert [one["file_state"] for one in lake.files(job_id)] == ["ON_HOLD"]
    (known,) = lake.call("GET", "/ban/se").body
    assert (known["se"], known["status"]) == (storage, "WAIT_AS")
    assert lake.call("DELETE", f"/ban/se?storage={storage}", identity="robot").status == 204
    assert lake.ended(job_id)[0]["job_state"] == "FINISHED"


def test_limits_of_links_are_kept_and_the_urgent_goes_first(lake: SmallLake) -> None:
    source, there = lake.source("COMO", "root"), storage_of(lake.fresh("LEMAN", "root"))
    link = {"symbolicname": "slow", "source": storage_of(source), "destination": there, "max_active": 1}
    assert lake.call("POST", "/config/links", link).status == 403
    assert lake.call("POST", "/config/links", link, identity="robot").status == 201
    job_id = lake.submit(*((source, lake.fresh("LEMAN", "root")) for _ in range(3)))
    urgent = lake.submit((source, lake.fresh("LEMAN", "root")), priority=5)
    assert [job["job_state"] for job in lake.ended(job_id, urgent)] == ["FINISHED", "FINISHED"]
    assert lake.call("DELETE", "/config/links/slow", identity="robot").status == 204
    own = [one for one in lake.messages("state") if one["job_id"] in {job_id, urgent}]
    active = most = 0
    for one in own:
        active += {"ACTIVE": 1, "FINISHED": -1}.get(one["file_state"], 0)
        most = max(most, active)
    assert most == 1
    started = [one["job_id"] for one in own if one["file_state"] == "ACTIVE"]
    assert started == [job_id, urgent, job_id, job_id]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/jobs", "{", 400),
        ("GET", "/nowhere", None, 404),
        ("PATCH", "/jobs", None, 501),
        ("PUT", "/whoami", {}, 405),
        ("GET", "/jobs?limit=501", None, 400),
        ("GET", "/jobs?dlg_id=0123", None, 403),
        ("GET", "/jobs/nowhere", None, 404),
        ("DELETE", "/jobs/all", None, 403),
        ("GET", "/files?limit=1001", None, 400),
        ("POST", "/delegation/0123/voms", [], 403),
        ("GET", "/config/links/nowhere", None, 404),
        ("POST", "/admin/force-start", [1], 403),
    ],
)
def test_refusals(lake: SmallLake, method: str, path: str, body: object, status: int) -> None:
    assert lake.call(method, path, body).status == status


def test_a_strange_origin_is_refused(lake: SmallLake) -> None:
    assert lake.call("GET", "/whoami", Origin="https://elsewhere.org").status == 403
