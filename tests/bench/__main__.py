"""Measure what the project claims about speed: ``python -m tests.bench --help``.

Figures are medians, and ratios within one run on one machine: seconds alone say more about the machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import (
    blame_quality,
    conformance_cost,
    fts_cost,
    iam_cost,
    lake_cost,
    plugin_cost,
    report_cost,
    rules_cost,
)
from tests.bench.measuring import BenchmarkError, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_INTRODUCTION = """\
# Benchmarks

Written by `{command}`. Each figure is the median of its runs; sides that are compared ran in turns,
on one machine.

- Machine: {machine}
- Software: {software}

| what | median | compared with | ratio | runs |
|---|---|---|---|---|
"""

_NOTES = """
The serial loop uploads each source once and then calls `gfal-copy` link by link. It runs once, before pytest,
on the same running lake, and does not read the files back, as the suite does. Collection and cells are
those of a lake that exists in memory only,
so that nothing but the plugin and pytest is measured. PSS counts memory that processes share once.

Rules are made on one lake of XRootD sites with davs doors, one for each ordered pair of RSEs; both sides read
every file back and compare it. Made ahead, pairs from one RSE share a file; by itself, each test has its own.

The report is made of results of a made-up lake, with the faults that lakes have. Its building is
`datalake report`, from reading the results to the last page; pytest-html's is what it adds to a run of pytest
over as many empty tests.
Pages are opened in headless Chromium; the time is from the start of navigation until everything is drawn.
"""


_FEWEST = 4

PARTS: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "collection": lambda asked: plugin_cost.collection(runs=asked.runs, cells=asked.cells),
    "cells": lambda asked: plugin_cost.empty_cells(runs=asked.runs, cells=asked.cells // 5),
    "start": lambda asked: plugin_cost.start_up(runs=asked.runs, workers=asked.workers),
    "blame": lambda asked: blame_quality.quality(runs=5 * asked.runs, sizes=(4, 6, 10, 30, 66)),
    "report": lambda asked: report_cost.report(runs=asked.runs, largest=asked.tests),
    "up": lambda asked: lake_cost.up(runs=asked.runs),
    "fts": lambda asked: fts_cost.transfer_manager(runs=asked.runs, jobs=asked.jobs, files=asked.files),
    "iam": lambda asked: iam_cost.rates(
        runs=asked.runs, tokens=2 * asked.jobs, proxies=max(asked.jobs // 10, _FEWEST)
    ),
    "conformance": lambda asked: conformance_cost.conformance(runs=asked.runs, workers=asked.workers),
    "rules": lambda asked: rules_cost.rules(
        runs=asked.runs, cells=asked.rules, workers=asked.workers, latencies=asked.latencies
    ),
    "matrix": lambda asked: lake_cost.transfer_matrix(
        runs=asked.runs, workers=asked.workers, links=asked.links, longest=asked.longest
    ),
}
"""What can be measured, by name, in the order of the table."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; exit code 1 when one of them could not be run, 4 for a name that there is not."""
    asked = _parser().parse_args(arguments)
    unknown = set(asked.only) - set(PARTS)
    if unknown:
        print(
            f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}",
            file=sys.stderr,
        )
        return 4
    rows: list[Row] = []
    code = 0
    for name, measure in PARTS.items():
        if asked.only and name not in asked.only:
            continue
        try:
            found = measure(asked)
        except BenchmarkError as error:
            print(f"{name}: {error}", file=sys.stderr)
            code = 1
            continue
        for row in found:
            print(line(row), flush=True)
        rows += found
    if asked.output and not code:
        asked.output.write_text(page(rows, sys.argv[1:] if arguments is None else arguments))
    return code


def line(row: Row) -> str:
    """A row of the markdown table."""
    return f"| {row.what} | {row.value} | {row.compared} | {row.ratio} | {row.runs} |"


def page(rows: Sequence[Row], arguments: Sequence[str]) -> str:
    """The whole document."""
    command = " ".join(["python -m tests.bench", *arguments])
    head = _INTRODUCTION.format(command=command, machine=_machine(), software=_software())
    return head + "".join(f"{line(row)}\n" for row in rows) + _NOTES


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure the project.")
    parser.add_argument(
        "--only",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help=f"measure these alone, of {', '.join(PARTS)}",
    )
    parser.add_argument("--runs", type=int, default=3, help="of each side (default: %(default)s)")
    parser.add_argument("--cells", type=int, default=10_000, help="to collect (default: %(default)s)")
    parser.add_argument("--tests", type=int, default=100_000, help="most in a report (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=32, help="of pytest-xdist (default: %(default)s)")
    parser.add_argument("--links", type=int, metavar="N", help="only N links, evenly spread (default: all)")
    parser.add_argument("--rules", type=int, default=500, help="to make at least (default: %(default)s)")
    parser.add_argument("--latencies", type=int, default=40, help="rules one by one (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=500, help="to submit (default: %(default)s)")
    parser.add_argument("--files", type=int, default=240, help="to have copied (default: %(default)s)")
    parser.add_argument(
        "--longest",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="stop the serial loop then, and extrapolate (default: %(default)s)",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table there")
    return parser


def _machine() -> str:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return f"{os.cpu_count()} cores, {pages / 2**30:.0f} GiB memory, {system}, {platform.machine()}"


def _software() -> str:
    names = ("pytest-datalake", "pytest", "pytest-xdist")
    versions = [f"{name} {metadata.version(name)}" for name in names]
    return ", ".join([f"Python {platform.python_version()}", *versions])


if __name__ == "__main__":
    sys.exit(main())
