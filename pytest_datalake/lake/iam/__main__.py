"""``python -m pytest_datalake.lake.iam SETTINGS``: serve until SIGTERM."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pytest_datalake.lake.iam import NAME
from pytest_datalake.lake.iam.config import Settings
from pytest_datalake.lake.iam.server import IamServer
from pytest_datalake.lake.iam.service import Iam
from pytest_datalake.lake.privileges import drop_privileges, load_whole

if TYPE_CHECKING:
    from types import FrameType


def main() -> None:
    """Read, bind, become the account, serve."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    signal.signal(signal.SIGTERM, _stop)
    os.umask(0o077)  # keys lie in the database
    settings = Settings.read(Path(sys.argv[1]))
    signing_keys = Path(settings.signing_key).read_bytes()
    voms = (
        (Path(settings.voms_certificate).read_bytes(), Path(settings.voms_key).read_bytes())
        if settings.voms_key
        else (b"", b"")
    )
    with IamServer(settings) as server:
        load_whole("cryptography", "joserfc")
        drop_privileges(settings.uid, settings.gid)
        iam = Iam(settings, signing_keys, voms)
        server.serve(iam)
        logging.getLogger(__name__).info("%s serves %s", NAME, settings.issuer)
        try:
            server.serve_forever()
        finally:
            iam.close()


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    main()
