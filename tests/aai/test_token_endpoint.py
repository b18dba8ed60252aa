"""The IAM as OAuth clients meet it: over HTTPS, started as the keeper starts it, under load and abuse."""

from __future__ import annotations

import base64
import json
import logging
import os
import shutil
import socket
import stat
import subprocess
import tempfile
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
from pytest_datalake.clients.iam import Answer, Iam
from pytest_datalake.clients.iam import Client as Software
from pytest_datalake.lake.daemons.api import Account
from pytest_datalake.lake.daemons.iam import prepare
from pytest_datalake.lake.iam.config import Client, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_datalake.lake.identities import People
    from pytest_datalake.lake.pki import Authorities
    from pytest_datalake.matrix.model import Identity, Trust

REFRESH = {"grant_type": "refresh_token"}
ROBOT = {"grant_type": "client_credentials"}


@pytest.fixture(scope="session")
def mover(people: People) -> Software:
    return Software(client_id="rucio", secret=people.mover_secret)


@pytest.fixture
def refresh(iam: Iam, tests_client: Software, identities: dict[str, Identity]) -> Callable[..., Answer]:
    """Ask for a token by the refresh token of ska: ``refresh(scope="wlcg.groups")``."""
    token = Path(identities["ska"].refresh_token_file).read_text()

    def ask(**form: str) -> Answer:
        return iam.call("token", tests_client, {**REFRESH, "refresh_token": token, **form})

    return ask


def _claims(iam: Iam, token: str, algorithm: str = "RS256") -> dict[str, Any]:
    keys = KeySet.import_key_set(iam.keys())  # type: ignore[arg-type]  # whatever was sent
    return dict(jwt.decode(token, keys, algorithms=[algorithm]).claims)


def test_discovery_leads_to_keys_and_tokens(authorities: Authorities, iam: Iam, trust: Trust) -> None:
    for place in (".well-known/openid-configuration", ".well-known/oauth-authorization-server"):
        metadata = iam.ask("GET", place).document
        assert metadata["issuer"] == trust.issuer
        assert metadata["token_endpoint"] == trust.issuer + "token"
        assert metadata["jwks_uri"] == trust.issuer + "jwk"
    published = json.loads(authorities.paths(keys_are_fetched=True).issuer_jwks.read_text())
    assert iam.keys() == published
    assert [key["alg"] for key in published["keys"]] == ["RS256", "ES256"]
    assert not any("d" in key for key in published["keys"])


def test_a_token_says_what_the_profile_asks_for(
    iam: Iam, trust: Trust, refresh: Callable[..., Answer], people: People
) -> None:
    before = int(time.time())
    answer = refresh(scope="storage.read:/ska wlcg.groups:/escape/ska", audience="127.0.0.11")
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["server"] == "pytest-datalake IAM-compatible service"
    assert answer.document["token_type"] == "Bearer"
    assert answer.document["expires_in"] == 3600
    claims = _claims(iam, answer.token)
    assert claims["iss"] == trust.issuer
    assert claims["sub"] == next(one.uuid for one in people.members_of_iam if one.username == "ska")
    assert claims["aud"] == "127.0.0.11"
    assert claims["scope"] == answer.document["scope"] == "storage.read:/ska wlcg.groups:/escape/ska"
    assert claims["wlcg.ver"] == "1.0"
    assert claims["wlcg.groups"] == ["/escape/ska", "/escape"]
    assert before <= claims["iat"] == claims["nbf"] == claims["exp"] - 3600
    assert _claims(iam, refresh(scope="wlcg.groups").token)["jti"] != claims["jti"]


def test_a_client_that_speaks_for_itself_is_the_subject_and_has_no_groups(iam: Iam, mover: Software) -> None:
    claims = _claims(iam, iam.call("token", mover, {**ROBOT, "scope": "storage.read:/"}).token)
    assert claims["sub"] == claims["client_id"] == "rucio"
    assert "wlcg.groups" not in claims


def test_groups_are_told_only_when_asked_for(iam: Iam, refresh: Callable[..., Answer]) -> None:
    assert "wlcg.groups" not in _claims(iam, refresh(scope="storage.read:/ska").token)
    assert _claims(iam, refresh(scope="wlcg.groups").token)["wlcg.groups"] == ["/escape", "/escape/ska"]


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
    iam: Iam, refresh: Callable[..., Answer], parameters: dict[str, str], audience: object
) -> None:
    assert _claims(iam, refresh(scope="wlcg.groups", **parameters).token)["aud"] == audience


