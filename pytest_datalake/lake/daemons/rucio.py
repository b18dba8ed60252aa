"""Rucio: its database, its broker, its REST server and all its daemons.

What Rucio 41 needs to be told beyond its documentation:

* ``[repairer] updated_at_delta``: a rule that is stuck is looked at again after half an hour otherwise.
* ``REQUESTS_CA_BUNDLE``: it asks the token issuer without naming an authority.
* ``[client] client_x509_proxy``: how the daemon that deletes shows who it is where tokens are not taken.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_datalake.lake.daemons import activemq, postgresql
from pytest_datalake.lake.daemons.api import Process
from pytest_datalake.lake.daemons.environments import environment
from pytest_datalake.lake.daemons.files import make_directory, place_resource, write_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_datalake.lake.daemons.activemq import Broker
    from pytest_datalake.lake.daemons.api import Account, AuthorityPaths

PORTS = 2

USER = "rucio"
"""Name of its user at the broker."""

AUDIENCE = "rucio"
"""The ``aud`` of tokens for Rucio."""

_CONFIGURATION = """\
# Rucio of the embedded lake: server and daemons
[common]
logdir = {directory}/log
loglevel = WARNING
logformat = %%(asctime)s %%(name)s %%(levelname)s %%(message)s
mailtemplatedir = {environment}/rucio/etc/mail_templates

[client]
rucio_host = {url}
auth_host = {url}
ca_cert = {ca_file}
client_x509_proxy = {proxy}

[database]
default = postgresql+psycopg://rucio:{password}@127.0.0.1:{database_port}/rucio
pool_size = 10
max_overflow = 20

[policy]
package = lake_policy
lfn2pfn_algorithm_default = identity

[conveyor]
scheme = davs,root
transfertool = fts3
cacert = {ca_file}
usercert = {proxy}
poller_oidc_support = True

[transfers]
stats_enabled = False
multihop_tombstone_delay = 300

[repairer]
updated_at_delta = 1

[oidc]
idpsecrets = {directory}/etc/idpsecrets.json
admin_issuer = lake
expected_audience = {audience}
expected_scope = openid

[monitor]
enable_metrics = False

[api]
endpoints_add = traces

[trace]
tracedir = {directory}/log
brokers = 127.0.0.1
port = {broker_port}
username = {broker_user}
password = {broker_password}
topic = /queue/rucio.traces

[tracer-kronos]
brokers = 127.0.0.1
port = {broker_port}
use_ssl = False
username = {broker_user}
password = {broker_password}
queue = /queue/rucio.traces
prefetch_size = 100
chunksize = 1
subscription_id = rucio-tracer-listener
reconnect_attempts = 100
excluded_usrdns = nobody
dataset_wait = 1

[hermes]
services_list = activemq

[messaging-hermes]
brokers = 127.0.0.1
port = {broker_port}
nonssl_port = {broker_port}
use_ssl = False
username = {broker_user}
password = {broker_password}
destination = /topic/rucio.events
voname = {vo}
email_from = nobody@localhost
email_test = nobody@localhost
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RucioPlan:
    """A Rucio to be served.

    Attributes:
        directory: private, of the account.
        ports: as many as ``PORTS`` says; the first is the REST server's.
        proxy: PEM of the proxy by which Rucio acts, its key included.
        broker: knows ``USER``.
        catalogue: what ``lake.catalogue`` made of the matrix.
        client_id, client_secret: by which Rucio gets tokens from the issuer.
    """

    vo: str
    directory: Path
    account: Account
    ports: tuple[int, ...]
    host_certificate: bytes
    host_key: bytes = field(repr=False)
    proxy: bytes = field(repr=False)
    authorities: AuthorityPaths
    broker: Broker
    catalogue: Mapping[str, Any]
    client_id: str
    client_secret: str = field(repr=False)

    @property
    def url(self) -> str:
        """Of the REST server."""
        return f"https://localhost:{self.ports[0]}"


