"""What is up in a lake: Debian's XRootD now and then crashes or hangs of itself (xrootd#1928)."""

from __future__ import annotations

import http.client
import sqlite3
import ssl
import warnings
from collections import Counter
from contextlib import closing
from pathlib import Path

_PATIENCE = 15.0
"""Seconds within which a door that works has answered, however busy the machine is."""


def serves(host: str, port: int) -> bool:
    """Whether a door that speaks HTTPS answers there; a connection that it ends is an answer, too."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, port, timeout=_PATIENCE, context=context)
    try:
        connection.request("OPTIONS", "/")
        connection.getresponse().read()
    except (TimeoutError, ConnectionRefusedError):
        return False
    except (OSError, http.client.HTTPException):
        return True
    finally:
        connection.close()
    return True


def threads(pid: int) -> str:
    """Where in the kernel a process's threads wait, the commonest place first; empty: it has ended."""
    places: Counter[str] = Counter()
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        try:
            places[f"{(thread / 'comm').read_text().strip()}: {(thread / 'wchan').read_text()}"] += 1
        except OSError:
            continue
    return ", ".join(f"{count} x {place}" for place, count in places.most_common())


def unfinished(jobs: Path) -> str:
    """What the transfer manager has not done yet; ``jobs`` is its database."""
    if not jobs.exists():
        return "no transfer manager"
    with closing(sqlite3.connect(f"file:{jobs}?mode=ro", uri=True)) as store:
        files = store.execute(
            "SELECT file_state, source_surl, dest_surl FROM files"
            " WHERE file_state NOT IN ('FINISHED', 'FAILED', 'CANCELED')"
        ).fetchall()
    return f"transfers under way: {files}"


def warn(text: str) -> None:
    """Have pytest tell of it at the end, whatever becomes of the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(text, stacklevel=3)
