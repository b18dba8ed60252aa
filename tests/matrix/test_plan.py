"""The plan says what a run is about and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.matrix.load import load
from pytest_datalake.matrix.plan import Estimate, describe, readable_bytes
from pytest_datalake.matrix.selection import Selection, select

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Matrix


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return load(Path(__file__).parents[2] / "site_matrix.yaml")


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_a_matrix_alone(matrix: Matrix) -> None:
    text = describe(matrix)
    assert "third-party copies: 294\n" in text
    assert "sites: 10, RSEs: 14, endpoints: 22\n" in text
    assert ["LEMAN-B", "apache", "B", "davs"] in words(text)
    assert ["http", "xrootd", "to", "swift", "x509-voms", "8"] in words(text)
    assert ["md5", "1"] in words(text)
    assert text.endswith("\n")


def test_a_selection_and_its_cost(matrix: Matrix) -> None:
    selected = select(matrix, Selection(rse=("COMO-A",), capability=("access",)))
    estimate = Estimate(
        tests={"access": 12}, written_bytes={"COMO": 3 * 1024**2, "GARDA": 1536}, written_files={"COMO": 24}
    )
    text = describe(matrix, selected, estimate)
    assert ["COMO", "COMO-A", "xrootd", "A", "davs,", "root", "24", "3", "MiB"] in words(text)
    assert ["GARDA", "GARDA-A", "xrootd", "A", "davs,", "root", "0", "1.5", "KiB"] in words(text)
    assert "capabilities: 1, tests: 12\n" in text
    assert ["access", "14", "12"] in words(text)


def test_nothing_selected_is_said(matrix: Matrix) -> None:
    selected = select(matrix, Selection(site=("COMO",), protocol=("gsiftp",)))
    assert "sites: 0, RSEs: 0, endpoints: 0\n" in describe(matrix, selected)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (5 * 1024**4, "5 TiB")],
)
def test_bytes_are_readable(count: int, text: str) -> None:
    assert readable_bytes(count) == text
