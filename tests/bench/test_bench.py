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
        timeout=400,
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


def test_the_iam_is_measured() -> None:
    done = bench("--only", "iam", "--runs", "1", "--jobs", "20")
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:5]] for line in done.stdout.splitlines()]
    assert [what for what, *_ in rows] == [
        "IAM: tokens by refresh token, 8 clients",
        "IAM: proxies by voms-proxy-init, 8 at a time",
    ]
    assert all(float(value.split()[0]) > 0 for _, value, *_ in rows)


def test_the_transfer_manager_is_measured_beside_a_real_one() -> None:
    done = bench("--only", "fts", "--runs", "1", "--jobs", "20", "--files", "12")
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:5]] for line in done.stdout.splitlines()]
    assert [what.removeprefix("transfer manager: ") for what, *_ in rows] == [
        "jobs of one file taken from 8 clients",
        "files of 100 kB finished over 6 davs links",
        "the same over davs and root",
        "memory with its workers (PSS)",
    ]
    assert all("a real FTS 3.13" in compared and float(ratio) > 0 for _, _, compared, ratio in rows[:2])


def test_rules_are_measured_ahead_and_alone() -> None:
    done = bench("--only", "rules", "--runs", "1", "--rules", "2", "--latencies", "2", "--workers", "2")
    assert done.returncode == 0, done.stderr
    ahead, latency = ([cell.strip() for cell in line.split("|")[1:5]] for line in done.stdout.splitlines())
    assert ahead[0].startswith("2 rules over davs in 2 workers")
    assert "each test makes and awaits its own: " in ahead[2]
    assert float(ahead[3]) > 0
    assert latency[2].startswith("95th percentile: ")


def test_an_unknown_benchmark_is_named() -> None:
    done = bench("--only", "speed")
    assert done.returncode == 4
    assert "no such benchmark: speed" in done.stderr
    assert not done.stdout
