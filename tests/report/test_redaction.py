"""What looks like a secret is left out; what people look for is not."""

from __future__ import annotations

import pytest

from pytest_datalake.report.redaction import without_secrets

RUCIO = "ska-/CN=ska-unknown-4714c9653cf641b8924c5dcb4281ccf8"


@pytest.mark.parametrize(
    "secret",
    [
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln",
        "MDAxY2xvY2F0aW9uIE9wdGlvbmFsRW1wdHkKMDAxO",
        "https://user:hunter2@host/",
        "https://host/file?authz=abcdef",
        "X-Rucio-Auth-Token: " + RUCIO,
        f"{{'token_1': '{RUCIO}'}}",
    ],
)
def test_secrets_are_left_out(secret: str) -> None:
    shown = without_secrets(f"before {secret} after")
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert "secret left out" in shown
    assert not any(word in shown for word in ("eyJ", "MDAx", "hunter2", "abcdef", "4714c965"))


@pytest.mark.parametrize(
    "text",
    [
        "rule 4714c9653cf641b8924c5dcb4281ccf8 is STUCK",
        "md5 4714c9653cf641b8924c5dcb4281ccf8, not 0",
        "davs://como.example:1094/escape/ska/run-4714/file",
        'curl --header "Authorization: Bearer $BEARER_TOKEN" --url-query "authz=Bearer $BEARER_TOKEN"',
        'curl --url-query "access_token=$BEARER_TOKEN"',
        'curl --header "Authorization: Bearer $CASE_TOKEN_1"',
    ],
)
def test_what_people_look_for_stays(text: str) -> None:
    assert without_secrets(text) == text
