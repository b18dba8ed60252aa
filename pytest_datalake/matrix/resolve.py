"""From the shape of the file to the flat matrix that everything else works with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_datalake.matrix.model import (
    Downtime,
    Endpoint,
    Experiment,
    Forge,
    Identity,
    KnownIssue,
    Limits,
    Matrix,
    Tpc,
    Trust,
)
from pytest_datalake.matrix.technologies import BROUGHT_ALONG, DEFAULT_PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_datalake.matrix.document import AuthEntry, EndpointEntry, MatrixDocument
    from pytest_datalake.matrix.yaml_nodes import Path as Steps

_FILES_OF_IDENTITY = (
    "certificate",
    "key",
    "proxy",
    "plain_proxy",
    "client_secret_file",
    "refresh_token_file",
    "access_key_file",
    "password_file",
)
_FREE_OF_PLACE = ("host", "port", "prefix", "audience", "location")


def resolve(document: MatrixDocument, path: str, line_of: Callable[[Steps], int]) -> Matrix:
    """The matrix that a checked document means.

    Args:
        document: one without mistakes.
        path: its file as the user gave it; names of files in it are relative to its directory.
        line_of: the line that a path of the document stands on.
    """
    matrix = Matrix(
        path=path,
        digest="",
        embedded=document.lake == "embedded",
        vo=document.vo,
        contact=document.contact,
        experiments=tuple(
            Experiment(
                name=name,
                group=entry.group or f"/{document.vo}/{name}",
                area=entry.area or f"/{name}",
                scope=entry.scope or "",
            )
            for name, entry in document.experiments.items()
        ),
        qos_classes=tuple(document.qos_classes),
        endpoints=tuple(sorted(_endpoints(document, path, line_of), key=lambda endpoint: endpoint.id)),
        identities=tuple(_identities(document.auth, Path(path).absolute().parent)),
        trust=_trust(document.auth, Path(path).absolute().parent),
        services=tuple((name, service.url or "") for name, service in document.services.items()),
        known_issues=tuple(
            KnownIssue(
                match=tuple(entry.match.items()),
                capability=entry.capability,
                requirement=entry.requirement,
                reason=entry.reason,
                reference=entry.reference,
                symptom=entry.symptom,
                until=entry.until,
                strict=entry.strict,
                location=f"{path}:{line_of(('known_issues', index))}",
            )
            for index, entry in enumerate(document.known_issues)
        ),
        downtimes=tuple(
            Downtime(
                match=tuple(entry.match.items()),
                start=entry.start,
                end=entry.end,
                reason=entry.reason,
                reference=entry.reference,
                location=f"{path}:{line_of(('downtimes', index))}",
            )
            for index, entry in enumerate(document.downtimes)
        ),
    )
    return replace(matrix, digest=digest(matrix))


def digest(matrix: Matrix) -> str:
    """Sixteen hexadecimal digits over what is declared, so that runs can be compared.

    Hosts, ports and credentials do not count: an embedded lake has the same digest before and after it is up,
    and today as yesterday. Downtimes do not count either: they come and go, and what is tested stays.
    """
    declared = {
        "vo": matrix.vo,
        "experiments": [asdict(experiment) for experiment in matrix.experiments],
        "qos_classes": matrix.qos_classes,
        "services": sorted({name for name, _ in matrix.services} - set().union(*BROUGHT_ALONG.values())),
        "endpoints": [_without(asdict(endpoint), *_FREE_OF_PLACE) for endpoint in matrix.endpoints],
        "known_issues": [_without(asdict(issue), "location") for issue in matrix.known_issues],
    }
    canonical = json.dumps(declared, sort_keys=True, separators=(",", ":"), default=sorted)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _without(entry: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in keys}


def _endpoints(document: MatrixDocument, path: str, line_of: Callable[[Steps], int]) -> Iterator[Endpoint]:
    for site_name, site in document.sites.items():
        for rse_name, rse in site.rses.items():
            limits = Limits(
                concurrent=rse.limits.concurrent,
                max_bytes=rse.limits.max_bytes,
                max_files=rse.limits.max_files,
            )
            for index, entry in enumerate(rse.endpoints):
                yield Endpoint(
                    id=f"{rse_name}.{entry.protocol}",
                    site=site_name,
                    rse=rse_name,
                    technology=rse.technology,
                    qos=rse.qos,
                    protocol=entry.protocol,
                    host=entry.host or "",
                    port=_port(entry, embedded=document.lake == "embedded"),
                    prefix=entry.prefix.rstrip("/"),
                    auth=entry.auth,
                    audience=entry.audience,
                    tpc=Tpc(active=entry.tpc.active, passive=entry.tpc.passive),
                    supports=frozenset(rse.supports),
                    limits=limits,
                    allow_disruptive=rse.allow_disruptive,
                    location=f"{path}:{line_of(('sites', site_name, 'rses', rse_name, 'endpoints', index))}",
                )


def _port(entry: EndpointEntry, *, embedded: bool) -> int:
    if entry.port is not None:
        return entry.port
    return 0 if embedded else DEFAULT_PORT[entry.protocol]


def _trust(auth: AuthEntry, base: Path) -> Trust:
    return Trust(
        ca_directory=_file(auth.ca_directory, base),
        ca_file=_file(auth.ca_file, base),
        voms_directory=_file(auth.voms_directory, base),
        vomses=_file(auth.vomses, base),
        issuer=auth.issuer,
        forge=Forge(**{name: _file(value, base) for name, value in asdict(auth.forge).items()}),
    )


def _identities(auth: AuthEntry, base: Path) -> Iterator[Identity]:
    for name, entry in auth.identities.items():
        values = asdict(entry)
        files = {key: _file(values[key], base) for key in _FILES_OF_IDENTITY}
        yield Identity(name=name, **{**values, **files})


def _file(text: str, base: Path) -> str:
    """An absolute path; empty stays empty."""
    return str(base / Path(text).expanduser()) if text else ""
