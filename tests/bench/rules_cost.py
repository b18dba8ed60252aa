"""Rules: all of them made before the tests await them against each test by itself; from a rule to its end."""

from __future__ import annotations

import json
import math
import statistics
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from pytest_datalake.fixtures.apart import LakeApart
from tests.bench.lake_cost import directory_for_a_lake, running_lake
from tests.bench.measuring import BenchmarkError, Row, alternately, median_seconds, run

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.lake.running import Lake
    from tests.bench.measuring import Ended

_HEAD = """\
version: 1
lake: embedded
vo: escape
experiments: [ska]
qos_classes: {A: fast disk}
services: {fts: {}, rucio: {}}
sites:
"""

_SITE = """\
  {site}:
    rses:
      {site}-A:
        technology: xrootd
        qos: A
        supports: [access, list, mkdir, rename, ranged-read, adler32, authorisation, transfer, rule]
        limits: {{concurrent: 16}}
        endpoints:
          - protocol: davs
            auth: [token-scope, token-group, x509-voms]
            tpc: {{active: [pull, push], passive: [pull, push]}}
"""

_AHEAD = """\
import pytest

pytestmark = [pytest.mark.capability("rule"), pytest.mark.layer("rule")]


def test_rule(link, rule_of_link, rule_ends, arrived_at):
    source, rule = rule_of_link
    rule_ends(rule)
    assert arrived_at(source, link.destination).difference is None
"""

_ALONE = """\
import pytest

pytestmark = [pytest.mark.capability("rule"), pytest.mark.layer("rule")]


def test_rule(link, registered, add_rule, rule_ends, arrived_at):
    (source,) = registered(size="1 MiB", at=link.source)
    rule_ends(add_rule(source, link.destination.rse))
    assert arrived_at(source, link.destination).difference is None
"""

_SECONDS = 300
_POLL = 0.05


def rules(*, runs: int, cells: int, workers: int, latencies: int) -> list[Row]:
    """One lake of as many XRootD sites as have so many ordered pairs.

    Args:
        runs: of each side.
        cells: at least so many pairs.
        workers: of pytest.
        latencies: rules that are made one after the other, each awaited before the next.
    """
    sites = max(2, math.ceil((1 + math.sqrt(1 + 4 * cells)) / 2))
    pairs = sites * (sites - 1)
    with directory_for_a_lake() as directory:
        matrix = _write(directory, sites)
        with running_lake(directory, matrix) as (lake, _):
            seconds = _latencies(lake, directory, latencies)
            ahead, alone = alternately(
                runs,
                partial(_pytest, "ahead", lake, directory, matrix, workers=workers, pairs=pairs),
                partial(_pytest, "alone", lake, directory, matrix, workers=workers, pairs=pairs),
            )
    taken, by_itself = median_seconds(ahead), median_seconds(alone)
    late = statistics.quantiles(seconds, n=20, method="inclusive")[-1]
    return [
        Row(
            what=f"{pairs} rules over davs in {workers} workers, all made before the tests await them",
            value=f"{taken:.0f} s",
            compared=f"each test makes and awaits its own: {by_itself:.0f} s",
            ratio=f"{taken / by_itself:.2f}",
            runs=runs,
        ),
        Row(
            what=f"from a rule to its end over davs, {latencies} one after the other: median",
            value=f"{statistics.median(seconds):.2f} s",
            compared=f"95th percentile: {late:.2f} s",
            ratio="",
            runs=1,
        ),
    ]


def _write(directory: Path, sites: int) -> Path:
    """The matrix and both sides of the comparison."""
    names = ["COMO", "GARDA", *(f"LAKE{number:02}" for number in range(2, sites))]
    matrix = directory / "rules.yaml"
    matrix.write_text(_HEAD + "".join(_SITE.format(site=name) for name in names))
    (directory / "pytest.toml").write_text("[pytest]\n")
    for side, text in (("ahead", _AHEAD), ("alone", _ALONE)):
        (directory / f"test_{side}.py").write_text(text)
    return matrix


def _latencies(lake: Lake, directory: Path, count: int) -> list[float]:
    """Seconds from a rule that Rucio has taken to the rule that is OK."""
    apart = LakeApart(lake, directory, budget=_SECONDS)
    pause = threading.Event()
    found = []
    for number in range(count):
        files = apart.register(f"bench/{number}")
        started = time.monotonic()
        (rule,) = apart.add_rules(files)
        while (state := apart.rucio.rule(rule).state) != "OK":
            if state == "STUCK" or time.monotonic() - started > _SECONDS:
                raise BenchmarkError(f"a rule is {state}: {apart.rucio.rule(rule).error}")
            pause.wait(_POLL)
        found.append(time.monotonic() - started)
    return found


def _pytest(side: str, lake: Lake, directory: Path, matrix: Path, *, workers: int, pairs: int) -> Ended:
    """One run of pytest. Raises ``BenchmarkError`` unless every rule brought its file."""
    reports = directory / "reports"
    command = [sys.executable, "-m", "pytest", f"test_{side}.py", "-n", str(workers), "-q"]
    command += ["-p", "no:cacheprovider", "--matrix", str(matrix)]
    command += ["--state-dir", str(lake.state_dir), "--report-dir", str(reports)]
    ended = run(command, directory=directory)
    rows = [json.loads(line) for line in (reports / "results.jsonl").read_text().splitlines()]
    passed = sum(row["type"] == "test" and row["outcome"] == "passed" for row in rows)
    if passed != pairs:
        raise BenchmarkError(f"{passed} of {pairs} rules brought their file:\n{ended.output[-3000:]}")
    return ended
