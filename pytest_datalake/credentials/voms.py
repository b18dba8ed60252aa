"""Proxies with VOMS attributes by voms-proxy-init, of a real VOMS server."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_datalake.errors import EngineError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_datalake.matrix.model import Identity, Trust

PROGRAM = "voms-proxy-init"

LIFETIME = timedelta(hours=12)
RENEW_BEFORE = 3600.0
"""Seconds before its end in which a proxy is no longer handed out: longer than any operation takes."""

PATIENCE = 60.0
"""Seconds until it is stopped."""

_REFUSALS = ("user unknown", "suspended", "not authorized", "unable to satisfy", "not active")


def make_voms_proxy(
    trust: Trust, identity: Identity, path: Path, *, vo: str, fqans: Sequence[str] = ()
) -> None:
    """Write a proxy with the attributes that the VOMS server gives the identity now.

    Args:
        trust: says where authorities and VOMS servers are.
        identity: has a certificate and its key.
        path: of the proxy, which is replaced in one step.
        vo: name of the VO.
        fqans: groups and roles that are to come first, such as ``/escape/ska``.

    Raises:
        StorageError: (denied) the server gives this identity no such attributes.
        EngineError: there is no certificate, no program, no server, or another fault.
    """
    who = f"identity {identity.name}: {PROGRAM} for the VO {vo}"
    if not identity.certificate:
        raise EngineError(f"identity {identity.name} has no certificate to make a VOMS proxy of")
    if shutil.which(PROGRAM) is None:
        raise EngineError(f"{PROGRAM} is missing: install the Debian package voms-clients")
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    wanted = [word for name in fqans or [""] for word in ("-voms", f"{vo}:{name}" if name else vo)]
    command = [PROGRAM, *wanted, "-rfc", "-out", str(fresh), "-vomses", trust.vomses]
    command += ["-cert", identity.certificate, "-key", identity.key or identity.certificate]
    hours = f"{int(LIFETIME.total_seconds() // 3600)}:00"
    command += ["-valid", hours, "-vomslife", hours]
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(path.parent),
        "X509_CERT_DIR": trust.ca_directory,
        "X509_VOMS_DIR": trust.voms_directory,
    }
    status, output = _run(command, environment)
    if status is None:
        fresh.unlink(missing_ok=True)
        raise EngineError(f"{who} did not end within {PATIENCE:g} s")
    if status != 0:
        fresh.unlink(missing_ok=True)
        said = " ".join(output.partition("Error:")[2].split()) or " ".join(output.split())
        if any(words in said.lower() for words in _REFUSALS):
            raise StorageError(f"{who} was refused: {said[:300]}", kind="denied", operation=PROGRAM)
        raise EngineError(f"{who} ended with status {status}: {said[:300]}")
    fresh.replace(path)


def _run(command: Sequence[str], environment: Mapping[str, str]) -> tuple[int | None, str]:
    """Exit status, None where it took too long, and what it said."""
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # killed with us it would leave the key that it works with
    ) as running:
        try:
            said, _ = running.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
            Path(f"/tmp/tmp_x509up_u{os.getuid()}_{running.pid}").unlink(missing_ok=True)  # noqa: S108  # its own
            return None, ""
        return running.returncode, said


def voms_proxy(
    trust: Trust, identity: Identity, directory: Path, *, vo: str, fqans: Sequence[str] = ()
) -> str:
    """A proxy that lasts for an hour at least, made anew when it would not: its file, shared by processes.

    Raises what ``make_voms_proxy`` raises.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / f"{identity.name}.pem"
    with _alone(directory / f"{identity.name}.lock"):
        if not path.exists() or _end(path) < time.time() + RENEW_BEFORE:
            make_voms_proxy(trust, identity, path, vo=vo, fqans=fqans)
    return str(path)


def ends_at(proxy: Path, directory: Path) -> float:
    """When a proxy ends, in seconds since the epoch, read once for all processes that share the directory.

    Raises ``EngineError`` where it cannot be read.
    """
    note = directory / f"{hashlib.sha256(str(proxy).encode()).hexdigest()}.end"
    try:
        if note.stat().st_mtime_ns >= proxy.stat().st_mtime_ns:
            return float(note.read_text())
    except (OSError, ValueError):
        pass
    end = _end(proxy)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = note.with_suffix(f".{os.getpid()}")
    fresh.write_text(str(end))
    fresh.replace(note)
    return end


def _end(proxy: Path) -> float:
    from pytest_datalake.credentials.x509 import certificates_from_pem  # slow to load

    try:
        chain = certificates_from_pem(proxy.read_bytes())
    except OSError as error:
        raise EngineError(f"the proxy {proxy} cannot be read: {error.strerror}") from error
    except EngineError as error:
        raise EngineError(f"the proxy {proxy} cannot be used: {error}") from error
    return min(one.not_valid_after_utc.timestamp() for one in chain)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
