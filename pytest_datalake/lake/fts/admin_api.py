"""/ban, /config, /admin and /status: what administrators do, and what everybody may look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_datalake.lake.fts.refusal import Refusal
from pytest_datalake.lake.fts.web import Answer, Routes

if TYPE_CHECKING:
    from pytest_datalake.lake.fts.service import Service
    from pytest_datalake.lake.fts.web import Request

routes = Routes()

_STORAGE_FIELDS = frozenset(
    {
        "inbound_max_active", "outbound_max_active", "inbound_max_throughput", "outbound_max_throughput",
        "ipv6", "udt", "debug_level", "skip_eviction", "tpc_support", "overwrite_disk_enabled", "site",
        "se_metadata",
    }
)  # fmt: skip
_TPC_SUPPORT = frozenset({"FULL", "PULL", "PUSH", "NONE"})
_GLOBAL_FIELDS = frozenset(
    {"retry", "max_time_queue", "global_timeout", "sec_per_mb", "no_streaming", "show_user_dn"}
)


def _changed(service: Service, body: Any = None, status: int = 200) -> Answer:  # noqa: ANN401  # JSON
    service.engine.wake()
    return Answer(body=body, status=status)


@routes.add("POST", "/ban/se")
def ban_storage(service: Service, request: Request) -> Answer:
    """Ban a storage."""
    request.caller.demand_administrator()
    return _changed(service, service.bans.ban_storage(request.caller, request.object()))


@routes.add("GET", "/ban/se")
def banned_storages(service: Service, request: Request) -> Answer:  # noqa: ARG001  # a handler's signature
    """Every banned storage."""
    return Answer(body=service.bans.storages())


@routes.add("DELETE", "/ban/se")
def unban_storage(service: Service, request: Request) -> Answer:
    """Lift a storage's ban."""
    request.caller.demand_administrator()
    service.bans.unban_storage(request.options.get("storage", ""))
    return _changed(service, status=204)


@routes.add("POST", "/ban/dn")
def ban_user(service: Service, request: Request) -> Answer:
    """Ban a user."""
    request.caller.demand_administrator()
    return _changed(service, service.bans.ban_user(request.caller, request.object()))


@routes.add("GET", "/ban/dn")
def banned_users(service: Service, request: Request) -> Answer:
    """Every banned user."""
    request.caller.demand_administrator()
    return Answer(body=service.bans.users())


@routes.add("DELETE", "/ban/dn")
def unban_user(service: Service, request: Request) -> Answer:
    """Lift a user's ban."""
    request.caller.demand_administrator()
    service.bans.unban_user(request.options.get("user_dn", ""))
    return _changed(service, status=204)


@routes.add("GET", "/config/se")
def get_storages(service: Service, request: Request) -> Answer:
    """Limits of storages."""
    request.caller.demand_certificate()
    changed = service.store.settings("se")
    found = {
        name: {"se_info": info, "operations": changed.get(name, {}).get("operations", {})}
        for name, info in service.limits.storages().items()
    }
    wanted = request.options.get("se")
    if wanted is not None:
        return Answer(body={wanted: found[wanted]} if wanted in found else {})
    return Answer(body=found)


@routes.add("POST", "/config/se")
def set_storages(service: Service, request: Request) -> Answer:
    """Change limits of storages."""
    request.caller.demand_administrator()
    before = service.limits.storages()
    with service.store.transaction():
        for name, value in request.object().items():
            info = value.get("se_info", {}) if isinstance(value, dict) else None
            if not isinstance(info, dict):
                raise Refusal(400, f"Malformed configuration of {name}")
            if unknown := sorted(set(info) - _STORAGE_FIELDS):
                raise Refusal(400, f"Unknown field {unknown[0]!r} of {name}")
            if info.get("tpc_support", "FULL") not in _TPC_SUPPORT:
                raise Refusal(400, f"tpc_support of {name} is none of {', '.join(sorted(_TPC_SUPPORT))}")
            for field in ("inbound_max_active", "outbound_max_active"):
                _demand_count(info.get(field, 1), field)
            merged = {"se_info": before.get(name, {}) | info, "operations": value.get("operations", {})}
            service.store.save_setting("se", name, merged)
    return _changed(service)


