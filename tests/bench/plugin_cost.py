"""What the plugin costs over bare pytest: collection, each cell, the start of workers."""

from __future__ import annotations

import json
import math
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.measuring import BenchmarkError, Row, alternately, median_peak, median_seconds, run
from tests.bench.synthetic import with_plugin, without_plugin, write_lake

if TYPE_CHECKING:
    from collections.abc import Iterator

_FEW_RSES = 8
"""Of the small lake whose run time is the fixed cost, 56 links."""


@contextmanager
def _lake(rses: int, name: str, *, note_modules: bool = False) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="datalake-bench-") as directory:
        write_lake(Path(directory), rses, name, note_modules=note_modules)
        yield Path(directory)


def collection(*, runs: int, cells: int) -> list[Row]:
    """Collect about ``cells`` cells, with the plugin and without."""
    rses = _rses_for(cells)
    with _lake(rses, "link") as directory:
        ours, bare = alternately(
            runs,
            partial(run, with_plugin("--collect-only", "-qq"), directory=directory),
            partial(run, without_plugin("--collect-only", "-qq"), directory=directory),
        )
    count = rses * (rses - 1)
    seconds, bare_seconds = median_seconds(ours), median_seconds(bare)
    peak, bare_peak = median_peak(ours), median_peak(bare)
    return [
        Row(
            what=f"collection of {count:,} cells",
            value=f"{seconds:.2f} s",
            compared=f"bare pytest: {bare_seconds:.2f} s",
            ratio=f"{seconds / bare_seconds:.2f}",
            runs=runs,
        ),
        Row(
            what=f"peak memory of collecting {count:,} cells",
            value=f"{peak:.0f} MiB",
            compared=f"bare pytest: {bare_peak:.0f} MiB",
            ratio=f"{peak / bare_peak:.2f}",
            runs=runs,
        ),
    ]


def empty_cells(*, runs: int, cells: int) -> list[Row]:
    """Time of one more cell whose test does nothing, with evidence, result row and report."""
    many = _rses_for(cells)
    with _lake(many, "link") as large, _lake(_FEW_RSES, "link") as small:
        ours, ours_few, bare, bare_few = alternately(
            runs,
            partial(run, with_plugin(), directory=large),
            partial(run, with_plugin(), directory=small),
            partial(run, without_plugin(), directory=large),
            partial(run, without_plugin(), directory=small),
        )
    more = many * (many - 1) - _FEW_RSES * (_FEW_RSES - 1)
    each = 1000 * (median_seconds(ours) - median_seconds(ours_few)) / more
    bare_each = 1000 * (median_seconds(bare) - median_seconds(bare_few)) / more
    return [
        Row(
            what=f"each empty cell, from {more:,} of them",
            value=f"{each:.2f} ms",
            compared=f"bare pytest: {bare_each:.2f} ms",
            ratio=f"{each / bare_each:.1f}" if bare_each > 0 else "",
            runs=runs,
        )
    ]


def start_up(*, runs: int, workers: int) -> list[Row]:
    """A run of as many empty tests as workers, and the heavy modules that the workers loaded for it."""
    with _lake(workers, "cell", note_modules=True) as directory:
        bare = partial(run, without_plugin("-n", str(workers)), directory=directory)
        ours = partial(run, with_plugin("-n", str(workers)), directory=directory)
        bare_runs, our_runs = alternately(runs, bare, ours)
        for note in directory.glob("modules-*.json"):
            note.unlink()
        ours()
        notes = [json.loads(note.read_text()) for note in directory.glob("modules-*.json")]
    if not notes:
        raise BenchmarkError("no worker said which modules it has loaded")
    heavy = sorted(set().union(*notes))
    seconds, bare_seconds = median_seconds(our_runs), median_seconds(bare_runs)
    return [
        Row(
            what=f"start to end of a run of {workers} empty cells in {workers} workers",
            value=f"{seconds:.1f} s",
            compared=f"bare pytest-xdist: {bare_seconds:.1f} s",
            ratio=f"{seconds / bare_seconds:.2f}",
            runs=runs,
        ),
        Row(
            what="heavy modules loaded by those workers",
            value=", ".join(heavy) or "none",
            compared="",
            ratio="",
            runs=1,
        ),
    ]


def _rses_for(cells: int) -> int:
    """The smallest number of RSEs with at least that many links."""
    return max(_FEW_RSES + 1, math.ceil((1 + math.sqrt(1 + 4 * cells)) / 2))
