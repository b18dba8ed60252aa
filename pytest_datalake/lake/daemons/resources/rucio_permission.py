"""Who may do what in the lake's Rucio: the permissions of a policy package.

As Rucio's generic ones, and those who own a scope may use it without an administrator: they register
replicas of their own files, and change and delete their own rules. Everybody may look at transfers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rucio.core import rule

if TYPE_CHECKING:
    from rucio.common.types import InternalAccount
    from sqlalchemy.orm import Session


def has_permission(
    issuer: InternalAccount, action: str, kwargs: dict[str, Any], *, session: Session
) -> bool | None:
    """True: the account may; None: as the generic permissions say."""
    if action == "add_replicas":  # new files are asked for one by one, as add_dids
        return True
    if action in {"del_rule", "update_rule"}:
        owner = rule.get_rule(kwargs["rule_id"], session=session)["account"]
        return True if owner == issuer else None
    if action in {"get_request_by_did", "get_request_history_by_did"}:
        return True
    return None
