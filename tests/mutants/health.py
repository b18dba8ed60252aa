"""Whether a door still serves: Debian's XRootD now and then crashes or hangs of itself (xrootd#1928)."""

from __future__ import annotations

import http.client
import ssl

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
