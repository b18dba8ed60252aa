"""How the rows of the table are written: who shows a token that may read, and reads, unless more is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from pytest_datalake.conformance.case import Action, Case

if TYPE_CHECKING:
    from typing import TypedDict

    from pytest_datalake.conformance.case import Expectation, Level, Nothing, Proxy, Step, Token
    from pytest_datalake.matrix.model import Auth, Protocol

    class Further(TypedDict, total=False):
        """What a row may say besides."""

        action: Action
        statuses: tuple[int, ...]
        files: tuple[str, ...]
        protocols: tuple[Protocol, ...]
        forged: bool
        kills: tuple[str, ...]
        auth: Auth
        before: tuple[Step, ...]
        after_its_end: bool
        in_handshake: bool


READ = Action("read", "$top/foo/file")
EVERYWHERE: tuple[Protocol, ...] = ("davs", "root")
"""Where tokens are shown."""

ODD_PATH = (400, 401, 403, 404, 409)
"""A path that is not well-formed, or leads out, may also be called a bad request, not found or a conflict."""
NO_OVERWRITE = (401, 403, 409, 412)
"""What is there already may also be called a conflict (RFC 4918, 9.9.4 and 10.6)."""


def row(
    expect: Expectation,
    name: str,
    level: Level,
    clause: str,
    says: str,
    credential: Token | Proxy | Nothing,
    **further: Unpack[Further],
) -> Case:
    """A case for cells by ``token-scope``, unless it is said otherwise."""
    given: dict[str, Any] = {"auth": "token-scope", "action": READ, **further}
    return Case(id=name, level=level, clause=clause, says=says, credential=credential, expect=expect, **given)


def refused(
    name: str,
    level: Level,
    clause: str,
    says: str,
    credential: Token | Proxy | Nothing,
    **further: Unpack[Further],
) -> Case:
    """A case that must be refused."""
    return row("refused", name, level, clause, says, credential, **further)


def granted(
    name: str,
    level: Level,
    clause: str,
    says: str,
    credential: Token | Proxy | Nothing,
    **further: Unpack[Further],
) -> Case:
    """A case that must be granted."""
    return row("granted", name, level, clause, says, credential, **further)


def noted(
    name: str, clause: str, says: str, credential: Token | Proxy | Nothing, **further: Unpack[Further]
) -> Case:
    """A case that may be granted or refused; which one is noted."""
    return row("either", name, "INFO", clause, says, credential, **further)
