"""Lakes of any size that exist in memory only, and the same tests written for bare pytest."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("cryptography", "gfal2", "hypothesis", "jinja2", "joserfc", "pydantic", "rucio", "stomp", "yaml")
"""Modules that a worker must not load to start up."""

_HEAD = """\
version: 1
vo: escape
experiments: [ska]
qos_classes: [A]
auth:
  identities:
    ska: {experiment: ska, groups: [/escape/ska], proxy: ska.pem}
sites:
"""

_SITE = """\
  {name}:
    rses:
      {name}-A:
        technology: memory
        qos: A
        supports: [access, transfer]
        endpoints:
          - {{protocol: memory, host: {name}, auth: [x509-voms], tpc: {{active: [pull], passive: [pull]}}}}
"""

_TEST = """\
import json, os, sys
from pathlib import Path

import pytest

{mark}
def test_empty({name}):
    {body}
"""

_NOTE_MODULES = (
    f"Path(f'modules-{{os.getpid()}}.json').write_text(json.dumps(sorted({set(HEAVY)!r} & set(sys.modules))))"
)


def _names(rses: int) -> list[str]:
    return [f"SITE{number:03}" for number in range(rses)]


def link_ids(rses: int) -> list[str]:
    """Ids of the links of a synthetic lake."""
    doors = [f"{name}-A.memory" for name in _names(rses)]
    return [f"{one}-to-{two}-by-x509-voms" for one in doors for two in doors if one != two]


def cell_ids(rses: int) -> list[str]:
    """Ids of the cells of a synthetic lake."""
    return [f"{name}-A.memory-by-x509-voms" for name in _names(rses)]


def write_lake(directory: Path, rses: int, name: str, *, note_modules: bool = False) -> None:
    """A matrix of so many RSEs, an empty test of ``name`` (link or cell), and its twin for bare pytest.

    The twins collect the same ids and do the same.
    """
    (directory / "site_matrix.yaml").write_text(
        _HEAD + "".join(_SITE.format(name=one) for one in _names(rses))
    )
    (directory / "ska.pem").write_text("experiment:ska\n")
    (directory / "pytest.toml").write_text("[pytest]\n")
    body = _NOTE_MODULES if note_modules else "pass"
    ids = {"link": link_ids, "cell": cell_ids}[name](rses)
    marks = {
        "suites": 'pytestmark = pytest.mark.capability("access")',
        "bare": f"@pytest.mark.parametrize({name!r}, {ids!r})",
    }
    for folder, mark in marks.items():
        (directory / folder).mkdir()
        (directory / folder / "test_empty.py").write_text(_TEST.format(mark=mark, name=name, body=body))


def with_plugin(*options: str) -> list[str]:
    """The command for the suite of the synthetic lake."""
    return [*_PYTEST, "suites", "--state-dir", "state", *options]


def without_plugin(*options: str) -> list[str]:
    """The command for its twin."""
    return [*_PYTEST, "-p", "no:datalake", "bare", *options]


_PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
