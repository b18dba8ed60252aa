"""What a result says, the cause first, and what to look at for it.

Reasons begin with the operation and its addresses, which are long, and end with the cause, which is short.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

SHOWN = 220

_ADDRESS = r"[a-z][a-z0-9+]*://\S+"
_OPERATION = re.compile(
    rf"^(?P<kind>\w+(?:Error|Timeout|Exception): )?[\w-]+ {_ADDRESS}(?: -> {_ADDRESS})?: ", re.ASCII
)
ABOUT_ISSUE = re.compile(
    r"^(?:something else than the known issue at \S+|known issue expired on [\d-]+): ", re.ASCII
)
_WRAPPING = re.compile(
    r"rule \w+ is STUCK: (?:RequestErrMsg\.\w+:)?|"
    r"(?:(?:TRANSFER|SOURCE|DESTINATION) ERROR: )?"
    r"Copy failed \([^)]*\)\. Last attempt: (?:Transfer failure: )?"
)
_WORD = re.compile(r"[^\s\"'(),;]+")
_SHORT_PATH = 32
_VARIES = re.compile(r"[/\d…]")
_STATUS = re.compile(r"\W*[1-5]\d\d\W*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What a reason usually means.

    Attributes:
        meaning: the fault in a few words.
        check: what somebody who runs the storage looks at first.
    """

    meaning: str
    check: str


def one_line(text: str, limit: int = SHOWN) -> str:
    """A text on one line, printable, with an ellipsis where it was cut."""
    head = text[: 8 * limit]
    if not head.isprintable():
        head = "".join(c if c.isprintable() else " " for c in head)
    plain = " ".join(head.split())
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"


@lru_cache(maxsize=1024)
def cause(reason: str, limit: int = SHOWN) -> str:
    """The cause in a reason, without operation, addresses and the wrappings of client libraries."""
    plain = ABOUT_ISSUE.sub("", one_line(reason, 4 * limit))
    short = _WORD.sub(_shortened, _WRAPPING.sub("", _OPERATION.sub("", plain, count=1)))
    if _HTTP.search(short.lower()):  # who answered is up, whatever number the client made of it
        short = _ERRNO.sub("", short).rstrip()
    return one_line(short or plain, limit)


def shape(reason: str) -> str:
    """A cause without what differs from file to file: two results of one shape have one cause."""
    words = cause(reason).split()
    return " ".join("*" if _VARIES.search(word) and not _STATUS.fullmatch(word) else word for word in words)


def _shortened(found: re.Match[str]) -> str:
    """The last part of a long path or address."""
    _, slash, name = found[0].rpartition("/")
    return f"…/{name}" if slash and len(found[0]) > _SHORT_PATH else found[0]


_TOKENS = (
    "Is the token's issuer trusted here, is its audience one of this site's, and does its scope's path "
    "(storage.read, storage.create, storage.modify) cover the file below the area of the experiment?"
)
_GROUPS = (
    "Is the token's issuer trusted here, is its audience one of this site's, and which rule gives its groups "
    "(wlcg.groups) rights on the area of the experiment?"
)
_X509 = (
    "Is the VO's attribute authority known here (vomsdir and its CA), and is the FQAN mapped to an account "
    "that owns, or may write to, the area of the experiment?"
)

_SEVERAL = (
    "Tokens and certificates are refused alike: is the area of the experiment there, and may the account to "
    "which its members are mapped read and write it?"
)

_GRANTED = (
    "To which account, groups or scopes is this identity mapped here, and which rule gives it rights "
    "there? Where only one operation or protocol is open, the rules may not apply to that one."
)
_GRANTED_TO = {
    "revoked": (
        "Are lists of revoked certificates fetched (fetch-crl), and does the server look at them whenever "
        "somebody shows a certificate, or a proxy of one?"
    ),
    "expired": "Is the clock right, and are the times of a credential looked at again that was seen before?",
    "proxy": "Which library checks the chain of a proxy here, and what it may not do (RFC 3820)?",
}
"""By what the test's name tells of."""

_Rule = tuple[str, str, str]
"""A pattern in the answer, what it means, and what to look at."""

