"""Apache httpd as a WebDAV door: mod_dav, bearer tokens by mod_auth_openidc, WLCG rules and digests in Lua.

It takes part in third-party copies as the passive party alone. User certificates are mapped by subject;
mod_ssl does not accept proxy certificates. A revocation list that is replaced while it runs is read after a
graceful restart (SIGUSR1): OpenSSL keeps the one it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_datalake.lake.daemons.api import Process
from pytest_datalake.lake.daemons.files import make_directory, need, place_resource, write_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_datalake.lake.daemons.api import RsePlan

PORTS = 1
PREFIX = "/{vo}"

ANY_AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"
"""Audience that every relying party accepts (WLCG Common JWT Profiles)."""

_MODULES = "/usr/lib/apache2/modules"
_LUA = ("apache_door.lua", "apache_paths.lua", "apache_token.lua", "json.lua")

_CONFIGURATION = """\
# WebDAV door of {rse} at {site}
ServerRoot /usr/lib/apache2
ServerName https://{host}:{port}
Listen {host}:{port} https
PidFile {directory}/run/httpd.pid
DefaultRuntimeDir {directory}/run
Mutex file:{directory}/run default
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authn_core_module modules/mod_authn_core.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule socache_shmcb_module modules/mod_socache_shmcb.so
LoadModule ssl_module modules/mod_ssl.so
LoadModule dav_module modules/mod_dav.so
LoadModule dav_fs_module modules/mod_dav_fs.so
LoadModule lua_module modules/mod_lua.so
LoadModule auth_openidc_module modules/mod_auth_openidc.so

# one child process with threads is enough for a door of ours; the second slot serves a graceful restart
StartServers 1
ServerLimit 2
ThreadsPerChild 48
MaxRequestWorkers 48
MinSpareThreads 1
MaxSpareThreads 96
LimitRequestBody 0
ServerTokens Prod
TraceEnable Off

# what happened, and every refusal with its reason; neither query strings nor credentials
ErrorLog {directory}/log/apache.log
ErrorLogFormat "[%{{cu}}t] [%l] [client\\ %a] %M"
LogLevel notice authz_core:crit ssl:error auth_openidc:error
LogFormat "[%{{%Y-%m-%d %H:%M:%S}}t] %h \\"%u\\" \\"%{{SSL_CLIENT_S_DN}}x\\" %m %U %>s \
in=%{{Content-Length}}i out=%B %{{ms}}Tms" door
CustomLog {directory}/log/apache.log door

SSLEngine on
SSLProtocol -all +TLSv1.2 +TLSv1.3
SSLSessionCache none
SSLCertificateFile {host_certificate}
SSLCertificateKeyFile {host_key}
SSLCACertificatePath {ca_directory}
SSLCARevocationPath {ca_directory}
SSLCARevocationCheck chain
SSLVerifyClient optional
SSLVerifyDepth 5
SSLOptions +StdEnvVars +LegacyDNStringFormat

OIDCOAuthVerifyJwksUri {jwks}
OIDCCABundlePath {ca_file}
OIDCOAuthAcceptTokenAs header
OIDCOAuthRemoteUserClaim sub
OIDCPassClaimsAs none
OIDCCacheType shm
OIDCCacheShmMax 128

LuaPackagePath {directory}/lua/?.lua
LuaScope thread
LuaAuthzProvider wlcg {directory}/lua/apache_door.lua authorize
LuaHookFixups {directory}/lua/apache_door.lua fixups

DocumentRoot {data}
DavLockDB {directory}/run/dav
FileETag MTime Size
<Directory />
  AllowOverride None
  Require all denied
</Directory>
<Location /{vo}>
  Dav On
  AuthType oauth20
  AuthName "{vo}"
  AuthzSendForbiddenOnFailure On
  Require wlcg
</Location>
"""


def prepare(plan: RsePlan) -> tuple[Process, ...]:
    """Write the configuration and make the area of every experiment.

    Raises:
        UsageError: Apache or its OpenID Connect module is not installed.
    """
    apache = need("/usr/sbin/apache2", "apache2-bin")
    need(f"{_MODULES}/mod_auth_openidc.so", "libapache2-mod-auth-openidc")
    for name in ("log", "run", "lua"):
        make_directory(plan.directory / name, plan.account)
    make_directory(plan.data, plan.account)
    root = make_directory(plan.data / plan.vo, plan.account)
    for experiment in plan.experiments:
        make_directory(root / experiment.area.strip("/"), plan.account)
    for name in _LUA:
        place_resource(name, plan.directory / "lua", plan.account)
    write_file(plan.directory / "lua" / "apache_site.lua", _site(plan), plan.account)
    configuration = write_file(
        plan.directory / "httpd.conf",
        _CONFIGURATION.format(
            rse=plan.rse,
            site=plan.site,
            host=plan.host,
            port=plan.ports[0],
            directory=plan.directory,
            data=plan.data,
            vo=plan.vo,
            host_certificate=plan.host_certificate,
            host_key=plan.host_key,
            ca_directory=plan.authorities.ca_directory,
            ca_file=plan.authorities.ca_file,
            jwks=plan.authorities.issuer + "jwk",
        ),
        plan.account,
    )
    return (
        Process(
            name="apache",
            command=(apache, "-f", str(configuration), "-DFOREGROUND"),
            environment={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": str(plan.directory),
                "LANG": "C.UTF-8",
            },
            ready=((plan.host, plan.ports[0]),),
            log=plan.directory / "log" / "apache.log",
            config=configuration,
            working_directory=plan.directory,
        ),
    )


def _site(plan: RsePlan) -> str:
    """The Lua module with what is particular to this door."""
    area_of = {experiment.name: experiment.area for experiment in plan.experiments}
    subjects: dict[str, list[str]] = {}
    for name, members in plan.members.items():
        for subject in members:
            if name in area_of:
                subjects.setdefault(subject, []).append(area_of[name])
    audiences = dict.fromkeys((plan.audience, plan.host, ANY_AUDIENCE))
    return (
        "return {\n"
        f"  root = {_quoted('/' + plan.vo)},\n"
        f"  data = {_quoted(str(plan.data / plan.vo))},\n"
        f"  issuer = {_quoted(plan.authorities.issuer)},\n"
        f"  audiences = {_list(name for name in audiences if name)},\n"
        f"  areas = {_map({one.group: _quoted(one.area) for one in plan.experiments})},\n"
        f"  subjects = {_map({subject: _list(areas) for subject, areas in subjects.items()})},\n"
        "}\n"
    )


def _quoted(text: str) -> str:
    escaped = "".join(f"\\{ord(char):03d}" if char in '"\\' or ord(char) < 32 else char for char in text)
    return f'"{escaped}"'


def _list(items: Iterable[str]) -> str:
    return "{ " + ", ".join(_quoted(item) for item in items) + " }"


def _map(items: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f"[{_quoted(key)}] = {value}" for key, value in items.items()) + " }"
