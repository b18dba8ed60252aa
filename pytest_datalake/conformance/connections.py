"""What one request leaves behind for the next: nothing."""

from __future__ import annotations

from pytest_datalake.conformance.case import Nothing, Step, Token
from pytest_datalake.conformance.rows import granted, refused

_CONNECTION = "RFC 9110, 3.3: requests stand alone"
_EXP = "WLCG profile, exp"

_READER = Token(scope="storage.read:$top")
_MEMBER = Token(scope="openid", groups=("$group",))

CONNECTIONS = (
    refused("connection-forgets-the-token", "MUST", _CONNECTION,
        "The token of a request does not serve the next one of the connection.", Nothing(),
        before=(Step(_READER, "granted"),), forged=False),
    refused("connection-forgets-the-rights", "MUST", _CONNECTION,
        "The rights of a token do not add to those of the next.", Token(scope="openid"),
        before=(Step(_READER, "granted"),), forged=False),
    refused("connection-forgets-the-groups", "MUST", _CONNECTION,
        "The groups of a token do not add to those of the next.",
        Token(scope="openid", groups=("$other_group",)), before=(Step(_MEMBER, "granted"),),
        auth="token-group"),
    granted("connection-forgets-a-refusal", "MUST", _CONNECTION,
        "After a refusal the next request of a connection is judged anew.", _READER,
        before=(Step(Nothing(), "refused"),), forged=False),
    granted("connection-keeps-working", "MUST", _CONNECTION,
        "A token serves several requests of a connection.", _READER,
        before=(Step(_READER, "granted"), Step(_READER, "granted")), forged=False),
    refused("token-expired-after-use", "MUST", _EXP,
        "A token that was honoured is refused from its end on, though the door knows it.", _READER,
        before=(Step(_READER, "granted"),), after_its_end=True),
)  # fmt: skip
