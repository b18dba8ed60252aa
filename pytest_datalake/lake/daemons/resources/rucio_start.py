"""What server and daemons of Rucio do first: wait for the database, and put into it what the matrix says.

Runs in Rucio's environment, with RUCIO_HOME set to the directory that holds ``catalogue.json``.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

# before Rucio is imported, for it logs already then
logging.basicConfig(
    stream=sys.stdout, level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s"
)

from rucio.common.types import InternalAccount, InternalScope  # noqa: E402
from rucio.core import account, account_limit, distance, identity, rse, scope  # noqa: E402
from rucio.db.sqla.constants import AccountType, IdentityType  # noqa: E402
from rucio.db.sqla.session import get_engine, transactional_session  # noqa: E402
from sqlalchemy import text  # noqa: E402
from sqlalchemy.exc import OperationalError  # noqa: E402

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

HOME = Path(os.environ["RUCIO_HOME"])
_EMAIL = "nobody@localhost"


def wait_for_database() -> None:
    """Return when the database takes connections; the keeper of the lake limits the time."""
    while True:
        try:
            get_engine().connect().close()
        except OperationalError:
            time.sleep(0.1)
        else:
            return


@transactional_session  # type: ignore[untyped-decorator]  # mypy does not see Rucio
def fill_catalogue(*, session: Session) -> None:
    """Enter accounts, RSEs and distances, all or nothing; a catalogue that has them is left as it is."""
    catalogue = json.loads((HOME / "catalogue.json").read_text())
    session.execute(text("SELECT pg_advisory_xact_lock(1)"))  # server and daemons both come here
    if account.account_exists(InternalAccount("root"), session=session):
        return
    for entry in catalogue["accounts"]:
        _add_account(entry, session)
    ids = {entry["name"]: _add_rse(entry, session) for entry in catalogue["rses"]}
    for entry in catalogue["accounts"]:
        for name, limit in entry["limits"].items():
            account_limit.set_local_account_limit(
                InternalAccount(entry["name"]), ids[name], limit, session=session
            )
    for source, destination, far in catalogue["distances"]:
        distance.add_distance(ids[source], ids[destination], far, session=session)


def _add_account(entry: dict[str, Any], session: Session) -> None:
    who = InternalAccount(entry["name"])
    account.add_account(who, AccountType[entry["type"]], _EMAIL, session=session)
    for name in entry["scopes"]:
        scope.add_scope(InternalScope(name), who, session=session)
    for one in entry["identities"]:
        kind = IdentityType[one["type"]]
        identity.add_identity(one["identity"], kind, _EMAIL, password=one.get("password"), session=session)
        identity.add_account_identity(
            one["identity"], kind, who, _EMAIL, default=True, password=one.get("password"), session=session
        )


def _add_rse(entry: dict[str, Any], session: Session) -> str:
    rse_id: str = rse.add_rse(entry["name"], session=session)
    for key, value in entry["attributes"].items():
        rse.add_rse_attribute(rse_id, key, value, session=session)
    for protocol in entry["protocols"]:
        rse.add_protocol(rse_id, protocol, session=session)
    rse.set_rse_limits(rse_id, "MinFreeSpace", 0, session=session)
    rse.set_rse_usage(rse_id, "storage", used=0, free=entry["free"], session=session)
    return rse_id
