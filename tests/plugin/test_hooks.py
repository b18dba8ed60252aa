"""A conftest.py can adapt the plugin to its lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.plugin.conftest import UPLOAD

if TYPE_CHECKING:
    from tests.plugin.conftest import Playground


def test_matrix_can_be_changed_before_anything_is_selected(playground: Playground) -> None:
    (playground.path / "conftest.py").write_text(
        "from dataclasses import replace\n"
        "def pytest_datalake_matrix(config, matrix):\n"
        "    return replace(matrix, endpoints=tuple(e for e in matrix.endpoints if e.site == 'ALPHA'))\n"
    )
    playground.suite(UPLOAD)
    ran = playground.run("suites", "-n2")
    assert set(ran.outcomes) == {"test_upload[ALPHA-A.memory-by-x509-voms]"}
    assert ran.code == 0
    assert playground.run("suites", "--site", "BETA").code == 4


def test_identity_can_be_chosen(playground: Playground) -> None:
    (playground.path / "conftest.py").write_text(
        "def pytest_datalake_identity(cell_id, candidates):\n"
        "    if 'BETA' in cell_id:\n"
        "        return next(one for one in candidates if one.name == 'lofar')\n"
    )
    playground.suite(UPLOAD)
    ran = playground.run("suites", "-n2")
    assert {row["identity"] for name, row in ran.tests.items() if "BETA" in name} == {"lofar"}
    assert ran.code == 0


def test_broken_hook_is_the_users_traceback(playground: Playground) -> None:
    (playground.path / "conftest.py").write_text(
        "def pytest_datalake_matrix(config, matrix):\n    raise LookupError('no such site')\n"
    )
    playground.suite(UPLOAD)
    ran = playground.run()
    assert "no such site" in ran.text
    assert ran.code == 3
