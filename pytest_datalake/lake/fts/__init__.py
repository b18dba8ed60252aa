"""The lake's transfer manager: our own service behind the REST contract of FTS, with real copies by gfal2.

It is no FTS and does not say that it is one; docs/reference/transfer-manager.md lists what it leaves out.
"""

NAME = "pytest-datalake transfer manager"

API_VERSION = (3, 13, 4)
"""The release of FTS's REST contract that is spoken here."""