def prepare(plan: RucioPlan) -> tuple[Process, ...]:
    """Write the configuration; say which processes there are.

    Raises:
        UsageError: Rucio's own environment, or PostgreSQL, is missing.
    """
    installed = environment("rucio")
    directory, account = plan.directory, plan.account
    server_port, database_port = plan.ports
    etc = make_directory(directory / "etc", account)
    logs = make_directory(directory / "log", account)
    policy = make_directory(directory / "lake_policy", account)
    password = secrets.token_urlsafe(24)
    database = postgresql.prepare(
        make_directory(directory / "database", account),
        name="rucio",
        account=account,
        port=database_port,
        template=installed / "cluster",
        password=password,
    )
    broker = activemq.prepare(
        make_directory(directory / "activemq", account), account=account, broker=plan.broker
    )
    proxy = write_file(etc / "proxy.pem", plan.proxy.decode(), account)
    configuration = write_file(
        etc / "rucio.cfg",
        _CONFIGURATION.format(
            directory=directory,
            environment=installed,
            url=plan.url,
            ca_file=plan.authorities.ca_file,
            proxy=proxy,
            password=password,
            database_port=database_port,
            audience=AUDIENCE,
            broker_port=plan.broker.port,
            broker_user=USER,
            broker_password=plan.broker.passwords[USER],
            vo=plan.vo,
        ),
        account,
    )
    write_file(etc / "idpsecrets.json", json.dumps(_issuer(plan)), account)
    write_file(directory / "catalogue.json", json.dumps(plan.catalogue), account)
    write_file(policy / "__init__.py", '"""Rucio\'s policy package of the embedded lake."""\n', account)
    permissions = place_resource("rucio_permission.py", directory, account)
    permissions.rename(policy / "permission.py")
    place_resource("rucio_start.py", directory, account)
    server = {
        "bind": f"127.0.0.1:{server_port}",
        "certificate": str(write_file(etc / "host.pem", plan.host_certificate.decode(), account)),
        "key": str(write_file(etc / "host.key", plan.host_key.decode(), account)),
        "authority": str(plan.authorities.ca_file),
    }
    settings = write_file(etc / "server.json", json.dumps(server), account)
    python = (str(installed / "bin" / "python"), "-B", "-W", "ignore")
    variables = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(directory),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "RUCIO_HOME": str(directory),
        "REQUESTS_CA_BUNDLE": str(plan.authorities.ca_file),
        "SSL_CERT_FILE": str(plan.authorities.ca_file),
        "X509_CERT_DIR": str(plan.authorities.ca_directory),
        "X509_VOMS_DIR": str(plan.authorities.voms_directory),
        "XRD_CONNECTIONWINDOW": "3",
        "XRD_CONNECTIONRETRY": "1",
        "XRD_STREAMERRORWINDOW": "5",
        "XRD_REQUESTTIMEOUT": "60",
    }

    def process(name: str, script: str, *arguments: str, ready: tuple[tuple[str, int], ...]) -> Process:
        return Process(
            name=name,
            command=(*python, str(place_resource(script, directory, account)), *arguments),
            environment=variables,
            ready=ready,
            log=logs / f"{name}.out",
            config=configuration,
            working_directory=directory,
        )

    return (
        database,
        broker,
        process("rucio", "rucio_server.py", str(settings), ready=(("127.0.0.1", server_port),)),
        process("rucio-daemons", "rucio_daemons.py", ready=()),
    )


def _issuer(plan: RucioPlan) -> dict[str, Any]:
    """Rucio's file of token issuers; it asks for every one of these keys, whether it uses them or not."""
    issuer = plan.authorities.issuer
    client = {
        "client_id": plan.client_id,
        "client_secret": plan.client_secret,
        "redirect_uris": [f"{plan.url}/auth/oidc_code", f"{plan.url}/auth/oidc_token"],
    }
    unused = {"grant_type": "client_credentials", "registration_client_uri": f"{issuer}register"}
    return {
        "lake": {
            **client,
            "issuer": issuer,
            "registration_access_token": "unused",
            "SCIM": {**client, **unused},
        }
    }
