"""The plugin's options, read once into one frozen object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

AXES = ("site", "rse", "protocol", "auth", "qos", "vo", "capability")
DEFAULT_MATRIX = "site_matrix.yaml"

_AXIS_HELP = {
    "site": "site names",
    "rse": "RSE names",
    "protocol": "protocols (davs, root, gsiftp, s3s)",
    "auth": "auth values (anonymous, token-scope, token-group, x509, x509-voms, access-key)",
    "qos": "QoS classes",
    "vo": "experiments to act as",
    "capability": "capabilities (access, authorisation, transfer, ...)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for.

    Attributes:
        matrix: the matrix file; it may not exist when no test needs one.
        state_dir: where the embedded lake lives; None: the default for this user and matrix.
        report_dir: where results.jsonl and everything made of it go.
        globs: axis -> patterns, "!" excludes.
        budget: seconds that an operation on a small file may take.
        cells: "smoke", "pairwise" or "full" for all tests; empty: each test's own cover.
        plan: print the plan and its cost, run nothing.
        keep_lake: leave the embedded lake running.
        allow_disruptive: run disruptive tests, where the matrix allows them.
        tests: files, directories and node ids, as they were named.
        expressions: what was given by -k and by -m; empty where nothing was.
    """

    matrix: Path
    state_dir: Path | None
    report_dir: Path
    globs: dict[str, tuple[str, ...]]
    budget: float
    cells: str
    plan: bool
    keep_lake: bool
    allow_disruptive: bool
    tests: tuple[str, ...] = ()
    expressions: tuple[str, str] = ("", "")

    @property
    def choice(self) -> dict[str, str]:
        """What was typed to choose the tests, by option; what was not is left out."""
        axes = {axis: " ".join(values) for axis, values in self.globs.items()}
        keyword, marks = self.expressions
        disruptive = "yes" if self.allow_disruptive else ""
        typed = {"tests": " ".join(self.tests), "-k": keyword, "-m": marks, **axes, "cells": self.cells}
        return {name: text for name, text in {**typed, "allow_disruptive": disruptive}.items() if text}


def add_options(parser: pytest.Parser) -> None:
    """Register the options in a group of their own."""
    group = parser.getgroup("datalake", "data lake under test")
    group.addoption(
        "--matrix",
        metavar="FILE",
        dest="datalake_matrix",
        help=f"site matrix (default: ini value datalake_matrix, or {DEFAULT_MATRIX} beside pyproject.toml)",
    )
    for axis in AXES:
        group.addoption(
            f"--{axis}",
            metavar="GLOB",
            dest=f"datalake_{axis}",
            action="append",
            default=[],
            help=f"only these {_AXIS_HELP[axis]}; repeatable, a leading ! excludes",
        )
    group.addoption(
        "--cells",
        dest="datalake_cells",
        choices=("smoke", "pairwise", "full"),
        default="",
        help="run every test on a handful of cells, a pairwise cover, or all (default: each test's choice)",
    )
    group.addoption(
        "--budget",
        metavar="SECONDS",
        dest="datalake_budget",
        type=_seconds,
        default=60.0,
        help="time for an operation on a small file; large ones get more by their size (default: 60)",
    )
    group.addoption(
        "--plan", dest="datalake_plan", action="store_true", help="print the plan and its cost, and stop"
    )
    group.addoption(
        "--report-dir",
        metavar="DIR",
        dest="datalake_report_dir",
        default="reports",
        help="where the report goes (default: reports)",
    )
    group.addoption(
        "--state-dir", metavar="DIR", dest="datalake_state_dir", help="directory of the embedded lake"
    )
    group.addoption(
        "--keep-lake", dest="datalake_keep_lake", action="store_true", help="leave the embedded lake running"
    )
    group.addoption(
        "--allow-disruptive",
        dest="datalake_allow_disruptive",
        action="store_true",
        help="run tests that kill, corrupt, fill or ban, on RSEs whose matrix entry allows it",
    )
    parser.addini(
        "datalake_suites", "directories whose tests are about the lake", type="args", default=["suites"]
    )
    parser.addini("datalake_matrix", "site matrix used when --matrix is not given", default="")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise ValueError(text)
    return seconds


def read_options(config: pytest.Config) -> Options:
    """The options of this session; relative paths are relative to where pytest was started."""
    start = config.invocation_params.dir
    given = config.getoption("datalake_matrix")
    if given:
        matrix = start / given
    else:
        matrix = config.rootpath / (config.getini("datalake_matrix") or DEFAULT_MATRIX)
    state_dir = config.getoption("datalake_state_dir")
    return Options(
        matrix=matrix,
        state_dir=start / state_dir if state_dir else None,
        report_dir=start / config.getoption("datalake_report_dir"),
        globs={axis: tuple(config.getoption(f"datalake_{axis}")) for axis in AXES},
        tests=tuple(str(argument).rstrip("/") for argument in config.args),
        expressions=(config.option.keyword, config.option.markexpr),
        budget=config.getoption("datalake_budget"),
        cells=config.getoption("datalake_cells"),
        plan=config.getoption("datalake_plan"),
        keep_lake=config.getoption("datalake_keep_lake"),
        allow_disruptive=config.getoption("datalake_allow_disruptive"),
    )


def matrix_was_asked_for(config: pytest.Config) -> bool:
    """True when the user named a matrix, so that its absence is a mistake."""
    return bool(config.getoption("datalake_matrix") or config.getini("datalake_matrix"))


def is_lake_run(config: pytest.Config) -> bool:
    """True when the user named a matrix, or tests below a directory of the ini value datalake_suites."""
    if config.getoption("datalake_matrix"):
        return True
    suites = [config.rootpath / name for name in config.getini("datalake_suites")]
    start = config.invocation_params.dir
    named = [(start / str(argument).partition("::")[0]).resolve() for argument in config.args]
    return any(path.is_relative_to(suite.resolve()) for path in named for suite in suites)
