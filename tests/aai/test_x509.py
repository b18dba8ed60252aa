"""Certificates, proxies and attribute certificates, read back by others than their maker."""

from __future__ import annotations

import os
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from asn1crypto import cms
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_datalake.credentials.x509 import (
    certificates_from_pem,
    fqan,
    key_from_pem,
    make_attribute_certificate,
    make_proxy,
    slash_name,
)
from pytest_datalake.errors import EngineError
from pytest_datalake.lake.pki import Authorities, subject_hashes

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Identity, Trust

VOMS_EXTENSION = x509.ObjectIdentifier("1.3.6.1.4.1.8005.100.100.5")
fqan_texts = st.from_regex(r"/escape(/[a-z][a-z0-9_.-]{0,8}){0,3}(/Role=[a-zA-Z]{1,8})?", fullmatch=True)


def _voms_proxy_info(authorities: Authorities, proxy: str) -> str:
    paths = authorities.paths(keys_are_fetched=False)
    environment = {
        "PATH": os.environ["PATH"],
        "X509_CERT_DIR": str(paths.ca_directory),
        "X509_VOMS_DIR": str(paths.voms_directory),
    }
    command = ["voms-proxy-info", "-all", "-file", proxy]
    return subprocess.run(
        command, env=environment, check=True, capture_output=True, text=True, timeout=30
    ).stdout


def test_voms_tools_read_the_proxy(authorities: Authorities, identities: dict[str, Identity]) -> None:
    output = _voms_proxy_info(authorities, identities["ska"].proxy)
    facts = [
        tuple(part.strip() for part in line.split(":", 1)) for line in output.splitlines() if ":" in line
    ]
    assert ("identity", "/DC=org/DC=datalake/O=people/CN=ska") in facts
    assert ("type", "RFC compliant proxy") in facts
    assert ("VO", "escape") in facts
    assert [value for name, value in facts if name == "attribute"] == [
        "/escape/ska/Role=NULL/Capability=NULL",
        "/escape/Role=NULL/Capability=NULL",
    ]
    assert all(int(value.split(":")[0]) > 24 for name, value in facts if name == "timeleft")


def test_voms_tools_see_no_attributes_in_a_plain_proxy(
    authorities: Authorities, identities: dict[str, Identity]
) -> None:
    output = _voms_proxy_info(authorities, identities["ska"].plain_proxy)
    assert "RFC compliant proxy" in output
    assert "attribute" not in output


def test_the_hashed_directory_is_the_one_openssl_looks_in(authorities: Authorities) -> None:
    paths = authorities.paths(keys_are_fetched=False)
    expected = [
        subprocess.check_output(
            ["openssl", "x509", "-noout", option, "-in", paths.ca_file], text=True, timeout=30
        ).strip()
        for option in ("-subject_hash", "-subject_hash_old")
    ]
    assert list(subject_hashes(certificates_from_pem(paths.ca_file.read_bytes())[0].subject)) == expected
    found = {path.name for path in paths.ca_directory.iterdir()}
    assert found == {f"{stem}.{kind}" for stem in expected for kind in ("0", "r0", "signing_policy")}


def test_a_revoked_certificate_is_refused_and_others_are_not(tmp_path: Path) -> None:
    authorities = Authorities.create(tmp_path / "pki", vo="escape", issuer="https://localhost:1/")
    again = Authorities.load(tmp_path / "pki")
    assert again == authorities
    files = []
    for name in ("kept", "first", "second"):
        files.append(tmp_path / name)
        files[-1].write_bytes(authorities.issue_user(name)[0])
    for revoked in files[1:]:
        again.revoke(revoked.read_bytes())
        again.revoke(revoked.read_bytes())
    command = ["openssl", "verify", "-CApath", str(tmp_path / "pki" / "certificates"), "-crl_check"]
    answers = [
        subprocess.run([*command, file], check=False, capture_output=True, timeout=30) for file in files
    ]
    assert [answer.returncode == 0 for answer in answers] == [True, False, False]
    assert all(b"revoked" in answer.stderr for answer in answers[1:])


