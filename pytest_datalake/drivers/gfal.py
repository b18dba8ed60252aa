"""What all drivers over gfal2 share: one context for one identity, with every timeout set from the budget.

gfal2 cannot be interrupted from Python; this code only runs in a process that may be killed (``child``).
"""

from __future__ import annotations

import math
import stat as mode_bits
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import gfal2

from pytest_datalake.drivers.address import door, scheme
from pytest_datalake.drivers.api import CopyFacts, Credential, FileStat
from pytest_datalake.drivers.failures import failure, shown
from pytest_datalake.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from pytest_datalake.drivers.api import Algorithm, CopyMode, Environment
    from pytest_datalake.matrix.model import Mode

# Objects of gfal2, which has no types.
Context: TypeAlias = Any
Parameters: TypeAlias = Any
Event: TypeAlias = Any

MODES: dict[str, CopyMode] = {"3rd pull": "pull", "3rd push": "push", "streamed": "streamed"}
"""gfal2's TRANSFER:TYPE events."""

_TIMEOUTS = (
    ("CORE", "NAMESPACE_TIMEOUT"),
    ("CORE", "CHECKSUM_TIMEOUT"),
    ("HTTP PLUGIN", "OPERATION_TIMEOUT"),
    ("XROOTD PLUGIN", "OPERATION_TIMEOUT"),
    ("GRIDFTP PLUGIN", "OPERATION_TIMEOUT"),
)
_NO_PROXY = "/nonexistent/no-proxy"


class _Reported:
    """Turns what gfal2 raises into a ``StorageError``."""

    def __init__(self, operation: str, url: str, secrets: tuple[str, ...]) -> None:
        self._operation = operation
        self._url = url
        self._secrets = secrets

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, gfal2.GError):
            raise failure(
                self._operation, self._url, code=error.code, text=error.message, secrets=self._secrets
            ) from error


