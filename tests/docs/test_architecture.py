"""An import may only point down."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

LAYERS = (
    {"reference"},
    {"plugin"},
    {"hooks"},
    {"fixtures"},
    {"options"},
    {"cli"},
    {"report"},
    {"capabilities"},
    {"drivers", "clients", "lake"},
    {"credentials"},
    {"conformance"},
    {"matrix"},
    {"errors"},
)
"""From the top. Parts of one layer do not import each other."""

BESIDE = {"lake": {"matrix", "credentials", "errors"}}
"""What parts beside the stack may import of ours."""

WITH_PYTEST = {"plugin", "hooks", "reference", "fixtures", "options"}


def _part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: an import that does not say which layer it points to"
            if node.module == "pytest_datalake":
                yield from (f"pytest_datalake.{alias.name}" for alias in node.names)
            else:
                yield str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _modules() -> list[tuple[str, Path]]:
    package = ROOT / "pytest_datalake"
    found = []
    for path in sorted(package.rglob("*.py")):
        first = path.relative_to(package).parts[0].removesuffix(".py")
        if first != "__init__" and "resources" not in path.parts:
            found.append((first, path))
    return found


def test_imports_point_down() -> None:
    level = {part: number for number, parts in enumerate(LAYERS) for part in parts}
    wrong = []
    for part, path in _modules():
        for module in _imports(path):
            other = _part(module) if module.startswith("pytest_datalake.") else ""
            if not other or other in {part, "__version__"}:
                continue
            allowed = BESIDE[part] if part in BESIDE else {one for one in level if level[one] > level[part]}
            if other not in allowed:
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong


def test_nothing_below_fixtures_imports_pytest() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for part, path in _modules()
        for module in _imports(path)
        if part not in WITH_PYTEST and module.split(".")[0] in {"pytest", "_pytest", "xdist"}
    ]
    assert not wrong


@pytest.mark.parametrize("folder", ["pytest_datalake", "suites"])
def test_no_private_part_of_pytest_is_imported(folder: str) -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / folder).rglob("*.py"))
        if any(module.split(".")[0] == "_pytest" for module in _imports(path))
    ]
    assert not wrong


def test_suites_import_nothing_of_ours() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sorted((ROOT / "suites").rglob("*.py"))
        for module in _imports(path)
        if module.startswith("pytest_datalake")
    ]
    assert not wrong
