"""The benchmark of blame plants what it says it plants, and its rivals are what they are called."""

from __future__ import annotations

import random

from pytest_datalake.report.blame.attribution import blame
from tests.bench.blame_quality import Planted, by_ratio, by_rule, copies, named, plant, quality


def test_a_planted_fault_is_found_by_all_three() -> None:
    planted = [Planted(role="destination", sites=("S2",), protocol="davs", auth="token-scope")]
    tests, endpoints = copies(random.Random(1), 6, planted, 1.0)  # noqa: S311  # made-up noise
    assert named(blame(tests, endpoints)) == {planted[0].key} == {"destination:door:S2+davs:family=tokens"}
    assert by_rule(tests) == {"S2"}


def test_a_dead_site_lowers_the_ratio_of_its_partners() -> None:
    planted = [Planted(role="any", sites=("S2",))]
    tests, endpoints = copies(random.Random(1), 6, planted, 1.0)  # noqa: S311  # made-up noise
    assert named(blame(tests, endpoints)) == {"any:site:S2"}
    assert by_ratio(tests) == {f"S{number}" for number in range(6)}


def test_planted_faults_touch_different_sites() -> None:
    for seed in range(50):
        sites = [site for one in plant(random.Random(seed), 6, 3) for site in one.sites]  # noqa: S311
        assert len(sites) == len(set(sites))


def test_hard_faults_are_nearly_always_named() -> None:
    hard, _ = quality(runs=4, sizes=(8,))
    shares = [int(share.removesuffix(" %")) for share in hard.value.split(", ")]
    assert len(shares) == 3
    assert sum(shares) / 3 >= 75
