"""The rows of ``results.jsonl``: plain dataclasses, written strictly and read tolerantly.

Texts come from the services under test. They are cut to a bearable length and made valid Unicode when a row
is written and again when it is read, so that nothing downstream meets a hostile one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args

SCHEMA_VERSION = 1

Outcome = Literal["passed", "failed", "error", "known-issue", "downtime", "fixed", "not-run"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

SEVERITY: dict[Outcome, int] = {
    "passed": 0,
    "known-issue": 1,
    "downtime": 2,
    "not-run": 3,
    "fixed": 4,
    "error": 5,
    "failed": 6,
}
"""Worst last: what a link with several tests on it shows, and which of two rows of one test counts."""

REASON_LIMIT = 4_096
DETAILS_LIMIT = 16_384
FIELD_LIMIT = 2_048

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixReference:
    """Which matrix was tested.

    Attributes:
        path: the file as it was named.
        digest: hash of what it declares.
    """

    path: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRow:
    """An endpoint of the tested lake.

    Attributes:
        id: `RSE.protocol`.
        site: site that runs it.
        rse: storage element it is a door of.
        technology: what serves it, such as `xrootd`.
        software: what the server called itself, such as `XrootD/v5.5.3`; empty: it did not say.
        qos: QoS class of the RSE.
        protocol: `davs`, `root`, `gsiftp` or `s3s`.
        auth: ways of showing who one is that it declares to accept.
        tpc: third-party copies that it declares, such as `active pull`.
    """

    id: str
    site: str = ""
    rse: str = ""
    technology: str = ""
    software: str = ""
    qos: str = ""
    protocol: str = ""
    auth: tuple[str, ...] = ()
    tpc: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsupportedRow:
    """A capability that an endpoint does not declare, so that no test was generated.

    Attributes:
        capability: what is not tested.
        endpoint: where it is not tested.
        reason: why, in words.
    """

    capability: str
    endpoint: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIssueRow:
    """The entry of the matrix that a `known-issue` or `fixed` outcome is due to.

    Attributes:
        where: what it is expected of, in words.
        reason: what is wrong, in words.
        reference: where that is reported or documented.
        until: ISO date from which the entry is expired, and its failures are red; empty: never.
        location: `file:line` of the entry.
    """

    where: str = ""
    reason: str = ""
    reference: str = ""
    until: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DowntimeRow:
    """A downtime that the matrix declares.

    Attributes:
        where: what it holds for, in words.
        sites: whose it is.
        start: ISO 8601 time.
        end: ISO 8601 time; from then on it means nothing.
        reason: what is done there, in words.
        reference: where it is announced.
        location: `file:line` of the entry.
    """

    where: str = ""
    sites: tuple[str, ...] = ()
    start: str = ""
    end: str = ""
    reason: str = ""
    reference: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """First row of a run: what was going to be tested.

    Attributes:
        run_id: name of the run, also part of every file name it makes in the lake.
        schema_version: version of this format.
        started: ISO 8601 time, UTC.
        matrix: the tested matrix.
        versions: version by component, such as `pytest-datalake` or `gfal2`.
        endpoints: every endpoint of the lake, also those outside the selection.
        planned: number of planned tests by capability.
        links: number of planned third-party links; 0 where it was not counted.
        unsupported: what is not declared, and so not tested.
        options: the options of the run.
        vo: virtual organisation.
        contact: whom sites ask; may be empty.
        experiments: names of its experiments.
        identities: experiment by the name of an identity.
        known_issues: all that the matrix declares, also those that no test met.
        downtimes: those that held when the run began, or were still to come.
    """

    run_id: str
    schema_version: int = SCHEMA_VERSION
    started: str = ""
    matrix: MatrixReference = field(default_factory=MatrixReference)
    versions: dict[str, str] = field(default_factory=dict)
    endpoints: tuple[EndpointRow, ...] = ()
    planned: dict[str, int] = field(default_factory=dict)
    links: int = 0
    unsupported: tuple[UnsupportedRow, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    vo: str = ""
    contact: str = ""
    experiments: tuple[str, ...] = ()
    identities: dict[str, str] = field(default_factory=dict)
    known_issues: tuple[KnownIssueRow, ...] = ()
    downtimes: tuple[DowntimeRow, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The row as it is written."""
        return {"type": "run", **asdict(self)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> RunRow:
        """The row as it was written; unknown fields are ignored, missing ones are empty."""
        return _build(cls, document)


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRow:
    """One test and how it ended.

    Attributes:
        run_id: the run it belongs to.
        nodeid: pytest's name of the test.
        test: name of the test function.
        capability: what is asserted, such as `transfer`.
        requirement: id of the requirement in the specification it comes from; empty: none.
        level: how binding a requirement of the conformance table is, such as `MUST`; empty: no such one.
        clause: where the requirement is written down.
        layer: `direct`, `fts` or `rule`.
        outcome: `passed`, `failed`, `error`, `known-issue`, `downtime` (failed in a declared one), `fixed`
            or `not-run`.
        reason: one line for people; empty for a pass. Cut at 4 kB.
        started: ISO 8601 time, UTC.
        seconds: wall time of set-up, call and teardown.
        source: id of the source endpoint; empty where the test is not about a link.
        destination: id of the destination endpoint; empty where the test is not about a link.
        cell: id of the endpoint under test; empty where the test is about a link.
        site: site under test; for a link the destination's.
        rse: RSE under test; for a link the destination's.
        protocol: protocol under test; for a link the destination's.
        auth: how the identity was proved, such as `token-scope`.
        qos: QoS class of the RSE.
        vo: virtual organisation.
        identity: name of the identity that acted; where a storage call failed, of the one that made it.
        streamed: the bytes passed through the client; such links count apart.
        evidence: what was really moved and used: `bytes`, `checksum`, `mode`, `protocol`, `client_crashes`...
            `failed_auth`: how the identity was proved in the call that failed, where not by `auth`;
            `granted_by`: the endpoint that should have refused.
        reproduce: command that repeats it, without secrets.
        known_issue: the matrix entry behind a `known-issue` or `fixed` outcome, else null.
        downtime: the declared downtime that the test fell into, however it ended; null: none.
        logs: lines that servers logged about the test, by endpoint, which are shown to the endpoint's site
            only, and by central service.
        details: long text, such as a traceback. Cut at 16 kB.
    """

    __test__ = False

    run_id: str
    nodeid: str
    test: str = ""
    capability: str = ""
    requirement: str = ""
    level: str = ""
    clause: str = ""
    layer: str = ""
    outcome: Outcome = "error"
    reason: str = ""
    started: str = ""
    seconds: float = 0.0
    source: str = ""
    destination: str = ""
    cell: str = ""
    site: str = ""
    rse: str = ""
    protocol: str = ""
    auth: str = ""
    qos: str = ""
    vo: str = ""
    identity: str = ""
    streamed: bool = False
    evidence: dict[str, Any] = field(default_factory=dict)
    reproduce: str = ""
    known_issue: KnownIssueRow | None = None
    downtime: DowntimeRow | None = None
    logs: dict[str, str] = field(default_factory=dict)
    details: str = ""

    @property
    def link(self) -> tuple[str, str, str] | None:
        """Source, destination and auth where the test is about a link."""
        return (self.source, self.destination, self.auth) if self.source and self.destination else None

    @property
    def shown(self) -> str:
        """How the identity was proved in the call that failed, or in all of the test."""
        return str(self.evidence.get("failed_auth", self.auth))

    def to_json(self) -> dict[str, Any]:
        """The row as it is written: texts cut, details left out where there are none."""
        document = {"type": "test", **asdict(self)}
        document["reason"] = cut(self.reason, REASON_LIMIT)
        document["details"] = cut(self.details, DETAILS_LIMIT)
        for name in ("known_issue", "downtime", "logs", "details"):
            if not document[name]:
                del document[name]
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TestRow:
        """The row as it was written; an outcome that is none becomes an error that says so."""
        outcome = document.get("outcome")
        if outcome in OUTCOMES:
            return _build(cls, document)
        reason = f"the results file says outcome {outcome!r:.40}, which is none"
        return _build(cls, {**document, "outcome": "error", "reason": reason})


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRow:
    """Last row of a run; a run without one was killed.

    Attributes:
        run_id: the run that ended.
        finished: ISO 8601 time, UTC.
        exit_code: exit status that pytest itself came to. 2 and more are taken over; 0 and 1 say nothing
            that the rows do not say better.
        reason: what an exit status of 2 and more is due to, in words, such as files that were left behind.
        interrupted: somebody or something stopped the run.
        counts: number of tests by outcome.
        crashes: which processes of an embedded lake crashed during the run, and when, in words.
    """

    run_id: str
    finished: str = ""
    exit_code: int = 0
    reason: str = ""
    interrupted: bool = False
    counts: dict[str, int] = field(default_factory=dict)
    crashes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The row as it is written."""
        return {"type": "end", **asdict(self)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> EndRow:
        """The row as it was written; unknown fields are ignored, missing ones are empty."""
        return _build(cls, document)


Row = RunRow | TestRow | EndRow


def cut(text: str, limit: int) -> str:
    """Valid Unicode of at most ``limit`` characters, with a note of how much was left out."""
    sound = text.encode("utf-8", "replace").decode("utf-8")
    if len(sound) <= limit:
        return sound
    note = f" [... {len(sound) - limit} characters more were cut]"
    return sound[: limit - len(note)] + note


def _text(value: object) -> str:
    if value is None:
        return ""
    return cut(value if isinstance(value, str) else str(value), FIELD_LIMIT)


def _integer(value: object) -> int:
    number = _number(value)
    return int(number)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    try:
        number = float(value)
    except OverflowError:
        return 0.0
    return number if math.isfinite(number) and number >= 0 else 0.0


def _mapping(value: object) -> dict[str, Any]:
    return {_text(key): item for key, item in value.items()} if isinstance(value, Mapping) else {}


def _plain(value: object) -> str | int | float | bool | None:
    return value if value is None or isinstance(value, (bool, int, float)) else _text(value)


def _each(value: object, row: type[_Row]) -> tuple[_Row, ...]:
    items = value if isinstance(value, list) else []
    return tuple(_build(row, item) for item in items if isinstance(item, Mapping))


_READERS: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "int": _integer,
    "float": _number,
    "bool": lambda value: value is True,
    "Outcome": _text,
    "dict[str, Any]": lambda value: {name: _plain(item) for name, item in _mapping(value).items()},
    "dict[str, int]": lambda value: {name: _integer(item) for name, item in _mapping(value).items()},
    "dict[str, str]": lambda value: {name: _text(item) for name, item in _mapping(value).items()},
    "tuple[str, ...]": lambda value: tuple(_text(item) for item in value) if isinstance(value, list) else (),
    "MatrixReference": lambda value: _build(MatrixReference, _mapping(value)),
    "KnownIssueRow | None": lambda value: _build(KnownIssueRow, _mapping(value)) if value else None,
    "DowntimeRow | None": lambda value: _build(DowntimeRow, _mapping(value)) if value else None,
    "tuple[KnownIssueRow, ...]": lambda value: _each(value, KnownIssueRow),
    "tuple[DowntimeRow, ...]": lambda value: _each(value, DowntimeRow),
    "tuple[EndpointRow, ...]": lambda value: _each(value, EndpointRow),
    "tuple[UnsupportedRow, ...]": lambda value: _each(value, UnsupportedRow),
}
"""By the annotation as it is written in the dataclasses above."""

_LONG = {"reason": REASON_LIMIT, "details": DETAILS_LIMIT}


def _build(row: type[_Row], document: Mapping[str, Any]) -> _Row:
    values: dict[str, Any] = {}
    for spec in fields(row):  # type: ignore[arg-type]  # every row is a dataclass
        given = document.get(spec.name)
        if isinstance(given, str) and spec.name in _LONG:
            values[spec.name] = cut(given, _LONG[spec.name])
        else:
            values[spec.name] = _READERS[str(spec.type)](given)
    return row(**values)
