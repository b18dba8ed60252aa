"""What a driver is, and what crosses the process border to it.

A call is plain JSON: it goes from a test over the broker's socket to a child process that holds one identity,
and its result comes back the same way. Files are passed as paths of this machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Mode

Verb = Literal[
    "put", "get", "read", "stat", "list", "mkdir", "rename", "remove", "rmdir", "checksum", "copy",
    "announce", "exchange",
]  # fmt: skip
Algorithm = Literal["adler32", "md5"]
CopyMode = Literal["pull", "push", "streamed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What proves an identity at one endpoint.

    Attributes:
        kind: "none" is the anonymous user.
        proxy: PEM file with certificate chain and key (an RFC 3820 proxy, or a user certificate and its key).
        token: bearer token (RFC 6750); never in a URL, never in a repr.
        access_key: public part of an S3 key pair.
        secret_key: secret part of it.
        identity: whose it is, by the matrix's name; empty: of none that it names.
        auth: the matrix's word for what is shown; empty where there is none.
    """

    kind: Literal["none", "x509", "token", "access-key"] = "none"
    proxy: str = ""
    token: str = field(default="", repr=False)
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    identity: str = ""
    auth: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStat:
    """Facts about one entry. ``size`` in bytes, ``modified`` in seconds since the epoch."""

    size: int
    is_directory: bool
    modified: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFacts:
    """What a copy really was.

    Attributes:
        mode: taken from the library's own event, never from what was asked for.
        seconds: wall time of the call.
    """

    mode: CopyMode
    seconds: float


class Driver(Protocol):
    """One protocol, one identity. Every method raises ``StorageError``; ``budget`` is in seconds."""

    def put(self, local: str, url: str, *, overwrite: bool, checksum: str, budget: float) -> None:
        """Upload a local file, making parent directories. ``checksum``: ``"adler32:0a1b2c3d"`` or empty."""

    def get(self, url: str, local: str, *, budget: float) -> None:
        """Download to a local file, replacing it."""

    def read(self, url: str, *, offset: int, length: int, budget: float) -> bytes:
        """Up to ``length`` bytes from ``offset``."""

    def stat(self, url: str, *, budget: float) -> FileStat:
        """Facts about a file or directory."""

    def list(self, url: str, *, budget: float) -> list[str]:
        """Names in a directory, sorted, without "." and ".."."""

    def mkdir(self, url: str, *, budget: float) -> None:
        """Make a directory and its parents; one that is there already is fine."""

    def rename(self, url: str, new_url: str, *, budget: float) -> None:
        """Rename a file or directory within one endpoint."""

    def remove(self, url: str, *, budget: float) -> None:
        """Remove a file."""

    def rmdir(self, url: str, *, budget: float) -> None:
        """Remove an empty directory."""

    def checksum(self, url: str, algorithm: Algorithm, *, budget: float) -> str:
        """What the server said, lower-case and not padded: dropped leading zeros are to be seen."""

    def copy(
        self,
        url: str,
        new_url: str,
        *,
        mode: Mode | Literal["streamed"],
        overwrite: bool,
        checksum: str,
        destination_credential: Credential | None,
        budget: float,
    ) -> CopyFacts:
        """Copy between two endpoints in just that mode: no fall-back to another.

        ``checksum`` is the expected one of the source, ``"adler32:..."``; empty: none by the library.
        ``destination_credential`` is given where the destination is shown another credential than the source.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a client process must know of the lake besides a credential.

    Attributes:
        ca_directory: hashed CA directory.
        ca_file: PEM bundle of just the CAs that matter; empty: the system's.
        scratch: private directory for temporary files.
    """

    ca_directory: str
    ca_file: str
    scratch: str
