"""What is generated is what is in the repository, and the examples in the page are true."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from pytest_datalake.matrix import document, schema
from pytest_datalake.matrix.load import parse

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / schema.PAGE_FILE).read_text(encoding="utf-8")
RENEW = "run: python -m pytest_datalake.matrix.schema"


def test_the_schema_in_the_repository_is_the_generated_one() -> None:
    assert (ROOT / schema.SCHEMA_FILE).read_text(encoding="utf-8") == schema.json_schema(), RENEW


def test_the_tables_in_the_page_are_the_generated_ones() -> None:
    assert schema.renew_page(PAGE) == PAGE, RENEW


def test_the_page_names_every_key() -> None:
    for one in fields(document.RseEntry):
        assert f"| `{one.name}` |" in PAGE


def test_the_schema_knows_the_short_forms() -> None:
    properties = json.loads(schema.json_schema())["properties"]
    for key in ("experiments", "qos_classes"):
        assert [form["type"] for form in properties[key]["anyOf"]] == ["array", "object"]
    assert properties["services"]["additionalProperties"]["anyOf"][0] == {"type": "string"}
    assert json.loads(schema.json_schema())["additionalProperties"] is False


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(version.*?)```", PAGE, re.DOTALL))
def test_examples_in_the_page_load(example: str) -> None:
    known_issues = re.findall(r"```yaml\n(known_issues.*?)```", PAGE, re.DOTALL)
    assert parse(example, "lake.yaml").endpoints
    assert (
        len(parse(example.replace("dcache\n", "xrootd\n") + known_issues[0], "lake.yaml").known_issues) == 1
    )


def test_the_tables_can_be_made_anew_from_an_empty_page() -> None:
    assert "| `lake` |" in schema.renew_page("<!-- generated: keys -->\n<!-- end -->")
