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
