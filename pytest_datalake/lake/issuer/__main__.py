"""``python -m pytest_datalake.lake.issuer SETTINGS``: serve until SIGTERM."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pytest_datalake.lake.issuer.config import NAME, Settings
from pytest_datalake.lake.issuer.server import IssuerServer, drop_privileges

if TYPE_CHECKING:
    from types import FrameType


def main() -> None:
    """Read, bind, become the account, serve."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    signal.signal(signal.SIGTERM, _stop)
    settings = Settings.read(Path(sys.argv[1]))
    with IssuerServer(settings) as server:
        drop_privileges(settings)
        logging.getLogger(__name__).info("%s serves %s", NAME, settings.issuer)
        server.serve_forever()


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    main()
