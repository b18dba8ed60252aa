"""A process that does what the service orders, one thing at a time. It is killed when that is canceled.

A fork of the nursery: everything that it needs has been imported before.
"""

from __future__ import annotations

import errno
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_datalake.lake.fts import copying, tape
from pytest_datalake.lake.fts.attempt import Order, Report

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable


def serve(connection: socket.socket) -> None:
    """Take orders until the service closes its end."""
    with connection, connection.makefile("rb") as orders:

        def tell(message: dict[str, Any]) -> None:
            connection.sendall(json.dumps(message).encode() + b"\n")

        def cleared(seconds: int) -> None:
            tell({"event": "cleared", "seconds": seconds})
            if not orders.readline():
                raise SystemExit(0)

        for line in orders:
            order = Order.from_message(json.loads(line))
            tell({"event": "started"})
            tell({"event": "done", "report": asdict(perform(order, cleared))})


def perform(order: Order, cleared: Callable[[int], None]) -> Report:
    """Do one thing, and say how it ended."""
    try:
        match order.action:
            case "transfer":
                return copying.Copy(order, cleared).run()
            case "clean-up":
                said = copying.remove(copying.context_for(order), order.destination)
                return Report(scope="DESTINATION", code=errno.EIO, text=said) if said else Report()
            case "stage":
                return tape.stage(order)
            case "archive":
                return tape.archive(order)
    except Exception as error:  # noqa: BLE001  # whatever it is, it belongs to this order
        return Report(scope="GENERAL_FAILURE", code=errno.EIO, text=f"{type(error).__name__}: {error}")