def test_the_secret_may_come_in_the_form(iam: Iam, mover: Software) -> None:
    form = {**ROBOT, "scope": "storage.read:/", "client_id": "rucio", "client_secret": mover.secret}
    assert iam.ask("POST", "token", form=form).status == 200


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        (ROBOT | {"scope": "storage.write:/ska"}, 400, "invalid_scope"),
        (ROBOT | {"scope": "openid"}, 400, "invalid_scope"),
        (ROBOT, 400, "invalid_scope"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, 400, "unauthorized_client"),
        ({}, 400, "invalid_request"),
        (ROBOT | {"client_secret": "again"}, 400, "invalid_request"),
        ("grant_type=client_credentials&scope=a&scope=b", 400, "invalid_request"),
        ("grant_type=client_credentials&scope=%ff", 400, "invalid_scope"),
    ],
)
def test_refusals_are_those_of_the_standard(
    iam: Iam, mover: Software, form: Mapping[str, str] | str, status: int, error: str
) -> None:
    answer = iam.ask("POST", "token", form=form, headers={"Authorization": mover.authorization})
    assert (answer.status, answer.error) == (status, error)


@pytest.mark.parametrize(
    "authorization",
    [
        Software(client_id="rucio", secret="wrong").authorization,
        Software(client_id="rucio", secret="").authorization,
        Software(client_id="nobody", secret="x").authorization,
        Software(client_id="nobody", secret="").authorization,
        "Bearer abc",
        "Basic !",
        "",
    ],
)
def test_a_client_that_does_not_prove_itself_gets_nothing(iam: Iam, authorization: str) -> None:
    answer = iam.ask("POST", "token", form=ROBOT, headers={"Authorization": authorization})
    assert (answer.status, answer.error) == (401, "invalid_client")
    assert "www-authenticate" in answer.headers


@pytest.mark.parametrize(
    ("scope", "error"),
    [
        ("storage.read:/lofar", "invalid_scope"),
        ("storage.read:/skafoo", "invalid_scope"),
        ("storage.read:/", "invalid_scope"),
        ("storage.read:/ska/../lofar", "invalid_scope"),
        ("scim:write", "invalid_scope"),
        ("wlcg.groups:/escape/lofar", "access_denied"),
        ("wlcg.groups:/escape/skaX", "access_denied"),
        ("wlcg.capabilityset:/escape/lofar", "access_denied"),
    ],
)
def test_users_get_what_is_theirs(refresh: Callable[..., Answer], scope: str, error: str) -> None:
    answer = refresh(scope=scope)
    assert (answer.status, answer.error) == (400, error)
    assert not answer.token


def test_a_capability_set_is_what_the_group_may_do(iam: Iam, refresh: Callable[..., Answer]) -> None:
    answer = refresh(scope="wlcg.capabilityset:/escape/ska")
    actions = ("read", "create", "modify", "stage", "poll")
    expected = " ".join(f"storage.{action}:/ska" for action in actions)
    assert answer.document["scope"] == _claims(iam, answer.token)["scope"] == expected


def test_odd_requests_are_answered(iam: Iam, mover: Software) -> None:
    assert iam.ask("GET", "nowhere").status == 404
    assert iam.ask("POST", "nowhere", form={}).status == 404
    headers = {"Authorization": mover.authorization}
    huge = iam.ask("POST", "token", form={"scope": "x" * (2 << 20)}, headers=headers)
    assert huge.status == 413
    answer = iam.ask("POST", "token", document={}, headers=headers)
    assert (answer.status, answer.error) == (400, "invalid_request")


def test_a_peer_that_never_speaks_delays_nobody(iam: Iam, trust: Trust) -> None:
    silent = [socket.create_connection(("127.0.0.1", urlsplit(trust.issuer).port)) for _ in range(20)]
    try:
        began = time.monotonic()
        assert iam.ask("GET", "jwk").status == 200
        assert time.monotonic() - began < 5  # a silent peer is only dropped after ten seconds
    finally:
        for connection in silent:
            connection.close()


def test_many_clients_at_once_are_all_served(refresh: Callable[..., Answer]) -> None:
    with ThreadPoolExecutor(32) as pool:
        assert set(pool.map(lambda _: refresh(scope="storage.read:/ska").status, range(200))) == {200}


