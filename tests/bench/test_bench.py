"""The benchmarks measure what they say, on lakes small enough to be run with the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.bench", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_table_is_written_with_machine_and_command(tmp_path: Path) -> None:
    output = tmp_path / "table.md"
    done = bench("--only", "collection", "--runs", "1", "--cells", "80", "--output", str(output))
    assert done.returncode == 0, done.stderr
    text = output.read_text()
    assert "`python -m tests.bench --only collection --runs 1 --cells 80" in text
    assert "- Machine: " in text
    assert [line for line in text.splitlines() if line.startswith("| collection of 90 cells | ")]


def test_workers_load_nothing_heavy() -> None:
    done = bench("--only", "start", "--runs", "1", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "| heavy modules loaded by those workers | none |" in done.stdout


def test_the_report_is_built_and_opened() -> None:
    done = bench("--only", "report", "--runs", "1", "--tests", "1000")
    assert done.returncode == 0, done.stderr
    measured = [line.split("|")[1:4] for line in done.stdout.splitlines()]
    assert [what.strip() for what, _, _ in measured] == [
        "building every page of 1,000 tests",
        "size of the matrix page of 1,000 tests",
        "matrix page of 1,000 tests: from opening it until all is drawn",
        "largest page of a site of 1,000 tests",
    ]
    assert all("pytest-html: " in compared for _, _, compared in measured[:3])


def test_an_unknown_benchmark_is_named() -> None:
    done = bench("--only", "speed")
    assert done.returncode == 4
    assert "no such benchmark: speed" in done.stderr
    assert not done.stdout
