"""Imports only point down: suites > plugin, fixtures > cli, report > capabilities > drivers, clients,
credentials > conformance > matrix > errors; lake stands beside: it knows only matrix, credentials, errors."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "pytest_datalake"

BASE = {"", "errors"}
"""Any layer may import the package itself (its version) and its errors."""

_STORAGE = {"drivers", "clients", "credentials", "conformance", "matrix"}
ALLOWED = {
    "": set(),
    "errors": set(),
    "matrix": {"matrix"},
    "conformance": {"conformance", "matrix"},
    "credentials": {"credentials", "conformance", "matrix"},
    "drivers": _STORAGE,
    "clients": _STORAGE,
    "capabilities": {"capabilities", *_STORAGE},
    "lake": {"lake", "matrix", "credentials"},
    "report": {"report", "capabilities", "matrix"},
    "cli": {"cli", "report", "lake", "capabilities", *_STORAGE},
    "options": set(),
    "hooks": {"matrix"},
    "fixtures": {"fixtures", "options", "report", "lake", "capabilities", *_STORAGE},
    "plugin": {"fixtures", "options", "hooks", "matrix"},
    "reference": {"cli", "plugin", "hooks", "fixtures", "options", "capabilities", *_STORAGE},
}
"""Layer -> layers of ours that it may import."""

WITH_PYTEST = {"fixtures", "plugin", "hooks", "options", "reference"}
SUITES_MAY_IMPORT = {"capabilities", "errors"}

MODULES = sorted((ROOT / PACKAGE).rglob("*.py"))


def layer_of(path: Path) -> str:
    name = path.relative_to(ROOT / PACKAGE).parts[0].removesuffix(".py")
    return "" if name == "__init__" else name


def imported(path: Path) -> set[str]:
    """Full names of everything that a file imports, also inside functions and for types only."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = node.module or ""
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def layers(names: set[str]) -> set[str]:
    parts = [name.split(".") for name in names if name.split(".")[0] == PACKAGE]
    return {part[1] if len(part) > 1 and not part[1].startswith("_") else "" for part in parts}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_imports_only_what_is_below(path: Path) -> None:
    layer = layer_of(path)
    names = imported(path)
    assert layer in ALLOWED, f"{layer} is no layer of the design"
    assert layers(names) <= ALLOWED[layer] | BASE
    if layer not in WITH_PYTEST:
        assert not {name for name in names if name.partition(".")[0] in {"pytest", "_pytest", "xdist"}}
    assert not {name for name in names if name.startswith("_pytest")}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "suites").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT))
)
def test_suite_asserts_and_does_no_more(path: Path) -> None:
    assert layers(imported(path)) <= SUITES_MAY_IMPORT
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    nested = {inner for one in functions for inner in ast.walk(one) if inner is not one}
    helpers = [
        one.name
        for one in functions
        if one not in nested and not one.name.startswith(("test_", "pytest_")) and not one.decorator_list
    ]
    assert not helpers, "helpers belong into pytest_datalake"


def test_plugin_starts_light() -> None:
    heavy = {
        "yaml",
        "pydantic",
        "jinja2",
        "cryptography",
        "joserfc",
        "hypothesis",
        "rucio",
        "gfal2",
        "psutil",
        "stomp",
    }
    program = f"import sys, pytest_datalake.plugin; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
