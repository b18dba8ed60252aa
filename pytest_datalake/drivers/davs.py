"""WebDAV with HTTP-TPC (RFC 4918, WLCG HTTP-TPC): tokens or X.509, both kinds of third-party copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pytest_datalake.drivers.gfal import GfalDriver

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Mode


class DavsDriver(GfalDriver):
    """WebDAV; one process may serve many identities, each with a context of its own."""

    third_party: ClassVar[tuple[Mode, ...]] = ("pull", "push")
    family: ClassVar[str] = "http"

    def _can_stream(self, new_url: str) -> bool:
        """gfal2 streams between two http doors when it is told to."""
        return new_url != ""
