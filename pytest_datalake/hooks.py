"""Hooks that a conftest.py may implement to adapt the plugin to a lake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_datalake.matrix.model import Identity, Matrix


@pytest.hookspec(firstresult=True)
def pytest_datalake_matrix(config: pytest.Config, matrix: Matrix) -> Matrix | None:
    """Change the matrix after it was loaded and before anything is selected.

    Runs once, in the controller. Return the matrix to use, or None to leave it as it is.
    """


@pytest.hookspec(firstresult=True)
def pytest_datalake_identity(cell_id: str, candidates: Sequence[Identity]) -> Identity | None:
    """Choose who a test acts as in a cell or on a link; the default spreads the experiments evenly.

    Must depend on its arguments alone, so that every worker chooses the same.
    """
