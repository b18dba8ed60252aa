"""From what a client library says to our words for it, without secrets."""

from __future__ import annotations

import errno
import re

from pytest_datalake.errors import ErrorKind, StorageError

_PATTERNS: tuple[tuple[str, ErrorKind], ...] = (
    (r"checksum mismatch|checksum error|checksums? do not match", "checksum"),
    (r"certificate expired|certificate has expired|certificate revoked", "denied"),
    (r"alert (bad |unsupported )?certificate|alert (access denied|unknown ca)\b", "denied"),  # RFC 8446, 6.2
    (r"HTTP 405\b|HTTP 501\b", "unsupported"),  # davix adds "Permission refused" to a 405
    (r"not a S3 directory", "not-found"),  # a prefix without keys is no directory
    (r"status code 40[13]\b", "denied"),  # what the passive end of a third-party copy answered
    (r"status code 404\b", "not-found"),
    (r"HTTP 40[13]\b|permission denied|permission refused|authentication error|auth failed", "denied"),
    (r"\b530[ -]|valid credentials could not be found|could not open the user certificate", "denied"),
    (r"HTTP 507\b|no space left|insufficient storage|disk quota|quota exceeded", "no-space"),
    (r"HTTP 404\b|no such file|file not found", "not-found"),
    (
        r"connection (reset|refused|error)|unexpected eof|could not connect|no route to host",
        "unreachable",
    ),
    (r"name or service not known|failed to resolve|invalid address", "unreachable"),
    (r"operation expired|timed out|timeout", "timeout"),
    (r"file exists|destination exists|directory not empty", "exists"),
    (r"not supported|unsupported|unknown checksum algorithm", "unsupported"),
)
"""The text comes first: gfal2 reports EEXIST for a refused upload, and ECOMM for most failures of gsiftp."""

_BY_ERRNO: dict[int, ErrorKind] = {
    errno.ENOENT: "not-found",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.EBADE: "denied",  # XRootD client: no authentication protocol left to try
    errno.EEXIST: "exists",
    errno.ENOTEMPTY: "exists",  # rmdir(2) may say the one or the other
    errno.ETIMEDOUT: "timeout",
    errno.ESTALE: "timeout",  # XRootD client: "operation expired"
    errno.ECONNREFUSED: "unreachable",
    errno.ECONNRESET: "unreachable",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.ENOSPC: "no-space",
    errno.EDQUOT: "no-space",
    errno.EILSEQ: "checksum",  # XRootD client: "CheckSum error"
    errno.ENOSYS: "unsupported",
    errno.EOPNOTSUPP: "unsupported",
    errno.EPROTONOSUPPORT: "unsupported",
}

_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[?&](?:authz|xrd\.gsiusrpxy|xrdcl\.intent|access_token)=[^&\s]*", re.IGNORECASE), ""),
    (re.compile(r"\b(X-Amz-[A-Za-z-]+|Signature|AWSAccessKeyId)=[^&\s]*", re.IGNORECASE), r"\1=***"),
    (re.compile(r"\bBearer(?:\s|%20)+\S+", re.IGNORECASE), "Bearer ***"),
    (re.compile(r"\beyJ[\w-]*\.[\w-]+\.[\w-]*"), "***"),
)
_LONGEST = 400


def kind_of(code: int, text: str) -> ErrorKind:
    """Our word for a failure, from the library's text and errno; what a path is called does not matter."""
    text = re.sub(r"\S*/\S*", "", text)
    for pattern, kind in _PATTERNS:
        if re.search(pattern, text, re.IGNORECASE):
            return kind
    return _BY_ERRNO.get(code, "other")


def scrub(text: str, secrets: tuple[str, ...] = ()) -> str:
    """The text in one line, shortened, with tokens, signatures and the given secrets taken out."""
    text = " ".join(text.replace("\0", " ").replace("\\x00", " ").split())
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def failure(
    operation: str,
    url: str,
    *,
    code: int,
    text: str,
    kind: ErrorKind | None = None,
    secrets: tuple[str, ...] = (),
) -> StorageError:
    """The error for people: operation, address, what was said, errno's name."""
    said = scrub(text, secrets)
    kind = kind or kind_of(code, said)
    url = scrub(url, secrets)
    message = f"{operation} {url}: {said or 'no reason given'}"
    if code in errno.errorcode and _BY_ERRNO.get(code, kind) == kind:
        message += f" ({errno.errorcode[code]})"
    return StorageError(message, kind=kind, code=code, operation=operation, url=url)


def shown(operation: str, url: str, new_url: str) -> str:
    """The address or addresses of an operation as a message shows them."""
    return f"{url} -> {new_url}" if new_url and operation in {"copy", "rename"} else url
