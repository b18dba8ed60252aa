"""xroot (XRootD protocol 5): credentials are read from the environment, so a process is one identity."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, ClassVar

from pytest_datalake.drivers.failures import shown
from pytest_datalake.drivers.gfal import Context, GfalDriver, Parameters
from pytest_datalake.errors import StorageError

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Mode


class RootDriver(GfalDriver):
    """xroot; third-party copies are pulls by the destination, in the tpc.key rendezvous."""

    third_party: ClassVar[tuple[Mode, ...]] = ("pull",)
    family: ClassVar[str] = "xroot"

    def _transfer(self, context: Context, parameters: Parameters, url: str, new_url: str) -> None:
        try:
            super()._transfer(context, parameters, url, new_url)
        except StorageError as error:
            if error.code != errno.EOPNOTSUPP:
                raise
            # The client library tries delegation whenever the source cannot be opened, and reports only that
            # the destination does not support it. The source says the real reason.
            with self._reported("copy", shown("copy", url, new_url)):
                context.stat(url)
            raise