_ALWAYS: tuple[_Rule, ...] = (
    (
        r"is gone, though",
        "something was destroyed, though the server said that it was refused",
        "Data may be lost. Does the server remove a file before it knows whether it may be replaced?",
    ),
    (
        r"^at the destination is [^,]*, not nothing",
        "a copy that failed or was refused left a file behind",
        "Does the destination make the file before it knows whether the copy may begin, and keep it then?",
    ),
    (
        r"^at the destination is",
        "something else lies at the destination than belongs there",
        "What does the destination do with the file of a copy that fails or is refused in mid-course?",
    ),
    (
        r"should have been refused as (?!denied)",
        "the server said that it was done, and it was not",
        "Which version runs, and does a later one tell of such errors?",
    ),
    (
        r"^refused as other, not as",
        "it was refused as it should be, with a code that says something else",
        "Which error code does the server's software give here, and does a later version give another?",
    ),
    (
        r"should have been refused",
        "something was granted that should be refused",
        "{granted}",
    ),
    (
        r"\b507\b|no space|insufficient storage|enospc|edquot|quota",
        "the storage is full",
        (
            "Is the file system, or the quota of the area, full? Does deletion free the space, and "
            "is the free space that is published the real one?"
        ),
    ),
    (
        r"\bcrl\b|revocation list",
        "a certificate revocation list is stale",
        "Run fetch-crl, and look why its timer did not.",
    ),
    (
        r"certificate (has |is )?expired|certificate.{0,40}\bexpired",
        "a certificate has expired",
        (
            "Renew it and have the server load it. What it shows now: "
            "openssl s_client -connect HOST:PORT </dev/null | openssl x509 -noout -subject -dates"
        ),
    ),
)

_OF_COPIES: tuple[_Rule, ...] = (
    (
        (
            r"\(3rd \w+\)\. last attempt: (copy )?http (400|405|501)\b"
            r"|^the copy was neither done nor refused: http (400|405|501)\b"
        ),
        "the active end answered, and does not do this third-party copy",
        (
            "The active end (the destination of a pull, the source of a push) got a COPY request and turned "
            "it down. Does it do third-party copies over HTTP? XRootD needs in its configuration "
            "“http.exthandler xrdtpc libXrdHttpTPC.so”; the log of its start says whether that was loaded. "
            "If it was, look in its log at the time given for the header that it rejects."
        ),
    ),
    (
        r"transfer failure: .{0,80}could ?n[o']t connect",
        "the two ends of the copy are not connected",
        (
            "The active end (the destination of a pull, the source of a push) got no connection to the "
            "other. Try nc -vz HOST PORT there, with the other's address, and look at the firewalls of both "
            "in that direction."
        ),
    ),
)

_CONTENT: tuple[_Rule, ...] = (
    (
        (
            r"unknown ca|issuer certificate|self.signed|certificate verify|hostname.{0,20}match"
            r"|handshake(?!.{0,20}tim)"
        ),
        "TLS: one side does not trust the other",
        (
            "Is the host's name in its certificate, is the chain complete, and are the CAs of the other side "
            "in /etc/grid-security/certificates?"
        ),
    ),
    (
        r"checksum|adler32|\bmd5\b|digest",
        "the checksum, or the content, is another one",
        (
            "Compare the file's checksum at both ends. If the content is right, look at how the server keeps "
            "checksums; if it is not, look for a full disk or a broken transfer in the server's log."
        ),
    ),
    (
        r"truncated|size (mismatch|differ)|\bbytes (of|instead)",
        "the file is incomplete",
        "Is a disk full or failing? Look for the end of the transfer in the server's log.",
    ),
)

_RIGHTS: tuple[_Rule, ...] = (
    (
        r"\b401\b|unauthori[sz]ed|authentication|auth failed|invalid credential|login",
        "the credential was not accepted",
        "{auth}",
    ),
    (r"\b403\b|permission|denied|forbidden|eacces|eperm|not authori[sz]ed", "access was refused", "{auth}"),
)

