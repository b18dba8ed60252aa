"""Globs cut a matrix down, and say so when they are mistyped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_datalake.errors import UsageError
from pytest_datalake.matrix.load import load
from pytest_datalake.matrix.selection import Selection, matches, select

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Link, Matrix


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return load(Path(__file__).parents[2] / "site_matrix.yaml")


def rses(link: Link) -> set[str]:
    return {link.source.rse, link.destination.rse}


def test_everything_is_selected_by_default(matrix: Matrix) -> None:
    selected = select(matrix)
    assert selected.endpoints == matrix.endpoints
    assert (len(selected.cells), len(selected.links)) == (77, 294)
    assert selected.experiments == ("ska", "lofar", "lhc", "lsst", "magic")


@pytest.mark.parametrize(
    ("value", "globs", "expected"),
    [
        ("COMO", (), True),
        ("COMO", ("C*",), True),
        ("COMO", ("c*",), False),
        ("COMO", ("GARDA", "COMO"), True),
        ("COMO", ("!COMO",), False),
        ("COMO", ("!GARDA",), True),
        ("COMO", ("C*", "!*O"), False),
    ],
)
def test_globs(value: str, globs: tuple[str, ...], expected: object) -> None:
    assert matches(value, globs) is expected


def test_one_end_fits_every_axis(matrix: Matrix) -> None:
    selected = select(matrix, Selection(site=("LEMAN",), qos=("B",)))
    assert {cell.endpoint.rse for cell in selected.cells} == {"LEMAN-B"}
    assert all("LEMAN-B" in rses(link) for link in selected.links)
    assert len(selected.links) == 16
    assert "COMO-A.davs" in {endpoint.id for endpoint in selected.endpoints}


def test_no_end_is_excluded(matrix: Matrix) -> None:
    selected = select(matrix, Selection(rse=("COMO-A", "!COMO-B"), protocol=("!root",)))
    assert selected.links
    for link in selected.links:
        assert "COMO-A" in rses(link)
        assert "COMO-B" not in rses(link)
        assert "root" not in {link.source.protocol, link.destination.protocol}
    assert not [link for link in selected.streamed_links if "COMO-B" in rses(link)]


def test_auth_is_that_of_the_link_or_of_an_end(matrix: Matrix) -> None:
    assert {link.auth for link in select(matrix, Selection(auth=("token-*",))).links} == {"token-scope"}
    stores = select(matrix, Selection(auth=("access-key",)))
    assert len(stores.links) == 32
    assert {cell.id for cell in stores.cells} == {"BODENSEE-B.s3s-by-access-key"}
    rest = select(matrix, Selection(auth=("!access-key",)))
    assert not [link for link in rest.links if "BODENSEE-B" in rses(link)]
    assert not select(matrix, Selection(auth=("anonymous",))).links


def test_the_vo_axis_names_the_vo_or_its_experiments(matrix: Matrix) -> None:
    assert select(matrix, Selection(vo=("escape",))).experiments == tuple(
        one.name for one in matrix.experiments
    )
    assert select(matrix, Selection(vo=("l*", "!lhc"))).experiments == ("lofar", "lsst")


def test_covers_are_taken_of_what_is_selected(matrix: Matrix) -> None:
    selected = select(matrix, Selection(protocol=("gsiftp",), cells="smoke"))
    assert len(selected.links) == 1
    assert len(selected.cells) == 1


def test_globs_without_match_are_all_named_with_the_nearest(matrix: Matrix) -> None:
    with pytest.raises(UsageError) as raised:
        select(matrix, Selection(site=("COMOO",), protocol=("!xrootd",), capability=("tranfer",)))
    first, second, third = str(raised.value).splitlines()
    assert first.startswith("--site 'COMOO' matches nothing in ")
    assert first.endswith("did you mean 'COMO'?")
    assert second.startswith("--protocol '!xrootd' matches nothing")
    assert third.endswith("did you mean 'transfer'?")


def test_globs_that_exclude_each_other_select_nothing(matrix: Matrix) -> None:
    selected = select(matrix, Selection(site=("COMO",), protocol=("gsiftp",)))
    assert (selected.cells, selected.links, selected.endpoints) == ((), (), ())
