"""The reference says what the code says."""

from __future__ import annotations

from pathlib import Path

from pytest_datalake.report.reference import DESCRIBED, render

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "report.md"


def test_field_tables_are_current() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert render(text) == text, f"run: python -m pytest_datalake.report.reference {DOCUMENT.name}"


def test_everything_is_described() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert {name for name in DESCRIBED if f"<!-- fields: {name} -->" in text} == set(DESCRIBED)