def test_keys_are_for_our_eyes_only(authorities: Authorities) -> None:
    directory = authorities.directory
    private = {path for path in directory.iterdir() if path.is_file() and b"PRIVATE KEY" in path.read_bytes()}
    assert {path.name for path in private} == {"ca.key", "voms.key", "issuer.pem", "institution.pem"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    paths = authorities.paths(keys_are_fetched=False)
    for path in (paths.ca_file, paths.issuer_jwks, *paths.ca_directory.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_host_certificate_names_its_addresses(authorities: Authorities) -> None:
    pem, _ = authorities.issue_host(["localhost"], ["127.0.0.1", "127.0.0.11"])
    certificate = certificates_from_pem(pem)[0]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == [
        "127.0.0.1",
        "127.0.0.11",
    ]
    assert slash_name(certificate.subject) == "/DC=org/DC=datalake/O=hosts/CN=localhost"


@settings(max_examples=50)
@given(
    fqans=st.lists(fqan_texts, min_size=1, max_size=5),
    targets=st.lists(st.sampled_from(["a.example", "b.example"]), max_size=2),
    hours=st.integers(1, 1000),
)
def test_attribute_certificates_read_back_as_they_were_made(
    trust: Trust, identities: dict[str, Identity], fqans: list[str], targets: list[str], hours: int
) -> None:
    forge, holder = trust.forge, identities["ska"]
    voms = Path(forge.voms_certificate).read_bytes()
    start = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    der = make_attribute_certificate(
        Path(holder.certificate).read_bytes(),
        voms,
        Path(forge.voms_key).read_bytes(),
        vo="escape",
        fqans=fqans,
        targets=targets,
        start=start,
        lifetime=timedelta(hours=hours),
    )
    parsed = cms.AttributeCertificateV2.load(der, strict=True)
    info = parsed["ac_info"]
    validity = info["att_cert_validity_period"].native
    assert validity == {"not_before_time": start, "not_after_time": start + timedelta(hours=hours)}
    attribute = cms.IetfAttrSyntax.load(info["attributes"][0]["values"][0].dump())
    assert [value.native.decode() for value in attribute["values"]] == fqans
    assert attribute["policy_authority"][0].chosen.contents == b"escape://localhost:15000"
    serial = certificates_from_pem(Path(holder.certificate).read_bytes())[0].serial_number
    assert info["holder"]["base_certificate_id"]["serial"].native == serial
    assert any(extension["critical"].native for extension in info["extensions"]) == bool(targets)
    key = certificates_from_pem(voms)[0].public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    key.verify(parsed["signature"].native, info.dump(), padding.PKCS1v15(), hashes.SHA256())


@settings(max_examples=25)
@given(
    path_length=st.none() | st.integers(0, 10),
    policy=st.sampled_from(["full", "limited", "independent"]),
    hours=st.integers(1, 100),
)
def test_proxies_read_back_as_they_were_made(
    identities: dict[str, Identity], path_length: int | None, policy: str, hours: int
) -> None:
    user = identities["ska"]
    certificate, key = Path(user.certificate).read_bytes(), Path(user.key).read_bytes()
    start = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    proxy = make_proxy(
        certificate,
        key,
        start=start,
        lifetime=timedelta(hours=hours),
        policy=policy,  # type: ignore[arg-type]
        path_length=path_length,
        proxy_key=key_from_pem(key),
    )
    leaf, issuer = certificates_from_pem(proxy)
    leaf.verify_directly_issued_by(issuer)
    assert leaf.subject.rdns[:-1] == issuer.subject.rdns
    assert (leaf.not_valid_before_utc, leaf.not_valid_after_utc) == (start, start + timedelta(hours=hours))
    information = leaf.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.14"))
    assert information.critical
    assert isinstance(information.value, x509.UnrecognizedExtension)
    content = information.value.value
    assert content.startswith(b"\x30")
    assert (
        (bytes([0x02, 0x01, path_length]) in content[:5]) if path_length is not None else content[2] == 0x30
    )


def test_a_proxy_of_a_proxy_keeps_the_chain(identities: dict[str, Identity]) -> None:
    first = Path(identities["ska"].proxy).read_bytes()
    chain = certificates_from_pem(make_proxy(first, first))
    assert len(chain) == 3
    for certificate, issuer in pairwise(chain):
        certificate.verify_directly_issued_by(issuer)
    assert VOMS_EXTENSION in [extension.oid for extension in chain[1].extensions]


def test_fqans_are_spelled_as_servers_do() -> None:
    assert fqan("/escape/ska") == "/escape/ska/Role=NULL/Capability=NULL"
    assert fqan("/escape/Role=production") == "/escape/Role=production/Capability=NULL"
    assert fqan(fqan("/escape")) == fqan("/escape")


@pytest.mark.parametrize("text", [b"", b"nothing", b"-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n"])
def test_a_file_without_certificate_or_key_is_an_error_for_people(text: bytes) -> None:
    with pytest.raises(EngineError, match="certificate in PEM form is needed"):
        certificates_from_pem(text)
    with pytest.raises(EngineError, match="private key in PEM form is needed"):
        key_from_pem(text)
