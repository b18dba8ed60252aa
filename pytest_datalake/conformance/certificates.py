"""What proxies and their VOMS attributes open, and user certificates where proxies are not known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_datalake.conformance.case import Action, Nothing, Proxy
from pytest_datalake.conformance.rows import granted, noted, refused

if TYPE_CHECKING:
    from pytest_datalake.conformance.case import Case
    from pytest_datalake.matrix.model import Protocol

_AC, _FQAN = "RFC 5755", "VOMS attribute certificates (OGF GFD.182)"
_VALID, _HOLDER = "RFC 5755, 4.2.6", "RFC 5755, 4.2.2"
_SIGNED, _TARGET = "RFC 5755, 5", "RFC 5755, 4.3.2"
_PROXY, _LIFE = "RFC 3820, 3", "RFC 5280, 4.1.2.5"
_PATH_LENGTH, _CHAIN = "RFC 3820, 3.8.1", "RFC 3820, 4.1"

_MEMBER = "$group/Role=NULL/Capability=NULL"
_OTHERS = "$other_group/Role=NULL/Capability=NULL"
_VO_ALONE = "/$vo/Role=NULL/Capability=NULL"
_NEW = Action("write", "$top/foo/new")


def _proxy(*fqans: str) -> Proxy:
    return Proxy(fqans=fqans or (_MEMBER,))


_GOOD = Proxy(fqans=(_MEMBER,))

ATTRIBUTES = (
    granted("voms-member-reads", "MUST", _FQAN, "A member of the group reads in its area.", _GOOD,
        forged=False),
    granted("voms-member-writes", "MUST", _FQAN, "A member of the group writes in its area.", _GOOD,
        action=_NEW, forged=False),
    granted("voms-member-removes", "MUST", _FQAN, "A member of the group removes in its area.", _GOOD,
        action=Action("remove", "$top/foo/file"), forged=False),
    granted("voms-member-makes-directories", "MUST", _FQAN,
        "A member of the group makes directories in its area.", _GOOD,
        action=Action("mkdir", "$top/foo/directory"), forged=False),
    granted("voms-member-by-second-fqan", "MUST", _FQAN, "Each of several groups counts.",
        _proxy(_VO_ALONE, _MEMBER)),
    refused("voms-none", "MUST", _AC, "A proxy without attributes opens nothing.", Proxy()),
    refused("voms-none-does-not-write", "MUST", _AC, "A proxy without attributes does not write.", Proxy(),
        action=_NEW),
    refused("voms-others-do-not-read", "MUST", _FQAN, "A member of another group does not read.",
        _proxy(_OTHERS)),
    refused("voms-others-do-not-write", "MUST", _FQAN, "A member of another group does not write.",
        _proxy(_OTHERS), action=_NEW),
    refused("voms-member-does-not-open-others", "MUST", _FQAN,
        "A member does not read in another group's area.", _GOOD, action=Action("read", "$other/foo/file"),
        forged=False),
    refused("voms-member-does-not-write-at-others", "MUST", _FQAN,
        "A member does not write in another group's area.", _GOOD, action=Action("write", "$other/foo/new"),
        forged=False),
    refused("voms-vo-alone", "MUST", _FQAN, "The VO's own group is not each of its groups.",
        _proxy(_VO_ALONE)),
    refused("voms-child-with-more-behind", "MUST", _FQAN,
        "A group that begins like the right one is another.", _proxy("${group}x/Role=NULL/Capability=NULL")),
    refused("voms-group-after-a-blank", "MUST", _FQAN, "A blank in a group's name does not make two groups.",
        _proxy("$other_group $group")),
    refused("voms-foreign-root", "MUST", _FQAN, "An authority speaks for the groups of its own VO alone.",
        _proxy("/another$group/Role=NULL/Capability=NULL")),
    refused("voms-unknown-vo", "MUST", _SIGNED,
        "Attributes of a VO that the site does not know open nothing.",
        Proxy(fqans=(_MEMBER,), vo="another")),
    refused("voms-expired", "MUST", _VALID, "Attributes that ended an hour ago open nothing.",
        Proxy(fqans=(_MEMBER,), attributes_start=-7200, attributes_end=-3600)),
    refused("voms-not-yet", "MUST", _VALID, "Attributes that are valid in an hour open nothing now.",
        Proxy(fqans=(_MEMBER,), attributes_start=3600, attributes_end=7200)),
    refused("voms-of-another-holder", "MUST", _HOLDER, "Attributes of somebody else open nothing.",
        Proxy(fqans=(_MEMBER,), spoiled="attributes-of-another")),
    refused("voms-changed", "MUST", _SIGNED, "Attributes that were changed after signing open nothing.",
        Proxy(fqans=(_MEMBER,), spoiled="changed-attributes")),
    refused("voms-signed-by-a-stranger", "MUST", _SIGNED, "Attributes that another key signed open nothing.",
        Proxy(fqans=(_MEMBER,), spoiled="foreign-authority")),
    refused("voms-signed-by-the-holder", "MUST", "VOMS, .lsc files",
        "Attributes that the user signed, with a good certificate that no .lsc file names, open nothing.",
        Proxy(fqans=(_MEMBER,), spoiled="own-authority")),
    refused("voms-for-another-host", "MUST", _TARGET, "Attributes for another host open nothing here.",
        Proxy(fqans=(_MEMBER,), targets=("another-host.invalid",))),
    noted("voms-without-its-authority", "VOMS, .lsc files",
        "Attributes without the certificate of who signed them.",
        Proxy(fqans=(_MEMBER,), spoiled="no-authority-enclosed")),
)  # fmt: skip

PROXIES = (
    noted("proxy-limited", "Globus, limited proxies",
        "A limited proxy: it may start no jobs, and storage is open to it.",
        Proxy(fqans=(_MEMBER,), policy="limited")),
    noted("proxy-full-of-a-limited-one", "Globus, limited proxies", "A full proxy made of a limited one.",
        Proxy(fqans=(_MEMBER,), spoiled="proxy-of-a-limited-one")),
    granted("proxy-of-a-proxy", "MUST", _PROXY,
        "A proxy of the second level keeps the attributes of the first.",
        Proxy(fqans=(_MEMBER,), spoiled="proxy-of-a-proxy")),
    refused("proxy-expired", "MUST", _LIFE, "A proxy that ended an hour ago is refused.",
        Proxy(fqans=(_MEMBER,), start=-7200, end=-3600), in_handshake=True),
    refused("proxy-not-yet", "MUST", _LIFE, "A proxy that is valid in an hour is refused now.",
        Proxy(fqans=(_MEMBER,), start=3600, end=7200), in_handshake=True),
    refused("proxy-path-length", "MUST", _PATH_LENGTH, "A proxy of a proxy that may make none is refused.",
        Proxy(fqans=(_MEMBER,), spoiled="proxy-beyond-path-length"), in_handshake=True),
    refused("proxy-signed-by-a-stranger", "MUST", _CHAIN, "A proxy that another key signed is refused.",
        Proxy(fqans=(_MEMBER,), spoiled="foreign-key"), in_handshake=True),
    refused("proxy-of-an-unknown-ca", "MUST", _CHAIN,
        "A proxy of a certificate of an unknown authority is refused.",
        Proxy(fqans=(_MEMBER,), spoiled="unknown-ca"), in_handshake=True),
    refused("revoked-certificate", "MUST", "RFC 5280, 6.3", "A proxy of a revoked certificate is refused.",
        Proxy(fqans=(_MEMBER,), spoiled="revoked"), in_handshake=True),
    refused("certificate-without-attributes", "MUST", _AC, "A certificate without attributes opens nothing.",
        Proxy(spoiled="certificate-alone"), forged=False),
    refused("no-certificate", "MUST", _AC, "Without a certificate nothing is read.", Nothing(),
        in_handshake=True, forged=False),
)  # fmt: skip

USERS = (
    granted("user-reads", "MUST", "RFC 8446, 4.4.2", "A user reads in the own area.",
        Proxy(spoiled="certificate-alone"), forged=False),
    granted("user-writes", "MUST", "RFC 8446, 4.4.2", "A user writes in the own area.",
        Proxy(spoiled="certificate-alone"), action=_NEW, forged=False),
    refused("user-does-not-open-others", "MUST", "RFC 8446, 4.4.2", "A user does not read in another's area.",
        Proxy(spoiled="certificate-alone"), action=Action("read", "$other/foo/file"), forged=False),
    refused("user-does-not-write-at-others", "MUST", "RFC 8446, 4.4.2",
        "A user does not write in another's area.", Proxy(spoiled="certificate-alone"),
        action=Action("write", "$other/foo/new"), forged=False),
    refused("user-unknown-ca", "MUST", "RFC 5280, 6.1", "A user's name from an unknown authority is refused.",
        Proxy(spoiled="unknown-ca"), in_handshake=True),
    refused("user-revoked", "MUST", "RFC 5280, 6.3", "A revoked certificate is refused.",
        Proxy(spoiled="revoked"), in_handshake=True),
    refused("user-unknown", "MUST", "RFC 8446, 4.4.2", "Without a certificate nothing is read.", Nothing(),
        in_handshake=True, forged=False),
)  # fmt: skip

_OVER_ALL = {
    "voms-member-reads",
    "voms-member-writes",
    "voms-none",
    "voms-others-do-not-read",
    "voms-others-do-not-write",
    "voms-member-does-not-open-others",
    "voms-unknown-vo",
    "voms-expired",
    "voms-changed",
    "voms-signed-by-a-stranger",
    "proxy-limited",
    "proxy-expired",
    "proxy-path-length",
    "revoked-certificate",
}
"""Tried over root and gsiftp in every run; the others only in a full one: each of their logins is dear."""


def _over_all(case: Case) -> Case:
    dear: tuple[Protocol, ...] = ("root", "gsiftp")
    if case.id in _OVER_ALL:
        return replace(case, auth="x509-voms", protocols=("davs", *dear))
    return replace(case, auth="x509-voms", only_in_full=dear)


CERTIFICATES = (
    *(_over_all(case) for case in (*ATTRIBUTES, *PROXIES)),
    *(replace(case, auth="x509") for case in USERS),
)
