"""The AAI of an embedded lake: an IAM-compatible service. It is not INDIGO IAM.

Tokens (OAuth 2.0, OpenID Connect, WLCG token profile) and VOMS attributes come from one membership, which
people enter by registration and group requests. The REST interface is the part of INDIGO IAM's that clients
and these suites use. From the bottom:

* ``store`` keeps everything in one SQLite file; ``members``, ``requests`` and ``clients`` are what it means.
* ``scopes`` decides what may be asked for, ``keys`` and ``tokens`` sign and verify, ``grants`` grants.
* ``*_api`` and ``*_pages`` speak HTTP (Flask), ``server`` HTTPS.
"""

NAME = "pytest-datalake IAM-compatible service"
