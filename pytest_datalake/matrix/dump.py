"""Write a matrix as the file that describes it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import yaml

from pytest_datalake.matrix.model import Identity, Limits, Trust

if TYPE_CHECKING:
    from pytest_datalake.matrix.model import Downtime, Endpoint, Experiment, KnownIssue, Matrix


def to_yaml(matrix: Matrix) -> str:
    """The text of a matrix file that ``load`` reads back as the same matrix.

    It says nothing of ``lake``: the endpoints of a lake that is up are as real as any. Names of files are
    absolute, and no secret is in it.
    """
    document: dict[str, Any] = {
        "version": 1,
        "vo": matrix.vo,
        "contact": matrix.contact,
        "experiments": {one.name: _experiment(one) for one in matrix.experiments},
        "auth": {
            **_set(asdict(matrix.trust), asdict(Trust())),
            "identities": {identity.name: _identity(identity) for identity in matrix.identities},
        },
        "qos_classes": list(matrix.qos_classes),
        "services": dict(matrix.services),
        "sites": _sites(matrix),
        "known_issues": [_entry(issue) for issue in matrix.known_issues],
        "downtimes": [_entry(downtime) for downtime in matrix.downtimes],
    }
    return yaml.dump(_plain(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


class _Dumper(yaml.SafeDumper):
    """Says everything in full: aliases would make a file that nobody can edit by hand."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # the signature is PyYAML's
        return True


def _experiment(experiment: Experiment) -> dict[str, Any]:
    optional = {"scope": experiment.scope} if experiment.scope else {}
    return {"group": experiment.group, "area": experiment.area, **optional}


def _sites(matrix: Matrix) -> dict[str, Any]:
    sites: dict[str, Any] = {}
    for endpoint in matrix.endpoints:
        rses = sites.setdefault(endpoint.site, {"rses": {}})["rses"]
        rse = rses.setdefault(
            endpoint.rse,
            {
                "technology": endpoint.technology,
                "qos": endpoint.qos,
                "supports": sorted(endpoint.supports),
                "limits": _set(asdict(endpoint.limits), asdict(Limits())),
                "allow_disruptive": endpoint.allow_disruptive,
                "endpoints": [],
            },
        )
        rse["endpoints"].append(_endpoint(endpoint))
    return sites


def _endpoint(endpoint: Endpoint) -> dict[str, Any]:
    optional = {
        "host": endpoint.host,
        "port": endpoint.port,
        "prefix": endpoint.prefix,
        "audience": endpoint.audience,
    }
    return {
        "protocol": endpoint.protocol,
        **{key: value for key, value in optional.items() if value},
        "auth": endpoint.auth,
        "tpc": asdict(endpoint.tpc),
    }


def _identity(identity: Identity) -> dict[str, Any]:
    entry = _set(asdict(identity), asdict(Identity(name=identity.name)))
    entry.pop("name", None)
    return entry


def _entry(told: KnownIssue | Downtime) -> dict[str, Any]:
    entry = {**asdict(told), "match": dict(told.match)}
    del entry["location"]
    return {key: value for key, value in entry.items() if value not in ("", {})}


def _set(values: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """What differs from the default."""
    return {key: value for key, value in values.items() if value != defaults[key]}


def _plain(value: Any) -> Any:  # noqa: ANN401  # any data
    """YAML has lists where we have tuples."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
