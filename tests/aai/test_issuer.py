"""The issuer as clients meet it: over HTTPS, started the way the keeper starts it, under load and abuse."""

from __future__ import annotations

import base64
import http.client
import json
import logging
import os
import shutil
import socket
import ssl
import stat
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

import pytest_datalake
from pytest_datalake.lake.daemons.api import Account
from pytest_datalake.lake.daemons.issuer import Client, prepare
from pytest_datalake.lake.issuer.config import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_datalake.lake.pki import Authorities
    from pytest_datalake.matrix.model import Trust


SECRET = "ska-+%: very secret"
GRANT = {"grant_type": "client_credentials"}


def _ask(
    trust: Trust, method: str, path: str, *, form: Mapping[str, str] | str | None = None, **headers: str
) -> tuple[http.client.HTTPResponse, Any]:
    context = ssl.create_default_context(cafile=trust.ca_file)
    connection = http.client.HTTPSConnection(
        "localhost", urlsplit(trust.issuer).port, timeout=20, context=context
    )
    try:
        body = form if isinstance(form, str) or form is None else urlencode(form)
        if form is not None:
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    return response, json.loads(
        content
    ) if response.headers.get_content_type() == "application/json" else content


def _basic(client: str = "ska", secret: str = SECRET) -> str:
    return "Basic " + base64.b64encode(f"{quote_plus(client)}:{quote_plus(secret)}".encode()).decode()


def _claims(trust: Trust, token: str) -> dict[str, Any]:
    keys = KeySet.import_key_set(_ask(trust, "GET", "/jwk")[1])
    return dict(jwt.decode(token, keys, algorithms=["RS256"]).claims)


def test_discovery_leads_to_keys_and_tokens(authorities: Authorities, trust: Trust) -> None:
    for place in ("/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"):
        response, metadata = _ask(trust, "GET", place)
        assert response.status == 200
        assert metadata["issuer"] == trust.issuer
        assert metadata["token_endpoint"] == trust.issuer + "token"
        assert metadata["jwks_uri"] == trust.issuer + "jwk"
    published = json.loads(authorities.paths(keys_are_fetched=True).issuer_jwks.read_text())
    assert _ask(trust, "GET", "/jwk")[1] == published
    assert [key["alg"] for key in published["keys"]] == ["RS256", "ES256"]
    assert not any("d" in key for key in published["keys"])


def test_a_token_says_what_the_profile_asks_for(trust: Trust) -> None:
    form = {**GRANT, "scope": "storage.read:/ska wlcg.groups:/escape/ska", "audience": "127.0.0.11"}
    before = int(time.time())
    response, answer = _ask(trust, "POST", "/token", form=form, Authorization=_basic())
    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Server"] == "pytest-datalake issuer"
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 3600
    claims = _claims(trust, answer["access_token"])
    assert claims["iss"] == trust.issuer
    assert claims["sub"] == "ska"
    assert claims["aud"] == "127.0.0.11"
    assert claims["scope"] == answer["scope"] == form["scope"]
    assert claims["wlcg.ver"] == "1.0"
    assert claims["wlcg.groups"] == ["/escape/ska", "/escape"]
    assert before <= claims["iat"] == claims["nbf"] == claims["exp"] - 3600
    again = _ask(trust, "POST", "/token", form=form, Authorization=_basic())[1]
    assert _claims(trust, again["access_token"])["jti"] != claims["jti"]


def test_groups_are_told_only_when_asked_for(trust: Trust) -> None:
    form = {**GRANT, "scope": "storage.read:/ska"}
    answer = _ask(trust, "POST", "/token", form=form, Authorization=_basic())[1]
    assert "wlcg.groups" not in _claims(trust, answer["access_token"])


@pytest.mark.parametrize(
    ("parameters", "audience"),
    [
        ({}, "https://wlcg.cern.ch/jwt/v1/any"),
        ({"audience": "one"}, "one"),
        ({"aud": "one two"}, ["one", "two"]),
        ({"resource": "https://one"}, "https://one"),
        ({"resource": "one", "audience": "two"}, "one"),
    ],
)
def test_the_audience_is_the_clients_choice(
    trust: Trust, parameters: dict[str, str], audience: object
) -> None:
    form = {**GRANT, "scope": "wlcg.groups", **parameters}
    answer = _ask(trust, "POST", "/token", form=form, Authorization=_basic())[1]
    assert _claims(trust, answer["access_token"])["aud"] == audience


def test_the_secret_may_come_in_the_form(trust: Trust) -> None:
    form = {**GRANT, "scope": "wlcg.groups", "client_id": "ska", "client_secret": SECRET}
    assert _ask(trust, "POST", "/token", form=form)[0].status == 200


@pytest.mark.parametrize(
    ("form", "authorization", "status", "error"),
    [
        (GRANT | {"scope": "storage.read:/lofar"}, _basic(), 400, "invalid_scope"),
        (GRANT | {"scope": "storage.read:/skafoo"}, _basic(), 400, "invalid_scope"),
        (GRANT, _basic(), 400, "invalid_scope"),
        ({"grant_type": "password"}, _basic(), 400, "unsupported_grant_type"),
        ({}, _basic(), 400, "invalid_request"),
        (GRANT | {"client_secret": SECRET}, _basic(), 400, "invalid_request"),
        ("grant_type=client_credentials&scope=a&scope=b", _basic(), 400, "invalid_request"),
        ("scope=%ff", _basic(), 400, "invalid_request"),
        (GRANT, _basic(secret="wrong"), 401, "invalid_client"),
        (GRANT, _basic(client="nobody"), 401, "invalid_client"),
        (GRANT, _basic(secret=""), 401, "invalid_client"),
        (GRANT, "Bearer abc", 401, "invalid_client"),
        (GRANT, "Basic !", 401, "invalid_client"),
        (GRANT, "", 401, "invalid_client"),
    ],
)
def test_refusals_are_those_of_the_standard(
    trust: Trust, form: Mapping[str, str] | str, authorization: str, status: int, error: str
) -> None:
    response, answer = _ask(trust, "POST", "/token", form=form, Authorization=authorization)
    assert (response.status, answer["error"]) == (status, error)
    assert ("WWW-Authenticate" in response.headers) == (status == 401)


