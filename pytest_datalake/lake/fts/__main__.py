"""``python -m pytest_datalake.lake.fts SETTINGS``: serve until SIGTERM."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pytest_datalake.lake.fts import NAME
from pytest_datalake.lake.fts.config import Settings
from pytest_datalake.lake.fts.nursery import Nursery
from pytest_datalake.lake.privileges import drop_privileges, load_whole

if TYPE_CHECKING:
    from types import FrameType


def main() -> None:
    """Fork the nursery, read, bind, become the account, take up what was left, serve."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    signal.signal(signal.SIGTERM, _stop)
    os.umask(0o077)  # proxies and tokens lie in files
    settings = Settings.read(Path(sys.argv[1]))
    nursery = Nursery(lambda: drop_privileges(settings.uid, settings.gid))
    # After the fork: workers need none of this.
    from pytest_datalake.lake.fts.server import FtsServer
    from pytest_datalake.lake.fts.service import Service

    delegated = tuple(Path(path).read_bytes() for path in settings.delegated)
    password = Path(settings.broker_password_file).read_text() if settings.broker_password_file else ""
    keys = {storage: json.loads(Path(path).read_text()) for storage, path in settings.object_stores.items()}
    with FtsServer(settings) as server:
        load_whole("cryptography", "joserfc", "stomp", "pytest_datalake.credentials")
        drop_privileges(settings.uid, settings.gid)
        server.service = service = Service(settings, nursery, keys, broker_password=password)
        service.start(delegated)
        logging.getLogger(__name__).info("%s serves %s", NAME, settings.url)
        try:
            server.serve_forever()
        finally:
            service.stop()
            nursery.close()


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    main()
