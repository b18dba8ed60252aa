"""What the suites before ours asked is asked here, too."""

from __future__ import annotations

from pytest_datalake.conformance.coverage import ESCAPE, SUITES, WLCG
from pytest_datalake.conformance.table import CASES


def test_every_case_of_the_suites_before_is_covered_by_ours() -> None:
    assert (len(WLCG), len(ESCAPE)) == (29, 19)
    ours = {case.id for case in CASES}
    for cases in SUITES.values():
        for title, covering in cases.items():
            assert covering, title
            assert set(covering) <= ours, title
