"""What tokens a third-party copy over HTTP needs at both ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_datalake.conformance.case import Moment, Nothing, Token

if TYPE_CHECKING:
    from pytest_datalake.conformance.case import Level
    from pytest_datalake.matrix.model import Mode

_TPC = "WLCG HTTP-TPC, credentials"
_RIGHTS = "WLCG profile, storage scopes"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyCase:
    """One requirement on copies, as something that can be tried on a link.

    The client asks the active end, which moves the bytes, and hands it a token for the passive end.

    Attributes:
        id: stable; what ``known_issues`` of a matrix call ``requirement``.
        clause: where it is asked for.
        level: how binding it is.
        says: what is asked, in one sentence.
        mode: "pull": the destination is the active end; "push": the source is.
        source: what is shown at the source.
        destination: what is shown at the destination.
        expect: what must come of it.
        overwrites: a file is there already.
        forged: no real authority would give out one of the tokens.
    """

    id: str
    clause: str
    level: Level
    says: str
    mode: Mode
    source: Token | Nothing
    destination: Token | Nothing
    expect: Literal["granted", "refused"]
    overwrites: bool = False
    forged: bool = False

    @property
    def binding(self) -> bool:
        """Whether a site that does otherwise fails."""
        return self.level == "MUST"


_READ, _CREATE, _MODIFY = (Token(scope=f"storage.{right}:$top") for right in ("read", "create", "modify"))
_ELSEWHERE = Token(scope="storage.read:$top/elsewhere")
_CREATE_ELSEWHERE = Token(scope="storage.create:$top/elsewhere")
_LATE = Token(
    scope="storage.read:$top storage.create:$top",
    claims={"iat": Moment(-7200), "nbf": Moment(-7200), "exp": Moment(-3600)},
)


def _both(
    name: str,
    says: str,
    source: Token | Nothing,
    destination: Token | Nothing,
    expect: Literal["granted", "refused"] = "refused",
    *,
    clause: str = _RIGHTS,
    overwrites: bool = False,
    forged: bool = False,
) -> tuple[CopyCase, ...]:
    """The case for pulls and for pushes."""
    modes: tuple[Mode, ...] = ("pull", "push")
    return tuple(
        CopyCase(
            id=f"{mode}-{name}",
            clause=clause,
            level="MUST",
            says=says,
            mode=mode,
            source=source,
            destination=destination,
            expect=expect,
            overwrites=overwrites,
            forged=forged,
        )
        for mode in modes
    )


COPIES: tuple[CopyCase, ...] = (
    *_both("reads-and-creates", "Who may read there and create here may copy.", _READ, _CREATE, "granted"),
    *_both("destination-without-create", "Who may only read at the destination may not copy to it.",
        _READ, _READ),
    *_both("source-without-read", "Who may only create and modify at the source may not copy from it.",
        _MODIFY, _CREATE),
    *_both("source-elsewhere", "Who may read another directory of the source may not copy.",
        _ELSEWHERE, _CREATE),
    *_both("destination-elsewhere", "Who may create in another directory may not copy.",
        _READ, _CREATE_ELSEWHERE),
    *_both("source-without-token", "Without a token for the source nothing is copied.",
        Nothing(), _CREATE, clause=_TPC),
    *_both("destination-without-token", "Without a token for the destination nothing is copied.",
        _READ, Nothing(), clause=_TPC),
    *_both("destination-over-what-is-there", "Who may only create may not copy over what is there.",
        _READ, _CREATE, overwrites=True),
    *_both("source-expired", "A token that ended opens no source.", _LATE, _CREATE, forged=True),
    *_both("destination-expired", "A token that ended opens no destination.", _READ, _LATE, forged=True),
)  # fmt: skip