def test_odd_requests_are_answered(trust: Trust) -> None:
    assert _ask(trust, "GET", "/nowhere")[0].status == 404
    assert _ask(trust, "POST", "/nowhere", form={})[0].status == 404
    huge = _ask(trust, "POST", "/token", form={"scope": "x" * 70_000}, Authorization=_basic())
    assert (huge[0].status, huge[1]["error"]) == (400, "invalid_request")
    text = _ask(trust, "POST", "/token", form="{}", **{"Content-Type": "application/json"})
    assert (text[0].status, text[1]["error"]) == (400, "invalid_request")


def test_a_peer_that_never_speaks_delays_nobody(trust: Trust) -> None:
    silent = [socket.create_connection(("127.0.0.1", urlsplit(trust.issuer).port)) for _ in range(20)]
    try:
        began = time.monotonic()
        assert _ask(trust, "GET", "/jwk")[0].status == 200
        assert time.monotonic() - began < 5  # a silent peer is only dropped after ten seconds
    finally:
        for connection in silent:
            connection.close()


def test_many_clients_at_once_are_all_served(trust: Trust) -> None:
    form = {**GRANT, "scope": "storage.read:/ska"}

    def fetch(_number: int) -> int:
        return _ask(trust, "POST", "/token", form=form, Authorization=_basic())[0].status

    with ThreadPoolExecutor(32) as pool:
        assert set(pool.map(fetch, range(200))) == {200}


def test_the_log_holds_no_secrets(trust: Trust, caplog: pytest.LogCaptureFixture) -> None:
    form = {**GRANT, "scope": "storage.read:/ska", "audience": "log\x1b[2J"}
    with caplog.at_level(logging.DEBUG):
        answer = _ask(trust, "POST", "/token", form=form, Authorization=_basic())[1]
        _ask(trust, "POST", "/token", form=form, Authorization=_basic(secret="mistyped-secret"))
        _ask(trust, "POST", "/token", form={**form, "client_id": "ska", "client_secret": SECRET})
    text = caplog.text
    assert "storage.read:/ska" in text
    assert "\x1b" not in text
    for secret in (
        SECRET,
        quote_plus(SECRET),
        "mistyped-secret",
        _basic().split()[1],
        answer["access_token"],
    ):
        assert secret not in text


def test_settings_keep_hashes_only(issuer_settings: Settings, tmp_path: Path) -> None:
    client = Client(client_id="ska", secret=SECRET, groups=("/escape",), areas=("/ska",))
    assert SECRET not in repr(client)
    settings = replace(issuer_settings, clients=(client,))
    assert SECRET not in settings.to_json()
    file = tmp_path / "settings"
    file.write_text(settings.to_json())
    read = Settings.read(file)
    assert read == replace(settings, clients=(client.hashed(),))
    assert read.clients[0].proves_itself_with(SECRET)
    assert not read.clients[0].proves_itself_with("")
    assert not Client(client_id="none").proves_itself_with("")


def test_it_starts_as_the_keeper_starts_it_and_leaves_root_behind(
    authorities: Authorities, trust: Trust, issuer_settings: Settings, tmp_path: Path
) -> None:
    root = os.geteuid() == 0
    account = Account(uid=31234, gid=31234, drop=root)
    process = prepare(
        tmp_path / "issuer",
        account=account,
        port=0,
        host_certificate=Path(issuer_settings.host_certificate),
        host_key=Path(issuer_settings.host_key),
        signing_key=authorities.issuer_key,
        clients=[Client(client_id="ska", secret=SECRET, areas=("/ska",))],
        vo="escape",
        issuer=trust.issuer,
    )
    assert process.as_root == root
    assert stat.S_IMODE(process.config.stat().st_mode) == 0o600
    assert SECRET not in process.config.read_text()
    # The code too lies where nobody but us can go.
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    code = Path(pytest_datalake.__file__).parent
    shutil.copytree(code, private / code.name, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**process.environment, "PYTHONPATH": str(private)}
    with subprocess.Popen(
        process.command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/"
    ) as running:
        try:
            assert running.stdout is not None
            assert f"pytest-datalake issuer serves {trust.issuer}" in running.stdout.readline()
            status = Path(f"/proc/{running.pid}/status").read_text()
            expected = account.uid if root else os.getuid()
            assert f"Uid:\t{expected}\t{expected}\t{expected}\t{expected}" in status
            port = _listening_port(running.pid)
            elsewhere = replace(trust, issuer=f"https://localhost:{port}/")
            form = {**GRANT, "scope": "storage.read:/ska"}
            assert _ask(elsewhere, "POST", "/token", form=form, Authorization=_basic())[0].status == 200
            assert _ask(elsewhere, "GET", "/nowhere")[0].status == 404
        finally:
            running.terminate()
        assert running.wait(timeout=20) == 0


def _listening_port(pid: int) -> int:
    sockets = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if f"socket:[{fields[9]}]" in sockets and fields[3] == "0A":
            return int(fields[1].split(":")[1], 16)
    raise AssertionError("the issuer does not listen")
