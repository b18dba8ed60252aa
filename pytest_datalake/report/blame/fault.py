"""What blame comes to: faults, each with the results that are attributed to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pytest_datalake.report.rows import Outcome

Kind = Literal["place", "link", "service", "test", "single", "engine", "matrix", "not-run"]
Confidence = Literal["certain", "likely", "ambiguous", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Results that are not green and have one probable cause.

    Attributes:
        key: name of the fault that is the same in every run.
        kind: `place`: a site, RSE or endpoint, perhaps in one role, protocol, auth or group; `link`: between
            two places; `service`: something central; `test`: one test or capability, wherever it runs;
            `single`: too little evidence to blame anybody; `engine`: the test run itself; `matrix`: known
            issues that are fixed or expired; `not-run`: planned tests that did not run.
        where: short name of the place, such as `BALATON as destination over davs by tokens`.
        sentence: what is wrong there, in words.
        contrast: what beside it works, in words; empty where nothing does.
        confidence: how sure it is that this and nothing else is at fault: `certain`, `likely` or
            `ambiguous`; empty for kinds that are not inferred.
        sites: who has to act; two for a link; none for what is central or the run's own.
        identity: the only one that has it; empty: others have it, too.
        outcome: the most frequent outcome of its tests.
        count: tests that are attributed to it. Each test is attributed once.
        of: the same, and the tests in its reach that passed.
        evidence: more of what speaks for it, in sentences.
        alternatives: other faults that explain the same, by `where`.
        disagreement: what the services' own error texts say against it; empty where they do not.
        reason: the most frequent one of its tests, as given; of a table's cases where nothing else failed.
        nodeid: one of its tests.
        reproduce: command that repeats that one.
        tests: positions of its tests in what was read; not in `verdict.json`.
    """

    key: str
    kind: Kind
    where: str
    sentence: str
    contrast: str = ""
    confidence: Confidence = ""
    sites: tuple[str, ...] = ()
    identity: str = ""
    outcome: Outcome = "failed"
    count: int = 0
    of: int = 0
    evidence: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    disagreement: str = ""
    reason: str = ""
    nodeid: str = ""
    reproduce: str = ""
    tests: tuple[int, ...] = ()

    @property
    def line(self) -> str:
        """One line for a terminal."""
        share = f"{self.count} of {self.of}" if self.of > self.count else str(self.count)
        said = f"{self.sentence}: {share} {'tests' if self.of != 1 else 'test'}"
        parts = [said, self.contrast]
        if self.alternatives:
            parts.append(f"ambiguous: or {' or '.join(self.alternatives)}")
        return "; ".join(part for part in parts if part)
