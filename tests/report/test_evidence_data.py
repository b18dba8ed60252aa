"""The packed table gives back what was put in, and stays small."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_datalake.report.columns import Texts
from pytest_datalake.report.evidence_data import SIZE_LIMIT, data
from pytest_datalake.report.rows import EndpointRow, TestRow
from tests.report.unpacking import unpack

ENDS = tuple(EndpointRow(id=f"{name}.davs", site=name, rse=name, protocol="davs") for name in ("A", "B"))
ROW = TestRow(
    run_id="r",
    nodeid="t.py::test_x[A.davs-to-B.davs-by-x509]",
    test="test_x",
    outcome="passed",
    source="A.davs",
    destination="B.davs",
    auth="x509",
    evidence={"destination_url": "davs://b.example.org/escape/1234"},
    reproduce="gfal-copy x 'davs://b.example.org/escape/1234'",
)


def packed(rows: list[TestRow]) -> str:
    return data(rows, ENDS, {"ska": "ska"}, {})


def test_like_rows_share_their_texts() -> None:
    other = replace(
        ROW,
        nodeid="t.py::test_x[B.davs-to-A.davs-by-x509]",
        source="B.davs",
        destination="A.davs",
        evidence={"destination_url": "davs://a.example.org/escape/98765"},
        reproduce="gfal-copy x 'davs://a.example.org/escape/98765'",
    )
    _, columns = unpack(f'id="data">{packed([ROW, other])}<')
    for name in ("nodeid", "reproduce"):
        assert columns[name][0] == columns[name][1] > 1


@given(st.text())
def test_hostile_texts_stand_for_nothing_else(text: str) -> None:
    head, columns = unpack(f'id="data">{packed([replace(ROW, reason=text)])}<')
    reason = head["texts"][columns["reason"][0]] if "reason" in columns else ""
    assert not set(reason) & {chr(number) for number in range(5)}


@pytest.mark.parametrize(("seconds", "step"), [(0.0, 0), (0.01, 1), (0.02, 13), (1e9, 255)])
def test_durations_are_a_byte(seconds: float, step: int) -> None:
    _, columns = unpack(f'id="data">{packed([replace(ROW, seconds=seconds)])}<')
    assert columns["seconds"] == [step]


def test_what_is_not_green_keeps_its_texts_when_not_all_fit() -> None:
    dice = random.Random(1)  # noqa: S311  # made-up texts
    rows = [
        replace(
            ROW,
            nodeid=f"{number}",
            outcome="failed" if number == 3_999 else "passed",
            reason=f"reason {number}",
            details=dice.randbytes(400).hex(),
        )
        for number in range(4_000)
    ]
    text = packed(rows)
    assert len(text) <= SIZE_LIMIT
    head, columns = unpack(f'id="data">{text}<')
    assert head["texts"][columns["details"][-1]] == rows[-1].details
    assert columns["details"].count(Texts.LEFT_OUT) > 1_000