def test_the_log_holds_no_secrets(
    iam: Iam, refresh: Callable[..., Answer], mover: Software, identities: dict[str, Identity],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    form = {**ROBOT, "scope": "storage.read:/", "client_id": "rucio"}
    with caplog.at_level(logging.DEBUG):
        token = refresh(scope="storage.read:/ska", audience="log\x1b[2J").token
        iam.ask("POST", "token", form={**form, "client_secret": mover.secret})
        iam.ask("POST", "token", form={**form, "client_secret": "mistyped-secret"})
        iam.with_token(token).ask("GET", "userinfo")
    text = caplog.text
    assert "storage.read:/ska" in text
    assert "\x1b" not in text
    known = (mover.secret, quote_plus(mover.secret), "mistyped-secret", token)
    for secret in (*known, Path(identities["ska"].refresh_token_file).read_text()):
        assert secret not in text


def test_settings_keep_hashes_only(settings: Settings, people: People, tmp_path: Path) -> None:
    secrets = [one.secret for one in people.clients] + [one.refresh_token for one in people.members_of_iam]
    kept = replace(settings, clients=people.clients, accounts=people.members_of_iam).to_json()
    assert all(secrets)
    assert not [secret for secret in secrets if secret in kept]
    assert not [secret for secret in secrets if secret in repr(people.clients) + repr(people.members_of_iam)]
    file = tmp_path / "settings"
    file.write_text(settings.to_json())
    assert Settings.read(file) == settings


def test_the_database_keeps_hashes_only(settings: Settings, people: People, trust: Trust) -> None:
    assert trust.issuer == settings.issuer
    content = b"".join(path.read_bytes() for path in Path(settings.directory).iterdir())
    secrets = [one.secret for one in people.clients] + [one.refresh_token for one in people.members_of_iam]
    assert b"CREATE TABLE" in content
    assert not [secret for secret in secrets if secret.encode() in content]


@pytest.fixture
def home() -> Iterator[Path]:
    # not tmp_path: its parents are closed to other accounts
    path = Path(tempfile.mkdtemp(prefix="iam-", dir="/var/tmp"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


def test_it_starts_as_the_keeper_starts_it_and_leaves_root_behind(
    authorities: Authorities, trust: Trust, home: Path
) -> None:
    root = os.geteuid() == 0
    account = Account(uid=31234, gid=31234, drop=root)
    certificate, key = authorities.issue_host(["localhost"], ["127.0.0.1"])
    process = prepare(
        home / "iam",
        account=account,
        port=0,
        host_certificate=certificate,
        host_key=key,
        authorities=authorities.paths(keys_are_fetched=True),
        keys=authorities.forge(),
        clients=(Client(client_id="ska", secret="very secret", scopes=("storage.read:/ska",)),),
        vo="escape",
    )
    assert process.as_root == root
    assert stat.S_IMODE(process.config.stat().st_mode) == 0o600
    assert "very secret" not in process.config.read_text()
    # The code too lies where nobody but us can go.
    private = home / "private"
    private.mkdir(mode=0o700)
    code = Path(pytest_datalake.__file__).parent
    shutil.copytree(code, private / code.name, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {**process.environment, "PYTHONPATH": str(private)}
    with subprocess.Popen(
        process.command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/"
    ) as running:
        try:
            assert running.stdout is not None
            assert f"IAM-compatible service serves {trust.issuer}" in running.stdout.readline()
            status = Path(f"/proc/{running.pid}/status").read_text()
            expected = account.uid if root else os.getuid()
            assert f"Uid:\t{expected}\t{expected}\t{expected}\t{expected}" in status
            elsewhere = Iam(f"https://localhost:{_listening_port(running.pid)}/", ca_file=trust.ca_file)
            client = Software(client_id="ska", secret="very secret")
            form = urlencode({**ROBOT, "scope": "storage.read:/ska"})
            headers = {"Authorization": client.authorization}
            assert elsewhere.ask("POST", "token", form=form, headers=headers).status == 200
            assert "Log in" in elsewhere.ask("GET", "login", headers={"Accept": "text/html"}).text
            assert elsewhere.ask("GET", "nowhere").status == 404
        finally:
            running.terminate()
        assert running.wait(timeout=20) == 0


def _listening_port(pid: int) -> int:
    sockets = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if f"socket:[{fields[9]}]" in sockets and fields[3] == "0A":
            return int(fields[1].split(":")[1], 16)
    raise AssertionError("the service does not listen")


def test_tokens_end_when_they_are_revoked_and_when_their_user_is_suspended(
    iam: Iam, iam_as: Callable[..., Iam], refresh: Callable[..., Answer], tests_client: Software
) -> None:
    def is_active(token: str) -> bool:
        return bool(iam.call("introspection", tests_client, {"token": token}).document["active"])

    first, second = refresh(scope="openid").token, refresh(scope="openid").token
    assert iam.call("revocation", tests_client, {"token": first}).status == 200
    assert (is_active(first), is_active(second)) == (False, True)
    account = iam.with_token(second).me()["id"]
    administrator = iam_as("robot", "scim:read scim:write")
    ends = iam_as("robot", "iam:admin.write")
    past, never = {"endTime": "2020-01-01T00:00:00+00:00"}, {"endTime": None}
    assert ends.ask("PUT", f"iam/account/{account}/endTime", document=past).status == 204
    assert not is_active(second)
    assert refresh(scope="openid").error == "invalid_grant"
    assert ends.ask("PUT", f"iam/account/{account}/endTime", document=never).status == 204
    assert is_active(second)
    assert administrator.users("ska")[0]["active"]


def test_another_clients_tokens_are_not_revoked(
    iam: Iam, mover: Software, refresh: Callable[..., Answer], tests_client: Software
) -> None:
    token = refresh(scope="openid").token
    assert iam.call("revocation", mover, {"token": token}).status == 200
    assert iam.call("introspection", tests_client, {"token": token}).document["active"]


def test_a_token_is_exchanged_for_a_narrower_one(
    iam: Iam, refresh: Callable[..., Answer], tests_client: Software
) -> None:
    exchange = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token": refresh(scope="storage.read:/ska").token,
    }
    answer = iam.call("token", tests_client, {**exchange, "scope": "storage.read:/ska/a", "audience": "x"})
    assert answer.document["issued_token_type"] == exchange["subject_token_type"]
    claims = _claims(iam, answer.token)
    assert claims["act"] == {"sub": "pytest-datalake"}
    assert (claims["scope"], claims["aud"]) == ("storage.read:/ska/a", "x")
    wider = iam.call("token", tests_client, {**exchange, "scope": "storage.modify:/ska"})
    assert wider.error == "invalid_scope"
    garbage = iam.call("token", tests_client, {**exchange, "subject_token": "x.y.z"})
    assert garbage.error == "invalid_grant"


def test_keys_are_rotated_without_ending_tokens(
    iam: Iam, iam_as: Callable[..., Iam], refresh: Callable[..., Answer], tests_client: Software
) -> None:
    before = refresh(scope="openid").token
    old = [key["kid"] for key in iam.keys()["keys"]]
    administrator = iam_as("robot", "iam:admin.write")
    fresh = administrator.ask("POST", "iam/keys").document["keys"]
    assert [key["kid"] for key in iam.keys()["keys"]] == [*fresh, *old]
    after = refresh(scope="openid").token
    assert json.loads(base64.urlsafe_b64decode(after.split(".")[0] + "=="))["kid"] == fresh[0]
    for token in (before, after):
        assert iam.call("introspection", tests_client, {"token": token}).document["active"]
    assert administrator.ask("DELETE", f"iam/keys/{fresh[0]}").status == 409
    for kid in old[:1]:
        assert iam_as("robot", "iam:admin.write").ask("DELETE", f"iam/keys/{kid}").status in {204, 401}


def test_registered_clients_may_choose_es256(iam: Iam, refresh: Callable[..., Answer]) -> None:
    answer = iam.ask("POST", "iam/api/client-registration", document={"redirect_uris": ["https://h/x"]})
    assert answer.status == 201
    client, token = answer.document["client_id"], answer.document["registration_access_token"]
    mine = iam.with_token(token)
    place = f"iam/api/client-registration/{client}"
    assert iam.ask("GET", place).status == 401
    shown = mine.ask("GET", place).document
    assert "client_secret" not in shown
    changed = {**shown, "id_token_signed_response_alg": "ES256"}
    assert mine.ask("PUT", place, document=changed).document["id_token_signed_response_alg"] == "ES256"
    assert mine.ask("DELETE", place).status == 204
    assert mine.ask("GET", place).status == 401
    assert refresh(scope="openid").status == 200


@pytest.mark.parametrize(
    "metadata",
    [
        {"grant_types": ["client_credentials"]},
        {"grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"]},
        {"redirect_uris": ["http://elsewhere.example/"]},
        {"redirect_uris": "https://h/x"},
        {"redirect_uris": ["https://h/x"], "scope": "scim:write"},
        {"redirect_uris": ["https://h/x"], "scope": "storage.read:/../x"},
        {},
    ],
)
def test_clients_cannot_register_what_is_not_for_everybody(iam: Iam, metadata: dict[str, Any]) -> None:
    answer = iam.ask("POST", "iam/api/client-registration", document=metadata)
    assert (answer.status, bool(answer.error)) == (400, True)
