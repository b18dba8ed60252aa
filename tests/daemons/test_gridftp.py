"""The contract of the GridFTP door, through prepare() and a plain process."""

from __future__ import annotations

import json
import os
import subprocess
import zlib
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.lake.daemons import gridftp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.daemons.conftest import Rig

    Gfal = Callable[..., str]

CONTENT = os.urandom(100_000)

# In a process of its own that leaves before the library's destructors, which crash now and then.
_CLIENT = """
import gfal2, json, os, sys
verb, *arguments = sys.argv[1:]
context = gfal2.creat_context()
try:
    if verb == "filecopy":
        parameters = context.transfer_parameters()
        parameters.overwrite, parameters.timeout = True, 30
        arguments.insert(0, parameters)
    answer = str(getattr(context, verb)(*arguments))
except gfal2.GError as error:
    answer = f"refused: {error}"
print(json.dumps(answer), flush=True)
os._exit(0)
"""


@pytest.fixture(scope="module")
def doors(rig: Rig) -> Iterator[list[str]]:
    plans = [rig.plan("gridftp", gridftp.PORTS) for _ in range(2)]
    for plan in plans:
        rig.start(plan, gridftp.prepare(plan))
    yield [f"gsiftp://{plan.host}:{plan.ports[0]}{plan.data}/escape" for plan in plans]
    rig.stop()


@pytest.fixture(scope="module")
def gfal(rig: Rig) -> Gfal:
    proxies = {name: rig.pki.proxy(user, f"/escape/{name}", "/escape") for name, user in rig.users.items()}
    proxies["stranger"] = rig.pki.proxy(rig.pki.issue("stranger"), "/escape")

    def run(user: str, verb: str, *arguments: str) -> str:
        done = subprocess.run(
            ["/usr/bin/python3", "-c", _CLIENT, verb, *arguments],
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(rig.directory),
                "X509_CERT_DIR": str(rig.pki.certificates),
                "X509_USER_PROXY": str(proxies[user]),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return str(json.loads(done.stdout))

    return run


def test_put_copy_checksum_and_get(doors: list[str], gfal: Gfal, tmp_path: Path) -> None:
    source, arrived = tmp_path / "source", tmp_path / "arrived"
    source.write_bytes(CONTENT)
    first, second = (f"{door}/ska/a%20file" for door in doors)
    assert gfal("ska", "filecopy", f"file://{source}", first) == "0"
    assert gfal("ska", "filecopy", first, second) == "0"
    assert gfal("ska", "filecopy", second, f"file://{arrived}") == "0"
    assert arrived.read_bytes() == CONTENT
    assert gfal("ska", "checksum", second, "ADLER32") == f"{zlib.adler32(CONTENT):08x}"
    assert "a file" in gfal("ska", "listdir", f"{doors[1]}/ska")
    assert gfal("ska", "unlink", second) == "0"
    assert "No such file" in gfal("ska", "stat", second)


def test_paths_outside_the_data_are_refused(doors: list[str], gfal: Gfal) -> None:
    door = doors[0].split("/var/", 1)[0]
    assert "Path not allowed" in gfal("ska", "stat", f"{door}/etc/passwd")


@pytest.mark.skipif(os.geteuid() != 0, reason="one account for all unless started by root")
def test_another_experiment_is_kept_out(doors: list[str], gfal: Gfal) -> None:
    assert "Permission denied" in gfal("lofar", "listdir", f"{doors[0]}/ska")
    assert "refused" not in gfal("lofar", "listdir", f"{doors[0]}/lofar")


def test_a_stranger_is_not_let_in(doors: list[str], gfal: Gfal) -> None:
    assert "530" in gfal("stranger", "listdir", f"{doors[0]}/ska")


def test_a_revoked_certificate_is_refused(doors: list[str], gfal: Gfal, rig: Rig) -> None:
    assert "refused" not in gfal("lofar", "listdir", f"{doors[0]}/lofar")
    rig.pki.revoke(rig.users["lofar"])
    try:
        assert "refused" in gfal("lofar", "listdir", f"{doors[0]}/lofar")
    finally:
        rig.pki.revoke()
