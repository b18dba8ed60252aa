"""Staging and archiving by gfal2, where the storage can do that. Runs in a worker process."""

from __future__ import annotations

import errno
import time

import gfal2

from pytest_datalake.lake.fts.attempt import Order, Report
from pytest_datalake.lake.fts.copying import context_for, readable


def stage(order: Order) -> Report:
    """Bring a file online, and wait until it is."""
    context = context_for(order)
    deadline = time.monotonic() + order.seconds
    try:
        done, token = context.bring_online(order.source, order.pin_lifetime, order.seconds, True)  # noqa: FBT003
        while done == 0:
            if time.monotonic() >= deadline:
                return Report(
                    scope="STAGING", code=errno.ETIMEDOUT, text="bring-online timeout has been exceeded"
                )
            time.sleep(order.interval)
            done = context.bring_online_poll(order.source, token)
    except gfal2.GError as error:
        if error.code == errno.EOPNOTSUPP:  # a disk: everything is online
            return Report()
        return Report(scope="STAGING", code=error.code or errno.EIO, text=readable(error.message))
    return Report()


def archive(order: Order) -> Report:
    """Wait until a file that has arrived is on tape."""
    context = context_for(order)
    deadline = time.monotonic() + order.seconds
    while True:
        try:
            done = context.archive_poll(order.source)
        except gfal2.GError as error:
            if error.code != errno.EAGAIN:
                return Report(scope="ARCHIVING", code=error.code or errno.EIO, text=readable(error.message))
            done = 0
        if done > 0:
            return Report()
        if time.monotonic() >= deadline:
            return Report(scope="ARCHIVING", code=errno.ETIMEDOUT, text="archive timeout has been exceeded")
        time.sleep(order.interval)
