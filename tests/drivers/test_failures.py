from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_datalake.drivers.address import address, door
from pytest_datalake.drivers.api import Credential
from pytest_datalake.drivers.failures import failure, kind_of, scrub
from pytest_datalake.drivers.wire import fingerprint
from pytest_datalake.errors import StorageError
from pytest_datalake.matrix.model import Endpoint


def endpoint(protocol: str) -> Endpoint:
    values = {"id": f"X.{protocol}", "site": "X", "rse": "X", "technology": "x", "qos": "A"}
    return Endpoint(**values, protocol=protocol, host="localhost", port=1, prefix="/escape")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (
            errno.EEXIST,
            "TRANSFER ERROR: Copy failed (streamed). Last attempt: HTTP 403 : Permission refused",
            "denied",
        ),
        (errno.EEXIST, "DESTINATION EXISTS The destination file exists", "exists"),
        (errno.ECOMM, "globus_xio: Unable to connect to localhost:1 Connection refused", "unreachable"),
        (errno.EACCES, "the server responded with an error 530 530-Login incorrect.", "denied"),
        (errno.EHOSTDOWN, "Result Could not connect to server after 1 attempts", "unreachable"),
        (errno.EHOSTDOWN, "(Neon): Server certificate verification failed: issuer is not trusted", "other"),
        (errno.EHOSTDOWN, "Could not read status line: SSL error: sslv3 alert certificate unknown", "denied"),
        (errno.EBADE, "Failed to stat file (Invalid exchange)", "denied"),
        (errno.ESTALE, "Failed to stat file (Stale file handle)", "timeout"),
        (errno.EIO, "SOURCE CHECKSUM MISMATCH 62cdeafa != deadbeef", "checksum"),
        (errno.ENOSPC, "", "no-space"),
        (errno.ENOTEMPTY, "the directory is not empty", "exists"),
        (errno.ECOMM, "451-GridFTP-Reason: System error in rmdir 451-Directory not empty", "exists"),
        (errno.ENOSYS, "checksum calculation for SHA999 not supported", "unsupported"),
        (errno.EPERM, "copy HTTP 405 : Method Not Allowed, Permission refused", "unsupported"),
        (errno.ENOENT, "davs://localhost:1/ska/timeout/HTTP 404 : File not found", "not-found"),
        (errno.EIO, "davs://localhost:1/ska/timeout/not-supported: broken", "other"),
        (0, "", "other"),
    ],
)
def test_what_libraries_say_becomes_one_word(code: int, text: str, kind: str) -> None:
    assert kind_of(code, text) == kind


def test_a_code_that_contradicts_the_text_is_not_shown() -> None:
    assert "EEXIST" not in str(failure("put", "davs://x/y", code=errno.EEXIST, text="HTTP 403 : refused"))
    assert "EEXIST" in str(failure("put", "davs://x/y", code=errno.EEXIST, text="file exists"))


@given(st.text(alphabet="abcABC123-_", min_size=20), st.text(), st.text())
def test_secrets_are_taken_out(secret: str, before: str, after: str) -> None:
    token = f"eyJ{secret}.{secret}.{secret}"
    forms = (f"Bearer {token}", f"?authz=Bearer%20{token}", f"&authz={token}", f"X-Amz-Signature={secret}")
    for form in forms:
        assert secret not in scrub(f"{before} {form} {after}".replace(secret * 2, ""), (secret,))
        assert token not in scrub(f"x {form} y")


def test_a_credentials_repr_and_fingerprint_tell_nothing() -> None:
    credential = Credential(kind="token", token="very-secret")
    assert "very-secret" not in repr(credential) + fingerprint(credential)
    assert fingerprint(credential) != fingerprint(Credential(kind="token", token="other"))


def test_addresses_are_percent_encoded() -> None:
    assert address(endpoint("davs"), "/ska/a b%#ü") == "davs://localhost:1/escape/ska/a%20b%25%23%C3%BC"
    assert address(endpoint("root"), "/ska/a+b") == "root://localhost:1//escape/ska/a%2Bb"
    assert door("root://localhost:1//escape/x") == "root://localhost:1/"


def test_xroot_has_no_word_for_a_question_mark() -> None:
    with pytest.raises(StorageError) as refused:
        address(endpoint("root"), "/ska/a?b")
    assert refused.value.kind == "unsupported"
