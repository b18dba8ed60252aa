"""S3 over https: access keys, MD5 only, no rename; third-party copies by presigned addresses."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import gfal2

from pytest_datalake.drivers.davs import DavsDriver
from pytest_datalake.drivers.failures import failure, shown
from pytest_datalake.drivers.gfal import GfalDriver
from pytest_datalake.drivers.local_files import checksum_of


class S3Driver(DavsDriver):
    """S3; the first part of a path is the bucket."""

    third_party: ClassVar = DavsDriver.third_party

    def put(self, local: str, url: str, *, overwrite: bool, checksum: str, budget: float) -> None:
        """Upload a local file; the checksum is compared with the file, and MD5 at both ends by gfal2."""
        context = self._ready(url, budget)
        parameters = self._parameters(context, overwrite=overwrite, budget=budget)
        algorithm, _, value = checksum.partition(":")
        if value:
            found = checksum_of(Path(local), "md5" if algorithm.lower() == "md5" else "adler32")
            if found != value.lower():
                text = f"source checksum mismatch: {algorithm} of the local file is {found}, expected {value}"
                raise failure("put", url, code=0, text=text)
            # Swift answers 400 to a value given by gfal2; without one gfal2 compares the two ends.
            parameters.set_checksum(gfal2.checksum_mode.both, "MD5", "")
        with self._reported("put", url):
            context.filecopy(parameters, f"file://{local}", url)

    def list(self, url: str, *, budget: float) -> list[str]:
        """Names below a prefix, sorted; S3 gives them plain."""
        return GfalDriver.list(self, url, budget=budget)

    def rename(self, url: str, new_url: str, *, budget: float) -> None:  # noqa: ARG002
        """There is no rename in S3: raises ``StorageError`` (unsupported)."""
        raise failure(
            "rename", shown("rename", url, new_url), code=0, kind="unsupported", text="S3 has no rename"
        )
