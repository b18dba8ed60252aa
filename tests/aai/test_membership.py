"""From a request to become a member to tokens and VOMS attributes, and out again."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from pytest_datalake.clients.login import Session, sent_back
from pytest_datalake.errors import StorageError
from pytest_datalake.lake.identities import REDIRECT_URI

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_datalake.clients.iam import Client, Iam
    from pytest_datalake.lake.iam.config import Settings
    from pytest_datalake.lake.pki import Authorities
    from pytest_datalake.matrix.model import Identity, Trust

ADMINISTRATION = "scim:read scim:write registration:read registration:write iam:admin.read iam:admin.write"
PASSWORD = "correct horse battery"
APPLICATION = {
    "username": "newcomer",
    "givenname": "New",
    "familyname": "Comer",
    "email": "newcomer@example.org",
    "notes": "to see the stars",
    "password": PASSWORD,
}


@pytest.fixture
def administrator(iam_as: Callable[..., Iam]) -> Iam:
    return iam_as("robot", ADMINISTRATION)


@pytest.fixture
def member(iam: Iam, administrator: Iam) -> Iterator[dict[str, Any]]:
    """Somebody who has just become a member; forgotten at the end."""
    request = iam.ask("POST", "registration/create", document=APPLICATION).document
    administrator.approve_registration(request["uuid"])
    (account,) = administrator.users("newcomer")
    yield account
    for left in administrator.users("newcomer"):
        administrator.remove_user(left["id"])


@pytest.fixture
def log_in(iam: Iam, trust: Trust, tests_client: Client) -> Callable[..., dict[str, Any]]:
    """A token response for the newcomer, by the login page: ``log_in("openid wlcg.groups")``."""

    def run(scope: str, *, password: str = PASSWORD, decision: str = "allow") -> dict[str, Any]:
        session = Session(ca_file=trust.ca_file, until=REDIRECT_URI)
        query = f"response_type=code&client_id={tests_client.client_id}&redirect_uri={REDIRECT_URI}"
        page = session.open(
            f"{iam.endpoint('authorization')}?{query}&state=abc&nonce=xyz&scope={quote(scope)}"
        )
        page = session.submit(page, page.form("password"), username="newcomer", password=password)
        if not page.url.startswith(REDIRECT_URI):
            page = session.submit(page, page.form("decision"), decision=decision)
        answer = sent_back(page, REDIRECT_URI)
        assert answer["state"] == "abc"
        if "error" in answer:
            raise StorageError(answer["error"], kind="denied")
        return iam.grant(tests_client, "authorization_code", code=answer["code"], redirect_uri=REDIRECT_URI)

    return run


@pytest.fixture
def voms_proxy_init(
    trust: Trust, authorities: Authorities, tmp_path: Path
) -> Callable[..., tuple[int, str, list[str]]]:
    """Run voms-proxy-init for the newcomer: exit status, what it said, and the attributes of the proxy."""
    certificate, key = authorities.issue_user("newcomer")
    for name, content in (("cert.pem", certificate), ("key.pem", key)):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(content)
    environment = {
        "PATH": os.environ["PATH"],
        "X509_CERT_DIR": trust.ca_directory,
        "X509_VOMS_DIR": trust.voms_directory,
        "HOME": str(tmp_path),
    }

    def run(what: str = "escape", *options: str) -> tuple[int, str, list[str]]:
        proxy = tmp_path / "proxy.pem"
        command = [
            "voms-proxy-init",
            "-voms",
            what,
            "-vomses",
            str(authorities.vomses_file),
            "-out",
            str(proxy),
            "-rfc",
        ]
        command += ["-cert", str(tmp_path / "cert.pem"), "-key", str(tmp_path / "key.pem"), *options]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        said = done.stdout + done.stderr
        if done.returncode:
            return done.returncode, said, []
        shown = subprocess.run(
            ["voms-proxy-info", "-fqan", "-file", str(proxy)],
            env=environment, capture_output=True, text=True, timeout=60, check=True,
        ).stdout  # fmt: skip
        return (
            0,
            said,
            [line.removesuffix("/Capability=NULL").removesuffix("/Role=NULL") for line in shown.split()],
        )

    return run


def test_nobody_is_a_member_before_somebody_said_yes(
    iam: Iam, administrator: Iam, log_in: Callable[..., dict[str, Any]]
) -> None:
    request = iam.ask("POST", "registration/create", document=APPLICATION).document
    with pytest.raises(StorageError, match="Wrong username or password"):
        log_in("openid")
    assert [one["uuid"] for one in administrator.registrations()] == [request["uuid"]]
    assert iam.ask("GET", "registration/list/pending").status == 401
    again = iam.ask("POST", "registration/create", document=APPLICATION)
    assert again.status == 409
    administrator.reject_registration(request["uuid"], "not today")
    with pytest.raises(StorageError, match="decided already"):
        administrator.approve_registration(request["uuid"])
    assert not administrator.users("newcomer")


@pytest.mark.parametrize(
    "change",
    [
        {"username": "x"},
        {"username": "with blank"},
        {"email": "none"},
        {"notes": " "},
        {"givenname": ""},
        {"password": "short"},
    ],
)
def test_an_application_must_be_complete(iam: Iam, administrator: Iam, change: dict[str, str]) -> None:
    assert iam.ask("POST", "registration/create", document=APPLICATION | change).status == 400
    assert not administrator.registrations()


def test_a_member_logs_in_and_is_known(
    iam: Iam, member: dict[str, Any], log_in: Callable[..., dict[str, Any]]
) -> None:
    answer = log_in("openid profile email offline_access wlcg.groups")
    known = iam.with_token(answer["access_token"]).userinfo()
    assert known["sub"] == member["id"]
    assert (known["preferred_username"], known["email"]) == ("newcomer", "newcomer@example.org")
    assert known["wlcg.groups"] == ["/escape"]
    assert answer["refresh_token"]
    assert answer["id_token"]
    with pytest.raises(StorageError, match="Wrong username or password"):
        log_in("openid", password="wrong horse")
    with pytest.raises(StorageError, match="access_denied"):
        log_in("openid", decision="deny")
    with pytest.raises(StorageError, match="access_denied"):
        log_in("wlcg.groups:/escape/ska")
    with pytest.raises(StorageError, match="invalid_scope"):
        log_in("storage.read:/ska")


def test_a_code_is_good_once(iam: Iam, trust: Trust, tests_client: Client, member: dict[str, Any]) -> None:
    assert member["active"]
    session = Session(ca_file=trust.ca_file, until=REDIRECT_URI)
    query = f"response_type=code&client_id={tests_client.client_id}&redirect_uri={REDIRECT_URI}&scope=openid"
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    place = f"{iam.endpoint('authorization')}?{query}&code_challenge={challenge}&code_challenge_method=S256"
    page = session.open(place)
    page = session.submit(page, page.form("password"), username="newcomer", password=PASSWORD)
    codes = []
    for _ in range(2):
        page = session.open(place)
        codes.append(
            sent_back(session.submit(page, page.form("decision"), decision="allow"), REDIRECT_URI)["code"]
        )
    form = {"redirect_uri": REDIRECT_URI, "code": codes[0]}
    with pytest.raises(StorageError, match="code_verifier"):
        iam.grant(tests_client, "authorization_code", **form, code_verifier="x" * 43)
    form["code"] = codes[1]
    assert iam.grant(tests_client, "authorization_code", **form, code_verifier=verifier)["access_token"]
    with pytest.raises(StorageError, match="unknown, used"):
        iam.grant(tests_client, "authorization_code", **form, code_verifier=verifier)


def test_a_device_waits_until_its_user_has_decided(
    iam: Iam, trust: Trust, tests_client: Client, member: dict[str, Any]
) -> None:
    device = iam.call("device_authorization", tests_client, {"scope": "openid wlcg.groups"}).document
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": device["device_code"],
    }
    assert iam.call("token", tests_client, form).error == "authorization_pending"
    session = Session(ca_file=trust.ca_file)
    page = session.open(device["verification_uri_complete"])
    page = session.submit(page, page.form("password"), username="newcomer", password=PASSWORD)
    page = session.submit(page, page.form("decision"), decision="allow")
    assert "may go on" in page.said
    answer = iam.call("token", tests_client, form)
    assert iam.with_token(answer.token).me()["id"] == member["id"]
    assert iam.call("token", tests_client, form).error == "invalid_grant"


def test_a_form_of_another_page_is_refused(iam: Iam, trust: Trust) -> None:
    session = Session(ca_file=trust.ca_file)
    page = session.open(f"{iam.url}login")
    form = page.form("password")
    form.fields["csrf"] = "guessed"
    assert session.submit(page, form, username="newcomer", password=PASSWORD).status == 403


def test_a_group_is_entered_by_its_managers_word(
    iam: Iam,
    administrator: Iam,
    member: dict[str, Any],
    log_in: Callable[..., dict[str, Any]],
    iam_as: Callable[..., Iam],
) -> None:
    newcomer = iam.with_token(log_in("openid offline_access")["access_token"])
    manager = iam_as("ska")
    (group,) = administrator.groups("escape/ska")
    with pytest.raises(StorageError, match="notes"):
        newcomer.ask_for_group("escape/ska", " ")
    with pytest.raises(StorageError, match="no group") as unknown:
        newcomer.ask_for_group("escape/nothing", "please")
    assert unknown.value.kind == "not-found"
    request = newcomer.ask_for_group("escape/ska", "please")
    with pytest.raises(StorageError, match="already"):
        newcomer.ask_for_group("escape/ska", "please, please")
    for stranger in (newcomer, manager, iam_as("lofar")):
        with pytest.raises(StorageError, match="403") as refused:
            stranger.approve_group_request(request)
        assert refused.value.kind == "denied"
    administrator.add_manager(manager.me()["id"], group["id"])
    assert request in {one["uuid"] for one in manager.group_requests()}
    assert request not in {one["uuid"] for one in iam_as("lofar").group_requests()}
    manager.approve_group_request(request)
    with pytest.raises(StorageError, match="decided already"):
        manager.approve_group_request(request)
    answer = log_in("wlcg.groups:/escape/ska storage.read:/ska")
    assert answer["scope"] == "wlcg.groups:/escape/ska storage.read:/ska"
    manager.remove_member(member["id"], group["id"])
    with pytest.raises(StorageError, match="access_denied"):
        log_in("wlcg.groups:/escape/ska")
    administrator.remove_manager(manager.me()["id"], group["id"])
    with pytest.raises(StorageError, match="403"):
        manager.remove_member(member["id"], group["id"])


def test_voms_attributes_follow_the_membership(
    administrator: Iam,
    member: dict[str, Any],
    voms_proxy_init: Callable[..., tuple[int, str, list[str]]],
    tmp_path: Path,
) -> None:
    status, said, _ = voms_proxy_init()
    assert status != 0
    assert "User unknown to this VO" in said
    administrator.link_certificate(member["id"], (tmp_path / "cert.pem").read_text(), name="mine")
    assert voms_proxy_init()[2] == ["/escape"]
    status, said, _ = voms_proxy_init("escape:/escape/ska")
    assert status != 0
    (group,) = administrator.groups("escape/ska")
    administrator.ask("POST", f"iam/account/{member['id']}/groups/{group['id']}")
    assert voms_proxy_init("escape:/escape/ska")[2] == ["/escape/ska", "/escape"]
    assert voms_proxy_init()[2] == ["/escape", "/escape/ska"]
    administrator.set_active(member["id"], active=False)
    status, said, _ = voms_proxy_init()
    assert status != 0
    assert "suspended" in said


def test_roles_and_optional_groups_are_told_when_asked_for(
    administrator: Iam,
    member: dict[str, Any],
    voms_proxy_init: Callable[..., tuple[int, str, list[str]]],
    log_in: Callable[..., dict[str, Any]],
    iam: Iam,
    tmp_path: Path,
) -> None:
    administrator.link_certificate(member["id"], (tmp_path / "cert.pem").read_text(), name="mine")
    answer = administrator.ask("POST", "scim/Groups", document={"displayName": "escape/ska/manager"})
    group = answer.document["id"]
    try:
        for label in ("voms.role", "wlcg.optional-group"):
            place = f"iam/group/{group}/labels"
            assert administrator.ask("PUT", place, document={"name": label}).status == 200
        administrator.ask("POST", f"iam/account/{member['id']}/groups/{group}")
        assert voms_proxy_init()[2] == ["/escape", "/escape/ska"]
        wanted = "escape:/escape/ska/Role=manager"
        assert voms_proxy_init(wanted)[2] == ["/escape/ska/Role=manager", "/escape", "/escape/ska"]
        token = log_in("openid wlcg.groups")["access_token"]
        assert iam.with_token(token).userinfo()["wlcg.groups"] == ["/escape", "/escape/ska"]
        assert log_in("wlcg.groups:/escape/ska/manager")["scope"] == "wlcg.groups:/escape/ska/manager"
    finally:
        administrator.ask("DELETE", f"scim/Groups/{group}")


def test_a_certificate_stands_for_one_account(
    administrator: Iam, member: dict[str, Any], identities: dict[str, Identity]
) -> None:
    pem = Path(identities["ska"].certificate).read_text()
    with pytest.raises(StorageError, match="linked to another account") as taken:
        administrator.link_certificate(member["id"], pem, name="stolen")
    assert taken.value.kind == "exists"
    with pytest.raises(StorageError, match="no certificate"):
        administrator.link_certificate(member["id"], "rubbish", name="rubbish")


def test_a_user_links_the_certificate_of_the_connection(
    iam: Iam,
    member: dict[str, Any],
    log_in: Callable[..., dict[str, Any]],
    authorities: Authorities,
    tmp_path: Path,
) -> None:
    certificate, key = authorities.issue_user("newcomer")
    file = tmp_path / "both.pem"
    file.touch(mode=0o600)
    file.write_bytes(authorities.proxy(certificate, key))
    newcomer = iam.with_token(log_in("openid")["access_token"], certificate=str(file))
    assert newcomer.ask("POST", "iam/account-linking/X509").status == 204
    known = newcomer.me()["urn:indigo-dc:scim:schemas:IndigoUser"]["certificates"]
    assert [one["subjectDn"] for one in known] == ["/DC=org/DC=datalake/O=people/CN=newcomer"]
    assert member["id"] == newcomer.me()["id"]


def test_only_administrators_administer(iam: Iam, iam_as: Callable[..., Iam], member: dict[str, Any]) -> None:
    user = iam_as("ska")
    for method, place in (
        ("GET", "scim/Users"),
        ("POST", "scim/Users"),
        ("PATCH", f"scim/Users/{member['id']}"),
        ("DELETE", f"scim/Users/{member['id']}"),
        ("GET", "scim/Groups"),
        ("POST", "scim/Groups"),
        ("GET", "registration/list"),
        ("GET", "iam/scope_policies"),
        ("POST", "iam/scope_policies"),
        ("POST", "iam/group"),
        ("POST", "iam/keys"),
        ("PUT", f"iam/account/{member['id']}/endTime"),
        ("PUT", f"iam/account/{member['id']}/labels"),
        ("GET", "iam/account/search"),
    ):
        assert user.ask(method, place, document={}).status == 403, place
        assert iam.ask(method, place, document={}).status == 401, place
    weak = iam_as("robot", "openid")  # an administrator, with a token that lends nothing of it
    assert weak.ask("GET", "scim/Users").status == 403


def test_scope_policies_are_the_administrators(
    administrator: Iam, iam: Iam, member: dict[str, Any], log_in: Callable[..., dict[str, Any]]
) -> None:
    policy = {
        "rule": "PERMIT",
        "matchingPolicy": "PATH",
        "scopes": ["storage.read:/open"],
        "account": {"uuid": member["id"]},
    }
    made = administrator.ask("POST", "iam/scope_policies", document=policy)
    assert made.status == 201
    number = made.document["id"]
    assert log_in("storage.read:/open/sky")["scope"] == "storage.read:/open/sky"
    with pytest.raises(StorageError, match="invalid_scope"):
        log_in("storage.read:/opening")
    assert administrator.ask("DELETE", f"iam/scope_policies/{number}").status == 204
    with pytest.raises(StorageError, match="invalid_scope"):
        log_in("storage.read:/open/sky")
    wrongs: list[dict[str, Any]] = [{"rule": "MAYBE"}, {"scopes": ["storage.read:/a/../b"]}, {"scopes": []}]
    for wrong in wrongs:
        assert administrator.ask("POST", "iam/scope_policies", document=policy | wrong).status == 400
    assert iam.health() == "UP"


def test_the_audit_names_who_did_what(settings: Settings, administrator: Iam, member: dict[str, Any]) -> None:
    import sqlite3

    administrator.set_active(member["id"], active=False)
    database = sqlite3.connect(Path(settings.directory) / "iam.db")
    try:
        rows = database.execute("SELECT actor, action, object FROM audit ORDER BY at DESC LIMIT 1").fetchall()
        everything = json.dumps(database.execute("SELECT * FROM audit").fetchall())
    finally:
        database.close()
    assert rows == [("robot", "changes account", "newcomer")]
    assert PASSWORD not in everything
