"""The commands in the report show a site's admin the fault, and after the repair that it has gone."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import LakeOf
    from .harness import SmallLake

AREAS = "suites/authorisation/test_areas.py"
OWN = "g /escape/lofar /escape/lofar a\n"
OPEN = "g /escape/lofar /escape/lofar a /escape/ska a\n"


def by_hand(lake: SmallLake, commands: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run commands as somebody who has every proxy that they ask for."""
    trust = lake.matrix.trust
    script = re.sub(
        r"voms-proxy-init --voms escape:/escape/(\w+)",
        lambda asked: f"export X509_USER_PROXY={lake.matrix.identity(asked[1]).proxy}",
        commands.replace("/tmp/sent", str(directory / "sent")),
    )
    environment = {
        "PATH": os.defpath,  # gfal2's tools take the first python that there is
        "X509_CERT_DIR": trust.ca_directory,
        "X509_VOMS_DIR": trust.voms_directory,
    }
    return subprocess.run(
        ["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_an_open_area_is_seen_by_hand_and_so_is_the_repair(lake_of: LakeOf, tmp_path: Path) -> None:
    lake = lake_of(LEMAN="xrootd")
    lake.edit("LEMAN-A", "authdb", OWN, OPEN)
    lake.restart("LEMAN-A")
    verdict = lake.run(
        f"{AREAS}::test_other_experiments_file_is_not_read", "--protocol", "davs", "--auth", "x509-voms"
    )
    (row,) = verdict.rows
    assert (row.outcome, row.identity) == ("failed", "lofar"), row.reason
    seen = by_hand(lake, row.reproduce, tmp_path)
    assert "\n1024\n" in seen.stdout, seen  # bytes that lofar read
    assert not seen.stderr, seen
    lake.edit("LEMAN-A", "authdb", OPEN, OWN)
    lake.restart("LEMAN-A")
    mended = by_hand(lake, row.reproduce, tmp_path)
    assert "\n0\n" in mended.stdout, mended
    assert "Permission refused" in mended.stderr, mended
    assert mended.stdout.count("DELETED") == seen.stdout.count("DELETED") == 1, "the owner's own copy works"
