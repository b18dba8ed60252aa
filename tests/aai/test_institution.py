"""Members who log in at their institution, and need no password at the IAM."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.clients.login import Session
from pytest_datalake.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_datalake.capabilities.enrol import Newcomer
    from pytest_datalake.clients.iam import Iam
    from pytest_datalake.lake.iam.config import Settings
    from pytest_datalake.matrix.model import Identity, Trust

ADMINISTRATION = "scim:read scim:write registration:read registration:write iam:admin.read iam:admin.write"


@pytest.fixture
def administrator(iam_as: Callable[..., Iam]) -> Iterator[Iam]:
    found = iam_as("robot", ADMINISTRATION)
    yield found
    for request in found.registrations():
        found.reject_registration(request["uuid"], "the test is over")
    for account in found.users("newcomer"):
        found.remove_user(account["id"])


def test_an_institutions_login_becomes_an_account(administrator: Iam, newcomer: Newcomer) -> None:
    with pytest.raises(StorageError, match="no member") as stranger:
        newcomer.as_user()
    assert stranger.value.kind == "denied"
    newcomer.register("to see the stars")
    with pytest.raises(StorageError, match=r"taken|asked already"):
        newcomer.register("to see the stars, again")
    (request,) = administrator.registrations()
    assert request["email"] == "newcomer@institute.example"
    with pytest.raises(StorageError):
        newcomer.as_user()
    administrator.approve_registration(request["uuid"])
    me = newcomer.as_user().me()
    assert me["userName"] == "newcomer"
    known = me["urn:indigo-dc:scim:schemas:IndigoUser"]["oidcIds"]
    assert len(known) == 1
    administrator.set_active(me["id"], active=False)
    with pytest.raises(StorageError, match="suspended"):
        newcomer.as_user()


def test_an_institutions_member_has_no_password_here(
    administrator: Iam, newcomer: Newcomer, identities: dict[str, Identity], trust: Trust, iam: Iam
) -> None:
    newcomer.register("to see the stars")
    (request,) = administrator.registrations()
    administrator.approve_registration(request["uuid"])
    session = Session(ca_file=trust.ca_file)
    page = session.open(f"{iam.url}login")
    password = Path(identities["newcomer"].password_file).read_text()
    for shown in (password, ""):
        refused = session.submit(page, page.form("password"), username="newcomer", password=shown)
        assert refused.status == 401


def test_an_answer_that_nobody_asked_for_is_refused(iam: Iam, trust: Trust) -> None:
    session = Session(ca_file=trust.ca_file)
    place = f"{iam.url}openid_connect_login?code=stolen&state=guessed"
    assert session.open(place).status == 400
    begun = Session(ca_file=trust.ca_file)
    page = begun.open(f"{iam.url}login")
    begun.submit(page, next(form for form in page.forms if form.action == "/institution"))
    assert begun.open(place).status == 400


def test_the_institution_is_asked_by_tls_alone(all_settings: tuple[Settings, Settings]) -> None:
    iam, institution = all_settings
    assert iam.institution is not None
    assert iam.institution.issuer == institution.issuer
    assert institution.issuer.startswith("https://")
    assert iam.institution.client_secret not in institution.to_json()
    assert iam.institution.client_secret not in repr(iam)


def test_a_proxy_is_made_by_voms_proxy_init(
    administrator: Iam, newcomer: Newcomer, identities: dict[str, Identity]
) -> None:
    with pytest.raises(StorageError, match=r"identity newcomer.*User unknown") as unknown:
        newcomer.voms_proxy()
    assert unknown.value.kind == "denied"
    newcomer.register("to see the stars")
    administrator.approve_registration(administrator.registrations()[0]["uuid"])
    (account,) = administrator.users("newcomer")
    certificate = Path(identities["newcomer"].certificate).read_text()
    administrator.link_certificate(account["id"], certificate, name="mine")
    assert "PRIVATE KEY" in Path(newcomer.voms_proxy()).read_text()
    with pytest.raises(StorageError, match="was refused"):
        newcomer.voms_proxy("/escape/ska")
