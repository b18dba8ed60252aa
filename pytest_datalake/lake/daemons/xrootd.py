"""XRootD: root and davs on one port, tokens and VOMS proxies, third-party copies in both protocols.

Written for XRootD 5.5 and what its documentation leaves open:

* ``-I v4`` is needed: on a dual-stack socket a peer appears as ``::ffff:127.0.0.1``, which has no reverse
  name, and the grants of a root third-party copy, which go by host name, never match. ``nodnr`` would do
  the same harm.
* ``xrootd.chksum max`` bounds the checksums at a time; a low bound gives HTTP 500 and half-minute stalls.
* XRootD cannot be bound to one address: it listens on all of them.
* Third-party copies over root go without delegation: the destination pulls as the site's robot, and the
  source lets it in by the one-time key that the user's own, authorised open left there.
* Each server is held to one processor. A client that breaks off during its TLS handshake wakes the thread
  that serves it and the one that polls; running at once, they can give a connection to two threads, of which
  the server dies by SIGSEGV (xrootd#1928, fixed in 5.5.4; xrootd#2226). On one processor they take turns.
* Revocation lists are configured as a careful site would, and read (``-d:3`` shows it); still XRootD 5.5.3
  lets proxies of revoked certificates in, with every value of ``-crl`` and ``crlcheck``. Over root the
  entries of a list are never marked valid (XrdCryptosslX509Crl.cc, LoadCache); davs makes a TLS context of
  its own, without the flag that ``crlcheck`` sets (XrdHttpProtocol.cc, InitTLS).
"""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import time
from base64 import encodebytes
from secrets import token_bytes
from typing import TYPE_CHECKING

from pytest_datalake.lake.daemons.api import Process
from pytest_datalake.lake.daemons.files import make_directory, need, write_file

if TYPE_CHECKING:
    from pytest_datalake.lake.daemons.api import RsePlan

PORTS = 1
PREFIX = "/{vo}"

ANY_AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"
"""WLCG Common JWT Profiles 1.2, "aud": a token for every service."""

_PROCESSORS = itertools.cycle(sorted(os.sched_getaffinity(0)))

_UNTIL_KEYS_EXPIRE = 30 * 86_400

_KEY_CACHE = "CREATE TABLE keycache (issuer text UNIQUE PRIMARY KEY NOT NULL, keys text NOT NULL)"

_CONFIGURATION = """\
# {rse}: root and davs on port {port}
all.sitename {rse}
all.export /
all.adminpath {directory}/admin
all.pidpath {directory}/admin
oss.localroot {data}
xrd.port {port}
xrd.protocol http libXrdHttp.so
xrd.network dnr cache 1h
xrd.tls {certificate} {key}
xrd.tlsca certdir {ca_directory} crlcheck all
xrootd.tls capable all
xrootd.chksum max 64 adler32 md5

# who: X.509 with VOMS attributes, or a token as the password of a TLS connection
xrootd.seclib libXrdSec.so
sec.protocol gsi -certdir:{ca_directory} -cert:{certificate} -key:{key} \
-crl:3 -crldir:{ca_directory} -crlrefresh:300 \
-gridmap:/dev/null -gmapopt:10 -vomsat:1 -vomsfun:libXrdVoms.so -vomsfunparms:grpopt=02
sec.protocol ztn
sec.protbind * gsi ztn

# may: groups own their areas; storage scopes of tokens count below the VO
ofs.authorize 1
acc.audit grant deny
acc.authdb {directory}/authdb
acc.authrefresh 60
ofs.authlib ++ libXrdMacaroons.so
ofs.authlib ++ libXrdAccSciTokens.so config={directory}/scitokens.cfg

# root third-party copy: the destination pulls
ofs.tpc ttl 60 120 logok xfr 20 autorm pgm {directory}/third-party-copy

# davs; macaroons carry the rights of an X.509 user through a third-party copy
http.desthttps yes
http.selfhttps2http no
http.secxtractor libXrdHttpVOMS.so
http.header2cgi Authorization authz
http.exthandler xrdtpc libXrdHttpTPC.so
http.exthandler xrdmacaroons libXrdMacaroons.so
macaroons.secretkey {directory}/macaroon.secret
"""

_SCITOKENS = """\
[Global]
audience = {audiences}
onmissing = passthrough

[Issuer {vo}]
issuer = {issuer}
base_path = /{vo}
map_subject = false
"""

