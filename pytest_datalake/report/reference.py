"""Writes the field tables of ``docs/reference/report.md`` from the dataclasses they describe.

``python -m pytest_datalake.report.reference FILE`` replaces them in place; a test holds them current.
"""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from pytest_datalake.report.blame.fault import Fault
from pytest_datalake.report.coverage_change import Coverage
from pytest_datalake.report.rows import (
    DowntimeRow,
    EndpointRow,
    EndRow,
    KnownIssueRow,
    MatrixReference,
    RunRow,
    TestRow,
    UnsupportedRow,
)
from pytest_datalake.report.verdict import Counts, Verdict

DESCRIBED: dict[str, type[Any]] = {
    described.__name__: described
    for described in (
        RunRow,
        MatrixReference,
        EndpointRow,
        UnsupportedRow,
        TestRow,
        KnownIssueRow,
        DowntimeRow,
        EndRow,
        Verdict,
        Counts,
        Fault,
        Coverage,
    )
}

_BLOCK = re.compile(r"(<!-- fields: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(described: type[Any]) -> str:
    """Markdown table of the fields of a dataclass: name, type, and what its docstring says."""
    meanings = _meanings(described)
    lines = ["| field | type | meaning |", "|---|---|---|"]
    for spec in fields(described):
        kind = _json_type(str(spec.type))
        lines.append(f"| `{spec.name}` | {kind} | {meanings[spec.name]} |")
    return "\n".join(lines) + "\n"


def render(text: str) -> str:
    """The document with its tables made anew; everything else stays."""
    return _BLOCK.sub(lambda block: f"{block[1]}{table(DESCRIBED[block[2]])}{block[3]}", text)


def _meanings(described: type[Any]) -> dict[str, str]:
    text = inspect.getdoc(described) or ""
    body = text.partition("Attributes:\n")[2]
    meanings: dict[str, str] = {}
    name = ""
    for line in body.splitlines():
        start = re.match(r"    (\w+): (.*)", line)
        if start:
            name = start[1]
            meanings[name] = start[2]
        elif line.strip() and name:
            meanings[name] += " " + line.strip()
    return {name: meaning.replace("``", "`").replace("|", "\\|") for name, meaning in meanings.items()}


_SIMPLE = {
    "str": "string",
    "Outcome": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "dict[str, Any]": "object",
    "tuple[tuple[str, str], ...]": "list of pairs",
    "dict[str, dict[str, str]]": "object of object of string",
}


def _json_type(annotation: str) -> str:
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if annotation.endswith(" | None"):
        return _json_type(annotation.removesuffix(" | None")) + " or null"
    container = re.fullmatch(r"tuple\[(\w+), \.\.\.\]|dict\[str, (\w+)\]", annotation)
    if container:
        return (
            f"list of {_json_type(container[1])}" if container[1] else f"object of {_json_type(container[2])}"
        )
    return f"[{annotation}](#{annotation.lower()})" if annotation in DESCRIBED else "string"


def main() -> None:
    """Bring the tables of a document up to date."""
    path = Path(sys.argv[1])
    path.write_text(render(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
