"""Services that stop being root have loaded all that they will need: their account may not read the code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

MATRIX = """\
version: 1
lake: embedded
vo: escape
experiments: [ska, lofar]
qos_classes: {A: fast disk}
services: {iam: {}, fts: {}}
sites:
"""

SITE = """\
  {site}:
    rses:
      {site}-A:
        technology: xrootd
        qos: A
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer]
        endpoints:
          - protocol: davs
            auth: [token-scope, token-group, x509-voms]
            tpc: {{active: [pull, push], passive: [pull, push]}}
"""

RUN = """\
mount --bind "$1" "$3/clone" && mount --bind "$2" "$3/environment" && mount -t tmpfs none "$1" || exit 99
cd "$3/clone" && shift 3 && exec "$@"
"""


@pytest.fixture
def private_home() -> Iterator[Path]:
    # not tmp_path: the lake's own directory, beside it, must be open to other accounts
    home = Path(tempfile.mkdtemp(prefix="private-", dir="/var/tmp"))
    home.chmod(0o711)
    try:
        yield home
    finally:
        shutil.rmtree(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's services become another account")
def test_services_work_from_a_clone_that_only_root_may_read(private_home: Path) -> None:
    closed = private_home / "closed"
    for directory in (closed, closed / "clone", closed / "environment"):
        directory.mkdir(mode=0o700)
    matrix = private_home / "matrix.yaml"
    matrix.write_text(MATRIX + SITE.format(site="COMO") + SITE.format(site="GARDA"))
    done = subprocess.run(
        [
            *("unshare", "--mount", "--propagation", "private"),
            *("sh", "-c", RUN, "sh", str(ROOT), sys.prefix, str(closed)),
            *(str(closed / "environment" / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("suites/aai", "suites/fts/test_links.py", "--cells", "smoke", "-n", "4"),
            *("--matrix", str(matrix)),
            *("--state-dir", str(private_home / "state"), "--report-dir", str(private_home / "reports")),
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
    )
    assert done.returncode != 99, done.stderr
    assert "DATA LAKE GREEN" in done.stdout, done.stdout[-6000:] + done.stderr[-2000:]
