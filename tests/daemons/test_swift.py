"""The contract of the object store, through prepare() and plain processes."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import os
import re
import stat
from dataclasses import dataclass, replace
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from pytest_datalake.lake.daemons import swift

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_datalake.lake.daemons.api import RsePlan
    from tests.daemons.conftest import Answer, Https, Rig

CONTENT = os.urandom(200_000)


@dataclass
class Signed:
    """Requests with AWS Signature Version 4, without a digest of the body."""

    https: Https
    access_key: str
    secret_key: str

    def __call__(
        self, method: str, key: str, *, query: str = "", body: bytes | None = None, **headers: str
    ) -> Answer:
        path = "/lake" + quote(key, safe="/")
        now = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{now[:8]}/us-east-1/s3/aws4_request"
        signed = {
            "host": f"{self.https.host}:{self.https.port}",
            "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
            "x-amz-date": now,
        }
        names = ";".join(signed)
        lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
        request = "\n".join([method, path, query, lines, names, "UNSIGNED-PAYLOAD"])
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()])
        secret = b"AWS4" + self.secret_key.encode()
        for part in scope.split("/"):
            secret = hmac.digest(secret, part.encode(), "sha256")
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={names}, "
            f"Signature={hmac.digest(secret, text.encode(), 'sha256').hex()}"
        )
        address = f"{path}?{query}" if query else path
        return self.https(method, address, body=body, headers={**headers, **signed})


@pytest.fixture(scope="module")
def store(rig: Rig) -> Iterator[RsePlan]:
    plan = rig.plan("swift", swift.PORTS)
    rig.start(plan, swift.prepare(plan))
    yield plan
    rig.stop()


@pytest.fixture(scope="module")
def ask(rig: Rig, store: RsePlan) -> Signed:
    key_file = store.directory / swift.ACCESS_KEY_FILE
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    return Signed(rig.https(store), **json.loads(key_file.read_text()))


@pytest.mark.parametrize("key", ["/escape/ska/plain", "/escape/ska/a b%c+d#e?é&f=g"])
def test_put_get_list_and_delete(ask: Signed, key: str) -> None:
    put = ask("PUT", key, body=CONTENT)
    assert put.status == 200, put.body
    assert put.headers["etag"].strip('"') == hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    assert ask("GET", key).body == CONTENT
    part = ask("GET", key, Range="bytes=100-199")
    assert (part.status, part.body) == (206, CONTENT[100:200])
    listed = ask("GET", "/", query="delimiter=%2F&prefix=escape%2Fska%2F").body.decode()
    assert key[1:] in [unescape(name) for name in re.findall("<Key>(.*?)</Key>", listed)]
    assert ask("DELETE", key).status == 204
    assert ask("HEAD", key).status == 404


def test_an_empty_object(ask: Signed) -> None:
    assert ask("PUT", "/escape/ska/empty", body=b"").status == 200
    assert ask("GET", "/escape/ska/empty").body == b""


def test_only_signed_requests_pass(rig: Rig, store: RsePlan, ask: Signed) -> None:
    ask("PUT", "/escape/ska/kept", body=CONTENT)
    plain = rig.https(store)
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        body = b"x" if method == "PUT" else None
        assert plain(method, "/lake/escape/ska/kept", body=body).status == 403
    for path in ("/", "/info", "/auth/v1.0", "/v1/AUTH_lake/lake"):
        assert plain("GET", path).status == 403
    assert replace(ask, secret_key="wrong")("GET", "/escape/ska/kept").status == 403
    assert ask("GET", "/escape/ska/kept").body == CONTENT


def test_the_log_tells_refusals_and_no_secrets(rig: Rig, store: RsePlan) -> None:
    rig.https(store)("GET", "/lake/escape/told?X-Amz-Foo=hidden")
    log = (store.directory / "log" / "swift.out").read_text()
    assert "GET /lake/escape/told 403" in log
    assert "hidden" not in log
