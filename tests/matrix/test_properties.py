"""Properties that hold for every matrix, not for one."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_datalake.errors import UsageError
from pytest_datalake.matrix import axes, known_issues
from pytest_datalake.matrix.dump import to_yaml
from pytest_datalake.matrix.load import parse
from pytest_datalake.matrix.model import (
    AUTHS,
    Cell,
    Downtime,
    Endpoint,
    Experiment,
    Forge,
    Identity,
    KnownIssue,
    Limits,
    Link,
    Matrix,
    Mode,
    Protocol,
    Tpc,
    Trust,
)
from pytest_datalake.matrix.resolve import digest
from pytest_datalake.matrix.selection import Item, Selection, cover, select
from pytest_datalake.matrix.technologies import CAPABILITIES, LEGAL_AUTHS

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co")), min_size=1, max_size=20)
FILES = st.one_of(st.just(""), st.from_regex(r"/[a-z][a-z0-9 #:']{0,9}/[a-z]{1,5}", fullmatch=True))
MODES = st.lists(st.sampled_from(get_args(Mode)), unique=True).map(tuple)
PROTOCOLS = ("davs", "root", "gsiftp", "s3s")
TPC = st.builds(Tpc, active=MODES, passive=MODES)
EVERY_CREDENTIAL = Identity(
    name="everybody", proxy="/proxy", token_command=("oidc-token", "{audience}"), access_key_file="/keys"
)


@st.composite
def endpoints_of(draw: st.DrawFn, site: str, rse: str, qos_classes: list[str]) -> list[Endpoint]:
    common = Endpoint(
        id="",
        site=site,
        rse=rse,
        technology=draw(st.sampled_from(["xrootd", "apache", "gridftp", "swift", "dcache"])),
        qos=draw(st.sampled_from(qos_classes)),
        protocol="davs",
        supports=frozenset(
            draw(st.lists(st.sampled_from([name for name in CAPABILITIES if name != "rule"]), max_size=3))
        ),
        limits=Limits(
            concurrent=draw(st.integers(1, 1000)),
            max_bytes=draw(st.none() | st.integers(0, 10**15)),
            max_files=draw(st.none() | st.integers(0, 10**6)),
        ),
        allow_disruptive=draw(st.booleans()),
    )
    protocols: list[Protocol] = draw(st.lists(st.sampled_from(PROTOCOLS), unique=True, min_size=1))
    return [
        replace(
            common,
            id=f"{rse}.{protocol}",
            protocol=protocol,
            host=draw(st.from_regex(r"[a-z][a-z0-9]{0,5}(\.[a-z]{2,3})?|127\.0\.0\.1", fullmatch=True)),
            port=draw(st.integers(1, 65535)),
            prefix=draw(st.from_regex(r"(/[a-z0-9_]{1,5}){0,3}", fullmatch=True)),
            auth=tuple(
                draw(st.lists(st.sampled_from(sorted(LEGAL_AUTHS[protocol])), unique=True, min_size=1))
            ),
            audience=draw(st.one_of(st.just(""), TEXTS)),
            tpc=draw(TPC),
        )
        for protocol in protocols
    ]


@st.composite
def matrices(draw: st.DrawFn) -> Matrix:
    experiments = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    qos_classes = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    rses = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    sites = [draw(st.sampled_from(["COMO", "NO", "1", "null"])) for _ in rses]
    endpoints = [
        endpoint
        for site, rse in zip(sites, rses, strict=True)
        for endpoint in draw(endpoints_of(site, rse, qos_classes))
    ]
    identity = Identity(
        name=draw(NAMES),
        experiment=draw(st.sampled_from(["", *experiments])),
        subject=draw(st.one_of(st.just(""), TEXTS)),
        groups=tuple(draw(st.lists(TEXTS, max_size=2))),
        certificate=draw(FILES),
        key=draw(FILES),
        plain_proxy=draw(FILES),
    )
    identities = [EVERY_CREDENTIAL] + ([identity] if identity.name != EVERY_CREDENTIAL.name else [])
    issue = KnownIssue(
        match=(),
        capability=draw(st.sampled_from(["", "transfer", "a*"])),
        requirement=draw(TEXTS),
        reason=draw(TEXTS),
        reference=draw(TEXTS),
        symptom=draw(st.sampled_from(["", "died by SIG\\w+", "#: '"])),
        until=draw(st.one_of(st.just(""), st.dates().map(str))),
        strict=draw(st.booleans()),
    )
    start = draw(st.datetimes(max_value=datetime(9000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # a bound
    downtime = Downtime(
        match=(("site", sites[0]),),
        start=start.isoformat(),
        end=(start + timedelta(days=1)).isoformat(),
        reason=draw(TEXTS),
        reference=draw(TEXTS),
    )
    return Matrix(
        path="",
        digest="",
        embedded=False,
        vo=draw(NAMES),
        experiments=tuple(Experiment(name=name, group=f"/x/{name}", area=f"/{name}") for name in experiments),
        qos_classes=tuple(qos_classes),
        endpoints=tuple(sorted(endpoints, key=lambda endpoint: endpoint.id)),
        identities=tuple(identities),
        trust=Trust(
            ca_file=draw(FILES),
            issuer=draw(st.sampled_from(["", "https://localhost:1/"])),
            forge=Forge(issuer_key=draw(FILES)),
        ),
        services=tuple(draw(st.dictionaries(NAMES, st.just("https://h/x"), max_size=2)).items()),
        known_issues=(issue,) if draw(st.booleans()) else (),
        downtimes=(downtime,) if draw(st.booleans()) else (),
    )


def without_place(matrix: Matrix) -> Matrix:
    return replace(
        matrix,
        path="",
        digest="",
        endpoints=tuple(replace(endpoint, location="") for endpoint in matrix.endpoints),
        known_issues=tuple(replace(issue, location="") for issue in matrix.known_issues),
        downtimes=tuple(replace(downtime, location="") for downtime in matrix.downtimes),
    )


@given(matrices())
@settings(max_examples=30)
def test_what_is_dumped_loads_back(matrix: Matrix) -> None:
    loaded = parse(to_yaml(matrix), "/x/matrix.yaml")
    assert without_place(loaded) == matrix
    assert loaded.digest == digest(matrix) == digest(replace(matrix, downtimes=()))
    assert parse(to_yaml(loaded), "/x/matrix.yaml") == loaded
    assert pickle.loads(pickle.dumps(loaded)) == loaded  # noqa: S301  # our own bytes


@given(matrices())
@settings(max_examples=30)
def test_a_link_is_missing_only_for_a_reason(matrix: Matrix) -> None:
    found = {(link.source.id, link.destination.id, link.auth): link for link in axes.links(matrix)}
    for source in matrix.endpoints:
        for destination in matrix.endpoints:
            for auth in AUTHS:
                reason = axes.why_not(source, destination, auth)
                assert bool(reason) != ((source.id, destination.id, auth) in found), reason
    for link in found.values():
        assert link.declared_modes
        assert list(link.declared_modes) == [mode for mode in ("pull", "push") if mode in link.declared_modes]
        for endpoint in (link.source, link.destination):
            assert link.auth_at(endpoint) in endpoint.auth


@given(matrices())
@settings(max_examples=30)
def test_ids_are_unique_and_sorted(matrix: Matrix) -> None:
    every: list[Sequence[Cell | Link]] = [axes.cells(matrix), axes.links(matrix), axes.streamed_links(matrix)]
    for items in every:
        ids = [item.id for item in items]
        assert all(one < other for one, other in pairwise(ids))
        assert not [name for name in ids if set(name) & set(" /:$\"'*?[]")]


def values_of(item: Cell | Link) -> tuple[str, ...]:
    if isinstance(item, Cell):
        return item.endpoint.technology, item.endpoint.protocol, item.auth, item.qos
    protocols = f"{item.source.protocol} {item.destination.protocol}"
    return item.source.technology, item.destination.technology, protocols, item.auth


def pairs_in(items: Sequence[Cell | Link]) -> set[object]:
    return {pair for item in items for pair in combinations(enumerate(values_of(item)), 2)}


def rses_in(items: Sequence[Cell | Link]) -> set[str]:
    ends = [(one.endpoint,) if isinstance(one, Cell) else (one.source, one.destination) for one in items]
    return {end.rse for both in ends for end in both}


@given(matrices())
@settings(max_examples=30)
def test_covers_stand_for_everything(matrix: Matrix) -> None:
    check_covers(axes.cells(matrix))
    check_covers(axes.links(matrix))
    check_covers(axes.streamed_links(matrix))


def check_covers(items: tuple[Item, ...]) -> None:
    small = cover(items, "pairwise")
    assert pairs_in(small) == pairs_in(items)
    assert rses_in(small) == rses_in(items)
    assert cover(items, "pairwise") == small
    assert cover(items, "full") == items
    smoke = cover(items, "smoke")
    assert bool(smoke) == bool(items)
    for part in (small, smoke):
        positions = [items.index(item) for item in part]
        assert positions == sorted(set(positions))


@given(matrices(), st.data())
@settings(max_examples=30)
def test_a_site_is_its_row_and_its_column(matrix: Matrix, data: st.DataObject) -> None:
    site = data.draw(st.sampled_from(matrix.sites))
    chosen = select(matrix, Selection(site=(site,)))
    everything = axes.links(matrix)
    assert chosen.links == tuple(
        link for link in everything if site in (link.source.site, link.destination.site)
    )
    rest = select(matrix, Selection(site=(f"!{site}",)))
    assert set(chosen.links) | set(rest.links) == set(everything)
    assert not set(chosen.links) & set(rest.links)
    assert set(chosen.cells) | set(rest.cells) == set(axes.cells(matrix))


@given(matrices())
@settings(max_examples=30)
def test_an_issue_that_names_both_ends_matches_their_links(matrix: Matrix) -> None:
    for link in axes.links(matrix):
        issue = KnownIssue(
            match=(
                ("source_rse", link.source.rse),
                ("destination_rse", link.destination.rse),
                ("auth", link.auth),
            ),
            capability="",
            requirement="",
            reason="r",
            reference="r",
        )
        assert known_issues.covering([issue], link=link, capability="transfer")
        back = replace(link, source=link.destination, destination=link.source)
        assert not known_issues.covering([issue], link=back, capability="transfer")


@pytest.mark.parametrize("level", ["smoke", "pairwise", "full"])
def test_the_cover_of_nothing_is_nothing(level: str) -> None:
    nothing: tuple[Cell, ...] = ()
    assert cover(nothing, level) == ()


def test_an_unknown_cover_is_refused() -> None:
    nothing: tuple[Cell, ...] = ()
    with pytest.raises(UsageError, match="'pairwize' is no cover: choose one of smoke, pairwise, full"):
        cover(nothing, "pairwize")
