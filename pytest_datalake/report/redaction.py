"""A last guard: what looks like a secret does not get into a page, whatever a server or client wrote.

Nothing of ours writes secrets into results. Servers and clients under test may, and pages are mailed.
"""

from __future__ import annotations

import re

_REPLACED = "(secret left out)"

_SECRETS = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]*\.?[\w-]*"  # RFC 7519, 3: a JSON Web Token begins with '{"'
    r"|MDAx[\w+/=-]{24,}"  # a macaroon
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?<=[Bb]earer )(?!\$[A-Z_0-9]+\b)[^\s'\",;]+|(?<=Bearer%20)[^\s'\",;&]+"
    r"|(?<=authz=)(?!Bearer \$[A-Z_0-9]+\b)[^\s'\",;&]+"
    r"|(?<=[Ss]ignature=)[^\s'\",;&]+"
    r"|(?<=client_secret=)[^\s'\",;&]+|(?<=access_token=)(?!\$[A-Z_0-9]+\b)[^\s'\",;&]+|(?<=password=)[^\s'\",;&]+"
    r"|(?<=X-Rucio-Auth-Token: )\S+"
    r"|(?<=-unknown-)[0-9a-f]{32}\b"  # ACCOUNT-USER-unknown-UUID: a token of Rucio's
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",  # RFC 3986, 3.2.1: user:password@host
    re.DOTALL,
)


def without_secrets(text: str) -> str:
    """The text with everything that looks like a secret replaced by a note."""
    return _SECRETS.sub(_REPLACED, text)
