"""What a submission may hold, what it becomes, and how it is refused."""

from __future__ import annotations

import base64
import contextlib
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_datalake.lake.fts.caller import BASE_ID, by_token
from pytest_datalake.lake.fts.model import TERMINAL_JOB
from pytest_datalake.lake.fts.refusal import Refusal
from tests.fts.making import SKA, submission, transfer


def token(**changes: object) -> str:
    claims = {"iss": "https://i/", "nbf": 1, "exp": 2, "scope": "storage.read:/", "aud": "x"} | changes
    payload = base64.urlsafe_b64encode(
        json.dumps({name: value for name, value in claims.items() if value is not None}).encode()
    ).decode()
    return f"eyJhbGciOiJSUzI1NiJ9.{payload.rstrip('=')}.c2ln"


BEARER = by_token({"iss": "https://i/", "sub": "ska", "scope": "fts"}, token())


def test_defaults() -> None:
    made = submission({"files": [transfer()]})
    job, file = made.job, made.files[0]
    assert (job.job_type, job.job_state, job.priority, job.retry) == ("N", "SUBMITTED", 3, 0)
    assert (job.verify_checksum, job.overwrite_flag, job.max_time_in_queue) == ("n", None, None)
    assert job.job_metadata == {"auth_method": "certificate"}
    assert (job.source_se, job.dest_se) == ("davs://a.org:1", "davs://b.org:2")
    assert (file.file_state, file.checksum, file.user_filesize, file.vo_name) == (
        "SUBMITTED", "ADLER32", 0, "escape/ska",
    )  # fmt: skip


def test_null_is_the_default_and_unknown_parameters_are_ignored() -> None:
    params = {"priority": None, "retry": None, "overwrite": None, "account": "root"}
    assert submission({"files": [transfer()], "params": params}).job.priority == 3


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ([], 400, "Expecting a dictionary"),
        ({}, 400, "No transfers operations specified"),
        ({"files": []}, 400, "No transfers operations specified"),
        ({"delete": ["davs://a/x"]}, 405, "Deletion jobs are no longer supported by FTS"),
        ({"files": [{"destinations": ["davs://b/x"]}]}, 400, "Missing parameter: 'sources'"),
        ({"files": [{"sources": ["davs://a/x"]}]}, 400, "Missing parameter: 'destinations'"),
        ({"files": [transfer() | {"sources": ["file:///etc/passwd"]}]}, 400, "Can not transfer local files"),
        ({"files": [transfer() | {"sources": ["/x"]}]}, 400, "Missing scheme"),
        ({"files": [transfer() | {"sources": ["davs:///x"]}]}, 400, "Missing host"),
        ({"files": [transfer() | {"sources": ["davs://a"]}]}, 400, "Missing path"),
        ({"files": [transfer(filesize="big")]}, 400, "Invalid value within the request"),
        ({"files": [transfer(scitag=64)]}, 400, "Invalid SciTag value"),
        ({"files": [transfer(scitag=65_536)]}, 400, "Invalid SciTag value"),
        ({"files": [transfer(metadata=[1])]}, 400, "Malformed request"),
        ({"files": [transfer(metadata={"x": "y" * 5000})]}, 400, "Invalid value"),
        ({"files": ["x"]}, 400, "Malformed request"),
        (
            {"files": [transfer(selection_strategy="luck")]},
            400,
            "luck algorithm is not supported by Scheduler",
        ),
        ({"files": [transfer()], "params": 3}, 400, "Malformed request"),
        ({"files": [transfer()], "params": {"priority": "high"}}, 400, "Invalid value"),
        ({"files": [transfer()], "params": {"max_time_in_queue": "soon"}}, 400, "Invalid value"),
        ({"files": [transfer()], "params": {"verify_checksum": "maybe"}}, 400, "Invalid value"),
        ({"files": [transfer()], "params": {"target_qos": "DISK"}}, 400, "QoS"),
        ({"files": [transfer()], "params": {"id_generator": "deterministic"}}, 400, "Need sid"),
        (
            {"files": [transfer()], "params": {"overwrite": True, "overwrite_on_retry": True}},
            400,
            "Incompatible overwrite flags used at the same time",
        ),
        ({"files": [transfer()], "params": {"overwrite_hop": True}}, 400, "requires multihop job submission"),
        (
            {"files": [transfer()], "params": {"overwrite_when_only_on_disk": True}},
            400,
            "requires 'archive-timeout' to be set",
        ),
        (
            {
                "files": [transfer() | {"destinations": ["root://b/x"]}],
                "params": {"overwrite_when_only_on_disk": True, "archive_timeout": 10},
            },
            400,
            "requires https or davs",
        ),
        (
            {"files": [transfer() | {"sources": ["davs://a/x", "davs://c/x"]}, transfer(1)]},
            400,
            "Multiple replicas jobs can only have one unique file",
        ),
        (
            {
                "files": [transfer() | {"sources": ["davs://a/x", "davs://c/x"]}],
                "params": {"multihop": True},
            },
            400,
            "multihop or session reuse",
        ),
        (
            {
                "files": [transfer(), transfer(1) | {"sources": ["davs://c/x"]}],
                "params": {"reuse": True},
            },
            400,
            "Reuse jobs",
        ),
    ],
)
def test_refusals(body: object, status: int, words: str) -> None:
    with pytest.raises(Refusal, match=words) as refusal:
        submission(body)  # type: ignore[arg-type]  # on purpose
    assert refusal.value.status == status


