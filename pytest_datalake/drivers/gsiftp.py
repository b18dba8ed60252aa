"""GridFTP (GFD.47): X.509 only; third-party copies are pushed by the source."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pytest_datalake.drivers.gfal import GfalDriver

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Mode


class GsiftpDriver(GfalDriver):
    """GridFTP; sessions are kept open and reused, so a process is one identity."""

    third_party: ClassVar[tuple[Mode, ...]] = ("push",)
    family: ClassVar[str] = "gsiftp"

    def read(self, url: str, *, offset: int, length: int, budget: float) -> bytes:
        """Up to ``length`` bytes from ``offset``, by a partial retrieval of just that range (GFD.20, ERET).

        A stream that is closed before its end is aborted, and the client library can die of that.
        """
        context = self._ready(url, budget)
        found = b""
        with self._reported("read", url):
            file = context.open(url, "r")
            while len(found) < length:
                piece: bytes = file.pread_bytes(offset + len(found), length - len(found))
                if not piece:
                    break
                found += piece
        return found
