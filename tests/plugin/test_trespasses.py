"""What was done and should have been refused is told so that its owner can do it again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .conftest import matrix_of, rse

if TYPE_CHECKING:
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
        r"# this must be refused \(permission denied\), and was done; as \1:\n"
        r"unset BEARER_TOKEN; voms-proxy-init --voms escape:/escape/\w+\n"
        r"gfal-cat '\2'\n"
        r"# as a member of \1, which owns /\w+, again:\n"
        r"unset BEARER_TOKEN; voms-proxy-init --voms escape:/escape/\1\n"
        r"gfal-rm '\2'  # or: pytest .*",
        read["reproduce"],
    ), read["reproduce"]
    assert read["evidence"]["url"].endswith("/source-1024")
    silent = next(row for row in ran.tests.values() if row["test"] == "test_asks_no_storage")
    assert silent["reason"] == "was done; it should have been refused as denied"
    assert silent["reproduce"].startswith("pytest ")
