"""OpenStack Swift behind its S3 API: one node, one device, one bucket, one pair of keys.

Account, container and object server and the door share one process, and a memcached of their own. The servers
behind the door listen on the site's loopback address without authentication, as Swift means them to on a
private network.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from pytest_datalake.lake.daemons.api import Process
from pytest_datalake.lake.daemons.environments import environment
from pytest_datalake.lake.daemons.files import make_directory, need, place_resource, write_file

if TYPE_CHECKING:
    from pytest_datalake.lake.daemons.api import RsePlan

PORTS = 5
PREFIX = "/lake/{vo}"

BUCKET = "lake"
ACCESS_KEY_FILE = "access-key.json"
"""In the RSE's directory: ``{"access_key": ..., "secret_key": ...}``, mode 0600."""

_ACCOUNT = "lake"
_USER = "owner"

_SWIFT = """\
[swift-hash]
swift_hash_path_prefix = {prefix}
swift_hash_path_suffix = {suffix}
[storage-policy:0]
name = disk
default = yes
"""

_COMMON = """\
[DEFAULT]
bind_ip = {host}
bind_port = {port}
swift_dir = {etc}
log_name = {name}
client_timeout = 60
"""

_BACKEND = (
    _COMMON
    + """\
log_level = WARNING
devices = {data}
mount_check = false
disable_fallocate = true
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
log_requests = false
"""
)

_PROXY = (
    _COMMON
    + """\
# object store door of {rse} at {site}
log_level = INFO
cert_file = {host_certificate}
key_file = {host_key}
lake_account = {account}
lake_bucket = {bucket}
[pipeline:main]
pipeline = catch_errors door cache listing_formats s3api tempauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:door]
paste.filter_factory = swift_door:filter_factory
log_name = door
[filter:cache]
use = egg:swift#memcache
memcache_servers = {host}:{cache_port}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{user} = {secret} .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""
)


def prepare(plan: RsePlan) -> tuple[Process, ...]:
    """Write configuration and fresh keys (``ACCESS_KEY_FILE``); the bucket is there once the door is open.

    Raises:
        UsageError: memcached or Swift's own environment is missing.
    """
    memcached = need("/usr/bin/memcached", "memcached")
    python = environment("swift") / "bin" / "python"
    directory = plan.directory
    etc = make_directory(directory / "etc", plan.account)
    logs = make_directory(directory / "log", plan.account)
    make_directory(make_directory(plan.data, plan.account) / "d1", plan.account)
    door, *backend_ports, cache_port = plan.ports
    secret = secrets.token_hex(20)
    common = {"host": plan.host, "etc": etc, "data": plan.data}
    write_file(
        etc / "swift.conf",
        _SWIFT.format(prefix=secrets.token_hex(8), suffix=secrets.token_hex(8)),
        plan.account,
    )
    for name, port in zip(("account", "container", "object"), backend_ports, strict=True):
        write_file(etc / f"{name}.conf", _BACKEND.format(**common, name=name, port=port), plan.account)
    configuration = write_file(
        etc / "proxy.conf",
        _PROXY.format(
            **common,
            name="proxy",
            port=door,
            rse=plan.rse,
            site=plan.site,
            host_certificate=plan.host_certificate,
            host_key=plan.host_key,
            account=_ACCOUNT,
            user=_USER,
            secret=secret,
            bucket=BUCKET,
            cache_port=cache_port,
        ),
        plan.account,
    )
    keys = {"access_key": f"{_ACCOUNT}:{_USER}", "secret_key": secret}
    write_file(directory / ACCESS_KEY_FILE, json.dumps(keys), plan.account)
    place_resource("swift_door.py", directory, plan.account)
    launcher = place_resource("swift_launcher.py", directory, plan.account)
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(directory), "LANG": "C.UTF-8"}
    return (
        Process(
            name="swift",
            command=(str(python), "-B", "-W", "ignore", str(launcher), str(directory)),
            environment=variables,
            ready=tuple((plan.host, port) for port in (door, *backend_ports)),
            log=logs / "swift.out",
            config=configuration,
            working_directory=directory,
        ),
        Process(
            name="memcached",
            command=(memcached, "-l", plan.host, "-p", str(cache_port), "-U", "0", "-m", "16", "-t", "1"),
            environment=variables,
            ready=((plan.host, cache_port),),
            log=logs / "memcached.out",
            config=configuration,
            working_directory=directory,
        ),
    )
