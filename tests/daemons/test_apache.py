"""The contract of the Apache door, through prepare() and a plain process."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import pytest

from pytest_datalake.lake.daemons import apache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_datalake.lake.daemons.api import RsePlan
    from tests.daemons.conftest import Https, Rig

    Door = tuple[RsePlan, Https]

CONTENT = bytes(range(256)) * 300 + b"odd"


@pytest.fixture(scope="module")
def door(rig: Rig) -> Iterator[Door]:
    plan = rig.plan("apache", apache.PORTS)
    rig.start(plan, apache.prepare(plan))
    ask = rig.https(plan)
    owner = rig.issuer.token(groups=("/escape", "/escape/ska"))
    for path in ("/escape/ska/kept", "/escape/ska/deep/er/kept"):
        for directory in ("/escape/ska/deep", "/escape/ska/deep/er"):
            ask("MKCOL", directory, token=owner)
        assert ask("PUT", path, body=CONTENT, token=owner).status == 201
    yield plan, ask
    rig.stop()


@pytest.fixture
def ask(door: Door) -> Https:
    return door[1]


@pytest.fixture
def owner(rig: Rig) -> str:
    return rig.issuer.token(groups=("/escape", "/escape/ska"))


def test_put_get_overwrite_and_range(ask: Https, owner: str) -> None:
    path = "/escape/ska/" + quote("a b%c+d#e?é")
    assert ask("PUT", path, body=b"first", token=owner).status == 201
    assert ask("PUT", path, body=CONTENT, token=owner).status == 204
    assert ask("GET", path, token=owner).body == CONTENT
    part = ask("GET", path, token=owner, Range="bytes=256-511")
    assert (part.status, part.body) == (206, CONTENT[256:512])
    listed = ask("PROPFIND", "/escape/ska", token=owner, Depth="1")
    assert listed.status == 207
    assert f"<D:href>{unquote(path)}</D:href>" in unquote(listed.body.decode())
    assert ask("DELETE", path, token=owner).status == 204
    assert ask("HEAD", path, token=owner).status == 404


@pytest.mark.parametrize("content", [b"", b"\0" * 3, b"a", CONTENT, bytes(70_000)])
def test_adler32_is_right_and_has_eight_digits(ask: Https, owner: str, content: bytes) -> None:
    ask("PUT", "/escape/ska/sum", body=content, token=owner)
    answer = ask("HEAD", "/escape/ska/sum", token=owner, Want_Digest="adler32")
    assert answer.headers["digest"] == f"adler32={zlib.adler32(content):08x}"
    assert "content-md5" not in answer.headers


def test_move_checks_both_ends(door: Door, ask: Https, owner: str) -> None:
    plan = door[0]
    here = f"https://{plan.host}:{plan.ports[0]}"
    ask("PUT", "/escape/ska/old", body=b"x", token=owner)
    assert ask("MOVE", "/escape/ska/old", token=owner, Destination=f"{here}/escape/lofar/new").status == 403
    assert ask("MOVE", "/escape/ska/old", token=owner, Destination=f"{here}/escape/ska/new").status == 201
    assert ask("GET", "/escape/ska/new", token=owner).body == b"x"


def test_a_file_is_no_macaroon(ask: Https, owner: str) -> None:
    assert ask("POST", "/escape/ska/kept", body=b"{}", token=owner).status == 405


def test_takes_no_active_part_in_third_party_copies(ask: Https, owner: str) -> None:
    elsewhere = "https://127.0.0.1:9/escape/ska/x"
    assert ask("COPY", "/escape/ska/kept", token=owner, Destination=elsewhere).status == 502
    assert ask("COPY", "/escape/ska/copied", token=owner, Source=elsewhere).status == 502


@pytest.mark.parametrize("method", ["GET", "PUT", "PROPFIND", "DELETE"])
def test_anonymous_is_asked_for_a_token(ask: Https, method: str) -> None:
    answer = ask(method, "/escape/ska/kept", body=b"x" if method == "PUT" else None)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_anonymous_learns_no_options(ask: Https) -> None:
    assert ask("OPTIONS", "/escape/ska/kept").status == 401


@pytest.mark.parametrize(
    ("scope", "request_line", "status"),
    [
        ("storage.read:/", "GET /ska/kept", 200),
        ("storage.read:/ska", "GET /ska/kept", 200),
        ("storage.read:/ska/", "GET /ska/kept", 200),
        ("storage.read:/ska/kept", "GET /ska/kept", 200),
        ("storage.read:/%73ka", "GET /ska/kept", 200),
        ("storage.read:/sk", "GET /ska/kept", 403),
        ("storage.read:/ska/kep", "GET /ska/kept", 403),
        ("storage.read:/ska/deep", "GET /ska/deep/er/kept", 200),
        ("storage.read:/ska/deep", "GET /ska/kept", 403),
        ("storage.read:/lofar", "GET /ska/kept", 403),
        ("storage.read:/ska", "PUT /ska/fresh", 403),
        ("storage.read:/ska", "DELETE /ska/kept", 403),
        ("storage.create:/ska", "PUT /ska/kept", 403),
        ("storage.create:/ska", "DELETE /ska/kept", 403),
        ("storage.create:/ska", "GET /ska/kept", 403),
        ("storage.create:/ska", "HEAD /ska/kept", 200),
        ("storage.create:/ska/deep/er", "MKCOL /ska/deep", 405),
        ("storage.create:/ska/deep/er", "MKCOL /ska/other", 403),
        ("storage.modify:/ska", "PUT /ska/kept", 204),
        ("storage.modify:/ska", "DELETE /ska", 403),
        ("storage.modify:/", "DELETE /", 403),
        ("storage.stage:/ska", "GET /ska/kept", 403),
        ("compute.read", "GET /ska/kept", 403),
        ("openid", "GET /ska/kept", 403),
        ("", "GET /ska/kept", 403),
        ("storage.read", "GET /ska/kept", 403),
        ("storage.read:/ska storage.modify", "GET /ska/kept", 403),
        ("storage.read:ska", "GET /ska/kept", 403),
        ("storage.read:/../ska", "GET /ska/kept", 403),
        ("storage.read:/lofar/../ska", "GET /ska/kept", 403),
        ("storage.read:/ska", "GET /ska/../lofar/x", 403),
        ("storage.read:/ska", "GET /ska/%2e%2e/lofar/x", 403),
    ],
)
def test_scopes_of_the_wlcg_profile(rig: Rig, ask: Https, scope: str, request_line: str, status: int) -> None:
    method, path = request_line.split(" ")
    body = CONTENT if method == "PUT" else None
    assert ask(method, "/escape" + path, body=body, token=rig.issuer.token(scope)).status == status


def test_groups_own_their_area_alone_and_scopes_come_first(rig: Rig, ask: Https, owner: str) -> None:
    assert ask("GET", "/escape/ska/kept", token=owner).status == 200
    assert ask("PUT", "/escape/lofar/x", body=b"x", token=owner).status == 403
    for groups in (
        ("/escape",),
        ("/escape/lofar",),
        ("/escape/skax",),
        ("/escape/ska/sub",),
        ("x /escape/ska",),
    ):
        assert ask("GET", "/escape/ska/kept", token=rig.issuer.token(groups=groups)).status == 403
    both = rig.issuer.token("storage.read:/lofar", groups=("/escape/ska",))
    assert ask("GET", "/escape/ska/kept", token=both).status == 403


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"aud": "https://wlcg.cern.ch/jwt/v1/any"}, 200),
        ({"aud": ["other", "127.0.0.19"]}, 200),
        ({"wlcg.ver": "1.2"}, 200),
        ({"exp": time.time() + 300.5}, 200),
        ({"aud": "other"}, 403),
        ({"aud": "127.0.0.19/"}, 403),
        ({"aud": []}, 403),
        ({"iss": "https://localhost:1/"}, 403),
        ({"exp": int(time.time()) - 1}, 401),
        ({"exp": None}, 403),
        ({"exp": str(int(time.time()) + 300)}, 403),
        ({"nbf": int(time.time()) + 300}, 403),
        ({"iat": int(time.time()) + 3600}, 403),
        ({"wlcg.ver": "2.0"}, 403),
        ({"wlcg.ver": 1.0}, 403),
        ({"jti": None}, 403),
        ({"scope": ["storage.read:/ska"]}, 403),
    ],
    # the same in every worker, which times are not
    ids=[
        "aud-any",
        "aud-listed",
        "newer-minor",
        "exp-fraction",
        "aud-other",
        "aud-slash",
        "aud-empty",
        "iss-other",
        "exp-past",
        "exp-missing",
        "exp-text",
        "nbf-future",
        "iat-future",
        "newer-major",
        "ver-number",
        "jti-missing",
        "scope-list",
    ],
)
def test_claims_of_the_wlcg_profile(rig: Rig, ask: Https, changes: dict[str, Any], status: int) -> None:
    token = rig.issuer.token(**{"scope": "storage.read:/ska", **changes})
    assert ask("GET", "/escape/ska/kept", token=token).status == status


def test_forged_tokens_are_refused(ask: Https, owner: str) -> None:
    head, payload, signature = owner.split(".")
    for forged in (
        f"{head}.{payload}.",
        f"{head}.{payload}.{signature[::-1]}",
        "garbage",
        f"{head}.{payload}",
    ):
        assert ask("GET", "/escape/ska/kept", token=forged).status == 401
    assert ask("GET", f"/escape/ska/kept?access_token={owner}").status == 401


def test_certificates_are_mapped_by_subject(rig: Rig, ask: Https) -> None:
    assert ask("GET", "/escape/ska/kept", user=rig.users["ska"]).status == 200
    assert ask("GET", "/escape/ska/kept", user=rig.users["lofar"]).status == 403
    assert ask("GET", "/escape/ska/kept", user=rig.pki.host).status == 403
    expired = rig.issuer.token("storage.read:/ska", exp=1)
    assert ask("GET", "/escape/ska/kept", user=rig.users["ska"], token=expired).status == 401


def test_the_log_tells_refusals_and_no_secrets(door: Door, ask: Https, owner: str) -> None:
    ask("GET", f"/escape/lofar/secret?authz={owner}", token=owner)
    log = (door[0].directory / "log" / "apache.log").read_text()
    assert "denied GET /escape/lofar/secret to bearer ska: may not read /lofar/secret" in log
    assert owner.rsplit(".", 1)[1] not in log
