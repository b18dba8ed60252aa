"""The token issuer of an embedded lake: OAuth client credentials and the WLCG token profile, nothing more.

``scopes`` decides, ``tokens`` signs, ``server`` speaks HTTPS. A lake needs of it only what every issuer
offers: a discovery document, public keys and a token endpoint. Another issuer can take its place.
"""
