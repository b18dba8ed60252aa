"""A client gets what lies in its areas and groups, compared by whole components, and nothing else."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_datalake.lake.issuer.config import Client
from pytest_datalake.lake.issuer.scopes import (
    ScopeRefusedError,
    granted,
    groups_in_token,
    path_components,
)

SKA = Client(client_id="ska", groups=("/escape/ska", "/escape"), areas=("/ska",))

components = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8
).filter(lambda text: text not in (".", ".."))
paths = st.lists(components, max_size=5).map(
    lambda parts: "/" + "/".join(quote(part, safe="") for part in parts)
)


@pytest.mark.parametrize(
    "scope",
    [
        "storage.read:/ska",
        "storage.read:/ska/",
        "storage.create:/ska/run/1",
        "storage.modify:/ska/with%20blank",
        "storage.stage:/%73ka/tape",
        "wlcg.groups",
        "wlcg.groups:/escape/ska",
        "openid",
    ],
)
def test_what_belongs_to_a_client_is_granted(scope: str) -> None:
    assert granted(SKA, scope) == (scope,)


@pytest.mark.parametrize(
    "scope",
    [
        "",
        "   ",
        "storage.read",
        "storage.read:",
        "storage.read:ska",
        "storage.read:/",
        "storage.read:/skafoo",
        "storage.read:/sk",
        "storage.read:/SKA",
        "storage.read:/lofar",
        "storage.read:/ska/../lofar",
        "storage.read:/ska/%2e%2e/lofar",
        "storage.read:/ska/..%2flofar",
        "storage.read:/./ska",
        "storage.read://ska",
        "storage.read:/ska//",
        "storage.read:/ska/%00",
        "storage.read:/ska/%ff",
        "storage.read:/ska/%zz",
        "storage.read:/lofar%2f..%2fska",
        "storage.write:/ska",
        "compute.create",
        "read:/ska",
        "offline_access",
        "openid:/ska",
        "wlcg.groups:",
        "wlcg.groups:/escape/lofar",
        "wlcg.groups:/escape/ska/",
        "wlcg.groups:/escape/skaX",
        "wlcg.groupsX",
        "storage.read:/ska storage.read:/lofar",
    ],
)
def test_anything_else_is_refused(scope: str) -> None:
    with pytest.raises(ScopeRefusedError):
        granted(SKA, scope)


@given(area=paths, path=paths)
def test_a_path_is_granted_exactly_within_the_area(area: str, path: str) -> None:
    client = Client(client_id="any", areas=(area,))
    wanted, allowed = path_components(path), path_components(area)
    if wanted[: len(allowed)] == allowed:
        assert granted(client, f"storage.read:{path}") == (f"storage.read:{path}",)
    else:
        with pytest.raises(ScopeRefusedError):
            granted(client, f"storage.read:{path}")


@given(area=st.lists(components, min_size=1, max_size=4), tail=components)
def test_an_area_is_never_widened_to_its_siblings(area: list[str], tail: str) -> None:
    root = "/" + "/".join(quote(part, safe="") for part in area)
    client = Client(client_id="any", areas=(root,))
    with pytest.raises(ScopeRefusedError):
        granted(client, f"storage.read:{root}{quote(tail, safe='')}")


@given(st.lists(components, max_size=6))
def test_components_survive_escaping(parts: list[str]) -> None:
    assert path_components("/" + "/".join(quote(part, safe="") for part in parts)) == tuple(parts)


@given(st.text())
def test_no_text_breaks_the_decision(scope: str) -> None:
    try:
        result = granted(SKA, scope)
    except ScopeRefusedError:
        return
    assert set(result) == set(scope.split())


def test_the_group_asked_for_comes_first() -> None:
    assert groups_in_token(SKA, ("wlcg.groups",)) == ("/escape", "/escape/ska")
    assert groups_in_token(SKA, ("wlcg.groups:/escape/ska",)) == ("/escape/ska", "/escape")
    assert groups_in_token(SKA, ("storage.read:/ska",)) == ()
