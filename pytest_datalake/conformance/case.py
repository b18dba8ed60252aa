"""The words of the table: a case, the credential that it shows, what is tried with it, what must come of it.

Texts of credentials and paths may hold these names (``string.Template``):

- ``$top``: the directory of the case, in the area of the experiment that acts; ``$other``: its twin in the
  area of another experiment
- ``$group``, ``$other_group``, ``$vo``: groups of these experiments, and the name of the VO
- ``$audience``, ``$issuer``: what the door expects in a token
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_datalake.matrix.model import Auth, Protocol

Level = Literal["MUST", "1.3", "SHOULD", "INFO"]
"""How binding a requirement is. ``1.3``: a MUST that version 1.3 of the WLCG profile brought.

A site fails on a MUST alone; what else it does differently is noted.
"""

Verb = Literal[
    "read", "stat", "list", "write", "overwrite", "mkdir", "rename", "rename-over", "remove", "rmdir"
]  # fmt: skip
Expectation = Literal["granted", "refused", "either"]

Spoiled = Literal[
    "unsigned",
    "unsigned-without-kid",
    "keyed-with-the-public-key",
    "payload-changed",
    "signature-bit-flipped",
    "signature-cut-off",
    "signature-left-out",
    "foreign-key",
    "foreign-key-enclosed",
    "payload-is-a-list",
    "payload-is-no-text",
    "scope-twice",
    "garbage",
    "empty",
    "deeply-nested",
]
"""What a token may be made into that its claims cannot express."""

SpoiledProxy = Literal[
    "foreign-authority",
    "own-authority",
    "changed-attributes",
    "attributes-of-another",
    "no-authority-enclosed",
    "foreign-key",
    "proxy-of-a-limited-one",
    "proxy-of-a-proxy",
    "proxy-beyond-path-length",
    "revoked",
    "certificate-alone",
    "unknown-ca",
]
"""What a proxy may be made into that its fields cannot express."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A time claim: seconds from now on; ``fraction`` makes it a number with one."""

    seconds: int
    fraction: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """How to make a WLCG token that is valid in all that is not said here.

    Attributes:
        scope: the claim; None: it has none.
        groups: the claim ``wlcg.groups``; None: it has none.
        claims: further ones, and others in the place of the usual; None leaves one out.
        header: the same for the header.
        algorithm: of the signature (RFC 7518, 3.1).
        spoiled: what is done to the finished token.
        padding: bytes of a claim that nobody knows.
        scheme: of the ``Authorization`` header.
        shown: in the header, or as a parameter of that name in the URL.
    """

    scope: str | None = None
    groups: tuple[str, ...] | None = None
    claims: Mapping[str, object] = field(default_factory=dict)
    header: Mapping[str, object] = field(default_factory=dict)
    algorithm: str = "RS256"
    spoiled: Spoiled | None = None
    padding: int = 0
    scheme: str = "Bearer"
    shown: Literal["header", "authz", "access_token"] = "header"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """How to make a VOMS proxy of the member that acts; times are in seconds from now on.

    Attributes:
        fqans: in the attribute certificate, as they stand; none: no attribute certificate.
        start, end: of the proxy.
        attributes_start, attributes_end: of the attribute certificate.
        policy: "full", "limited" or "independent" (RFC 3820, 3.8.2).
        vo: that the attribute certificate names.
        targets: host names that alone may accept the attributes.
        spoiled: what else is wrong or particular.
    """

    fqans: tuple[str, ...] = ()
    start: int = -300
    end: int = 3600
    attributes_start: int = -300
    attributes_end: int = 3600
    policy: Literal["full", "limited", "independent"] = "full"
    vo: str = "$vo"
    targets: tuple[str, ...] = ()
    spoiled: SpoiledProxy | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """No credential at all."""


@dataclass(frozen=True, slots=True)
class Action:
    """What is tried.

    Attributes:
        path: where; absolute, in the lake's namespace.
        to: the new name of a rename.
        as_it_stands: the path goes over the wire as it is written, not percent-encoded; HTTP alone can.
    """

    verb: Verb
    path: str
    to: str = ""
    as_it_stands: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What comes before the action of a case: the file ``$top/foo/file`` is read with another credential."""

    credential: Token | Nothing
    expect: Literal["granted", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One requirement, as something that can be tried at a door.

    Attributes:
        id: stable; what ``known_issues`` of a matrix call ``requirement``.
        clause: where it is asked for.
        level: how binding it is.
        says: what is asked, in one sentence.
        auth: the cells it is tried on.
        credential: what is shown.
        action: what is tried with it.
        expect: what must come of it.
        statuses: HTTP statuses that are a refusal here; empty: 401 and 403.
        files: that lie there before, and empty directories with a slash behind; none: what the action needs.
        protocols: over which it is tried.
        only_in_full: further ones, over which it is tried when every cell is asked for.
        forged: no real authority would give out the credential.
        kills: technologies of which a known version dies of it: there it is tried at a door apart.
        before: what comes first, over the same connection; over davs alone.
        after_its_end: the token was shown before, and is tried again when it has ended.
        in_handshake: a door may also refuse by ending the connection while the credential is shown.
    """

    id: str
    clause: str
    level: Level
    says: str
    auth: Auth
    credential: Token | Proxy | Nothing
    action: Action
    expect: Expectation
    statuses: tuple[int, ...] = ()
    files: tuple[str, ...] = ()
    protocols: tuple[Protocol, ...] = ("davs",)
    only_in_full: tuple[Protocol, ...] = ()
    forged: bool = True
    kills: tuple[str, ...] = ()
    before: tuple[Step, ...] = ()
    after_its_end: bool = False
    in_handshake: bool = False

    def __post_init__(self) -> None:
        """A mistake in the table is told when it is loaded."""
        if (self.before or self.action.as_it_stands) and set(self.protocols) != {"davs"}:
            raise ValueError(f"{self.id}: only davs shows requests as they stand, and connections")

    @property
    def changes(self) -> bool:
        """Whether something would be changed if it were done."""
        return self.action.verb not in {"read", "stat", "list"}

    @property
    def binding(self) -> bool:
        """Whether a site that does otherwise fails."""
        return self.level == "MUST" and self.expect != "either"

    @property
    def needed_files(self) -> tuple[str, ...]:
        """The files that lie there before it is tried; an empty directory ends in a slash."""
        path, parent = self.action.path, self.action.path.rpartition("/")[0]
        needed = {
            "list": (f"{path}/file",),
            "write": (f"{parent}/there",),
            "mkdir": (f"{parent}/there",),
            "rename": (path, f"{self.action.to.rpartition('/')[0]}/there"),
            "rename-over": (path, self.action.to),
            "rmdir": (f"{path}/",),
        }
        return self.files or needed.get(self.action.verb, (path,))
