"""How often blame names exactly the right faults, beside two simpler rules, on lakes that are made up."""

from __future__ import annotations

import random
import statistics
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import permutations, product
from typing import TYPE_CHECKING

from pytest_datalake.report.blame.attribution import blame
from pytest_datalake.report.rows import EndpointRow, TestRow
from tests.bench.measuring import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_datalake.report.blame.fault import Fault

NOISE = 0.01
COUNTS = (1, 2, 3)
"""How many faults are planted."""

_PROTOCOLS = ("davs", "root")
_AUTHS = ("token-scope", "x509-voms")
_GROUPS = ("ska", "lofar", "lhc", "lsst", "magic")
_RATIO = 0.9
_RULE = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A fault that was planted; empty fields mean any.

    Attributes:
        role: `source`, `destination`, `any` or `link`.
        sites: the place; for a link its two ends.
        protocol: the only protocol that is affected.
        auth: the only auth that is affected.
    """

    role: str
    sites: tuple[str, ...]
    protocol: str = ""
    auth: str = ""

    def covers(self, source: EndpointRow, destination: EndpointRow, auth: str) -> bool:
        """Whether a copy is affected."""
        ends = source.site, destination.site
        there = {
            "source": ends[0] == self.sites[0],
            "destination": ends[1] == self.sites[0],
            "any": self.sites[0] in ends,
            "link": ends == self.sites,
        }[self.role]
        return there and self.protocol in {"", source.protocol} and self.auth in {"", auth}

    @property
    def key(self) -> str:
        """What blame calls it."""
        scope = "any" if self.role == "any" else self.role
        level = "door" if self.protocol else "site"
        place = "+".join((*self.sites, self.protocol) if self.protocol else self.sites)
        family = {"": "", "token-scope": ":family=tokens", "x509-voms": ":family=X.509"}[self.auth]
        return f"{scope}:{level}:{place}{family}"


def quality(*, runs: int, sizes: Sequence[int]) -> list[Row]:
    """In how many lakes of each size exactly the planted faults are named; ``runs`` lakes for each number."""
    rows = []
    for rate, kind in ((1.0, "hard"), (0.8, "flaky (80 % fail)")):
        for sites in sizes:
            right: Counter[str] = Counter()
            exact: Counter[int] = Counter()
            seconds = []
            cells = 0
            for count, seed in product(COUNTS, range(runs)):
                dice = random.Random(f"{sites} {rate} {count} {seed}")  # noqa: S311  # made-up faults
                planted = plant(dice, sites, count)
                tests, endpoints = copies(dice, sites, planted, rate)
                started = time.perf_counter()
                faults = blame(tests, endpoints)
                seconds.append(time.perf_counter() - started)
                cells = len(tests)
                wanted = {site for one in planted for site in one.sites}
                exact[count] += named(faults) == {one.key for one in planted}
                right["blame"] += {site for one in faults if one.confidence for site in one.sites} == wanted
                right["ratio"] += by_ratio(tests) == wanted
                right["rule"] += by_rule(tests) == wanted
            shares = {name: f"{100 * count / (runs * len(COUNTS)):.0f} %" for name, count in right.items()}
            rows.append(
                Row(
                    what=f"exactly 1, 2 or 3 {kind} faults named, {sites} sites, {cells:,} cells, 1 % noise",
                    value=", ".join(f"{100 * exact[count] / runs:.0f} %" for count in COUNTS),
                    compared=f"the right sites: {shares['blame']}; by success ratio {shares['ratio']}, by a "
                    f"70 % row or column rule {shares['rule']}; {statistics.median(seconds):.2f} s each",
                    ratio="",
                    runs=runs * len(COUNTS),
                )
            )
    return rows


def plant(dice: random.Random, sites: int, count: int) -> list[Planted]:
    """Faults that touch different sites each, as far as there are enough."""
    free = [f"S{number}" for number in range(sites)]
    dice.shuffle(free)
    planted = []
    for _ in range(count):
        role = dice.choice(["source", "source", "destination", "destination", "any", "link"])
        if role == "link" and len(free) > 1:
            planted.append(Planted(role=role, sites=(free.pop(), free.pop())))
        elif free:
            planted.append(
                Planted(
                    role="any" if role == "link" else role,
                    sites=(free.pop(),),
                    protocol=dice.choice(["", *_PROTOCOLS]),
                    auth=dice.choice(["", *_AUTHS]),
                )
            )
    return planted


def copies(
    dice: random.Random, sites: int, planted: Sequence[Planted], rate: float
) -> tuple[list[TestRow], list[EndpointRow]]:
    """One copy over every link by every protocol and auth, and the lake."""
    endpoints = [
        EndpointRow(
            id=f"S{number}-A.{protocol}", site=f"S{number}", rse=f"S{number}-A", qos="A", protocol=protocol
        )
        for number in range(sites)
        for protocol in _PROTOCOLS
    ]
    tests = []
    for source, destination in permutations(endpoints, 2):
        if source.protocol != destination.protocol:
            continue
        for auth in _AUTHS:
            bad = dice.random() < NOISE or any(
                one.covers(source, destination, auth) and dice.random() < rate for one in planted
            )
            tests.append(
                TestRow(
                    run_id="r",
                    nodeid=f"{source.id} {destination.id} {auth}",
                    test="test_file_arrives_intact",
                    capability="transfer",
                    layer="direct",
                    outcome="failed" if bad else "passed",
                    source=source.id,
                    destination=destination.id,
                    site=destination.site,
                    auth=auth,
                    identity=dice.choice(_GROUPS),
                )
            )
    return tests, endpoints


def named(faults: Iterable[Fault]) -> set[str]:
    """The faults that blame is sure of, or holds for the likeliest."""
    return {fault.key for fault in faults if fault.confidence}


def by_ratio(tests: Iterable[TestRow]) -> set[str]:
    """Sites with which less than nine copies in ten work."""
    bad, all_ = _counts(tests, ("source", "destination"))
    return {site for site, count in all_.items() if 1 - bad[site] / count < _RATIO}


def by_rule(tests: Sequence[TestRow]) -> set[str]:
    """Sites whose row or column is red to seventy per cent in the panel of a protocol and an auth."""
    panels: dict[tuple[str, str], list[TestRow]] = defaultdict(list)
    for row in tests:
        panels[row.source.rpartition(".")[2], row.auth].append(row)
    found = set()
    for rows in panels.values():
        for end in ("source", "destination"):
            bad, all_ = _counts(rows, (end,))
            found |= {site for site, count in all_.items() if bad[site] / count >= _RULE}
    return found


def _counts(tests: Iterable[TestRow], ends: Sequence[str]) -> tuple[Counter[str], Counter[str]]:
    bad: Counter[str] = Counter()
    all_: Counter[str] = Counter()
    for row in tests:
        for end in ends:
            site = str(getattr(row, end)).partition("-")[0]
            all_[site] += 1
            bad[site] += row.outcome == "failed"
    return bad, all_
