"""Rows of runs that were never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_datalake.report.rows import TestRow

if TYPE_CHECKING:
    from pytest_datalake.report.rows import EndpointRow

STARTED = "2026-11-22T02:00:00+00:00"


def row_at(end: EndpointRow, auth: str, nodeid: str, **facts: Any) -> TestRow:  # noqa: ANN401  # any field
    """The row of a test at an endpoint, or on a link that ends there; ``facts`` are its other fields."""
    usual = {"layer": "direct", "outcome": "passed", "reproduce": f"pytest '{nodeid}'"}
    return TestRow(
        nodeid=nodeid,
        test=nodeid.rpartition("::")[2].partition("[")[0],
        started=STARTED,
        site=end.site,
        rse=end.rse,
        protocol=end.protocol,
        auth=auth,
        qos=end.qos,
        vo="escape",
        **usual | facts,
    )