class GfalDriver:
    """One protocol and one identity over gfal2; the protocols say where they differ.

    Attributes:
        third_party: copies that the protocol can do between two of its own doors.
        streams_within_family: whether gfal2 can be told to stream where it could copy by third party.
    """

    third_party: ClassVar[tuple[Mode, ...]] = ()
    family: ClassVar[str] = ""
    streams_within_family: ClassVar[bool] = False

    def __init__(self, credential: Credential, environment: Environment) -> None:
        self._credential = credential
        self._environment = environment
        self._secrets: tuple[str, ...] = tuple(filter(None, (credential.token, credential.secret_key)))
        self._context = new_context()

    def put(self, local: str, url: str, *, overwrite: bool, checksum: str, budget: float) -> None:
        """Upload a local file, making parent directories."""
        context = self._ready(url, budget)
        parameters = self._parameters(context, overwrite=overwrite, budget=budget)
        self._expect(parameters, checksum)
        with self._reported("put", url):
            context.filecopy(parameters, f"file://{local}", url)

    def get(self, url: str, local: str, *, budget: float) -> None:
        """Download to a local file, replacing it."""
        context = self._ready(url, budget)
        parameters = self._parameters(context, overwrite=True, budget=budget)
        with self._reported("get", url):
            context.filecopy(parameters, url, f"file://{local}")

    def read(self, url: str, *, offset: int, length: int, budget: float) -> bytes:
        """Up to ``length`` bytes from ``offset``."""
        context = self._ready(url, budget)
        found = b""
        with self._reported("read", url):
            while len(found) < length:
                try:
                    piece = _read_once(context, url, offset + len(found), length - len(found))
                except gfal2.GError:
                    # Some http servers fail on a range that reaches behind the end (RFC 9110, 14.1.2).
                    left = context.stat(url).st_size - offset - len(found)
                    if left >= length - len(found):
                        raise
                    length = len(found) + max(left, 0)
                    continue
                if not piece:
                    break
                found += piece
        return found

    def stat(self, url: str, *, budget: float) -> FileStat:
        """Facts about a file or directory."""
        with self._reported("stat", url):
            facts = self._ready(url, budget).stat(url)
        return FileStat(
            size=facts.st_size, is_directory=mode_bits.S_ISDIR(facts.st_mode), modified=facts.st_mtime
        )

    def list(self, url: str, *, budget: float) -> list[str]:
        """Names in a directory, sorted."""
        with self._reported("list", url):
            names = self._ready(url, budget).listdir(url)
        return sorted(name for name in names if name not in {".", ".."})

    def mkdir(self, url: str, *, budget: float) -> None:
        """Make a directory and its parents."""
        with self._reported("mkdir", url):
            self._ready(url, budget).mkdir_rec(url, 0o755)

    def rename(self, url: str, new_url: str, *, budget: float) -> None:
        """Rename a file or directory within one endpoint."""
        with self._reported("rename", shown("rename", url, new_url)):
            self._ready(url, budget).rename(url, new_url)

    def remove(self, url: str, *, budget: float) -> None:
        """Remove a file."""
        with self._reported("remove", url):
            self._ready(url, budget).unlink(url)

    def rmdir(self, url: str, *, budget: float) -> None:
        """Remove an empty directory."""
        with self._reported("rmdir", url):
            self._ready(url, budget).rmdir(url)

    def checksum(self, url: str, algorithm: Algorithm, *, budget: float) -> str:
        """What the server said, in lower case and not padded: a server that drops leading zeros is seen."""
        with self._reported("checksum", url):
            said: str = self._ready(url, budget).checksum(url, algorithm.upper())
        return said.lower()

    def copy(
        self,
        url: str,
        new_url: str,
        *,
        mode: CopyMode,
        overwrite: bool,
        checksum: str,
        destination_credential: Credential | None,
        budget: float,
    ) -> CopyFacts:
        """Copy between two endpoints in just that mode."""
        crossing = family_of(new_url) != self.family
        if mode != "streamed" and (crossing or mode not in self.third_party):
            raise failure(
                "copy",
                shown("copy", url, new_url),
                code=0,
                kind="unsupported",
                text=f"there is no third-party {mode} between {scheme(url)} and {scheme(new_url)}",
            )
        context = self._ready_for_copy(url, new_url, destination_credential, budget)
        started = time.monotonic()
        if mode == "streamed" and not crossing and not self.streams_within_family:
            self._relay(context, url, new_url, overwrite=overwrite, checksum=checksum, budget=budget)
            return CopyFacts(mode="streamed", seconds=time.monotonic() - started)
        choose_mode(context, mode)
        parameters = self._parameters(context, overwrite=overwrite, budget=budget)
        self._expect_copied(context, parameters, url, new_url, checksum)
        reported: list[str] = []
        parameters.event_callback = _types_into(reported)
        self._transfer(context, parameters, url, new_url)
        seconds = time.monotonic() - started
        if not reported or reported[-1] not in MODES:
            raise EngineError(
                f"copy {shown('copy', url, new_url)}: gfal2 did not say how it copied: {reported}"
            )
        return CopyFacts(mode=MODES[reported[-1]], seconds=seconds)

    def _transfer(self, context: Context, parameters: Parameters, url: str, new_url: str) -> None:
        with self._reported("copy", shown("copy", url, new_url)):
            context.filecopy(parameters, url, new_url)

    def _relay(
        self, context: Context, url: str, new_url: str, *, overwrite: bool, checksum: str, budget: float
    ) -> None:
        """Stream through a local file, where gfal2 would make a third-party copy of it."""
        local = Path(self._environment.scratch) / f"relay-{time.monotonic_ns()}"
        try:
            with self._reported("copy", shown("copy", url, new_url)):
                context.filecopy(
                    self._parameters(context, overwrite=True, budget=budget), url, f"file://{local}"
                )
                parameters = self._parameters(context, overwrite=overwrite, budget=budget)
                self._expect(parameters, checksum)
                context.filecopy(parameters, f"file://{local}", new_url)
        finally:
            local.unlink(missing_ok=True)

    def _context_of(self, url: str) -> Context:  # noqa: ARG002  # one for all doors, unless a protocol says else
        return self._context

    def _ready(self, url: str, budget: float) -> Context:
        context = self._context_of(url)
        authenticate(context, url, self._credential)
        limit(context, budget)
        choose_mode(context, "streamed")  # an upload is a streamed copy to gfal2
        return context

    def _ready_for_copy(
        self, url: str, new_url: str, destination_credential: Credential | None, budget: float
    ) -> Context:
        shown_there = destination_credential or self._credential
        if self.family != "http" and shown_there == self._credential:
            context = self._ready(url, budget)
            authenticate(context, new_url, self._credential)
            return context
        if shown_there != self._credential and door(url) == door(new_url):
            raise EngineError(f"copy {shown('copy', url, new_url)}: two credentials at one door in one copy")
        self._secrets += tuple(filter(None, (shown_there.token, shown_there.secret_key)))
        # A context keeps the macaroons it got for a copy by X.509, and shows them after they have expired.
        context = new_context()
        authenticate(context, url, self._credential)
        authenticate(context, new_url, shown_there)
        limit(context, budget)
        return context

    def _parameters(self, context: Context, *, overwrite: bool, budget: float) -> Parameters:
        parameters = context.transfer_parameters()
        parameters.overwrite = overwrite
        parameters.create_parent = True
        parameters.timeout = math.ceil(budget)
        return parameters

    def _expect(self, parameters: Parameters, checksum: str) -> None:
        """Have gfal2 compare the source's and the destination's checksum with the given one."""
        algorithm, _, value = checksum.partition(":")
        if value:
            parameters.set_checksum(gfal2.checksum_mode.both, algorithm.upper(), value)

    def _expect_copied(
        self, context: Context, parameters: Parameters, url: str, new_url: str, checksum: str
    ) -> None:
        if "s3s" not in {scheme(url), scheme(new_url)}:
            self._expect(parameters, checksum)
            return
        algorithm, _, value = checksum.partition(":")
        if not value:
            return
        if scheme(url) == "s3s" and algorithm == "adler32":
            parameters.set_checksum(
                gfal2.checksum_mode.target, "ADLER32", value
            )  # S3 cannot say the source's
            return
        # S3 knows MD5 only and answers 400 to a value given by gfal2: compare the source with the value
        # first, then let gfal2 compare the two ends.
        with self._reported("copy", shown("copy", url, new_url)):
            found = context.checksum(url, algorithm.upper()).lower()
        if found != value.lower():
            raise failure(
                "copy",
                shown("copy", url, new_url),
                code=0,
                kind="checksum",
                text=f"{algorithm} of the source is {found}, expected {value}",
            )
        parameters.set_checksum(gfal2.checksum_mode.both, "MD5", "")

    def _reported(self, operation: str, url: str) -> _Reported:
        return _Reported(operation, url, self._secrets)


