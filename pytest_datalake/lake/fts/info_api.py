"""/, /whoami and /delegation: what this is, who asks, and what is done in their name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest_datalake
from pytest_datalake.lake.fts import API_VERSION, NAME
from pytest_datalake.lake.fts.model import CERTIFICATE
from pytest_datalake.lake.fts.refusal import Refusal
from pytest_datalake.lake.fts.web import Answer, Routes

if TYPE_CHECKING:
    from pytest_datalake.lake.fts.caller import Caller
    from pytest_datalake.lake.fts.service import Service
    from pytest_datalake.lake.fts.web import Request

routes = Routes()


def about() -> Answer:
    """What this service is. Everybody may ask."""
    version = dict(zip(("major", "minor", "patch"), API_VERSION, strict=True))
    return Answer(
        body={
            "delegation": {"major": 1, "minor": 0, "patch": 0},
            "api": version,
            "core": f"{NAME} {pytest_datalake.__version__}",
            "schema": version | {"message": f"{NAME}: not an FTS"},
            "_links": {
                "curies": [{"name": "fts", "href": "https://gitlab.cern.ch/fts/fts3"}],
                "fts:whoami": {"href": "/whoami", "title": "Check user certificate"},
                "fts:joblist": {"href": "/jobs{?vo_name,user_dn,dlg_id,state_in}", "templated": True},
                "fts:job": {"href": "/jobs/{id}", "templated": True},
                "fts:submitSchema": {"href": "/api-docs/schema/submit"},
            },
        }
    )


@routes.add("GET", "/whoami")
def whoami(service: Service, request: Request) -> Answer:  # noqa: ARG001  # a handler's signature
    """Who the caller is."""
    return Answer(body=request.caller.whoami())


@routes.add("GET", "/whoami/certificate")
def certificate(service: Service, request: Request) -> Answer:  # noqa: ARG001  # a handler's signature
    """The certificate that the caller showed."""
    request.caller.demand_certificate()
    return Answer(text=request.caller.certificate, media_type="application/x-pem-file")


@routes.add("GET", "/delegation")
def delegation_page(service: Service, request: Request) -> Answer:  # noqa: ARG001  # a handler's signature
    """A page for people."""
    return Answer(
        text=f"<!doctype html><title>{NAME}</title><p>Delegate a proxy with an FTS client.</p>",
        media_type="text/html; charset=utf-8",
    )


@routes.add("GET", "/delegation/{}")
def delegation(service: Service, request: Request) -> Answer:
    """When the caller's delegation ends; null where there is none."""
    _demand_own(request.caller, request.words[0])
    return Answer(body=service.delegations.info(request.caller))


@routes.add("GET", "/delegation/{}/request")
def delegation_request(service: Service, request: Request) -> Answer:
    """A certificate request to be signed."""
    caller = request.caller
    _demand_own(caller, request.words[0])
    return Answer(
        text=service.delegations.request(caller).decode(),
        media_type="text/plain",
        headers={"X-Delegation-ID": caller.delegation_id},
    )


@routes.add("PUT POST", "/delegation/{}/credential")
def delegate(service: Service, request: Request) -> Answer:
    """Take a signed proxy."""
    _demand_own(request.caller, request.words[0])
    service.delegations.accept(request.caller, request.body)
    service.engine.wake()
    return Answer(text="", status=201, media_type="text/plain")


@routes.add("POST", "/delegation/{}/voms")
def delegate_voms(service: Service, request: Request) -> Answer:  # noqa: ARG001  # a handler's signature
    """Attributes are not fetched here: they come with the proxy."""
    _demand_own(request.caller, request.words[0])
    raise Refusal(424, "This service asks no VOMS server: delegate a proxy that has its attributes")


@routes.add("DELETE", "/delegation/{}")
def undelegate(service: Service, request: Request) -> Answer:
    """Forget the caller's delegation."""
    _demand_own(request.caller, request.words[0])
    service.delegations.remove(request.caller)
    return Answer(status=204)


def _demand_own(caller: Caller, delegation_id: str) -> None:
    if caller.method != CERTIFICATE:
        raise Refusal(403, "Only a certificate can delegate")
    if caller.delegation_id != delegation_id:
        raise Refusal(403, "The requested ID and the credentials ID do not match")


@routes.add("GET", "/api-docs/schema/submit")
def schema(service: Service, request: Request) -> Answer:  # noqa: ARG001  # a handler's signature
    """What a submission may hold, as a JSON schema."""
    from pytest_datalake.lake.fts.submission import DEFAULTS

    urls = {"type": "array", "items": {"type": "string", "format": "uri"}, "minItems": 1}
    file = {
        "type": "object",
        "required": ["sources", "destinations"],
        "properties": {"sources": urls, "destinations": urls, "checksum": {"type": ["string", "null"]}},
    }
    return Answer(
        text=json.dumps(
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "title": "Transfer",
                "type": "object",
                "required": ["files"],
                "properties": {
                    "files": {"type": "array", "items": file, "minItems": 1},
                    "params": {
                        "type": ["object", "null"],
                        "properties": {name: {"default": value} for name, value in DEFAULTS.items()},
                    },
                },
            }
        )
    )