@pytest.mark.parametrize(
    ("params", "checksum", "letter"),
    [
        ({"verify_checksum": True}, None, "b"),
        ({"verify_checksum": False}, None, "n"),
        ({"verify_checksum": False}, "ADLER32:1", "t"),
        ({}, "ADLER32:1", "t"),
        ({"verify_checksum": "none"}, "ADLER32:1", "n"),
        ({"verify_checksum": "source"}, None, "s"),
        ({"verify_checksum": "target"}, None, "t"),
        ({"verify_checksum": "both"}, None, "b"),
    ],
)
def test_checksum_modes(params: dict[str, Any], checksum: str | None, letter: str) -> None:
    made = submission({"files": [transfer(checksum=checksum)], "params": params})
    assert made.job.verify_checksum == letter


@pytest.mark.parametrize(
    ("value", "seconds"), [(2, 7200), ("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86_400), (0, None)]
)
def test_time_in_queue(value: object, seconds: int | None) -> None:
    job = submission({"files": [transfer()], "params": {"max_time_in_queue": value}}).job
    assert job.max_time_in_queue == (None if seconds is None else 1000 + seconds)


@given(st.integers(-100, 100))
def test_priorities_are_clamped(priority: int) -> None:
    job = submission({"files": [transfer()], "params": {"priority": priority}}).job
    assert job.priority == max(1, min(5, priority))


def test_several_sources_are_replicas_of_one_file() -> None:
    several = transfer() | {"sources": ["davs://a/x", "davs://c/x"], "selection_strategy": "orderly"}
    made = submission({"files": [several]})
    assert made.job.job_type == "R"
    assert [file.file_state for file in made.files] == ["SUBMITTED", "NOT_USED"]
    assert {file.file_index for file in made.files} == {0}
    assert made.job.source_se is None


def test_hops_wait_for_each_other() -> None:
    made = submission(
        {
            "files": [
                {"sources": ["davs://a/x"], "destinations": ["davs://b/x"]},
                {"sources": ["davs://b/x"], "destinations": ["davs://c/x"]},
            ],
            "params": {"multihop": True},
        }
    )
    assert made.job.job_type == "H"
    assert [file.file_state for file in made.files] == ["SUBMITTED", "NOT_USED"]
    assert (made.job.source_se, made.job.dest_se) == ("davs://a", "davs://c")


def test_deterministic_ids_are_those_that_clients_compute() -> None:
    params = {"id_generator": "deterministic", "sid": "mine"}
    job = submission({"files": [transfer()], "params": params}).job
    assert job.job_id == str(uuid.uuid5(uuid.uuid5(BASE_ID, SKA.vo), "mine"))


@pytest.mark.parametrize("params", [{"bring_online": 10}, {"copy_pin_lifetime": 10}])
def test_what_is_on_tape_is_staged_first(params: dict[str, Any]) -> None:
    made = submission({"files": [transfer()], "params": params})
    assert made.job.job_state == made.files[0].file_state == "STAGING"
    with pytest.raises(Refusal, match="retrieve from tape using token"):
        submission({"files": [transfer()], "params": params}, BEARER)


def test_a_token_of_the_service_serves_where_no_others_are_given() -> None:
    file = submission({"files": [transfer()]}, BEARER).files[0]
    assert file.source_token == file.dest_token == BEARER.token
    assert BEARER.token not in repr(file)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"source_tokens": [token()]}, "Both source_tokens and destination_tokens are required"),
        (
            {"source_tokens": [token(), token()], "destination_tokens": [token()]},
            "Length of source_tokens should be equal to the length of sources",
        ),
        (
            {"source_tokens": [token(nbf=None)], "destination_tokens": [token()]},
            "does not contain a nbf claim",
        ),
        ({"source_tokens": ["x"], "destination_tokens": [token()]}, "not a JSON Web Token"),
    ],
)
def test_tokens_that_do_not_fit(entry: dict[str, Any], words: str) -> None:
    with pytest.raises(Refusal, match=words):
        submission({"files": [transfer(**entry)]}, BEARER)


def test_archiving_by_token_is_refused() -> None:
    with pytest.raises(Refusal, match="archive to tape using token"):
        submission({"files": [transfer()], "params": {"archive_timeout": 10}}, BEARER)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["files", "params", "sources", "destinations", "priority", "x"]), inner, max_size=4)))  # fmt: skip  # noqa: E501
def test_whatever_is_sent_becomes_a_job_or_a_refusal(body: object) -> None:
    with contextlib.suppress(Refusal):  # anything else would be answered by 500
        made = submission(body)  # type: ignore[arg-type]  # on purpose
        assert made.job.job_state not in TERMINAL_JOB