_UNANSWERED: tuple[_Rule, ...] = (
    (
        r"connect\w*( was)? refused|econnrefused|could ?n[o']t connect|connection error",
        "nobody can connect to the address",
        "Is the server running, does it listen at this port (ss -ltn), and is the port open in the firewall?",
    ),
    (
        r"resolve|name or service|getaddrinfo",
        "the host's name is not known",
        "Is the name in the DNS, with the addresses (IPv4 and IPv6) that the server really has?",
    ),
    (
        r"no route|unreachable|ehostunreach|enetunreach",
        "the host cannot be reached",
        "Look at routing and firewalls, for IPv4 and IPv6 separately.",
    ),
    (
        r"timed? ?out|timeout|etimedout|did not answer|no answer|deadline",
        "no answer in time",
        "Is the server overloaded or hanging, or does a firewall drop packets? In a copy, look at both ends.",
    ),
    (
        r"reset|broken pipe|econnreset|epipe|unexpected(ly)? (eof|closed)|closed the connection|curl 56",
        "the connection broke off",
        (
            "Did the server restart or crash at that time? If it comes and goes, look at limits of "
            "connections, at time-outs of idle ones, and at the network between the two sites."
        ),
    ),
)

_ANSWERED: tuple[_Rule, ...] = (
    (
        r"\b404\b|no such file|not found|enoent|does not exist",
        "the file or directory is not there",
        "Is the prefix the one that the matrix names, and is the file system mounted?",
    ),
    (
        r"\b409\b|exists|eexist",
        "a file is in the way",
        "Is a file of an earlier run left at the destination, and may it be overwritten and deleted?",
    ),
    (
        r"\b429\b|\b503\b|too many|overload",
        "the server says that it is busy",
        "Look at its limits and at what else runs on it.",
    ),
    (
        r"\b405\b|\b501\b|not supported|not implemented|unsupported|enotsup|eopnotsupp",
        "the server does not do this",
        (
            "Is the feature switched on, in the version that runs? If the site does not offer it, the matrix "
            "should not declare it."
        ),
    ),
    (
        r"\b400\b|bad request",
        "the server takes the request for a wrong one",
        "Look into the server's log at the time given: which header, path or method does it reject?",
    ),
    (
        r"\b50[024]\b|internal server error|eio\b",
        "the server failed",
        "Look into the server's log at the time given.",
    ),
)

_HTTP = re.compile(r"\b(?:http|status code) ([1-5]\d\d)\b")
_ERRNO = re.compile(r" ?\(e[a-z]+\)", re.IGNORECASE)
_TELLING = frozenset({"401", "403", "404", "405", "409", "429", "501", "503"})
"""Statuses that leave nothing to the words behind them."""


def advise(reason: str, auths: Collection[str] = (), identity: str = "", test: str = "") -> Advice | None:
    """What a reason usually means; None where that is not known.

    A server whose HTTP status stands in the reason has answered, whatever error number the client made of it.

    Args:
        reason: of some tests.
        auths: by which they showed who they were.
        identity: who alone met it; empty: others did, too.
        test: name of the test that all of them are; empty: several.
    """
    text = cause(reason, 4 * SHOWN).lower()
    whole = ABOUT_ISSUE.sub("", one_line(reason, 4 * SHOWN)).lower()
    status = _HTTP.search(text)
    if status:
        text = _ERRNO.sub("", text)
    told = status is not None and status[1] in _TELLING
    rules = (
        *((rule, text) for rule in _ALWAYS),
        *((rule, whole) for rule in _OF_COPIES),
        *((rule, text) for rule in (() if told else _CONTENT)),
        *((rule, text) for rule in _RIGHTS),
        *((rule, text) for rule in (() if status else _UNANSWERED)),
        *((rule, text) for rule in _ANSWERED),
    )
    for (pattern, meaning, check), said in rules:
        if re.search(pattern, said):
            granted = next((told for word, told in _GRANTED_TO.items() if word in test), _GRANTED)
            return Advice(meaning=meaning, check=check.format(auth=_for(auths, identity), granted=granted))
    return None


def unreachable(reason: str) -> bool:
    """Whether a reason tells of an address to which there is no connection."""
    text = cause(reason, 4 * SHOWN).lower()
    return not _HTTP.search(text) and any(re.search(rule[0], text) for rule in _UNANSWERED[:4])


def _for(auths: Collection[str], identity: str) -> str:
    kinds = {auth.partition("-")[0] for auth in auths}
    if identity:
        return (
            f"Others are let in: which rule gives {identity}'s groups, or the account that they are mapped "
            "to, rights on the area of the experiment, and is that area there?"
        )
    if set(auths) == {"token-group"}:
        return _GROUPS
    if kinds == {"token"}:
        return _TOKENS
    if kinds == {"x509"}:
        return _X509
    if {"token", "x509"} <= kinds:
        return _SEVERAL
    return "Are the rights of this identity on the area as the matrix declares them?"
