"""One copy by gfal2, in the order in which FTS does it: source, destination, copy, check.

Runs in a worker process, which may be killed at any time: before the copy begins the service is told that
the destination is free, so that it knows what to remove.
"""

from __future__ import annotations

import errno
import math
import re
import time
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

import gfal2

from pytest_datalake.lake.fts.attempt import Report

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_datalake.lake.fts.attempt import Credential, Order, Phase

# Objects of gfal2, which has no types.
Context: TypeAlias = Any
Event: TypeAlias = Any

Scope = Literal["SOURCE", "DESTINATION", "TRANSFER", "STAGING", "ARCHIVING"]

USER_AGENT = "pytest-datalake-transfer-manager"
NO_PROXY = "/nonexistent/no-proxy"
MEBIBYTE = 1 << 20
_BASE_SECONDS = 600
_SMALL_CALL = 60
"""Seconds for anything but a copy."""

_SECRETS = re.compile(r"\?[^\s'\"]*=[^\s'\"]*")

_TIMEOUTS = (
    ("CORE", "NAMESPACE_TIMEOUT"),
    ("CORE", "CHECKSUM_TIMEOUT"),
    ("HTTP PLUGIN", "OPERATION_TIMEOUT"),
    ("XROOTD PLUGIN", "OPERATION_TIMEOUT"),
    ("GRIDFTP PLUGIN", "OPERATION_TIMEOUT"),
)


class StepError(Exception):
    """A step failed: at which end, with which errno, and what was said."""

    def __init__(self, scope: Scope, code: int, text: str) -> None:
        super().__init__(text)
        self.scope = scope
        self.code = code
        self.text = text


