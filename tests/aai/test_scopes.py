"""What may be asked for, compared by whole components, and in which order groups are told."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_datalake.lake.iam.scopes import (
    NotEntitledError,
    ScopeRefusedError,
    covers,
    groups_claim,
    normalised,
    path_components,
)

components = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8
).filter(lambda text: text not in (".", ".."))
paths = st.lists(components, max_size=5).map(
    lambda parts: "/" + "/".join(quote(part, safe="") for part in parts)
)


@pytest.mark.parametrize(
    ("scope", "written"),
    [
        ("storage.read:/ska", ""),
        ("storage.read:/ska/", ""),
        ("storage.read:/", ""),
        ("storage.create:/ska/run/1", ""),
        ("storage.modify:/ska/with%20blank", ""),
        ("storage.stage:/%73ka/tape", "storage.stage:/ska/tape"),
        ("storage.poll:/a%2Cb", "storage.poll:/a,b"),
        ("storage.read:/%c3%a9", "storage.read:/%C3%A9"),
        ("wlcg.groups", ""),
        ("wlcg.groups:/escape/ska", ""),
        ("wlcg.capabilityset:/escape/ska", ""),
        ("openid", ""),
        ("compute.read", ""),
        ("fts", ""),
    ],
)
def test_paths_are_written_as_the_profile_has_them(scope: str, written: str) -> None:
    assert normalised(scope, also=["fts"]) == (written or scope,)


@pytest.mark.parametrize(
    "scope",
    [
        "storage.read",
        "storage.read:",
        "storage.read:ska",
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
        "read:/ska",
        "fts",
        "openid:/ska",
        "wlcg.groups:",
        "wlcg.groups:/escape/ska/",
        "wlcg.groups:escape",
        "wlcg.groupsX",
        "wlcg.capabilityset",
        "storage.read:/ska storage.read:/lofar/..",
    ],
)
def test_anything_else_is_refused(scope: str) -> None:
    with pytest.raises(ScopeRefusedError):
        normalised(scope)


@pytest.mark.parametrize(
    ("allowed", "wanted", "is_covered"),
    [
        ("storage.read:/ska", "storage.read:/ska", True),
        ("storage.read:/ska", "storage.read:/ska/", True),
        ("storage.read:/ska", "storage.read:/ska/a/b", True),
        ("storage.read:/", "storage.read:/ska", True),
        ("storage.read:/", "storage.read:/", True),
        ("storage.read:/ska/", "storage.read:/ska/a", True),
        ("storage.read:/ska/", "storage.read:/ska", False),
        ("storage.read:/ska", "storage.read:/skafoo", False),
        ("storage.read:/ska", "storage.read:/sk", False),
        ("storage.read:/ska", "storage.read:/SKA", False),
        ("storage.read:/ska", "storage.read:/", False),
        ("storage.modify:/ska", "storage.read:/ska", False),
        ("storage.read:/ska", "storage.modify:/ska", False),
        ("wlcg.groups", "wlcg.groups:/escape", True),
        ("wlcg.groups", "wlcg.capabilityset:/escape", True),
        ("wlcg.groups:/escape", "wlcg.groups:/escape/ska", False),
        ("wlcg.groups:/escape", "wlcg.groups", False),
        ("openid", "profile", False),
    ],
)
def test_a_scope_covers_what_lies_below(allowed: str, wanted: str, *, is_covered: bool) -> None:
    assert covers(allowed, wanted) == is_covered


@given(area=paths, path=paths)
def test_a_path_is_covered_exactly_within_the_area(area: str, path: str) -> None:
    wanted, allowed = path_components(path), path_components(area)
    (inner,), (outer,) = normalised(f"storage.read:{path}"), normalised(f"storage.read:{area}")
    assert covers(outer, inner) == (wanted[: len(allowed)] == allowed)


@given(area=st.lists(components, min_size=1, max_size=4), tail=components)
def test_an_area_is_never_widened_to_its_siblings(area: list[str], tail: str) -> None:
    root = "/" + "/".join(quote(part, safe="") for part in area)
    (outer,), (inner,) = (normalised(f"storage.read:{root}{more}") for more in ("", quote(tail, safe="")))
    assert not covers(outer, inner)


@given(st.lists(components, max_size=6))
def test_components_survive_escaping(parts: list[str]) -> None:
    assert path_components("/" + "/".join(quote(part, safe="") for part in parts)) == tuple(parts)


@given(paths)
def test_a_normal_path_is_left_as_it_is(path: str) -> None:
    (once,) = normalised(f"storage.read:{path}")
    assert normalised(once) == (once,)
    assert path_components(once.partition(":")[2]) == path_components(path)


@given(st.text())
def test_no_text_breaks_the_decision(scope: str) -> None:
    try:
        found = normalised(scope)
    except ScopeRefusedError:
        return
    assert len(found) <= len(set(scope.split()))


@pytest.mark.parametrize(
    ("requested", "told"),
    [
        ("wlcg.groups", ["/cms"]),
        ("wlcg.groups:/cms/uscms wlcg.groups:/cms/ALARM", ["/cms/uscms", "/cms/ALARM", "/cms"]),
        ("wlcg.groups:/cms/uscms wlcg.groups:/cms/ALARM wlcg.groups", ["/cms/uscms", "/cms/ALARM", "/cms"]),
        ("wlcg.groups wlcg.groups:/cms/uscms wlcg.groups:/cms/ALARM", ["/cms", "/cms/uscms", "/cms/ALARM"]),
        ("wlcg.groups:/cms wlcg.groups:/cms/uscms", ["/cms", "/cms/uscms"]),
        ("storage.read:/", []),
    ],
)
def test_groups_stand_as_the_profiles_examples_have_them(requested: str, told: list[str]) -> None:
    """WLCG token profile 1.3, 3.1: /cms is the only default group."""
    assert list(groups_claim(requested.split(), ["/cms"], ["/cms/uscms", "/cms/ALARM"])) == told


def test_a_group_of_others_is_refused() -> None:
    with pytest.raises(NotEntitledError):
        groups_claim(["wlcg.groups:/cms/higgs"], ["/cms"], [])
