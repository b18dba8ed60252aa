"""``junit.xml``, for the machines that read nothing else.

Whatever is not green is a failure or an error there; a known issue is a skip with its reference, and so is
what failed in a declared downtime.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, tostring

from pytest_datalake.report.reasons import one_line

if TYPE_CHECKING:
    from pytest_datalake.report.reading import Results
    from pytest_datalake.report.rows import Outcome, TestRow

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_TAG: dict[Outcome, str] = {
    "failed": "failure",
    "fixed": "failure",
    "error": "error",
    "not-run": "error",
    "known-issue": "skipped",
    "downtime": "skipped",
}


def junit(results: Results) -> bytes:
    """The document, one test suite for each capability."""
    root = Element("testsuites", name="pytest-datalake")
    by_capability: dict[str, list[TestRow]] = defaultdict(list)
    for row in results.tests:
        by_capability[row.capability].append(row)
    for name in sorted({*by_capability, *results.missing}):
        _suite(root, name, by_capability[name], results.missing.get(name, 0), _clean(results.run.started))
    if results.unfinished:
        case = SubElement(
            SubElement(root, "testsuite", name="run", tests="1", errors="1"), "testcase", name="run"
        )
        SubElement(case, "error", message=_clean("; ".join(results.unfinished)))
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _suite(root: Element, name: str, rows: list[TestRow], missing: int, started: str) -> None:
    tags = [_TAG.get(row.outcome, "") for row in rows]
    suite = SubElement(
        root,
        "testsuite",
        name=_clean(name) or "other",
        tests=str(len(rows) + missing),
        failures=str(tags.count("failure")),
        errors=str(tags.count("error") + missing),
        skipped=str(tags.count("skipped")),
        time=f"{sum(row.seconds for row in rows):.3f}",
        timestamp=started,
    )
    for row, tag in zip(rows, tags, strict=True):
        place = ".".join(part for part in (row.site, row.rse, row.protocol, row.auth) if part)
        case = SubElement(
            suite,
            "testcase",
            classname=_clean(place or name),
            name=_clean(row.nodeid),
            time=f"{row.seconds:.3f}",
        )
        if tag:
            message = f"{row.outcome}: {one_line(row.reason)}"
            behind = row.known_issue or row.downtime
            reference = behind.reference if behind else ""
            text = "\n".join(part for part in (row.reason, reference, row.reproduce, row.details) if part)
            SubElement(case, tag, message=_clean(message), type=row.outcome).text = _clean(text)
    if missing:
        case = SubElement(suite, "testcase", classname=_clean(name), name=f"{missing} planned tests")
        SubElement(case, "error", message=f"{missing} planned tests have no result", type="not-run")


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
