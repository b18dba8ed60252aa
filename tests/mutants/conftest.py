"""Small lakes, made to be broken."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from .harness import SmallLake

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """\
version: 1
lake: embedded
vo: escape
experiments: [ska, lofar]
qos_classes: {{A: fast disk}}
services: {{{services}}}
sites:
"""

_SITE = """\
  {site}:
    rses:
      {site}-A:
        technology: {technology}
        qos: A
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer{rule}]
        endpoints:
"""

_ENDPOINTS = {
    "xrootd": """\
          - protocol: davs
            auth: [token-scope, token-group, x509-voms]
            tpc: {active: [pull, push], passive: [pull, push]}
          - protocol: root
            auth: [token-scope, token-group, x509-voms]
            tpc: {active: [pull], passive: [pull]}
""",
    "apache": """\
          - protocol: davs
            auth: [token-scope, token-group, x509]
            tpc: {passive: [pull, push]}
""",
    "gridftp": """\
          - protocol: gsiftp
            auth: [x509-voms]
            tpc: {active: [push], passive: [push]}
""",
}


class LakeOf(Protocol):
    """Signature of the ``lake_of`` fixture."""

    def __call__(self, *services: str, **technologies: str) -> SmallLake:
        """A lake with one RSE at each of these sites: ``lake_of("fts", COMO="xrootd")`` has COMO-A."""


@pytest.fixture
def lake_of() -> Iterator[LakeOf]:
    with _lakes() as up:
        yield up


@pytest.fixture(scope="module")
def shared_lake_of() -> Iterator[LakeOf]:
    """For lakes that several tests break in turn: each says which services are broken, and how."""
    with _lakes() as up:
        yield up


@contextlib.contextmanager
def _lakes() -> Iterator[LakeOf]:
    with contextlib.ExitStack() as undo:

        def up(*services: str, **technologies: str) -> SmallLake:
            # not tmp_path: its parents are closed to other accounts, and too long for unix sockets
            home = Path(tempfile.mkdtemp(prefix="mutant-", dir="/var/tmp"))
            undo.callback(shutil.rmtree, home)
            home.chmod(0o711)
            matrix = home / "matrix.yaml"
            rule = ", rule" if "rucio" in services else ""
            matrix.write_text(
                _HEAD.format(services=", ".join(f"{name}: {{}}" for name in services))
                + "".join(
                    _SITE.format(site=site, technology=technology, rule=rule) + _ENDPOINTS[technology]
                    for site, technology in technologies.items()
                )
            )
            return SmallLake(matrix, home / "state", undo)

        yield up
