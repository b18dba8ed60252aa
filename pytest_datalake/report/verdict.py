"""The verdict: does it count as green, and with which exit code does the run end.

The accounts always add up: planned = passed + failed + errors + known issues + downtime + fixed + not run. A
planned test without any result is "not run", and a run with one of those is never green.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pytest_datalake.report.blame.attribution import blame
from pytest_datalake.report.rows import SEVERITY, Outcome, TestRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_datalake.report.blame.fault import Fault
    from pytest_datalake.report.reading import Results

Word = Literal["GREEN", "RED", "INCOMPLETE"]
LinkKey = tuple[str, str, str]

TRANSFER = "transfer"
WORST_SHOWN = 5

GREEN, RED, INTERRUPTED, INCOMPLETE, USAGE, NOTHING_SELECTED = range(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many ended how; `planned` is the sum of the others.

    Attributes:
        planned: all of them.
        passed: did what they assert.
        failed: an assertion about the lake did not hold, also where a known issue is expired.
        errors: the test engine or its environment failed.
        known_issues: failed as the matrix says they would.
        downtime: failed in a declared downtime.
        fixed: are known issues, and did not fail.
        not_run: have no result.
    """

    planned: int = 0
    passed: int = 0
    failed: int = 0
    errors: int = 0
    known_issues: int = 0
    downtime: int = 0
    fixed: int = 0
    not_run: int = 0

    @property
    def word(self) -> Word:
        """What these counts alone allow to say."""
        if self.failed or self.fixed:
            return "RED"
        return "INCOMPLETE" if self.errors or self.not_run or not self.planned else "GREEN"

    def line(self, title: str, word: Word, things: str) -> str:
        """The sentence a run ends with."""
        known = f"{self.known_issues} known issue{'' if self.known_issues == 1 else 's'}"
        new = f"{self.failed} new failure{'' if self.failed == 1 else 's'}"
        rest = [
            f"{count} {name}"
            for count, name in (
                (self.downtime, "in downtime"),
                (self.fixed, "fixed"),
                (self.errors, "error" if self.errors == 1 else "errors"),
                (self.not_run, "not run"),
            )
            if count
        ]
        return ", ".join([f"{title} {word} {self.passed}/{self.planned} {things}", known, new, *rest])


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a run came to; `verdict.json` is this.

    Attributes:
        schema_version: version of this format.
        word: `GREEN`, `RED` or `INCOMPLETE`, for all capabilities.
        exit_code: 0 green, 1 red, 2 interrupted, 3 incomplete or internal error, 4 usage, 5 nothing selected.
        lines: what a run prints last: up to five worst places, crashes of servers, then the verdict lines.
        matrix_word: the same for the transfer matrix; empty where no link was planned.
        links: links by how they ended; null where no link was planned.
        tests: tests by how they ended.
        capabilities: the same by capability.
        faults: what is behind everything that is not green, the likeliest cause of most first.
        reasons: why it is not green, besides the tests' own outcomes.
        crashes: which processes of an embedded lake crashed, and when, in words; by itself no reason for red.
        run_ids: the runs that were merged, oldest first.
        started: ISO time at which the newest run started.
        finished: ISO time at which it ended; empty where it was killed.
        matrix: path of the matrix of the newest run.
        digest: digest of it.
    """

    schema_version: int = 1
    word: Word
    exit_code: int
    lines: tuple[str, ...]
    matrix_word: Word | Literal[""]
    links: Counts | None
    tests: Counts
    capabilities: dict[str, Counts] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    reasons: tuple[str, ...] = ()
    crashes: tuple[str, ...] = ()
    run_ids: tuple[str, ...] = ()
    started: str = ""
    finished: str = ""
    matrix: str = ""
    digest: str = ""

    def to_json(self) -> dict[str, Any]:
        """The document as it is written."""
        document = asdict(self)
        for fault in document["faults"]:
            del fault["tests"]
        return document


def judge(results: Results) -> Verdict:
    """The verdict on what was read."""
    capabilities = {
        name: _count([row.outcome for row in rows], results.missing.get(name, 0))
        for name, rows in sorted(_by_capability(results).items())
    }
    tests = _sum(capabilities.values())
    links = _links(results)
    broken = _broken(results)
    word = _with(tests.word, broken)
    matrix_word: Word | Literal[""] = ""
    lines = []
    if links is not None:
        matrix_word = _with(links.word, broken)
        lines.append(links.line("TRANSFER MATRIX", matrix_word, "links"))
    lines.append(tests.line("DATA LAKE", word, "tests"))
    faults = blame(results.tests, results.endpoints)
    worst = [fault.line for fault in faults[:WORST_SHOWN]]
    return Verdict(
        word=word,
        exit_code=_exit_code(results, tests, word),
        lines=(*worst, *results.crashes, *broken, *lines),
        matrix_word=matrix_word,
        links=links,
        tests=tests,
        capabilities=capabilities,
        faults=faults,
        reasons=tuple(broken),
        crashes=results.crashes,
        run_ids=tuple(run.run_id for run in results.runs),
        started=results.run.started,
        finished=results.finished,
        matrix=results.run.matrix.path,
        digest=results.run.matrix.digest,
    )


def outcome_by_link(tests: Iterable[TestRow], *, streamed: bool = False) -> dict[LinkKey, Outcome]:
    """The worst outcome of every link that a transfer was tried on; a pass is a pass of all tests on it."""
    worst: dict[LinkKey, Outcome] = {}
    tried: set[LinkKey] = set()
    for row in tests:
        if row.link is None or row.streamed != streamed:
            continue
        if row.capability == TRANSFER:
            tried.add(row.link)
        if row.link not in worst or SEVERITY[row.outcome] > SEVERITY[worst[row.link]]:
            worst[row.link] = row.outcome
    return {link: outcome for link, outcome in sorted(worst.items()) if link in tried}


def _by_capability(results: Results) -> Mapping[str, list[TestRow]]:
    rows: dict[str, list[TestRow]] = defaultdict(list)
    for row in results.tests:
        rows[row.capability].append(row)
    for name in results.missing:
        rows.setdefault(name, [])
    return rows


def _count(outcomes: Iterable[Outcome], missing: int) -> Counts:
    found = Counter(outcomes)
    return Counts(
        planned=found.total() + missing,
        passed=found["passed"],
        failed=found["failed"],
        errors=found["error"],
        known_issues=found["known-issue"],
        downtime=found["downtime"],
        fixed=found["fixed"],
        not_run=found["not-run"] + missing,
    )


def _sum(parts: Iterable[Counts]) -> Counts:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(asdict(part))
    return Counts(**total)


def _links(results: Results) -> Counts | None:
    outcomes = outcome_by_link(results.tests)
    lost = _lost_links(results)
    return _count(outcomes.values(), lost) if outcomes or lost else None


def _lost_links(results: Results) -> int:
    planned = max((run.links for run in results.runs), default=0)
    return max(0, planned - len(outcome_by_link(results.tests)))


def _broken(results: Results) -> list[str]:
    """Why it is not green whatever the tests say."""
    broken = list(results.unfinished)
    missing = sum(results.missing.values())
    if missing:
        broken.append(f"{missing} planned test{' has' if missing == 1 else 's have'} no result")
    lost = _lost_links(results)
    if lost:
        broken.append(f"{lost} planned link{' has' if lost == 1 else 's have'} no result")
    if results.interrupted:
        broken.append("the run was interrupted")
    elif results.exit_code:
        broken.append(results.exit_reason or f"pytest ended with exit status {results.exit_code}")
    return broken


def _with(word: Word, broken: Iterable[str]) -> Word:
    return "INCOMPLETE" if word == "GREEN" and any(broken) else word


def _exit_code(results: Results, tests: Counts, word: Word) -> int:
    if results.interrupted:
        return INTERRUPTED
    if word == "RED":
        return RED
    if results.exit_code:
        return results.exit_code
    if results.runs and not tests.planned and not results.unfinished:
        return NOTHING_SELECTED
    return GREEN if word == "GREEN" else INCOMPLETE