def _read_once(context: Context, url: str, offset: int, length: int) -> bytes:
    file = context.open(url, "r")
    file.lseek(offset, 0)
    piece: bytes = file.read_bytes(length)
    return piece


def new_context() -> Context:
    """A gfal2 context that tells what the servers really say and never falls back by itself."""
    context = gfal2.creat_context()
    _switch(context, "CORE", "FORMAT_ADLER32_CHECKSUM", on=False)  # it would hide dropped zeros
    _switch(context, "HTTP PLUGIN", "ENABLE_FALLBACK_TPC_COPY", on=False)
    return context


def family_of(url: str) -> str:
    """The protocol family of an address: third-party copy needs both ends in one."""
    return {"davs": "http", "s3s": "http", "root": "xroot", "gsiftp": "gsiftp"}[scheme(url)]


def limit(context: Context, budget: float) -> None:
    """Set every timeout of gfal2 that has an effect; seconds, rounded up."""
    for group, option in _TIMEOUTS:
        context.set_opt_integer(group, option, math.ceil(budget))


def choose_mode(context: Context, mode: CopyMode) -> None:
    """Make http copies use that mode and no other."""
    streamed = mode == "streamed"
    _switch(context, "HTTP PLUGIN", "ENABLE_STREAM_COPY", on=streamed)
    context.set_opt_string("HTTP PLUGIN", "DEFAULT_COPY_MODE", "streamed" if streamed else f"3rd {mode}")


def authenticate(context: Context, url: str, credential: Credential) -> None:
    """Show the credential at the door of that address. The xroot client only looks into its environment."""
    where = door(url)
    if scheme(url) in {"davs", "s3s", "gsiftp"}:
        # Both parts always: gfal2 takes one that is missing from the environment or from /tmp/x509up_u<uid>,
        # and nobody would be somebody.
        for part in ("X509_CERT", "X509_KEY"):
            context.cred_set(where, context.cred_new(part, credential.proxy or _NO_PROXY))
    if credential.kind == "token":
        context.cred_set(where, context.cred_new("BEARER", credential.token))
    if scheme(url) == "s3s":
        # Object stores close idle connections; davix takes one of those for an answer and fails.
        _switch(context, "HTTP PLUGIN", "KEEP_ALIVE", on=False)
    if credential.kind == "access-key":
        group = f"S3:{where.split('/')[2].rpartition(':')[0].upper()}"
        context.set_opt_string(group, "ACCESS_KEY", credential.access_key)
        context.set_opt_string(group, "SECRET_KEY", credential.secret_key)
        context.set_opt_string(group, "REGION", "us-east-1")
        _switch(context, group, "ALTERNATE", on=True)  # the bucket is in the path, not in the host


def _switch(context: Context, group: str, option: str, *, on: bool) -> None:
    context.set_opt_boolean(group, option, on)


def _types_into(reported: list[str]) -> Callable[[Event], None]:
    def remember(event: Event) -> None:
        if "TRANSFER:TYPE" in str(event.stage):
            reported.append(str(event.description))

    return remember
