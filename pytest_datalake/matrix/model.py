"""The lake as the rest of the package sees it: flat, immutable, resolved.

``document`` holds the shape of the YAML file; ``load`` turns that into a ``Matrix``. A matrix of an embedded
lake has hosts, ports and identities only after the lake has filled them in; ids never depend on those.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

Protocol = Literal["davs", "root", "gsiftp", "s3s", "memory"]
Auth = Literal["anonymous", "token-scope", "token-group", "x509", "x509-voms", "access-key"]
Mode = Literal["pull", "push"]

PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)
AUTHS: tuple[Auth, ...] = get_args(Auth)

FAMILY: dict[Protocol, str] = {
    "davs": "http",
    "s3s": "http",
    "root": "xroot",
    "gsiftp": "gsiftp",
    "memory": "memory",
}
"""Third-party copy needs both ends in one family."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tpc:
    """What an endpoint can do in a third-party copy (WLCG HTTP-TPC: the active party moves the bytes)."""

    active: tuple[Mode, ...] = ()
    passive: tuple[Mode, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much we may ask of an RSE.

    Attributes:
        concurrent: operations at the same time, over all workers.
        max_bytes: bytes written in one run; None: no limit.
        max_files: files written in one run; None: no limit.
    """

    concurrent: int = 8
    max_bytes: int | None = None
    max_files: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One protocol door of an RSE.

    Attributes:
        id: ``RSE.protocol``, stable, free of ports and hosts.
        prefix: absolute path below which the lake's namespace begins, without a final slash.
        audience: the ``aud`` of tokens for this door (WLCG profile 1.2, "aud").
        supports: capabilities that this RSE declares; anything else is not generated.
        location: ``file:line`` of the entry in the matrix.
        bucket: for s3s, the first path component.
    """

    id: str
    site: str
    rse: str
    technology: str
    qos: str
    protocol: Protocol
    host: str = ""
    port: int = 0
    prefix: str = ""
    auth: tuple[Auth, ...] = ()
    audience: str = ""
    tpc: Tpc = field(default_factory=Tpc)
    supports: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)
    allow_disruptive: bool = False
    location: str = ""

    @property
    def family(self) -> str:
        """The protocol family: http, xroot, gsiftp."""
        return FAMILY[self.protocol]

    def url(self, path: str) -> str:
        """The address of an absolute path of the lake's namespace, such as ``/ska/run/file``."""
        slash = "/" if self.protocol == "root" else ""
        return f"{self.protocol}://{self.host}:{self.port}{slash}{self.prefix}{path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Endpoint x auth (x QoS, which the RSE fixes): one place and one way of showing who we are."""

    endpoint: Endpoint
    auth: Auth

    @property
    def id(self) -> str:
        """Stable, readable, shell-safe."""
        return f"{self.endpoint.id}-by-{self.auth}"

    @property
    def qos(self) -> str:
        """QoS class of the RSE."""
        return self.endpoint.qos


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Ordered pair of endpoints and an auth.

    Attributes:
        declared_modes: the third-party copies that both ends declare, pull first; empty for a streamed link.
        streamed: the bytes pass through the client; such links count apart.
        multihop: only by way of a third RSE, which Rucio chooses.
    """

    source: Endpoint
    destination: Endpoint
    auth: Auth
    declared_modes: tuple[Mode, ...] = ()
    streamed: bool = False
    multihop: bool = False

    @property
    def id(self) -> str:
        """Stable, readable, shell-safe."""
        return f"{self.source.id}-to-{self.destination.id}-by-{self.auth}"

    def auth_at(self, endpoint: Endpoint) -> Auth:
        """How we show who we are at one end: an object store only knows its access keys."""
        return self.auth if self.auth in endpoint.auth else "access-key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A group of the VO with an area of its own.

    Attributes:
        group: VOMS FQAN and ``wlcg.groups`` entry, such as ``/escape/ska``.
        area: path below an endpoint's prefix, such as ``/ska``.
        scope: of its names in Rucio; empty: as the experiment is called.
    """

    name: str
    group: str
    area: str
    scope: str = ""

    @property
    def rucio_scope(self) -> str:
        """The scope of its names in Rucio."""
        return self.scope or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who we can be. Paths name files readable by us alone; no secret is held here.

    Attributes:
        certificate: PEM user certificate, used where proxies are not accepted.
        proxy: PEM RFC 3820 proxy with VOMS attributes.
        plain_proxy: PEM RFC 3820 proxy without attributes.
        client_secret_file: file that holds the secret of ``client_id`` (RFC 6749, 2.3.1).
        refresh_token_file: file that holds a refresh token of a user (RFC 6749, 6), which ``client_id`` was
            given; a new one that the issuer sends replaces it.
        token_command: prints a token; ``{audience}`` and ``{scope}`` are replaced.
        access_key_file: JSON ``{"access_key": ..., "secret_key": ...}`` for object stores.
        enrols: is no member; tests make them one by the IAM and end that again. ``username`` and
            ``password_file`` are those of a login at the institution, or at the IAM itself.
        administers: services of the matrix, such as ``iam``, where this identity may do everything.
        account: in Rucio; whoever has one may log in there by whatever of the above Rucio knows.
        username: for Rucio's userpass.
        password_file: file that holds the password of ``username``.
    """

    name: str
    experiment: str = ""
    subject: str = ""
    groups: tuple[str, ...] = ()
    certificate: str = ""
    key: str = ""
    proxy: str = ""
    plain_proxy: str = ""
    client_id: str = ""
    client_secret_file: str = ""
    refresh_token_file: str = ""
    token_command: tuple[str, ...] = ()
    access_key_file: str = ""
    enrols: bool = False
    administers: tuple[str, ...] = ()
    account: str = ""
    username: str = ""
    password_file: str = ""

    @property
    def has_tokens(self) -> bool:
        """Whether tokens can be had for it."""
        return bool(self.client_id or self.token_command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """Keys of test authorities, so that the suites can make what a real authority never would.

    Empty strings where a lake does not give them away, which is every real one.
    """

    issuer_key: str = ""
    ca_certificate: str = ""
    ca_key: str = ""
    voms_certificate: str = ""
    voms_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """The AAI as a client needs it.

    Attributes:
        ca_directory: hashed CA directory (``X509_CERT_DIR``).
        ca_file: PEM bundle for https clients; empty: the system's.
        voms_directory: ``X509_VOMS_DIR``.
        vomses: file or directory that says where VOMS servers are (``VOMS_USERCONF``).
        issuer: URL of the token issuer, ending in "/".
    """

    ca_directory: str = "/etc/grid-security/certificates"
    ca_file: str = ""
    voms_directory: str = "/etc/grid-security/vomsdir"
    vomses: str = "/etc/vomses"
    issuer: str = ""
    forge: Forge = field(default_factory=Forge)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIssue:
    """A finding in somebody's software that is known, referenced and expected to fail.

    Attributes:
        match: glob patterns by axis: site, rse, technology, protocol, auth, qos, and for links
            source_* and destination_* of the same; all given ones must match.
        capability: glob over the test's capability; empty: any.
        requirement: glob over the test's requirement id; empty: any.
        symptom: regular expression found in the reason of every failure that is meant; empty: any failure.
        until: ISO date from which the entry is expired, and red; empty: never.
        strict: a pass is red, so that the list stays honest.
        location: ``file:line`` of the entry in the matrix.
    """

    match: tuple[tuple[str, str], ...]
    capability: str
    requirement: str
    reason: str
    reference: str
    symptom: str = ""
    until: str = ""
    strict: bool = True
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Downtime:
    """A time for which a site has announced that something does not work; it is tested all the same.

    Attributes:
        match: as of a known issue.
        start: ISO 8601 time with its zone.
        end: ISO 8601 time with its zone; from then on the entry means nothing.
        location: ``file:line`` of the entry in the matrix.
    """

    match: tuple[tuple[str, str], ...]
    start: str
    end: str
    reason: str
    reference: str
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A whole lake. Endpoints are sorted by id; ``digest`` is the hash of what was declared.

    Attributes:
        contact: whom sites ask about the report.
    """

    path: str
    digest: str
    embedded: bool
    vo: str
    experiments: tuple[Experiment, ...]
    qos_classes: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]
    identities: tuple[Identity, ...] = ()
    trust: Trust = field(default_factory=Trust)
    services: tuple[tuple[str, str], ...] = ()
    known_issues: tuple[KnownIssue, ...] = ()
    downtimes: tuple[Downtime, ...] = ()
    contact: str = ""

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites, sorted."""
        return tuple(sorted({endpoint.site for endpoint in self.endpoints}))

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """The endpoint of that id; KeyError where there is none."""
        for endpoint in self.endpoints:
            if endpoint.id == endpoint_id:
                return endpoint
        raise KeyError(endpoint_id)

    def identity(self, name: str) -> Identity:
        """The identity of that name; KeyError where there is none."""
        for identity in self.identities:
            if identity.name == name:
                return identity
        raise KeyError(name)

    def experiment(self, name: str) -> Experiment:
        """The experiment of that name; KeyError where there is none."""
        for experiment in self.experiments:
            if experiment.name == name:
                return experiment
        raise KeyError(name)
