"""Proxies by voms-proxy-init, and what people read when there is none."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.credentials import voms
from pytest_datalake.credentials.forge import forge_proxy
from pytest_datalake.credentials.voms import ends_at, make_voms_proxy, voms_proxy
from pytest_datalake.errors import EngineError, StorageError
from pytest_datalake.fixtures.identities import Identities
from pytest_datalake.matrix.load import parse

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Identity, Trust


@pytest.fixture
def ska(identities: dict[str, Identity]) -> Identity:
    """A member with a certificate, and no ready proxy."""
    return replace(identities["ska"], proxy="", plain_proxy="")


def test_a_proxy_is_made_once_and_anew_when_it_is_about_to_end(
    trust: Trust, ska: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Path(voms_proxy(trust, ska, tmp_path, vo="escape", fqans=["/escape/ska"]))
    content = first.read_bytes()
    assert first.stat().st_mode & 0o077 == 0
    assert voms_proxy(trust, ska, tmp_path, vo="escape", fqans=["/escape/ska"]) == str(first)
    assert first.read_bytes() == content
    monkeypatch.setattr(voms, "RENEW_BEFORE", voms.LIFETIME.total_seconds() + 60)
    voms_proxy(trust, ska, tmp_path, vo="escape", fqans=["/escape/ska"])
    assert first.read_bytes() != content


def test_a_refusal_names_the_identity(trust: Trust, ska: Identity, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"identity ska.*was refused.*not authorized") as refused:
        make_voms_proxy(trust, ska, tmp_path / "proxy", vo="escape", fqans=["/escape/lofar"])
    assert refused.value.kind == "denied"
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_not_there_is_no_refusal(trust: Trust, ska: Identity, tmp_path: Path) -> None:
    vomses = tmp_path / "vomses"
    vomses.write_text('"escape" "localhost" "1" "/CN=nobody" "escape"\n')
    with pytest.raises(EngineError, match=r"identity ska: voms-proxy-init for the VO escape ended with"):
        make_voms_proxy(replace(trust, vomses=str(vomses)), ska, tmp_path / "proxy", vo="escape")


def test_a_server_that_says_nothing_leaves_nothing(
    trust: Trust, ska: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voms, "PATIENCE", 3)
    before = set(Path("/tmp").glob("tmp_x509up_*"))  # where the program keeps its key
    with socket.create_server(("127.0.0.1", 0)) as silent:
        vomses = tmp_path / "vomses"
        vomses.write_text(f'"escape" "localhost" "{silent.getsockname()[1]}" "/CN=nobody" "escape"\n')
        with pytest.raises(EngineError, match=r"identity ska: .* did not end within 3 s"):
            make_voms_proxy(replace(trust, vomses=str(vomses)), ska, tmp_path / "proxy", vo="escape")
    assert [path.name for path in tmp_path.iterdir()] == ["vomses"]
    assert set(Path("/tmp").glob("tmp_x509up_*")) <= before


def test_what_is_missing_is_said(
    trust: Trust, ska: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineError, match="identity ska has no certificate"):
        make_voms_proxy(trust, replace(ska, certificate=""), tmp_path / "proxy", vo="escape")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="install the Debian package voms-clients"):
        make_voms_proxy(trust, ska, tmp_path / "proxy", vo="escape")


def test_the_end_of_a_ready_proxy_is_read_once(
    identities: dict[str, Identity], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Path(identities["ska"].proxy)
    end = ends_at(proxy, tmp_path)
    assert end > time.time() + 86400
    monkeypatch.setattr(voms, "_end", lambda _path: pytest.fail("was read twice"))
    assert ends_at(proxy, tmp_path) == end


def test_a_ready_proxy_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="the proxy /nonexistent/proxy cannot be read: No such file"):
        ends_at(Path("/nonexistent/proxy"), tmp_path)


def test_a_ready_proxy_that_is_none_is_named(tmp_path: Path) -> None:
    proxy = tmp_path / "proxy"
    proxy.write_text("not this")
    with pytest.raises(EngineError, match=r"the proxy .*/proxy cannot be used: a certificate in PEM form"):
        ends_at(proxy, tmp_path)


LAKE = """\
version: 1
vo: escape
experiments: [ska]
qos_classes: [A]
auth:
  ca_directory: {trust.ca_directory}
  ca_file: {trust.ca_file}
  voms_directory: {trust.voms_directory}
  vomses: {trust.vomses}
  identities:
    ska: {{experiment: ska, groups: [/escape/ska], {credential}}}
sites:
  COMO:
    rses:
      COMO-A:
        technology: xrootd
        qos: A
        endpoints: [{{protocol: davs, host: como.example.org, auth: [x509-voms]}}]
"""


def _proxy_for_como(trust: Trust, scratch: Path, credential: str) -> str:
    matrix = parse(LAKE.format(trust=trust, credential=credential), "lake.yaml")
    identities = Identities(matrix, scratch, ("ska",))
    return identities.credential(identities["ska"], matrix.endpoints[0], "x509-voms").proxy


def test_a_ready_proxy_that_is_about_to_end_is_named(
    trust: Trust, identities: dict[str, Identity], tmp_path: Path
) -> None:
    proxy = tmp_path / "proxy.pem"
    proxy.write_bytes(forge_proxy(trust.forge, identities["ska"], lifetime=timedelta(minutes=9)))
    with pytest.raises(EngineError, match=rf"identity ska: the proxy {proxy} has ended or ends within 300 s"):
        _proxy_for_como(trust, tmp_path / "scratch", f"proxy: {proxy}")
    proxy.write_bytes(forge_proxy(trust.forge, identities["ska"], lifetime=timedelta(hours=1)))
    assert _proxy_for_como(trust, tmp_path / "scratch", f"proxy: {proxy}") == str(proxy)


def test_certificate_and_key_are_enough(
    trust: Trust, identities: dict[str, Identity], tmp_path: Path
) -> None:
    ska = identities["ska"]
    made = _proxy_for_como(trust, tmp_path, f"certificate: {ska.certificate}, key: {ska.key}")
    assert Path(made).is_relative_to(tmp_path)
    assert ends_at(Path(made), tmp_path) > time.time() + 3600
