"""What was done and should have been refused is told so that its owner can do it again."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.drivers.api import Credential
from pytest_datalake.drivers.wire import Call
from pytest_datalake.fixtures.trespass import granted_by, trespass
from pytest_datalake.matrix.load import load
from pytest_datalake.matrix.model import Identity

from .conftest import matrix_of, rse

if TYPE_CHECKING:
    from pytest_datalake.drivers.api import Verb

    from .conftest import Playground

SUITE = """\
import pytest

pytestmark = pytest.mark.capability("access")


def test_is_read(storage, test_file, refused):
    stored = test_file(size="1 KiB", at=storage)
    with refused("denied"):
        storage.read(stored.path, offset=0, length=10)


def test_asks_no_storage(storage, refused):
    with refused("denied"):
        pass
"""


def test_commands_of_what_should_have_been_refused(playground: Playground) -> None:
    playground.matrix(matrix_of(rse("alpha")))
    playground.suite(SUITE)
    ran = playground.run("suites")
    read = next(row for row in ran.tests.values() if row["test"] == "test_is_read")
    assert re.fullmatch(
        r"was done; it should have been refused as denied \(read memory://\S+/source-1024\)", read["reason"]
    ), read["reason"]
    assert re.fullmatch(
        r"# as a member of (\w+), which owns /\w+:\n"
        r"unset BEARER_TOKEN; voms-proxy-init --voms escape:/escape/\1\n"
        r"head -c 1024 /dev/urandom > /tmp/sent && gfal-copy --force --parent file:///tmp/sent '(\S+)'\n"
        r"# this must be refused \(permission denied\), and was done; with the credential that .*:\n"
        r"env -u BEARER_TOKEN X509_USER_PROXY=… gfal-cat --bytes '\2' \| wc -c\n"
        r"# as a member of \1, which owns /\w+, again:\n"
        r"unset BEARER_TOKEN; voms-proxy-init --voms escape:/escape/\1\n"
        r"gfal-rm '\2'  # or: pytest .*",
        read["reproduce"],
    ), read["reproduce"]
    assert read["evidence"]["url"].endswith("/source-1024")
    silent = next(row for row in ran.tests.values() if row["test"] == "test_asks_no_storage")
    assert silent["reason"] == "was done; it should have been refused as denied"
    assert silent["reproduce"].startswith("pytest ")


def commands(
    verb: Verb, auth: str, path: str = "/ska/there", new_path: str = "", *, forged: bool = False
) -> list[str]:
    """Of lofar, who did that over root."""
    lake = load(Path(__file__).parents[2] / "site_matrix.yaml")
    members = tuple(Identity(name=name, experiment=name) for name in ("ska", "lofar"))
    door = next(one for one in lake.endpoints if one.id == "COMO-A.root")
    call = Call(
        verb=verb,
        endpoint=replace(door, host="como.example", port=1094),
        path=path,
        new_path=new_path,
        credential=Credential(),
        budget=1.0,
    )
    row = {"identity": "lofar", "auth": auth, "source": "", "destination": "", "cell": door.id}
    return trespass(call, row, replace(lake, identities=members), forged=forged).splitlines()


def test_a_stranger_reads() -> None:
    assert commands("read", "x509-voms") == [
        "# as a member of ska, which owns /ska:",
        "unset BEARER_TOKEN; voms-proxy-init --voms escape:/escape/ska",
        (
            "head -c 1024 /dev/urandom > /tmp/sent && "
            "gfal-copy --force --parent file:///tmp/sent 'root://como.example:1094//ska/there'"
        ),
        "# this must be refused (permission denied), and was done; as lofar, who is not in ska:",
        "unset BEARER_TOKEN; voms-proxy-init --voms escape:/escape/lofar",
        "gfal-cat --bytes 'root://como.example:1094//ska/there' | wc -c",
        "# as a member of ska, which owns /ska, again:",
        "unset BEARER_TOKEN; voms-proxy-init --voms escape:/escape/ska",
        "gfal-rm 'root://como.example:1094//ska/there'",
    ]


def test_what_a_stranger_writes_is_not_laid_out_before() -> None:
    lines = commands("put", "x509-voms")
    assert lines[0] == "head -c 1024 /dev/urandom > /tmp/sent"
    assert lines[1].endswith("as lofar, who is not in ska:")


def test_nobody_shows_nothing_of_the_owner() -> None:
    lines = commands("remove", "anonymous")
    assert (
        "env -u BEARER_TOKEN X509_USER_PROXY=/dev/null gfal-rm 'root://como.example:1094//ska/there'" in lines
    )
    assert lines[1] == "unset BEARER_TOKEN; voms-proxy-init --voms escape:/escape/ska"


def test_what_is_smuggled_into_an_area_was_the_strangers_own() -> None:
    assert commands("rename", "x509-voms", "/lofar/mine", "/ska/smuggled") == [
        "# as a member of lofar, which owns /lofar:",
        "unset BEARER_TOKEN; voms-proxy-init --voms escape:/escape/lofar",
        (
            "head -c 1024 /dev/urandom > /tmp/sent && "
            "gfal-copy --force --parent file:///tmp/sent 'root://como.example:1094//lofar/mine'"
        ),
        "# this must be refused (permission denied), and was done; as lofar, who is not in ska:",
        "unset BEARER_TOKEN; voms-proxy-init --voms escape:/escape/lofar",
        "gfal-rename 'root://como.example:1094//lofar/mine' 'root://como.example:1094//ska/smuggled'",
        "# as a member of ska, which owns /ska:",
        "unset BEARER_TOKEN; voms-proxy-init --voms escape:/escape/ska",
        "gfal-rm 'root://como.example:1094//ska/smuggled'",
        "# as a member of lofar, which owns /lofar, again:",
        "unset BEARER_TOKEN; voms-proxy-init --voms escape:/escape/lofar",
        "gfal-rm 'root://como.example:1094//lofar/mine'",
    ]


def test_what_only_the_test_can_make_takes_the_place_of_the_owners() -> None:
    lines = commands("read", "token-group", forged=True)
    assert "BEARER_TOKEN=… gfal-cat --bytes 'root://como.example:1094//ska/there' | wc -c" in lines


@pytest.mark.parametrize("verb", ["mkdir", "rmdir"])
def test_what_no_tool_does_alone_has_no_commands(verb: Verb) -> None:
    assert commands(verb, "x509-voms") == []


@pytest.mark.parametrize(
    ("path", "new_path", "end"),
    [("/lofar/mine", "/ska/theirs", "GARDA-A.root"), ("/ska/theirs", "/lofar/mine", "COMO-A.root")],
)
def test_the_end_of_a_copy_that_should_have_refused_is_the_one_that_is_not_the_actors(
    path: str, new_path: str, end: str
) -> None:
    lake = load(Path(__file__).parents[2] / "site_matrix.yaml")
    doors = {one.id: one for one in lake.endpoints}
    call = Call(
        verb="copy",
        endpoint=doors["COMO-A.root"],
        path=path,
        new_endpoint=doors["GARDA-A.root"],
        new_path=new_path,
        credential=Credential(),
        budget=1.0,
    )
    members = tuple(Identity(name=name, experiment=name) for name in ("ska", "lofar"))
    assert granted_by(call, {"identity": "lofar"}, replace(lake, identities=members)) == end
