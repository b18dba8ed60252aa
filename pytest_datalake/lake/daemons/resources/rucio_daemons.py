"""All daemons of Rucio in one process, each in a thread of its own, with cycles of half a second or two.

One process takes a tenth of the memory of one for each. Ends with status 1 when a daemon cannot be run.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from datetime import datetime
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from rucio_start import fill_catalogue, wait_for_database  # isort: skip  # sets up logging

from rucio.common.exception import DatabaseException
from rucio.core import request
from rucio.daemons import common
from rucio.db.sqla.constants import RequestState
from rucio.db.sqla.models import Heartbeat, Request
from rucio.db.sqla.session import transactional_session
from sqlalchemy import delete, update
from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

logger = logging.getLogger("rucio_daemons")

_POLLER = "conveyor-poller"
_OUTAGE_PAUSE = 0.5
"""Seconds."""
_LONG_AGO = datetime(2000, 1, 1)  # noqa: DTZ001  # Rucio keeps UTC without saying so


def with_arguments(function: Callable[..., Any], **arguments: object) -> Callable[..., Any]:
    """The function, called with these arguments whatever the caller says."""

    @wraps(function)
    def wrapper(*args: object, **kwargs: object) -> object:
        return function(*args, **{**kwargs, **arguments})

    return wrapper


# Both must happen before the modules of the daemons take these functions over.
# Only one instance of each daemon runs: it need not wait 10 s for others to share the work with.
common.db_workqueue = with_arguments(common.db_workqueue, partition_wait_time=0)


def mark_briefly(function: Callable[..., Any]) -> Callable[..., Any]:
    """The poller looks at a transfer that is not finished again after 2 s and not after 600 s.

    No other daemon: one that takes up what it is still at work on does it twice.
    """

    @wraps(function)
    def wrapper(*args: object, **kwargs: object) -> object:
        if kwargs.get("processed_by") == _POLLER:
            kwargs = {"processed_at_delay": 2, **kwargs}
        return function(*args, **kwargs)

    return wrapper


request.get_and_mark_next = mark_briefly(request.get_and_mark_next)


def through_outages(function: Callable[..., Any]) -> Callable[..., Any]:
    """A heartbeat that waits where the database is away.

    Rucio catches what goes wrong in a cycle, but not in the heartbeat between two of them: the daemon ends,
    and is started again where each is a process of its own. Here a thread would be missing without a word.
    """

    @wraps(function)
    def wrapper(*args: object, **kwargs: object) -> object:
        while True:
            try:
                return function(*args, **kwargs)
            except (DatabaseException, SQLAlchemyError) as error:
                logger.warning(
                    "no heartbeat of %s: %s", threading.current_thread().name, type(error).__name__
                )
                time.sleep(_OUTAGE_PAUSE)

    return wrapper


common.HeartbeatHandler.live = through_outages(common.HeartbeatHandler.live)

from rucio.daemons.abacus import account as account_usage  # noqa: E402
from rucio.daemons.abacus import collection_replica, rse  # noqa: E402
from rucio.daemons.badreplicas import minos, minos_temporary_expiration, necromancer  # noqa: E402
from rucio.daemons.conveyor import finisher, poller, submitter  # noqa: E402
from rucio.daemons.hermes import hermes  # noqa: E402
from rucio.daemons.judge import cleaner, evaluator, injector, repairer  # noqa: E402
from rucio.daemons.reaper import reaper  # noqa: E402
from rucio.daemons.tracer import kronos  # noqa: E402
from rucio.daemons.transmogrifier import transmogrifier  # noqa: E402
from rucio.daemons.undertaker import undertaker  # noqa: E402

for _module in (evaluator, repairer, cleaner, injector, undertaker):
    # What another daemon has locked at that moment is left alone for a second, not for up to 40 minutes.
    _module.randint = lambda _low, _high: 1

_OFTEN = {"sleep_time": 0.5}
_SELDOM = {"sleep_time": 2}
"""Seconds between two cycles: often where somebody waits for a rule, seldom where nobody does."""

DAEMONS: dict[str, tuple[Any, dict[str, Any]]] = {
    "judge-evaluator": (evaluator, {**_OFTEN, "did_limit": 1000}),
    "judge-repairer": (repairer, _OFTEN),
    "judge-cleaner": (cleaner, _OFTEN),
    "judge-injector": (injector, _SELDOM),
    "conveyor-submitter": (
        submitter,
        {**_OFTEN, "bulk": 1000, "group_bulk": 100, "group_policy": "src_dest"},
    ),
    "conveyor-poller": (poller, {**_OFTEN, "older_than": 0}),
    "conveyor-finisher": (finisher, {**_OFTEN, "bulk": 1000}),
    "abacus-account": (account_usage, _SELDOM),
    "abacus-rse": (rse, _SELDOM),
    "abacus-collection-replica": (collection_replica, _SELDOM),
    "undertaker": (undertaker, {**_SELDOM, "chunk_size": 100}),
    # its heartbeat is broken below 2 s
    "reaper": (reaper, {**_SELDOM, "include_rses": "*", "delay_seconds": 0, "chunk_size": 1000}),
    "transmogrifier": (transmogrifier, {**_SELDOM, "bulk": 1000}),
    "necromancer": (necromancer, _SELDOM),
    "minos": (minos, _SELDOM),
    "minos-temporary-expiration": (minos_temporary_expiration, _SELDOM),
    "hermes": (hermes, {**_SELDOM, "bulk": 1000}),
    "kronos": (kronos, {"sleep_time_datasets": 1, "sleep_time_files": 1}),
}


@transactional_session  # type: ignore[untyped-decorator]  # mypy does not see Rucio
def forget_the_dead(*, session: Session) -> None:
    """Daemons that were killed would be waited for, and work be left for them.

    What they had marked as theirs would be left alone for ten minutes, and what they were submitting for two
    hours: it is made to look as old, so that Rucio takes it up in its own way, now.
    """
    session.execute(delete(Heartbeat))
    session.execute(update(Request).values(last_processed_by=None, last_processed_at=None))
    in_hand = update(Request).where(Request.state == RequestState.SUBMITTING)
    session.execute(in_hand.values(updated_at=_LONG_AGO))


def _is_news(record: logging.LogRecord) -> bool:
    """The transmogrifier says twice a second that there are no subscriptions."""
    return "No subscriptions defined" not in record.getMessage()


def _run(name: str) -> None:
    """Start a daemon's own threads, which go on when ``run`` has returned."""
    module, arguments = DAEMONS[name]
    try:
        module.run(**arguments)
    except Exception:
        logger.exception("%s does not run", name)
        os._exit(1)


def main() -> None:
    """Run until SIGTERM."""
    logging.getLogger().handlers[0].addFilter(_is_news)
    wait_for_database()
    fill_catalogue()
    forget_the_dead()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    for name in DAEMONS:
        threading.Thread(target=partial(_run, name), name=name, daemon=True).start()
    stopping.wait()
    for module, _ in DAEMONS.values():
        module.stop()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