@routes.add("DELETE", "/config/se")
def forget_storage(service: Service, request: Request) -> Answer:
    """Go back to the limits that the service was started with."""
    request.caller.demand_administrator()
    name = request.options.get("se", "")
    if not service.store.remove_setting("se", name):
        raise Refusal(404, f"There is no configuration of {name!r}")
    return _changed(service, status=204)


@routes.add("GET", "/config/links")
def get_links(service: Service, request: Request) -> Answer:
    """Limits of links."""
    request.caller.demand_certificate()
    return Answer(body=list(service.store.settings("link").values()))


@routes.add("POST", "/config/links")
def set_link(service: Service, request: Request) -> Answer:
    """Limit a link."""
    request.caller.demand_administrator()
    body = request.object()
    link = {
        "source": body.get("source") or "*",
        "destination": body.get("destination") or "*",
        "min_active": body.get("min_active", 1),
        "max_active": body.get("max_active"),
        "optimizer_mode": body.get("optimizer_mode", 0),
        "nostreams": body.get("nostreams", 0),
        "tcp_buffer_size": body.get("tcp_buffer_size", 0),
        "no_delegation": bool(body.get("no_delegation", False)),
    }
    link["symbolicname"] = body.get("symbolicname") or f"{link['source']}-{link['destination']}"
    _demand_count(link["min_active"], "min_active")
    _demand_count(link["max_active"], "max_active")
    service.store.save_setting("link", str(link["symbolicname"]), link)
    return _changed(service, [link], status=201)


def _demand_count(value: object, field: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Refusal(400, f"{field} must be a number and not negative")


@routes.add("GET", "/config/links/{name}")
def get_link(service: Service, request: Request) -> Answer:
    """Limits of one link."""
    request.caller.demand_certificate()
    link = service.store.settings("link").get(request.words[0])
    if link is None:
        raise Refusal(404, f"Link {request.words[0]!r} does not exist")
    return Answer(body=link)


@routes.add("DELETE", "/config/links/{name}")
def forget_link(service: Service, request: Request) -> Answer:
    """Lift the limits of a link."""
    request.caller.demand_administrator()
    if not service.store.remove_setting("link", request.words[0]):
        raise Refusal(404, f"Link {request.words[0]!r} does not exist")
    return _changed(service, status=204)


@routes.add("GET", "/config/global")
def get_global(service: Service, request: Request) -> Answer:
    """Defaults by VO."""
    request.caller.demand_certificate()
    return Answer(
        body=[value | {"vo_name": name} for name, value in service.store.settings("global").items()]
    )


@routes.add("POST", "/config/global")
def set_global(service: Service, request: Request) -> Answer:
    """Change the defaults of a VO, or of all ("*"). Only ``retry`` has an effect here."""
    request.caller.demand_administrator()
    body = request.object()
    vo = str(body.pop("vo_name", "*"))
    if unknown := sorted(set(body) - _GLOBAL_FIELDS):
        raise Refusal(400, f"Unknown field {unknown[0]!r}")
    if "retry" in body:
        _demand_count(body["retry"], "retry")
    service.store.save_setting("global", vo, service.store.settings("global").get(vo, {}) | body)
    return _changed(service)


@routes.add("DELETE", "/config/global")
def forget_global(service: Service, request: Request) -> Answer:
    """Forget the defaults of a VO."""
    request.caller.demand_administrator()
    service.store.remove_setting("global", request.options.get("vo_name", "*"))
    return _changed(service, status=204)


@routes.add("POST", "/admin/force-start")
def force_start(service: Service, request: Request) -> Answer:
    """Start files whatever the limits say."""
    request.caller.demand_administrator()
    ids = request.json()
    if not isinstance(ids, list) or not all(isinstance(one, int) for one in ids):
        raise Refusal(400, "Expecting a list of file ids")
    service.lifecycle.force_start(ids)
    return _changed(service)


@routes.add("GET", "/status/hosts")
def status_of_hosts(service: Service, request: Request) -> Answer:
    """Files in flight."""
    request.caller.demand_administrator()
    return Answer(body={service.host: service.engine.in_flight()})
