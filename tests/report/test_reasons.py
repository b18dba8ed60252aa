"""The cause comes first, and what it usually means is said."""

from __future__ import annotations

import pytest

from pytest_datalake.report.reasons import advise, cause, one_line, shape

AREA = "/escape/lsst/pytest-datalake/20261122t194904-6aa183"
PULL = (
    f"copy davs://127.0.0.14:13427{AREA}/shared/source-1 -> davs://127.0.0.13:13876{AREA}/82e97c/arrived: "
    "TRANSFER ERROR: Copy failed (3rd pull). Last attempt: Transfer failure: Remote side failed with status "
    f'code 403; error message: "Unable to open {AREA}/x/source-1; permission denied " (EIO)'
)

COPY = "copy davs://h/x -> davs://g/y: TRANSFER ERROR: Copy failed (3rd {}). Last attempt: {}"
TURNED_DOWN = "the active end answered, and does not do this third-party copy"
NOT_CONNECTED = "the two ends of the copy are not connected"
WRONG_REQUEST = "the server takes the request for a wrong one"
DESTROYED = "something was destroyed, though the server said that it was refused"
OTHER_CODE = "it was refused as it should be, with a code that says something else"
NOT_TOLD = "the server said that it was done, and it was not"


def test_operation_addresses_and_wrappings_are_left_out() -> None:
    assert cause(PULL) == (
        'Remote side failed with status code 403; error message: "Unable to open …/source-1; '
        'permission denied "'
    )


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (
            "put root://localhost:1094//escape/x: No space left on device (ENOSPC)",
            "No space left on device (ENOSPC)",
        ),
        (
            "TimeoutError: the client did not answer in 32 s",
            "TimeoutError: the client did not answer in 32 s",
        ),
        ("stat davs://host/x: ", "stat davs://host/x:"),
        ("stat davs://host/x: HTTP 404 : File not found (ENOENT)", "HTTP 404 : File not found"),
        ("something else than the known issue at m.yaml:8: stat davs://h/x: gone (EIO)", "gone (EIO)"),
        ("/short/path is not there", "/short/path is not there"),
        ("rule 4d3c is STUCK: RequestErrMsg.TRANSFER_FAILED:SOURCE [2] gone", "SOURCE [2] gone"),
        ("", ""),
    ],
)
def test_the_cause_stands_alone(reason: str, expected: str) -> None:
    assert cause(reason) == expected


def test_what_is_cut_is_cut_at_the_end() -> None:
    assert cause("a\n\x1b[31mb\t\tc\x00") == "a [31mb c"
    assert len(cause("x y " * 5_000)) == 220
    assert one_line("x" * 10_000, 50) == "x" * 49 + "…"


def test_one_cause_has_one_shape_and_two_statuses_have_two() -> None:
    reasons = [f"HTTP 403 : refused for /escape/ska/{number}/{number}: no rule" for number in (11, 22_222)]
    assert shape(reasons[0]) == shape(reasons[1])
    assert shape("HTTP 403 : refused") != shape("HTTP 507 : refused")


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [
        ("HTTP 507 : Insufficient Storage", "the storage is full"),
        ("TRANSFER destination: No space left on device", "the storage is full"),
        ("certificate has expired", "a certificate has expired"),
        ("CRL for CA x has expired", "a certificate revocation list is stale"),
        ("unable to get local issuer certificate", "TLS: one side does not trust the other"),
        ("HTTP 401 : Unauthorized", "the credential was not accepted"),
        (PULL, "access was refused"),
        ("checksum of the copy is 1, of the source 2", "the checksum, or the content, is another one"),
        ("Connection refused (ECONNREFUSED)", "nobody can connect to the address"),
        ("Result Could not connect to server after 1 attempts", "nobody can connect to the address"),
        ("Could not resolve hostname", "the host's name is not known"),
        ("TLS handshake timed out", "no answer in time"),
        ("was done; it should have been refused as denied", "something was granted that should be refused"),
        (COPY.format("pull", "copy HTTP 400 : Server Error (EHOSTDOWN)"), TURNED_DOWN),
        (COPY.format("push", "HTTP 405 : Method Not Allowed"), TURNED_DOWN),
        ("the copy was neither done nor refused: HTTP 400: Request unknown", TURNED_DOWN),
        (
            "at the destination is 0 bytes, not nothing, though the active end said 'HTTP 201: failure: 403'",
            "a copy that failed or was refused left a file behind",
        ),
        (
            "at the destination is 0 bytes, not the 9 bytes that belong there, though the active end said x",
            "something else lies at the destination than belongs there",
        ),
        ("/ska/file is gone, though the door said denied: put root://h//ska/file: 403", DESTROYED),
        ("refused as other, not as exists: rmdir root://h//x: Failed (EIO)", OTHER_CODE),
        ("was done; it should have been refused as not-found (rmdir root://h//x)", NOT_TOLD),
        (COPY.format("pull", "Transfer failure: Couldn't connect to server (EIO)"), NOT_CONNECTED),
        ("put davs://h/x: HTTP 400 : Server Error (EHOSTDOWN)", WRONG_REQUEST),
        ("HTTP 403 : no checksum for you", "access was refused"),
        ("HTTP 404 : connection refused (ECONNREFUSED)", "the file or directory is not there"),
        ("Operation timed out (ETIMEDOUT)", "no answer in time"),
        ("Recv failure: Connection reset by peer", "the connection broke off"),
        ("HTTP 500 : Internal Server Error", "the server failed"),
    ],
)
def test_what_a_reason_usually_means(reason: str, meaning: str) -> None:
    advice = advise(reason)
    assert advice is not None
    assert advice.meaning == meaning


def test_where_to_look_depends_on_the_credential() -> None:
    def check(*auths: str, identity: str = "") -> str:
        advice = advise("HTTP 403", auths, identity)
        assert advice is not None
        return advice.check

    def granted(test: str) -> str:
        advice = advise("was done; it should have been refused as denied", test=test)
        assert advice is not None
        return advice.check

    assert "issuer" in check("token-scope", "token-group")
    assert "wlcg.groups" in check("token-group")
    assert "vomsdir" in check("x509-voms")
    assert check("x509-voms", identity="ska").startswith("Others are let in: which rule gives ska's groups")
    assert "fetch-crl" in granted("revoked-certificate")
    assert "fetch-crl" not in granted("test_other_experiments_file_is_not_read")
    assert "Tokens and certificates are refused alike" in check("token-scope", "x509", "anonymous")
    assert len({check("token-scope"), check("x509"), check("anonymous"), check("token-group", "x509")}) == 4


def test_nothing_is_said_of_what_is_not_known() -> None:
    assert advise("the moon is full of cheese") is None
