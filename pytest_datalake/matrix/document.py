"""The shape of a matrix file: what the YAML may hold, key by key.

Plain dataclasses, so that nothing but ``load`` needs pydantic. ``metadata`` speaks pydantic's language
(``description``, ``ge``, ``pattern``, ...); the JSON schema and the reference page are made from it.
Three short forms are written out by ``load`` before they get here: see ``SHORT_FORMS``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from pytest_datalake.matrix.known_issues import MATCH_KEYS
from pytest_datalake.matrix.model import Auth, Mode, Protocol  # noqa: TC001  # fields are resolved at run time
from pytest_datalake.matrix.technologies import CAPABILITIES

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
"""Sites, RSEs, QoS classes, experiments, identities: fit for ids, shells, file names and Rucio."""

VO = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
"""As NAME, and dots: VOs are often named like hosts."""

ACCOUNT = r"^([a-z0-9-_]{1,25})?$"
"""Names of Rucio's accounts (``rucio.common.schema.generic.ACCOUNT``)."""

SHORT_FORMS = {
    "experiments": {"type": "array", "items": {"type": "string"}},
    "qos_classes": {"type": "array", "items": {"type": "string"}},
    "services.*": {"type": "string"},
}
"""Keys that also take less than a mapping: lists of names, and a service's URL alone."""


