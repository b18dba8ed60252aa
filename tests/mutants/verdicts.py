"""What a run of the suites against a broken lake found, and what must be said of it."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one test found.

    Attributes:
        where: ``"COMO-A.davs"`` or ``"COMO-A.davs > GARDA-A.davs"``.
    """

    test: str
    where: str
    auth: str
    identity: str
    requirement: str
    outcome: str
    reason: str
    reproduce: str
    seconds: float

    @property
    def key(self) -> str:
        return f"{self.test} | {self.where} | {self.auth} | {self.requirement}"

    def touches(self, rse: str) -> bool:
        return any(end.startswith(f"{rse}.") for end in self.where.split(" > "))

    def enters(self, rse: str) -> bool:
        return self.where.split(" > ")[-1].startswith(f"{rse}.")

    @classmethod
    def read(cls, document: dict[str, Any]) -> Row:
        where = document["cell"] or f"{document['source']} > {document['destination']}"
        known = ("test", "auth", "identity", "requirement", "outcome", "reason", "reproduce", "seconds")
        return cls(where=where, **{name: document[name] for name in known})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a run of the suites ended.

    Attributes:
        faults: what the report blames, sentence by key.
    """

    rows: tuple[Row, ...]
    exit_code: int
    word: str
    output: str
    faults: dict[str, str]

    def is_green(self, *, tests: int) -> None:
        """Assert that all of so many tests passed."""
        others = {row.key: row.reason for row in self.rows if row.outcome != "passed"}
        assert not others, json.dumps(others, indent=1)
        assert (self.word, self.exit_code) == ("GREEN", 0), self.output
        assert len(self.rows) == tests, f"{len(self.rows)} tests:\n{self.output}"

    def is_red(self, expected: Callable[[Row], bool], *, red: int, green: int, because: str) -> None:
        """Assert that just the expected tests failed, each for a telling reason, and the run with them.

        Args:
            expected: whether a test must be red.
            red: how many these are.
            green: how many others there are; all of them passed.
            because: regular expression that each reason matches somewhere.
        """
        wanted = {row.key for row in self.rows if expected(row)}
        failed = {row.key: row.reason for row in self.rows if row.outcome == "failed"}
        passed = {row.key for row in self.rows if row.outcome == "passed"}
        for key, why in failed.items():
            LOGGER.info("red: %s: %s", key, why)
        assert set(failed) == wanted, f"red by mistake or not red: {set(failed) ^ wanted}\n{self.output}"
        assert passed == {row.key for row in self.rows} - wanted, self.output
        assert (len(failed), len(passed)) == (red, green), f"{len(failed)} red, {len(passed)} green"
        telling = re.compile(because, re.IGNORECASE)
        obscure = {key: why for key, why in failed.items() if not telling.search(why)}
        assert not obscure, f"nothing like {because!r} in {json.dumps(obscure, indent=1)}"
        assert (self.word, self.exit_code) == ("RED", 1), self.output
        assert re.search(rf"DATA LAKE RED {green}/{red + green} tests", self.output), self.output
