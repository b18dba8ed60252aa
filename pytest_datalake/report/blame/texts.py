"""What the services' own error texts say: what sort of failure it is, and who is to blame for it.

Texts are a second witness, and not a good one: a destination that is full is often reported as a fault of
the transfer. They are compared with the pattern, and decide only where the pattern leaves it open.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_datalake.report.reasons import ABOUT_ISSUE, cause

if TYPE_CHECKING:
    from pytest_datalake.report.rows import TestRow

_SORTS: tuple[tuple[str, str], ...] = (
    ("lax", r"should have been refused"),
    ("left", r"^at the destination is [^,]*, not nothing"),
    ("full", r"\b507\b|no space|insufficient storage|enospc|edquot|quota"),
    ("wrong", r"^at the destination is|checksum|adler32|\bmd5\b|differs from the source|truncated"),
    (
        "unreachable",
        r"could ?n[o']t connect|connection (refused|error)|econnrefused|unreachable|no route|resolve",
    ),
    ("silent", r"timed? ?out|timeout|etimedout|no answer within|operation expired|deadline"),
    (
        "denied",
        r"\b40[13]\b|denied|permission|forbidden|authori[sz]ed|authenticat|eacces|eperm|certificate|credential",
    ),
    ("broken", r"reset|broken pipe|unexpected(ly)? (eof|closed)|closed the connection|curl 56"),
    ("lost", r"\b404\b|no such file|not found|enoent"),
)

_END_OF_OPERATION = re.compile(
    r"^(?P<verb>[\w-]+) (?P<url>[a-z0-9+]+://\S+?)(?P<two> -> \S+)?: (?P<said>.*)$",
    re.DOTALL,
)
_ADDRESS = re.compile(r"(?<![\w.\-\]])[\w.\-\[\]]{1,255}:\d{2,5}\b")
_ANSWER_TO_COPY = (
    r"\blast attempt: copy http [1-5]\d\d\b|^the copy was neither done nor refused: http [45]\d\d\b"
)
_READ = 1_000
_MODE = re.compile(r"(?:\(3rd |--copy-mode |^)(pull|push)\b")
_SERVICES = (
    ("the token issuer", r"jwks|openid-configuration|token endpoint|issuer .{0,60}(not|fail|unreach)"),
    ("VOMS", r"vomses|voms server|voms-proxy-init"),
    ("the transfer manager", r"\bfts\b.{0,60}(not|fail|refus|unreach|time)|no transfer id"),
    (
        "Rucio",
        r"rucio.{0,60}(not answer|unavailable|unreach|cannot connect)|requested service is not available",
    ),
)


def sort_of(reason: str) -> str:
    """What sort of failure a reason tells of; empty where it is none of the usual ones."""
    text = cause(reason).lower()
    return next((name for name, pattern in _SORTS if re.search(pattern, text)), "")


def accused(row: TestRow) -> str:
    """Id of the endpoint, or name of the central service, that a failed test's text blames; empty: none."""
    text = ABOUT_ISSUE.sub("", row.reason)
    low = text[:_READ].lower()
    for name, pattern in _SERVICES:
        if re.search(pattern, low):
            return name
    if not row.link:
        return row.cell
    if granted := str(row.evidence.get("granted_by", "")):
        return granted
    ends = {"source": row.source, "destination": row.destination}
    return ends.get(_accused_end(row, text), "")


def _accused_end(row: TestRow, text: str) -> str:
    operation = _END_OF_OPERATION.match(text)
    said = operation["said"] if operation else text
    if sort_of(said) == "full" or said.startswith("at the destination is "):
        return "destination"
    if operation and not operation["two"]:
        # before a copy its source is put in place; there is no address in the evidence yet
        return _end_at(row, operation["url"]) or ("source" if operation["verb"] == "put" else "")
    mode = mode_of(row)
    if re.search(r"\bremote side failed\b", said, re.IGNORECASE):
        return "destination" if mode == "push" else "source"
    if mode and re.search(_ANSWER_TO_COPY, said, re.IGNORECASE):
        return "source" if mode == "push" else "destination"  # what it answered to the COPY
    named = re.search(r"(?:^|\bis STUCK: (?:RequestErrMsg\.\w+:)?)\W*(SOURCE|DESTINATION)\b", said[:_READ])
    if named:
        return named[1].lower()
    mentioned = {_end_at(row, address) for address in _ADDRESS.findall(said[:_READ])} - {""}
    return mentioned.pop() if len(mentioned) == 1 else ""


def mode_of(row: TestRow) -> str:
    """`pull` or `push`, where a copy's row says by which it was made or tried."""
    if not row.link or row.streamed:
        return ""
    found = (
        _MODE.search(row.reason)
        or _MODE.fullmatch(str(row.evidence.get("mode", "")))
        or _MODE.search(row.reproduce)
    )
    return found[1] if found else ""


def _end_at(row: TestRow, address: str) -> str:
    """The end whose address this is; the two may be doors of one host."""
    host = re.sub(r"^[a-z0-9+]+://", "", address).split("/")[0]
    if not host:
        return ""
    ends = [
        end for end in ("source", "destination") if host in str(row.evidence.get(f"{end}_url", "")).split("/")
    ]
    return ends[0] if len(ends) == 1 else ""