# xrdcp with the additional stream that XRootD asks for ("-S 1") dies of SIGSEGV in one copy of a hundred.
# There must be no second try: the grant at the source is for one open; another hangs until clients give up.
_THIRD_PARTY_COPY = """\
#!/bin/sh
# Started by XRootD for each third-party copy over root; X509_USER_PROXY is the site's robot.
[ "$1" = -S ] && shift 2
exec xrdcp --server "$@"
"""


def prepare(plan: RsePlan) -> tuple[Process, ...]:
    """Write configuration and directories of one XRootD.

    Raises:
        UsageError: an executable is missing.
    """
    xrootd = need("xrootd", "xrootd-server")
    need("xrdcp", "xrootd-client")
    directory = plan.directory
    for name in ("admin", "cache", "log"):
        make_directory(directory / name, plan.account)
    root = make_directory(plan.data / plan.vo, plan.account)
    for experiment in plan.experiments:
        make_directory(root / experiment.area.strip("/"), plan.account)
    configuration = write_file(
        directory / "xrootd.cfg",
        _CONFIGURATION.format(
            rse=plan.rse,
            port=plan.ports[0],
            directory=directory,
            data=plan.data,
            certificate=plan.host_certificate,
            key=plan.host_key,
            ca_directory=plan.authorities.ca_directory,
        ),
        plan.account,
    )
    write_file(directory / "authdb", _rights(plan), plan.account)
    write_file(
        directory / "scitokens.cfg",
        _SCITOKENS.format(
            audiences=", ".join(dict.fromkeys((ANY_AUDIENCE, plan.audience))),
            vo=plan.vo,
            issuer=plan.authorities.issuer,
        ),
        plan.account,
    )
    # In lines: the plug-in refuses one long line.
    write_file(directory / "macaroon.secret", encodebytes(token_bytes(64)).decode(), plan.account)
    write_file(directory / "third-party-copy", _THIRD_PARTY_COPY, plan.account, mode=0o700)
    if not plan.authorities.keys_are_fetched:
        _seed_issuer_keys(plan)
    log = directory / "log" / "xrootd.log"
    return (
        Process(
            name="xrootd",
            # without -s it writes a file into /tmp, whatever all.pidpath says
            command=(
                *("taskset", "--cpu-list", str(next(_PROCESSORS))),
                *(xrootd, "-I", "v4", "-c", str(configuration), "-l", str(log)),
                *("-s", str(directory / "admin" / "xrootd.pid")),
            ),
            environment={
                "PATH": "/usr/bin:/bin",
                "HOME": str(directory),
                "XDG_CACHE_HOME": str(directory / "cache"),
                "X509_CERT_DIR": str(plan.authorities.ca_directory),
                "X509_VOMS_DIR": str(plan.authorities.voms_directory),
                "X509_USER_PROXY": str(plan.robot_proxy),
                "XRD_PLUGINCONFDIR": "/var/empty",
            },
            ready=tuple((host, plan.ports[0]) for host in dict.fromkeys(("127.0.0.1", plan.host))),
            log=log,
            config=configuration,
            working_directory=directory,
        ),
    )


def _rights(plan: RsePlan) -> str:
    """The authorisation database: ``g`` stands for a VOMS group and for an entry of ``wlcg.groups`` alike."""
    lines = [f"g {one.group} /{plan.vo}{one.area} a" for one in plan.experiments]
    return "\n".join([*lines, ""])


def _seed_issuer_keys(plan: RsePlan) -> None:
    """Fill scitokens-cpp's key cache, where the library cannot trust the issuer's certificate."""
    directory = make_directory(plan.directory / "cache" / "scitokens", plan.account)
    expires = int(time.time()) + _UNTIL_KEYS_EXPIRE
    jwks = json.loads(plan.authorities.issuer_jwks.read_text())
    entry = json.dumps({"jwks": jwks, "expires": expires, "next_update": expires})
    path = write_file(directory / "scitokens_cpp.sqllite", "", plan.account)  # the library's own spelling
    database = sqlite3.connect(path)
    try:
        with database:
            database.execute(_KEY_CACHE)
            database.execute("INSERT INTO keycache VALUES (?, ?)", (plan.authorities.issuer, entry))
    finally:
        database.close()