def _text(description: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # the values are pydantic's
    return {"description": description, **more}


class Strict:
    """Base of all entries: a key that is not a field is refused."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TpcEntry(Strict):
    """What an endpoint can do in a third-party copy."""

    active: tuple[Mode, ...] = field(default=(), metadata=_text("Copies in which this end moves the bytes."))
    passive: tuple[Mode, ...] = field(default=(), metadata=_text("Copies in which the other end does."))


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointEntry(Strict):
    """One protocol door of an RSE."""

    protocol: Protocol = field(metadata=_text("What is spoken at this door."))
    host: str | None = field(
        default=None,
        metadata=_text("Name or address; required unless the lake is embedded.", min_length=1),
    )
    port: int | None = field(
        default=None,
        metadata=_text("TCP port; by default that of the protocol: 443, 1094 or 2811.", ge=1, le=65535),
    )
    prefix: str = field(
        default="",
        metadata=_text(
            "Absolute path below which the namespace of the VO begins; for s3s it begins with the bucket."
        ),
    )
    auth: tuple[Auth, ...] = field(
        metadata=_text("Ways of showing who one is that it accepts.", min_length=1)
    )
    audience: str = field(default="", metadata=_text("Audience (aud) of tokens for this door."))
    tpc: TpcEntry = field(default_factory=TpcEntry, metadata=_text("Third-party copies it takes part in."))


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsEntry(Strict):
    """How much a run may ask of an RSE."""

    concurrent: int = field(
        default=8, metadata=_text("Operations at the same time, over all workers.", ge=1, le=1000)
    )
    max_bytes: int | None = field(default=None, metadata=_text("Bytes written in one run.", ge=0))
    max_files: int | None = field(default=None, metadata=_text("Files written in one run.", ge=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class RseEntry(Strict):
    """One Rucio storage element."""

    technology: str = field(
        metadata=_text(
            "What serves it: xrootd, apache, gridftp, swift, or any other word on a real lake.", pattern=NAME
        )
    )
    qos: str = field(metadata=_text("One of `qos_classes`."))
    endpoints: tuple[EndpointEntry, ...] = field(metadata=_text("Its protocol doors.", min_length=1))
    supports: tuple[str, ...] = field(
        default=(),
        metadata=_text(
            "Capabilities that are promised, and tested.",
            json_schema_extra={"items": {"type": "string", "enum": list(CAPABILITIES)}},
        ),
    )
    limits: LimitsEntry = field(default_factory=LimitsEntry, metadata=_text("How much a run may ask of it."))
    allow_disruptive: bool = field(
        default=False, metadata=_text("Whether tests that kill, corrupt, fill, ban or forge may run here.")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteEntry(Strict):
    """One site."""

    rses: dict[str, RseEntry] = field(metadata=_text("Its storage, by RSE name.", min_length=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentEntry(Strict):
    """A group of the VO with an area of its own."""

    group: str | None = field(
        default=None, metadata=_text("FQAN and wlcg.groups entry; by default /VO/NAME.", pattern=r"^/\S+$")
    )
    area: str | None = field(
        default=None, metadata=_text("Path below every prefix; by default /NAME.", pattern=r"^(/[^/\s]+)+$")
    )
    scope: str | None = field(
        default=None,
        metadata=_text("Scope of its names in Rucio; by default NAME.", pattern=r"^[a-zA-Z_\-.0-9]{1,25}$"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgeEntry(Strict):
    """Keys of test authorities; no real lake gives these away."""

    issuer_key: str = field(default="", metadata=_text("File: signing key of the token issuer."))
    ca_certificate: str = field(default="", metadata=_text("File: certificate of the CA."))
    ca_key: str = field(default="", metadata=_text("File: key of the CA."))
    voms_certificate: str = field(default="", metadata=_text("File: certificate of the VOMS server."))
    voms_key: str = field(default="", metadata=_text("File: key of the VOMS server."))


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityEntry(Strict):
    """Somebody whom the tests act as. Files hold the secrets, never the matrix."""

    experiment: str = field(default="", metadata=_text("One of `experiments`; empty: none."))
    subject: str = field(default="", metadata=_text("Distinguished name in slash form."))
    groups: tuple[str, ...] = field(default=(), metadata=_text("Groups of the VO, such as /escape/ska."))
    certificate: str = field(default="", metadata=_text("File: user certificate."))
    key: str = field(default="", metadata=_text("File: its key."))
    proxy: str = field(default="", metadata=_text("File: proxy with VOMS attributes, for x509-voms."))
    plain_proxy: str = field(default="", metadata=_text("File: proxy without attributes, for x509."))
    client_id: str = field(default="", metadata=_text("OAuth client that asks the issuer for tokens."))
    client_secret_file: str = field(default="", metadata=_text("File: the secret of that client."))
    refresh_token_file: str = field(
        default="",
        metadata=_text("File: refresh token that the client was given for a user; a new one replaces it."),
    )
    token_command: tuple[str, ...] = field(
        default=(),
        metadata=_text("Command that prints a token; {audience} and {scope} are replaced in its words."),
    )
    access_key_file: str = field(
        default="", metadata=_text("File: JSON with access_key and secret_key, for access-key.")
    )
    enrols: bool = field(
        default=False,
        metadata=_text("Is no member: tests log in by username, make this a member, and end that again."),
    )
    administers: tuple[str, ...] = field(
        default=(), metadata=_text("Those of `services` that this identity administers, such as iam.")
    )
    account: str = field(default="", metadata=_text("Account in Rucio.", pattern=ACCOUNT))
    username: str = field(default="", metadata=_text("Name for Rucio's userpass."))
    password_file: str = field(default="", metadata=_text("File: the password of username."))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthEntry(Strict):
    """Authorities that are trusted, and identities that are used. An embedded lake makes its own."""

    ca_directory: str = field(
        default="/etc/grid-security/certificates", metadata=_text("Hashed directory of CA certificates.")
    )
    ca_file: str = field(default="", metadata=_text("PEM bundle for https; empty: the system's."))
    voms_directory: str = field(
        default="/etc/grid-security/vomsdir", metadata=_text("Directory of VOMS servers (.lsc files).")
    )
    vomses: str = field(
        default="/etc/vomses",
        metadata=_text("File or directory that says where VOMS servers are, for voms-proxy-init."),
    )
    issuer: str = field(
        default="",
        metadata=_text("URL of the token issuer, ending in a slash.", pattern=r"^(https?://[^@\s]+/)?$"),
    )
    forge: ForgeEntry = field(default_factory=ForgeEntry, metadata=_text("Keys of test authorities."))
    identities: dict[str, IdentityEntry] = field(default_factory=dict, metadata=_text("Whom tests act as."))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceEntry(Strict):
    """A central service."""

    url: str | None = field(
        default=None,
        metadata=_text(
            "Its address, without user or password; required unless the lake is embedded, which starts it.",
            pattern=r"^[a-z][a-z0-9+]*://[^@\s]+$",
        ),
    )


_MATCH = _text(
    "Globs by axis, all of which must match; on links a plain key matches either end.",
    json_schema_extra={
        "propertyNames": {"enum": list(MATCH_KEYS)},
        "additionalProperties": {"type": "string"},
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIssueEntry(Strict):
    """A finding in somebody's software that is known, referenced and expected to fail."""

    match: dict[str, str] = field(default_factory=dict, metadata=_MATCH)
    capability: str = field(default="", metadata=_text("Glob over capabilities; empty: any."))
    requirement: str = field(default="", metadata=_text("Glob over requirement ids; empty: any."))
    reason: str = field(metadata=_text("What is wrong.", min_length=1))
    reference: str = field(metadata=_text("Where that is written: an upstream issue, a page.", min_length=1))
    symptom: str = field(
        default="",
        metadata=_text(
            "Regular expression: only failures whose reason has a match are excused; empty: all.",
            json_schema_extra={"format": "regex"},
        ),
    )
    until: str = field(
        default="",
        metadata=_text(
            "Date (YYYY-MM-DD) from which the entry is expired, and red.",
            json_schema_extra={"format": "date"},
        ),
    )
    strict: bool = field(default=True, metadata=_text("Whether a pass is red: the list stays honest."))


@dataclass(frozen=True, slots=True, kw_only=True)
class DowntimeEntry(Strict):
    """A time for which a site has announced that something does not work; it is tested all the same."""

    match: dict[str, str] = field(metadata=_text(**{**_MATCH, "min_length": 1}))
    start: str = field(
        metadata=_text(
            "When it begins, with the time zone: 2030-12-31T08:00Z.",
            json_schema_extra={"format": "date-time"},
        )
    )
    end: str = field(
        metadata=_text(
            "When it ends; from then on the entry means nothing.",
            json_schema_extra={"format": "date-time"},
        )
    )
    reason: str = field(metadata=_text("What is done there.", min_length=1))
    reference: str = field(metadata=_text("Where it is announced: a page of GOCDB, CRIC.", min_length=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixDocument(Strict):
    """A whole matrix file."""

    version: Literal[1] = field(metadata=_text("Version of this format."))
    lake: Literal["embedded"] | None = field(
        default=None,
        metadata=_text("`embedded` starts these sites here; without it every endpoint is a real one."),
    )
    vo: str = field(metadata=_text("The virtual organisation.", pattern=VO))
    contact: str = field(
        default="",
        metadata=_text("Whom sites ask about their pages: an address of mail, or of a ticket queue."),
    )
    experiments: dict[str, ExperimentEntry] = field(
        metadata=_text("Groups of the VO: a list of names, or a mapping.", min_length=1)
    )
    auth: AuthEntry = field(default_factory=AuthEntry, metadata=_text("Authorities and identities."))
    qos_classes: dict[str, str] = field(
        metadata=_text("QoS classes: a list of names, or a mapping to descriptions.", min_length=1)
    )
    services: dict[str, ServiceEntry] = field(
        default_factory=dict,
        metadata=_text("Central services by name (rucio, fts, ...): a URL, or a mapping."),
    )
    sites: dict[str, SiteEntry] = field(metadata=_text("The sites.", min_length=1))
    known_issues: tuple[KnownIssueEntry, ...] = field(
        default=(), metadata=_text("Findings that are expected to fail.")
    )
    downtimes: tuple[DowntimeEntry, ...] = field(
        default=(), metadata=_text("Times for which sites have announced that something does not work.")
    )
