"""WebDAV with HTTP-TPC (RFC 4918, WLCG HTTP-TPC): tokens or X.509, both kinds of third-party copy."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, unquote

from pytest_datalake.drivers.failures import failure
from pytest_datalake.drivers.gfal import GfalDriver
from pytest_datalake.errors import StorageError

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Mode


class DavsDriver(GfalDriver):
    """WebDAV; one process may serve many identities, each with a context of its own."""

    third_party: ClassVar[tuple[Mode, ...]] = ("pull", "push")
    family: ClassVar[str] = "http"
    streams_within_family: ClassVar[bool] = True

    def list(self, url: str, *, budget: float) -> list[str]:
        """Names in a directory, sorted.

        gfal2 hands on what stands in the ``href``, which RFC 4918, 8.3.1 wants percent-encoded; Apache does
        so, XRootD 5.5 does not. So what looks encoded is asked for under the name that it would then have.
        """
        return sorted(self._plain(url, name, budget) for name in super().list(url, budget=budget))

    def rmdir(self, url: str, *, budget: float) -> None:
        """Remove an empty directory; DELETE by itself would take what is in it along (RFC 4918, 9.6.1)."""
        if super().list(url, budget=budget):
            raise failure("rmdir", url, code=errno.ENOTEMPTY, text="the directory is not empty")
        super().rmdir(url, budget=budget)

    def _plain(self, url: str, name: str, budget: float) -> str:
        decoded = unquote(name)
        if decoded == name:
            return name
        try:
            self.stat(f"{url.rstrip('/')}/{quote(decoded, safe='')}", budget=budget)
        except StorageError:
            return name
        return decoded
