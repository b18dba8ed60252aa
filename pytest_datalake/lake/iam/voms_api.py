"""The VOMS attribute authority (``/generate-ac``): attributes from the same membership as tokens.

As the VOMS servers of EMI and INDIGO IAM answer it, for voms-proxy-init of VOMS 2 (C) and 3 (Java).
"""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from cryptography.hazmat.primitives.serialization import Encoding
from flask import Blueprint, Response, request

from pytest_datalake.credentials.x509 import fqan, make_attribute_certificate, slash_name
from pytest_datalake.lake.iam.admin_api import end_entity
from pytest_datalake.lake.iam.web import iam

if TYPE_CHECKING:
    from pytest_datalake.lake.iam.members import Groups

api = Blueprint("voms", __name__)

LONGEST = timedelta(hours=24)
_USUAL = timedelta(hours=12)
_OLD_CLIENT = "voms apis 2"
"""Begin of the User-Agent of VOMS 2, which reads errors in the form of its old protocol alone."""


_ERROR = 1001
"""VOMS 2 takes numbers up to 1000 for warnings."""

_NO_AC = "<ac>QQ==\n</ac>"
"""VOMS 2 reads an error only beside something that it can take for attributes."""


class _VomsError(Exception):
    """An error answer of VOMS."""

    def __init__(self, code: str, message: str, status: int = 403) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@api.get("/generate-ac")
def _generate() -> Response:
    try:
        attributes = _attributes()
    except _VomsError as error:
        if request.headers.get("User-Agent", "").lower().startswith(_OLD_CLIENT):
            item = f"<item><number>{_ERROR}</number><message>{escape(error.message)}</message></item>"
            return _answer(f"<vomsans><version>3</version><error>{item}</error>{_NO_AC}</vomsans>", 200)
        said = f"<code>{error.code}</code><message>{escape(error.message)}</message>"
        return _answer(f"<voms><error>{said}</error></voms>", error.status)
    return _answer(f"<voms><ac>{base64.encodebytes(attributes).decode()}</ac></voms>", 200)


def _attributes() -> bytes:
    """The attribute certificate that was asked for, DER. Raises ``_VomsError``."""
    service = iam()
    if not service.voms_key:
        raise _VomsError("InternalError", "this service signs no attributes", 500)
    user = end_entity()
    if user is None:
        raise _VomsError("NoSuchUser", "show a certificate or a proxy", 401)
    account = service.members.of_certificate(slash_name(user.subject), slash_name(user.issuer))
    if account is None:
        raise _VomsError("NoSuchUser", "User unknown to this VO.")
    if not account.is_valid:
        raise _VomsError("SuspendedUser", "User is currently suspended.")
    told = service.members.told_of(account)
    if f"/{service.settings.vo}" not in told.default:
        raise _VomsError("NoSuchUser", "User unknown to this VO.")
    fqans = _chosen(told, request.args.get("fqans", ""))
    service.store.audit(account.username, "gets VOMS attributes", " ".join(fqans))
    return make_attribute_certificate(
        user.public_bytes(Encoding.PEM),
        service.voms_certificate,
        service.voms_key,
        vo=service.settings.vo,
        fqans=[fqan(name) for name in fqans],
        lifetime=_lifetime(request.args.get("lifetime", "")),
        targets=[one for one in request.args.get("targets", "").split(",") if one],
    )


def _chosen(told: Groups, requested: str) -> tuple[str, ...]:
    """What was asked for first, in that order, then all groups; roles only when asked for."""
    have = {*told.default, *told.optional, *told.roles}
    first = []
    for one in requested.split(","):
        name = one.strip().removesuffix("/Capability=NULL").removesuffix("/Role=NULL")
        if not name or name == "all":
            continue
        if name not in have:
            raise _VomsError("NoSuchAttribute", f"User is not authorized to request attribute: {name}")
        first.append(name)
    if len(first) == 1 and first[0] == told.default[0]:  # "the VO" is what clients ask for who want anything
        first = []
    return tuple(dict.fromkeys([*first, *told.default]))


def _lifetime(requested: str) -> timedelta:
    if not requested.isdecimal() or not int(requested):
        return _USUAL
    return min(timedelta(seconds=int(requested)), LONGEST)


def _answer(content: str, status: int) -> Response:
    head = '<?xml version="1.0" encoding="UTF-8" standalone="no"?>'
    return Response(head + content, status, content_type="text/xml; charset=utf-8")
