"""Tokens from the issuer, from a command and out of the cache; and what people read when there is none."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_datalake.credentials import tokens
from pytest_datalake.credentials.tokens import TokenSource
from pytest_datalake.errors import EngineError
from pytest_datalake.matrix.model import Identity, Trust

if TYPE_CHECKING:
    from collections.abc import Callable


SECRET = "ska-+%: very secret"


def _claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def _everything_said(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _command(code: str, *arguments: str) -> Identity:
    return Identity(name="robot", token_command=(sys.executable, "-c", code, *arguments))


def test_an_identity_gets_its_token_from_the_issuer(
    trust: Trust, identities: dict[str, Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, "/nonexistent")
    source = TokenSource(trust, identities["ska"])
    claims = _claims(source.token(audience="127.0.0.11", scope="storage.read:/ska"))
    assert (claims["aud"], claims["scope"]) == ("127.0.0.11", "storage.read:/ska")
    assert claims["client_id"] == identities["ska"].client_id


def test_tokens_are_kept_for_each_audience_and_scope(trust: Trust, identities: dict[str, Identity]) -> None:
    source = TokenSource(trust, identities["ska"])
    first = source.token(audience="a", scope="storage.read:/ska")
    assert source.token(audience="a", scope="storage.read:/ska") == first
    assert source.token(audience="b", scope="storage.read:/ska") != first
    assert source.token(audience="a", scope="wlcg.groups") != first


def test_a_token_is_renewed_before_it_ends(
    trust: Trust, identities: dict[str, Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = TokenSource(trust, identities["ska"])
    first = source.token(audience="a", scope="wlcg.groups")
    now = time.time()
    monkeypatch.setattr(
        "pytest_datalake.credentials.tokens.time.time", lambda: now + 3600 - tokens.RENEW_BEFORE - 60
    )
    assert source.token(audience="a", scope="wlcg.groups") == first
    monkeypatch.setattr(
        "pytest_datalake.credentials.tokens.time.time", lambda: now + 3600 - tokens.RENEW_BEFORE + 60
    )
    assert source.token(audience="a", scope="wlcg.groups") != first


def test_a_refusal_names_who_and_what(trust: Trust, identities: dict[str, Identity]) -> None:
    source = TokenSource(trust, identities["ska"])
    with pytest.raises(EngineError) as caught:
        source.token(audience="a", scope="storage.read:/lofar")
    message = str(caught.value)
    for part in ("identity ska", trust.issuer, "storage.read:/lofar", "400", "invalid_scope"):
        assert part in message
    assert SECRET not in _everything_said(caught.value)
    assert SECRET not in repr(source)


def test_a_wrong_secret_stays_secret(trust: Trust, identities: dict[str, Identity], tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("mistyped-secret\n")
    source = TokenSource(trust, replace(identities["ska"], client_secret_file=str(file)))
    with pytest.raises(EngineError, match="401 invalid_client") as caught:
        source.token(audience="a", scope="wlcg.groups")
    assert "mistyped-secret" not in _everything_said(caught.value)


@pytest.mark.parametrize(
    ("change", "identity", "message"),
    [
        (lambda trust: replace(trust, issuer="https://localhost:1/"), {}, "could not be asked"),
        (lambda trust: replace(trust, issuer="http://localhost:1/"), {}, "must be an https URL"),
        (lambda trust: replace(trust, issuer=trust.issuer + "realm/"), {}, "no metadata"),
        (lambda trust: replace(trust, issuer=trust.issuer.rstrip("/")), {}, "calls itself"),
        (lambda trust: replace(trust, ca_file="/nonexistent"), {}, "could not be asked"),
        (
            lambda trust: trust,
            {"client_secret_file": "/nonexistent"},
            "secret cannot be read from '/nonexistent'",
        ),
        (lambda trust: trust, {"client_id": ""}, "no way to get a token"),
    ],
)
def test_what_is_wrong_is_said(
    trust: Trust,
    identities: dict[str, Identity],
    change: Callable[[Trust], Trust],
    identity: dict[str, str],
    message: str,
) -> None:
    source = TokenSource(change(trust), replace(identities["ska"], **identity))  # type: ignore[arg-type]
    with pytest.raises(EngineError, match=message) as caught:
        source.token(audience="a", scope="wlcg.groups")
    assert "identity ska" in str(caught.value)


def test_an_issuer_of_another_ca_is_not_believed(
    trust: Trust, identities: dict[str, Identity], tmp_path: Path
) -> None:
    certificate = tmp_path / "ca.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=other", "-keyout", str(tmp_path / "key"), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    source = TokenSource(replace(trust, ca_file=str(certificate)), identities["ska"])
    with pytest.raises(EngineError, match=r"could not be asked.*(unable to get|self-signed)"):
        source.token(audience="a", scope="wlcg.groups")


def test_a_client_without_a_refresh_token_speaks_for_itself(
    trust: Trust, identities: dict[str, Identity]
) -> None:
    identity = replace(identities["robot"], refresh_token_file="")
    token = TokenSource(trust, identity).token(audience="a", scope="storage.read:/")
    assert _claims(token)["sub"] == identity.client_id


def test_a_refresh_token_that_is_replaced_is_written_down_once(
    trust: Trust, identities: dict[str, Identity], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "refresh-token"
    file.write_text(Path(identities["ska"].refresh_token_file).read_text() + "a longer old one")
    answers = iter(["second", "third"])
    asked = []

    def grant(_source: TokenSource, form: dict[str, str]) -> tuple[str, float, str]:
        asked.append(form["refresh_token"])
        return "token", time.time() + 3600, next(answers)

    monkeypatch.setattr(TokenSource, "_grant", grant)
    source = TokenSource(trust, replace(identities["ska"], refresh_token_file=str(file)))
    for scope in ("openid", "wlcg.groups"):
        source.token(audience="a", scope=scope)
    assert asked[1:] == ["second"]
    assert file.read_text() == "third\n"


def test_a_refresh_token_that_is_refused_stays_secret(
    trust: Trust, identities: dict[str, Identity], tmp_path: Path
) -> None:
    file = tmp_path / "refresh-token"
    file.write_text("mistyped-token\n")
    source = TokenSource(trust, replace(identities["ska"], refresh_token_file=str(file)))
    with pytest.raises(EngineError, match=r"identity ska.*400 invalid_grant") as caught:
        source.token(audience="a", scope="openid")
    assert "mistyped-token" not in _everything_said(caught.value)
    file.unlink()
    with pytest.raises(EngineError, match="cannot be read and replaced: No such file"):
        source.token(audience="a", scope="openid")


def test_a_command_may_know_better() -> None:
    identity = _command("import sys; print('-'.join(sys.argv[1:]))", "for={audience}", "{scope}")
    token = TokenSource(Trust(), replace(identity, client_id="unused"))
    # Not a token: "=" only ends one.
    with pytest.raises(EngineError, match="printed something else"):
        token.token(audience="a", scope="b")
    identity = _command("import sys; print('-'.join(sys.argv[1:]))", "{audience}", "x{scope}")
    assert TokenSource(Trust(), identity).token(audience="a", scope="b") == "a-xb"


@pytest.mark.parametrize(("lifetime", "calls"), [(3600, 1), (None, 2)])
def test_a_commands_token_is_kept_as_long_as_it_says(
    tmp_path: Path, lifetime: int | None, calls: int
) -> None:
    log = tmp_path / "calls"
    claims = {"exp": int(time.time()) + lifetime} if lifetime else {}
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    code = f"open({str(log)!r}, 'a').write('x'); print('e30.{payload}.c2ln')"
    source = TokenSource(Trust(), _command(code))
    for _ in range(2):
        assert source.token(audience="a", scope="b") == f"e30.{payload}.c2ln"
    assert len(log.read_text()) == calls


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("print('password: hunter2')", "printed something else"),
        ("print('hunter2'); print('hunter2')", "printed something else"),
        ("import sys; sys.stderr.write('hunter2'); print('hunter2'); sys.exit(3)", "ended with status 3"),
        ("", "printed something else"),
        ("import sys; sys.stdout.buffer.write(bytes(range(256)))", "printed something else"),
    ],
)
def test_a_commands_rubbish_is_not_repeated(code: str, message: str, tmp_path: Path) -> None:
    script = tmp_path / "get-token"
    script.write_text(code)
    identity = Identity(name="robot", token_command=(sys.executable, str(script)))
    with pytest.raises(EngineError, match=message) as caught:
        TokenSource(Trust(), identity).token(audience="a", scope="b")
    assert "identity robot" in str(caught.value)
    assert shlex.join(identity.token_command) in str(caught.value)
    assert "hunter2" not in _everything_said(caught.value)


def test_a_command_that_is_not_there_is_named() -> None:
    identity = Identity(name="robot", token_command=("/nonexistent/get-token",))
    with pytest.raises(EngineError, match="/nonexistent/get-token` could not be started: No such file"):
        TokenSource(Trust(), identity).token(audience="a", scope="b")


def test_a_command_that_hangs_is_stopped_with_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "COMMAND_TIMEOUT", 0.5)
    identity = Identity(name="robot", token_command=("sh", "-c", "sleep 600 & sleep 600"))
    began = time.monotonic()
    with pytest.raises(EngineError, match=r"no answer within 0\.5 s"):
        TokenSource(Trust(), identity).token(audience="a", scope="b")
    assert time.monotonic() - began < 10


def test_getting_a_token_needs_the_standard_library_only() -> None:
    code = "import sys, pytest_datalake.credentials.tokens as _; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60).split()
    heavy = {"cryptography", "joserfc", "asn1crypto", "pydantic", "yaml", "pytest", "requests"}
    assert not heavy & {name.partition(".")[0] for name in loaded}
