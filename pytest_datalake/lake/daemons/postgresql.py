"""A private PostgreSQL cluster with one database and one role, who shows a password.

The cluster is a copy of one that was made when the environment of its service was built. A commit is on disk
when it is answered (``synchronous_commit``, on by default): what was registered outlives a kill.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import shutil
from typing import TYPE_CHECKING

from pytest_datalake.lake.daemons.api import Process
from pytest_datalake.lake.daemons.files import make_directory, need, place_resource, write_file

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_datalake.lake.daemons.api import Account

_CONFIGURATION = """\
# database of {name}
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 100
shared_buffers = 64MB
# in files of the cluster: nothing stays in /dev/shm when all its processes are killed
dynamic_shared_memory_type = mmap
max_parallel_workers_per_gather = 0
jit = off
autovacuum_naptime = 15s
log_timezone = UTC
timezone = UTC
log_line_prefix = '%m [%p] %q%u@%d '
"""

_ACCESS = """\
# only {name}, from this machine, with its password
host {name} {name} 127.0.0.1/32 scram-sha-256
"""

_ITERATIONS = 4096
"""PostgreSQL's own number; the password is long and random."""


def prepare(
    directory: Path, *, name: str, account: Account, port: int, template: Path, password: str
) -> Process:
    """Copy the cluster and say how it is served.

    Args:
        directory: private, of the account.
        name: of the database and of its role.
        account: who the server runs as; PostgreSQL refuses to be root.
        port: on loopback.
        template: the cluster to copy.
        password: of the role; only its verifier is written down.

    Raises:
        UsageError: PostgreSQL is not installed.
    """
    program = need("/usr/lib/postgresql/15/bin/postgres", "postgresql-15")
    logs = make_directory(directory / "log", account)
    cluster = directory / "cluster"
    shutil.copytree(template, cluster)
    cluster.chmod(0o700)
    configuration = cluster / "postgresql.conf"
    write_file(configuration, _CONFIGURATION.format(name=name, port=port), account)
    write_file(cluster / "pg_hba.conf", _ACCESS.format(name=name), account)
    statement = f"ALTER ROLE {name} PASSWORD '{_verifier(password)}'\n"
    write_file(directory / "password.sql", statement, account)
    launcher = place_resource("postgresql.sh", directory, account)
    if account.drop:
        _give_all(cluster, account)
    return Process(
        name="postgresql",
        command=("/bin/sh", str(launcher), program, str(directory)),
        environment={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **_own_name(directory, account)},
        ready=(("127.0.0.1", port),),
        log=logs / "postgresql.out",
        config=configuration,
        working_directory=directory,
    )


def _verifier(password: str) -> str:
    """What PostgreSQL keeps of a password (RFC 5803, and RFC 7677 for the hash)."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    texts = (base64.b64encode(one).decode() for one in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(_ITERATIONS, *texts)


def _own_name(directory: Path, account: Account) -> dict[str, str]:
    """A name for the account, without which PostgreSQL does not start (nss_wrapper(1))."""
    if not account.drop:
        return {}
    wrapper = need("/usr/lib/x86_64-linux-gnu/libnss_wrapper.so", "libnss-wrapper")
    passwd = f"postgres:x:{account.uid}:{account.gid}::{directory}:/bin/false\n"
    return {
        "LD_PRELOAD": wrapper,
        "NSS_WRAPPER_PASSWD": str(write_file(directory / "passwd", passwd, account)),
        "NSS_WRAPPER_GROUP": str(write_file(directory / "group", f"postgres:x:{account.gid}:\n", account)),
    }


def _give_all(root: Path, account: Account) -> None:
    for path, directories, files in os.walk(root):
        for one in (path, *(os.path.join(path, name) for name in (*directories, *files))):  # noqa: PTH118
            os.chown(one, account.uid, account.gid)
