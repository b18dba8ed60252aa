"""People enrol with a browser: log in at the institution, ask, and have others decide."""

from __future__ import annotations

import base64
import hashlib
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.browser.chromium import Window, chromium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_datalake.clients.iam import Iam
    from pytest_datalake.lake.iam.config import Settings
    from pytest_datalake.matrix.model import Identity

ADMINISTRATION = "scim:read scim:write registration:read registration:write iam:admin.read iam:admin.write"
PASSWORD = "a manager's password"


@pytest.fixture
def flags(settings: Settings) -> tuple[str, ...]:
    """Let the browser reach this machine, and believe the hosts' key, for which no public CA vouches."""
    certificate = x509.load_pem_x509_certificate(Path(settings.host_certificate).read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = base64.b64encode(hashlib.sha256(key).digest()).decode()
    return (
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
        f"--ignore-certificate-errors-spki-list={digest}",
    )


@pytest.fixture
def open_window(flags: tuple[str, ...], tmp_path: Path) -> Iterator[Callable[[str], Window]]:
    """A browser of somebody's own: ``open_window("newcomer")``."""
    with ExitStack() as browsers:
        yield lambda name: Window(browsers.enter_context(chromium(tmp_path / name, *flags)))


@pytest.fixture
def administrator(iam_as: Callable[..., Iam]) -> Iterator[Iam]:
    found = iam_as("robot", ADMINISTRATION)
    yield found
    for username in ("newcomer", "manager"):
        for account in found.users(username):
            found.remove_user(account["id"])


@pytest.fixture
def manager(administrator: Iam) -> str:
    """The username of somebody who logs in by password and manages the group escape/ska."""
    wanted = {
        "userName": "manager",
        "name": {"givenName": "Group", "familyName": "Manager"},
        "emails": [{"value": "manager@example.org"}],
        "password": PASSWORD,
    }
    account = administrator.ask("POST", "scim/Users", document=wanted).document
    administrator.add_manager(account["id"], administrator.groups("escape/ska")[0]["id"])
    return "manager"


def _type(window: Window, form: str, **values: str) -> None:
    window.wait("return document.querySelector(arguments[0])", form)
    for name, value in values.items():
        field = window.driver.find_element("css selector", f"{form} [name={name}]")
        field.clear()
        field.send_keys(value)
    window.click(f"{form} button")


def test_somebody_becomes_a_member_and_enters_a_group(
    iam: Iam,
    administrator: Iam,
    manager: str,
    identities: dict[str, Identity],
    open_window: Callable[[str], Window],
) -> None:
    newcomer = open_window("newcomer")
    newcomer.driver.get(f"{iam.url}login")
    newcomer.leave("#by-institution button")
    password = Path(identities["newcomer"].password_file).read_text()
    _type(newcomer, "#by-password", username="newcomer", password=password)
    newcomer.click("#consent button[value=allow]")
    newcomer.wait("return document.querySelector('#register')")
    assert newcomer.driver.current_url == f"{iam.url}start-registration"
    _type(newcomer, "#register", notes="to see the stars")
    newcomer.wait("return document.querySelector('[role=status]')")
    assert "with the administrators" in newcomer.text("[role=status]")
    (request,) = administrator.registrations()
    administrator.approve_registration(request["uuid"])

    newcomer.driver.get(f"{iam.url}login")
    newcomer.click("#by-institution button")  # the institution still knows this browser
    newcomer.click("#consent button[value=allow]")
    newcomer.wait("return document.querySelector('#groups')")
    assert newcomer.texts("#groups li") == ["escape"]
    newcomer.run("document.querySelector('#ask select').value = 'escape/ska'")
    newcomer.driver.find_element("css selector", "#ask [name=notes]").send_keys("to see the stars")
    newcomer.click("#ask button")
    newcomer.wait("return document.querySelector('.asked')")
    assert newcomer.text(".asked") == "escape/ska: PENDING"

    decider = open_window("manager")
    decider.driver.get(f"{iam.url}login")
    _type(decider, "#by-password", username=manager, password=PASSWORD)
    decider.wait("return document.querySelector('#group-requests')")
    assert decider.texts("#group-requests li")[0].startswith("newcomer asks for escape/ska: to see the stars")
    decider.click("#group-requests button[value=approve]")
    decider.wait("return document.querySelector('#groups') && !document.querySelector('#group-requests')")

    newcomer.driver.refresh()
    newcomer.wait("return document.querySelector('.asked')?.innerText.includes('APPROVED')")
    assert newcomer.texts("#groups li") == ["escape", "escape/ska"]
    for window in (newcomer, decider):
        assert window.complaints() == []
