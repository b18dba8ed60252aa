"""What a matrix file must get right beyond its shape: references, and rules between keys."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pytest_datalake.matrix.document import NAME, AuthEntry
from pytest_datalake.matrix.downtimes import moment
from pytest_datalake.matrix.known_issues import AXES, MATCH_KEYS
from pytest_datalake.matrix.technologies import (
    CAPABILITIES,
    DOORS,
    LEGAL_AUTHS,
    MINIMUM,
    MINIMUM_WITH,
    SERVICES,
)
from pytest_datalake.matrix.words import did_you_mean, listed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pytest_datalake.matrix.document import EndpointEntry, IdentityEntry, MatrixDocument, RseEntry
    from pytest_datalake.matrix.model import Auth
    from pytest_datalake.matrix.shape import Complain
    from pytest_datalake.matrix.yaml_nodes import Path

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_PREFIX = re.compile(r"(/[^/\s]+)*/?")

CREDENTIALS: Mapping[Auth, tuple[str, ...]] = {
    "token-scope": ("client_id", "token_command"),
    "token-group": ("client_id", "token_command"),
    "x509": ("plain_proxy", "proxy", "certificate"),
    "x509-voms": ("proxy", "certificate"),
    "access-key": ("access_key_file",),
}
"""Any one of these keys of an identity serves an auth."""


def check(document: MatrixDocument, doubtful: Collection[Path], complain: Complain) -> None:
    """Complain of everything that contradicts itself or points nowhere.

    Args:
        document: the matrix file.
        doubtful: paths at which the document is not as the file has it. Nothing is said of what is there, nor
            of references into the part (first key) that such a path is in.
        complain: takes what is found.
    """
    unsound = {path[0] for path in doubtful if path}
    _check_names(document, complain)
    owners: dict[str, str] = {}
    for site_name, site in document.sites.items():
        for rse_name, rse in site.rses.items():
            path: Path = ("sites", site_name, "rses", rse_name)
            owner = owners.setdefault(rse_name, site_name)
            if owner != site_name:
                complain(path, f"the RSE '{rse_name}' belongs to the site {owner} already", key=True)
            if "qos_classes" not in unsound and rse.qos not in document.qos_classes:
                hint = did_you_mean(rse.qos, document.qos_classes)
                complain((*path, "qos"), f"'{rse.qos}' is not one of qos_classes{hint}")
            _check_rse(rse, path, complain, document)
    _check_services(document, complain)
    _check_identities(document, complain, experiments_are_sound="experiments" not in unsound)
    if "sites" not in unsound:
        if document.lake is None and "auth" not in unsound:
            _check_credentials(document, complain)
        _check_matches(document, complain)
    _check_known_issues(document, complain)
    _check_downtimes(document, complain)


def _check_names(document: MatrixDocument, complain: Complain) -> None:
    named: list[tuple[Path, Iterable[str]]] = [
        (("sites",), document.sites),
        (("qos_classes",), document.qos_classes),
        (("experiments",), document.experiments),
        (("services",), document.services),
        (("auth", "identities"), document.auth.identities),
    ]
    named += [(("sites", name, "rses"), site.rses) for name, site in document.sites.items()]
    for path, names in named:
        for name in names:
            if not re.fullmatch(NAME, name):
                complain((*path, name), "a name is made of letters, digits, '-' and '_'", key=True)


def _check_services(document: MatrixDocument, complain: Complain) -> None:
    for name, service in document.services.items():
        if document.lake is None:
            if service.url is None:
                complain(("services", name), "the key 'url' is missing; only an embedded lake fills it in")
        elif service.url is None and name not in SERVICES:
            hint = did_you_mean(name, SERVICES)
            complain(
                ("services", name),
                f"the embedded lake cannot start '{name}', only {listed(sorted(SERVICES))}{hint}",
                key=True,
            )


def _check_rse(rse: RseEntry, path: Path, complain: Complain, document: MatrixDocument) -> None:
    embedded = document.lake == "embedded"
    for index, capability in enumerate(rse.supports):
        if capability not in CAPABILITIES:
            hint = did_you_mean(capability, CAPABILITIES) or f"; there is {listed(CAPABILITIES)}"
            complain((*path, "supports", index), f"unknown capability '{capability}'{hint}")
        elif capability == "rule" and "rucio" not in document.services:
            complain((*path, "supports", index), "rules need a Rucio: the key 'services.rucio' is missing")
    _check_repeats(rse.supports, (*path, "supports"), complain)
    for index, protocol in _repeats([endpoint.protocol for endpoint in rse.endpoints]):
        complain((*path, "endpoints", index, "protocol"), f"this RSE has a {protocol} endpoint already")
    if embedded:
        _check_embedded_rse(rse, path, complain, document.services)
    for index, endpoint in enumerate(rse.endpoints):
        here = (*path, "endpoints", index)
        _check_endpoint(endpoint, here, complain)
        if not embedded and endpoint.host is None and endpoint.protocol != "memory":
            complain((*here, "host"), "the key 'host' is missing; only an embedded lake fills it in")


def _check_embedded_rse(rse: RseEntry, path: Path, complain: Complain, services: Collection[str]) -> None:
    if rse.technology not in MINIMUM:
        hint = did_you_mean(rse.technology, MINIMUM)
        complain(
            (*path, "technology"),
            f"the embedded lake cannot start '{rse.technology}', only {listed(sorted(MINIMUM))}{hint}",
        )
        return
    wanted = MINIMUM[rse.technology].union(
        *(MINIMUM_WITH.get(name, {}).get(rse.technology, ()) for name in services)
    )
    undeclared = sorted(wanted - set(rse.supports))
    if undeclared:
        complain(
            (*path, "supports"),
            f"{listed(undeclared)} must be declared: every {rse.technology} of an embedded lake supports "
            f"at least {listed(sorted(wanted))}",
        )
    for index, endpoint in enumerate(rse.endpoints):
        here = (*path, "endpoints", index)
        if endpoint.protocol not in DOORS[rse.technology]:
            doors = listed(sorted(DOORS[rse.technology]))
            complain(
                (*here, "protocol"), f"an embedded {rse.technology} speaks {doors}, not {endpoint.protocol}"
            )
        for name in ("host", "port"):
            if getattr(endpoint, name) is not None:
                complain(
                    (*here, name),
                    f"an embedded lake chooses the {name} itself; leave out this key, or 'lake: embedded'",
                )


def _check_endpoint(endpoint: EndpointEntry, path: Path, complain: Complain) -> None:
    for index, auth in enumerate(endpoint.auth):
        if auth in LEGAL_AUTHS[endpoint.protocol]:
            continue
        if endpoint.protocol == "gsiftp" and auth.startswith("token"):
            message = "gsiftp has no tokens"
        else:
            known = listed(sorted(LEGAL_AUTHS[endpoint.protocol]))
            message = f"{endpoint.protocol} does not know {auth}, only {known}"
        complain((*path, "auth", index), message)
    _check_repeats(endpoint.auth, (*path, "auth"), complain)
    _check_repeats(endpoint.tpc.active, (*path, "tpc", "active"), complain)
    _check_repeats(endpoint.tpc.passive, (*path, "tpc", "passive"), complain)
    if endpoint.host is not None and not _HOST.fullmatch(endpoint.host):
        complain(
            (*path, "host"), "must be a host name or an address ([...] around IPv6), without protocol or port"
        )
    if not _PREFIX.fullmatch(endpoint.prefix) or {".", ".."} & set(endpoint.prefix.split("/")):
        complain((*path, "prefix"), "must be an absolute path without blanks, '//', '.' and '..'")


def _check_repeats(values: Iterable[str], path: Path, complain: Complain) -> None:
    for index, value in _repeats(values):
        complain((*path, index), f"'{value}' stands in this list already")


def _repeats(values: Iterable[str]) -> list[tuple[int, str]]:
    seen: Counter[str] = Counter()
    found = []
    for index, value in enumerate(values):
        if seen[value]:
            found.append((index, value))
        seen[value] += 1
    return found


def _check_identities(document: MatrixDocument, complain: Complain, *, experiments_are_sound: bool) -> None:
    if document.lake == "embedded" and document.auth != AuthEntry():
        complain(
            ("auth",),
            "an embedded lake makes its own authorities and identities; leave out 'auth', or 'lake'",
            key=True,
        )
    for name, identity in document.auth.identities.items():
        path: Path = ("auth", "identities", name)
        if experiments_are_sound and identity.experiment and identity.experiment not in document.experiments:
            hint = did_you_mean(identity.experiment, document.experiments)
            complain((*path, "experiment"), f"'{identity.experiment}' is not one of experiments{hint}")
        if identity.client_id and not (identity.client_secret_file or identity.refresh_token_file):
            complain((*path, "client_id"), "needs client_secret_file beside it, or refresh_token_file")
        if identity.refresh_token_file and not identity.client_id:
            complain((*path, "refresh_token_file"), "needs client_id, the client that was given it")
        if identity.enrols and not (identity.username and identity.password_file):
            complain((*path, "enrols"), "needs username and password_file, to log in with")
        for index, service in enumerate(identity.administers):
            if service not in document.services:
                hint = did_you_mean(service, document.services)
                complain((*path, "administers", index), f"'{service}' is not one of services{hint}")
        if identity.client_id and not document.auth.issuer:
            complain((*path, "client_id"), "needs auth.issuer, the token issuer to ask")


def _check_credentials(document: MatrixDocument, complain: Complain) -> None:
    """Every auth that an endpoint declares must be one that somebody can show."""
    identities = document.auth.identities.values()
    missing = {auth for auth, keys in CREDENTIALS.items() if not any(_has(one, keys) for one in identities)}
    for site_name, site in document.sites.items():
        for rse_name, rse in site.rses.items():
            for number, endpoint in enumerate(rse.endpoints):
                if endpoint.protocol == "memory":
                    continue
                for index, auth in enumerate(endpoint.auth):
                    if auth in missing:
                        missing.remove(auth)
                        complain(
                            ("sites", site_name, "rses", rse_name, "endpoints", number, "auth", index),
                            f"nobody can show {auth}: no identity in auth.identities has "
                            f"{' or '.join(CREDENTIALS[auth])}",
                        )


def _has(identity: IdentityEntry, keys: Iterable[str]) -> bool:
    return any(getattr(identity, key) for key in keys)


def _check_known_issues(document: MatrixDocument, complain: Complain) -> None:
    for index, issue in enumerate(document.known_issues):
        path: Path = ("known_issues", index)
        _check_match_keys(issue.match, (*path, "match"), complain)
        if not issue.match and not issue.requirement:
            complain(
                path, "hides everything: say where it holds by 'match', or which 'requirement' it breaks"
            )
        if issue.capability and not any(fnmatchcase(name, issue.capability) for name in CAPABILITIES):
            hint = did_you_mean(issue.capability, CAPABILITIES) or f"; there is {listed(CAPABILITIES)}"
            complain((*path, "capability"), f"unknown capability '{issue.capability}'{hint}")
        if (mistake := _mistake_in(issue.symptom)) is not None:
            complain((*path, "symptom"), f"is no regular expression: {mistake}")
        if issue.until and not _is_date(issue.until):
            complain((*path, "until"), "must be a date such as 2030-12-31")


def _check_downtimes(document: MatrixDocument, complain: Complain) -> None:
    for index, downtime in enumerate(document.downtimes):
        path: Path = ("downtimes", index)
        _check_match_keys(downtime.match, (*path, "match"), complain)
        start, end = moment(downtime.start), moment(downtime.end)
        for key, time in (("start", start), ("end", end)):
            if time is None:
                complain((*path, key), "must be a time with its zone, such as 2030-12-31T08:00Z")
        if start is not None and end is not None and end <= start:
            complain((*path, "end"), "must be later than 'start'")


def _check_match_keys(match: Iterable[str], path: Path, complain: Complain) -> None:
    for key in match:
        if key not in MATCH_KEYS:
            complain((*path, key), f"unknown key '{key}'{did_you_mean(key, MATCH_KEYS)}", key=True)


def _check_matches(document: MatrixDocument, complain: Complain) -> None:
    values: dict[str, set[str]] = {axis: set() for axis in AXES}
    for site_name, site in document.sites.items():
        values["site"].add(site_name)
        for rse_name, rse in site.rses.items():
            values["rse"].add(rse_name)
            values["technology"].add(rse.technology)
            values["qos"].add(rse.qos)
            for endpoint in rse.endpoints:
                values["protocol"].add(endpoint.protocol)
                values["auth"].update(endpoint.auth)
    entries: list[tuple[Path, Mapping[str, str]]] = [
        *((("known_issues", index), issue.match) for index, issue in enumerate(document.known_issues)),
        *((("downtimes", index), downtime.match) for index, downtime in enumerate(document.downtimes)),
    ]
    for entry, match in entries:
        for key, glob in match.items():
            axis = key.rpartition("_")[2]
            if key in MATCH_KEYS and not any(fnmatchcase(value, glob) for value in values[axis]):
                path: Path = (*entry, "match", key)
                hint = did_you_mean(glob, values[axis]) or f"; there is {listed(sorted(values[axis]))}"
                complain(path, f"'{glob}' matches no {axis} of this lake{hint}")


def _mistake_in(pattern: str) -> re.error | None:
    try:
        re.compile(pattern)
    except re.error as mistake:
        return mistake
    return None


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