class _Step:
    """Turns what gfal2 raises into a ``StepError`` of one scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, gfal2.GError):
            raise StepError(self._scope, error.code or errno.EIO, readable(error.message)) from error


def readable(text: str) -> str:
    """What gfal2 said in one line, without the options of addresses, which may hold secrets."""
    return _SECRETS.sub("?<redacted>", " ".join(str(text).split()))


class Copy:
    """One order to transfer.

    Args:
        order: what to do.
        cleared: called with the seconds that the copy may take, when the destination is free and the copy is
            about to begin; returns when that is known.
    """

    def __init__(self, order: Order, cleared: Callable[[int], None]) -> None:
        self._order = order
        self._cleared = cleared
        self._context = context_for(order)
        self._report = Report()
        self._phase: Phase = "TRANSFER_PREPARATION"

    def run(self) -> Report:
        """Copy. What went wrong stands in the report."""
        try:
            self._do()
        except StepError as error:
            self._report.scope, self._report.code, self._report.text = error.scope, error.code, error.text
            self._report.phase = self._phase
        return self._report

    def _do(self) -> None:
        order = self._order
        if order.strict:
            seconds = order.seconds or _BASE_SECONDS
            self._cleared(seconds)
            self._phase = "TRANSFER"
            self._copy(seconds)
            return
        with _Step("SOURCE"):
            self._report.filesize = self._context.stat(order.source).st_size
        if order.size not in {0, self._report.filesize}:
            text = (
                f"User specified source file size is {order.size} but stat returned {self._report.filesize}"
            )
            raise StepError("SOURCE", errno.EINVAL, text)
        seconds = order.seconds or math.ceil(
            _BASE_SECONDS + order.per_mebibyte * self._report.filesize / MEBIBYTE
        )
        algorithm, _, expected = order.checksum.partition(":")
        found = self._check_source(algorithm, expected) if order.checks in "sb" else ""
        self._free_destination()
        self._cleared(seconds)
        self._phase = "TRANSFER"
        try:
            self._copy(seconds)
            self._phase = "TRANSFER_FINALIZATION"
            self._check_size()
            if order.checks in "tb":
                self._check_destination(algorithm, expected, found)
        except StepError as error:
            if order.cleans_up and error.code != errno.EEXIST:
                remove(self._context, order.destination)
            raise

    def _check_source(self, algorithm: str, expected: str) -> str:
        found = self._checksum("source", "SOURCE", self._order.source, algorithm)
        if expected and not same_checksum(expected, found):
            raise StepError(
                "SOURCE",
                errno.EIO,
                f"Source and user-defined {algorithm} checksum do not match ({found} != {expected})",
            )
        return found

    def _check_destination(self, algorithm: str, expected: str, at_source: str) -> None:
        found = self._checksum("dest", "DESTINATION", self._order.destination, algorithm)
        if expected and not same_checksum(expected, found):
            raise StepError(
                "DESTINATION",
                errno.EIO,
                f"User-defined and destination {algorithm} checksum do not match ({expected} != {found})",
            )
        if at_source and not same_checksum(at_source, found):
            raise StepError(
                "DESTINATION",
                errno.EIO,
                f"Source and destination {algorithm} checksum do not match ({at_source} != {found})",
            )

    def _checksum(self, name: str, scope: Scope, url: str, algorithm: str) -> str:
        self._report.times[f"{name}_checksum_start"] = time.time()
        with _Step(scope):
            found: str = self._context.checksum(url, algorithm.upper())
        self._report.times[f"{name}_checksum_end"] = time.time()
        return found

    def _free_destination(self) -> None:
        order = self._order
        try:
            with _Step("DESTINATION"):
                there = self._context.stat(order.destination)
        except StepError as error:
            if error.code != errno.ENOENT:
                raise
            self._make_parent()
            return
        replaces = order.replaces
        if order.replaces_on_disk and not replaces:
            if where_it_is(self._context, order.destination)[1]:
                raise StepError("DESTINATION", errno.EEXIST, "Destination file exists and is on tape")
            replaces = True
        if not replaces:
            if order.dst_file_report:
                self._report.dst_file = self._describe(there.st_size)
            raise StepError(
                "DESTINATION", errno.EEXIST, "Destination file exists and overwrite is not enabled"
            )
        with _Step("DESTINATION"):
            self._context.unlink(order.destination)

    def _make_parent(self) -> None:
        parent = self._order.destination.partition("?")[0].rpartition("/")[0]
        if urlsplit(parent).path.strip("/"):
            try:
                with _Step("DESTINATION"):
                    self._context.mkdir_rec(parent, 0o755)
            except StepError as error:
                if error.code != errno.EEXIST:
                    raise

    def _describe(self, size: int) -> dict[str, Any]:
        algorithm = self._order.checksum.partition(":")[0]
        try:
            value = self._context.checksum(self._order.destination, algorithm)
        except gfal2.GError:
            value = ""
        on_disk, on_tape = where_it_is(self._context, self._order.destination)
        return {
            "file_size": size,
            "checksum_type": algorithm,
            "checksum_value": value,
            "file_on_disk": on_disk,
            "file_on_tape": on_tape,
        }

    def _copy(self, seconds: int) -> None:
        parameters = self._context.transfer_parameters()
        parameters.overwrite = False
        parameters.create_parent = False
        parameters.strict_copy = True
        parameters.timeout = seconds
        parameters.nbstreams = max(self._order.nostreams, 1)
        if self._order.buffer_size:
            parameters.tcp_buffersize = self._order.buffer_size
        modes: list[str] = []
        parameters.event_callback = _types_into(modes)
        self._report.times["copy_start"] = time.time()
        with _Step("TRANSFER"):
            self._context.filecopy(parameters, self._order.source, self._order.destination)
        self._report.times["copy_end"] = time.time()
        self._report.mode = modes[-1] if modes else ""

    def _check_size(self) -> None:
        with _Step("DESTINATION"):
            arrived = self._context.stat(self._order.destination).st_size
        if arrived != self._report.filesize:
            raise StepError("DESTINATION", errno.EINVAL, "Source and destination file size mismatch")


def same_checksum(one: str, other: str) -> bool:
    """Compare as FTS does: case and leading zeros do not count."""
    return one.strip().lower().lstrip("0") == other.strip().lower().lstrip("0")


def remove(context: Context, url: str) -> str:
    """Remove what an attempt left; what went wrong with that, or nothing."""
    try:
        context.unlink(url)
    except gfal2.GError as error:
        return "" if error.code == errno.ENOENT else str(error.message)
    return ""


def where_it_is(context: Context, url: str) -> tuple[bool, bool]:
    """Whether a file is on disk and on tape, as far as the storage says."""
    try:
        status = context.getxattr(url, "user.status").strip()
    except gfal2.GError:
        return True, False
    return "ONLINE" in status, "NEARLINE" in status


def context_for(order: Order) -> Context:
    """A fresh context with the order's credentials and no others: it keeps no macaroon of an earlier copy."""
    context = gfal2.creat_context()
    context.set_user_agent(USER_AGENT, "1")
    context.set_opt_boolean("HTTP PLUGIN", "ENABLE_FALLBACK_TPC_COPY", False)  # noqa: FBT003  # gfal2's signature
    context.set_opt_boolean("HTTP PLUGIN", "ENABLE_STREAM_COPY", order.mode == "streamed")
    context.set_opt_string("HTTP PLUGIN", "DEFAULT_COPY_MODE", order.mode)
    for group, option in _TIMEOUTS:
        context.set_opt_integer(group, option, _SMALL_CALL)
    authenticate(context, order.source, order.source_credential)
    if order.destination:
        authenticate(context, order.destination, order.destination_credential)
    return context


def authenticate(context: Context, url: str, credential: Credential) -> None:
    """Show a credential at the door of that address. The xroot client looks into its environment only."""
    parts = urlsplit(url)
    door = f"{parts.scheme}://{parts.netloc}/"
    if parts.scheme in {"davs", "https", "s3s", "gsiftp"}:
        # Both parts always: gfal2 takes one that is missing from the environment or from /tmp/x509up_u<uid>.
        for part in ("X509_CERT", "X509_KEY"):
            context.cred_set(door, context.cred_new(part, credential.proxy or NO_PROXY))
    if credential.token:
        context.cred_set(door, context.cred_new("BEARER", credential.token))
    if parts.scheme == "s3s":
        # Object stores close idle connections; davix takes one of those for an answer and fails.
        context.set_opt_boolean("HTTP PLUGIN", "KEEP_ALIVE", False)  # noqa: FBT003  # gfal2's signature
    if credential.access_key:
        group = f"S3:{(parts.hostname or '').upper()}"
        context.set_opt_string(group, "ACCESS_KEY", credential.access_key)
        context.set_opt_string(group, "SECRET_KEY", credential.secret_key)
        context.set_opt_string(group, "REGION", "us-east-1")
        context.set_opt_boolean(group, "ALTERNATE", True)  # noqa: FBT003  # gfal2's signature


def _types_into(modes: list[str]) -> Callable[[Event], None]:
    def remember(event: Event) -> None:
        if "TRANSFER:TYPE" in str(event.stage):
            modes.append(str(event.description))

    return remember
