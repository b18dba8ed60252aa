"""What a case met can be seen by hand: every command is one that a shell can read, without a secret."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pytest_datalake.conformance.copies import COPIES
from pytest_datalake.conformance.table import CASES
from pytest_datalake.fixtures.case_by_hand import case_by_hand, copy_by_hand
from pytest_datalake.matrix.load import load
from pytest_datalake.matrix.model import Identity

if TYPE_CHECKING:
    from pytest_datalake.conformance.case import Case
    from pytest_datalake.fixtures.case_credentials import CaseCredentials

COMMANDS = {"head", "curl", "gfal", "export", "env", "unset"}
MATRIX = load(Path(__file__).parents[2] / "site_matrix.yaml")


class Words:
    """Of ``CaseCredentials`` what commands are made of."""

    def __init__(self, protocol: str) -> None:
        door = next(one for one in MATRIX.endpoints if one.rse == "COMO-A" and one.protocol == protocol)
        self.endpoint = replace(door, host="como.example", port=8443)
        self.identity = Identity(name="ska", experiment="ska")
        self.other = Identity(name="lofar", experiment="lofar")
        self.matrix = replace(MATRIX, identities=(self.identity, self.other))

    def filled(self, text: str) -> str:
        return text.replace("$top", "/ska/t").replace("$other", "/lofar/t")


def commands(case: Case, protocol: str = "davs") -> str:
    return case_by_hand(case, cast("CaseCredentials", Words(protocol)))


def test_every_case_has_commands_that_a_shell_reads() -> None:
    for case in CASES:
        for protocol in {*case.protocols} - {"gsiftp"}:
            text = commands(case, protocol)
            ran = [line for line in text.splitlines() if not line.startswith("#")]
            assert ran, case.id
            assert {re.split(r"[- =]", line)[0] for line in ran} <= COMMANDS, text
            checked = subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True, check=False)
            assert checked.returncode == 0, f"{case.id}: {checked.stderr}"
            assert f"must be {case.expect}" in text


def test_a_token_that_opens_too_much() -> None:
    (case,) = (one for one in CASES if one.id == "path-prefix-directory")
    layout, _, shown, expected, request, who, _, removal = commands(case).splitlines()
    assert layout.endswith("'davs://como.example:8443/ska/t/foobar/file'")
    assert shown.endswith("# a WLCG token of ska, usual but for: scope storage.read:/ska/t/foo")
    assert expected == "# must be refused, HTTP 401 or 403:"
    assert '--header "Authorization: Bearer $CASE_TOKEN"' in request
    assert request.endswith("'https://como.example:8443/ska/t/foobar/file'")
    assert who == "# as ska:"
    assert removal == "gfal-rm 'davs://como.example:8443/ska/t/foobar/file'"


def test_what_belongs_to_others_is_laid_out_by_them() -> None:
    (case,) = (one for one in CASES if one.id == "path-of-another-experiment")
    lines = commands(case).splitlines()
    assert lines[0] == "# as lofar:"
    assert lines[1].startswith("unset BEARER_TOKEN; voms-proxy-init --voms escape:/escape/lofar")
    assert lines[2].endswith("'davs://como.example:8443/lofar/t/foo/file'")
    assert lines[-1].startswith("gfal-rm 'davs://como.example:8443/lofar/t/") or "ska" in lines[-2]


def test_requests_over_one_connection_are_one_command() -> None:
    (case,) = (one for one in CASES if one.id == "connection-forgets-the-groups")
    (request,) = (line for line in commands(case).splitlines() if line.startswith("curl"))
    first, last = request.split(" --next ")
    assert '$CASE_TOKEN"' in first
    assert '$CASE_TOKEN_1"' in last


def test_no_credential_is_none_of_the_readers_own() -> None:
    case = next(one for one in CASES if one.id == "token-none")
    request = commands(case, "root").splitlines()[-4:]
    assert any(line.startswith("env -u BEARER_TOKEN X509_USER_PROXY=/dev/null gfal-") for line in request)


def test_a_copy_is_asked_of_the_active_end_with_both_tokens() -> None:
    end = cast("CaseCredentials", Words("davs"))
    for case in COPIES:
        text = copy_by_hand(case, end, end, "/ska/t/file", "/ska/t/copy")
        asked, active, other = (
            ("SOURCE_TOKEN", "file", "Destination")
            if case.mode == "push"
            else ("DESTINATION_TOKEN", "copy", "Source")
        )
        (request,) = (line for line in text.splitlines() if line.startswith("curl"))
        assert f'"Authorization: Bearer ${asked}"' in request or ' "Authorization' not in request
        assert f"--header '{other}: https://como.example:8443/ska/t/" in request
        assert request.endswith(f"/ska/t/{active}'")
        checked = subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True, check=False)
        assert checked.returncode == 0, f"{case.id}: {checked.stderr}"
