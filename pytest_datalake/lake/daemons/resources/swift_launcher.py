"""Serves a one-node OpenStack Swift from one process: account, container and object servers, and the S3 door.

``python swift_launcher.py DIRECTORY``, where DIRECTORY/etc holds ``swift.conf`` and one configuration per
server. All four are green threads of one hub, as in Swift's own functional tests, which takes a third of the
memory of four processes. The door opens when the bucket is there.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

os.environ["EVENTLET_NO_GREENDNS"] = "yes"  # every address is numeric, and a resolver costs memory

import eventlet
from eventlet import wsgi as eventlet_wsgi
from swift.common import utils
from swift.common import wsgi as swift_wsgi
from swift.common.ring import RingBuilder
from swift.common.utils import logs

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

BACKENDS = ("account", "container", "object")
_PART_POWER = 4
"""2**4 partitions: there is one device."""


class LogFile(logging.StreamHandler[TextIO]):
    """Takes the place of Swift's syslog handler: what one lake does is no concern of the machine's log."""

    def __init__(self, **_: object) -> None:
        super().__init__(sys.stdout)

    def format(self, record: logging.LogRecord) -> str:
        """Swift's own format after the time, which syslog would have added."""
        return f"{logging.Formatter().formatTime(record)} {super().format(record)}"


def make_rings(etc: Path, device: str) -> None:
    """Write the rings where they are missing; they place everything on the one device."""
    for name in BACKENDS:
        ring = etc / f"{name}.ring.gz"
        if ring.exists():
            continue
        conf = swift_wsgi.appconfig(str(etc / f"{name}.conf"), name=f"{name}-server")
        builder = RingBuilder(_PART_POWER, 1, 1)
        builder.add_dev(
            {
                "id": 0, "region": 1, "zone": 1, "weight": 1.0, "device": device, "meta": "",
                "ip": conf["bind_ip"], "port": int(conf["bind_port"]),
                "replication_ip": conf["bind_ip"], "replication_port": int(conf["bind_port"]),
            }
        )  # fmt: skip
        builder.rebalance()
        builder.get_ring().save(str(ring))


def load(etc: Path, name: str) -> tuple[dict[str, str], WSGIApplication]:
    """Configuration and application of a server."""
    path = str(etc / f"{name}.conf")
    conf = swift_wsgi.appconfig(path, name=f"{name}-server")
    return conf, swift_wsgi.loadapp(path, global_conf={"log_name": name})


def serve(conf: dict[str, str], app: WSGIApplication) -> eventlet.greenthread.GreenThread:
    """Open the server's port."""
    return eventlet.spawn(
        eventlet_wsgi.server,
        swift_wsgi.get_socket(conf),
        app,
        utils.NullLogger(),
        custom_pool=eventlet.GreenPool(256),
        protocol=swift_wsgi.SwiftHttpProtocol,
        socket_timeout=float(conf["client_timeout"]),
        capitalize_response_headers=False,  # S3 clients look for "ETag"
    )


def make_bucket(app: WSGIApplication, account: str, bucket: str) -> None:
    """Make account and bucket where they are missing; SystemExit when Swift refuses."""
    request = swift_wsgi.make_pre_authed_request({}, "PUT", f"/v1/AUTH_{account}/{bucket}")
    response = request.get_response(app)
    if not response.is_success:
        raise SystemExit(f"the bucket {bucket} could not be made: {response.status}")


def main(directory: Path) -> None:
    """Serve until SIGTERM or SIGINT."""
    etc = directory / "etc"
    logs.ThreadSafeSysLogHandler = LogFile
    utils.set_swift_dir(str(etc))
    utils.validate_configuration()
    utils.monkey_patch()
    eventlet.hubs.use_hub(utils.get_hub())
    utils.disable_fallocate()
    make_rings(etc, "d1")
    for name in BACKENDS:
        serve(*load(etc, name))
    conf, app = load(etc, "proxy")
    make_bucket(app, conf["lake_account"], conf["lake_bucket"])
    door = serve(conf, app)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    door.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
