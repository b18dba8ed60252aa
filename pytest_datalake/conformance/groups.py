"""What groups open: those in a token, and those in a VOMS attribute certificate."""

from __future__ import annotations

from dataclasses import replace

from pytest_datalake.conformance.case import Action, Moment, Token
from pytest_datalake.conformance.rows import EVERYWHERE, granted, noted, refused

_GROUPS = "WLCG profile, wlcg.groups"
_BOTH = "WLCG profile, scope and groups"

_NEW = Action("write", "$top/foo/new")
_REMOVE = Action("remove", "$top/foo/file")


def _member(*groups: str, scope: str | None = "openid", **claims: object) -> Token:
    return Token(scope=scope, groups=groups, claims=claims)


_CASES = (
    granted("group-reads", "MUST", _GROUPS, "A member of the group reads in its area.", _member("$group"),
        protocols=EVERYWHERE, forged=False),
    granted("group-writes", "MUST", _GROUPS, "A member of the group writes in its area.", _member("$group"),
        action=_NEW, protocols=EVERYWHERE, forged=False),
    granted("group-removes", "MUST", _GROUPS, "A member of the group removes in its area.", _member("$group"),
        action=_REMOVE, forged=False),
    granted("group-lists", "MUST", _GROUPS, "A member of the group lists its area.", _member("$group"),
        action=Action("list", "$top/foo"), forged=False),
    granted("group-makes-directories", "MUST", _GROUPS,
        "A member of the group makes directories in its area.", _member("$group"),
        action=Action("mkdir", "$top/foo/directory"), forged=False),
    granted("group-removes-directories", "MUST", _GROUPS,
        "A member of the group removes directories in its area.", _member("$group"),
        action=Action("rmdir", "$top/foo/empty"), forged=False),
    granted("group-second-of-two", "MUST", _GROUPS, "Each of several groups counts.",
        _member("/$vo", "$group")),
    refused("group-of-others-does-not-read", "MUST", _GROUPS, "A member of another group does not read.",
        _member("$other_group"), protocols=EVERYWHERE),
    refused("group-of-others-does-not-write", "MUST", _GROUPS, "A member of another group does not write.",
        _member("$other_group"), action=_NEW, protocols=EVERYWHERE),
    refused("group-of-others-does-not-remove", "MUST", _GROUPS, "A member of another group does not remove.",
        _member("$other_group"), action=_REMOVE),
    refused("group-own-does-not-open-others", "MUST", _GROUPS,
        "A member does not read in another group's area.", _member("$group"),
        action=Action("read", "$other/foo/file"), forged=False),
    refused("group-own-does-not-write-at-others", "MUST", _GROUPS,
        "A member does not write in another group's area.", _member("$group"),
        action=Action("write", "$other/foo/new"), forged=False),
    refused("group-of-the-vo-alone", "MUST", _GROUPS, "The VO's own group is not each of its groups.",
        _member("/$vo")),
    refused("group-of-the-vo-alone-does-not-write", "MUST", _GROUPS,
        "The VO's own group does not write in a group's area.", _member("/$vo"), action=_NEW),
    refused("group-with-more-behind", "MUST", _GROUPS, "A group that begins like the right one is another.",
        _member("${group}x")),
    refused("group-cut-short", "MUST", _GROUPS, "The beginning of the right group is another.",
        _member("$group_cut_short")),
    refused("group-of-another-vo", "MUST", _GROUPS, "A group of the same name in another VO is another.",
        _member("/another$group")),
    refused("group-in-capitals", "MUST", _GROUPS, "Groups are compared case by case.",
        _member("$group_in_capitals")),
    refused("group-without-slash", "MUST", _GROUPS, "A group without its slash is none.",
        _member("$group_without_slash")),
    refused("group-with-slash-behind", "SHOULD", _GROUPS, "A group with a slash behind is another.",
        _member("$group/")),
    refused("group-after-a-blank", "MUST", _GROUPS, "A blank in a group's name does not make two groups.",
        _member("$other_group $group")),
    refused("group-after-a-comma", "MUST", _GROUPS, "A comma in a group's name does not make two groups.",
        _member("$other_group,$group")),
    refused("group-after-a-newline", "MUST", _GROUPS, "A newline in a group's name does not make two groups.",
        _member("$other_group\n$group")),
    refused("group-as-text", "SHOULD", _GROUPS, "Groups that are no list are none.",
        Token(scope="openid", claims={"wlcg.groups": "$group"})),
    refused("group-as-object", "SHOULD", _GROUPS, "Groups that are an object are none.",
        Token(scope="openid", claims={"wlcg.groups": {"$group": True}})),
    refused("group-in-a-list-in-a-list", "SHOULD", _GROUPS, "A list in the list of groups is none of them.",
        Token(scope="openid", claims={"wlcg.groups": [["$group"]]})),
    refused("group-list-empty", "MUST", _GROUPS, "No groups open nothing.", _member()),
    refused("group-by-another-claim", "MUST", _GROUPS, "Groups in other claims are none.",
        Token(scope="openid", claims={"groups": ["$group"], "eduperson_entitlement": ["$group"]})),
    refused("group-asked-for-only", "MUST", _GROUPS, "A scope that asks for a group is no membership.",
        Token(scope="openid wlcg.groups wlcg.groups:$group")),
    granted("group-without-scope", "MUST", "WLCG profile, scope is optional",
        "A token of groups needs no scope.", _member("$group", scope=None)),
    noted("group-child-of-the-right-one", _GROUPS, "A member of a child group, in the parent's area.",
        _member("$group/child")),
    refused("group-beside-a-storage-scope", "SHOULD", _BOTH,
        "Where there is a capability, groups do not count.",
        Token(scope="storage.read:$top/foobar", groups=("$group",))),
    refused("group-beside-a-storage-scope-does-not-write", "SHOULD", _BOTH,
        "Where there is a capability to read, groups do not write.",
        Token(scope="storage.read:$top", groups=("$group",)), action=_NEW),
    refused("group-beside-a-compute-scope", "SHOULD", _BOTH,
        "Where there is a capability to compute, groups do not count.",
        Token(scope="compute.read", groups=("$group",))),
    refused("group-expired", "MUST", "WLCG profile, exp", "Groups of an expired token open nothing.",
        _member("$group", iat=Moment(-7200), nbf=Moment(-7200), exp=Moment(-3600)), protocols=EVERYWHERE),
    refused("group-not-yet", "MUST", "WLCG profile, nbf",
        "Groups of a token that is not valid yet open nothing.",
        _member("$group", nbf=Moment(3600), exp=Moment(7200))),
    refused("group-for-another-audience", "MUST", "WLCG profile, aud",
        "Groups in a token for another service open nothing.",
        _member("$group", aud="https://another-door.invalid")),
    refused("group-of-an-unknown-issuer", "MUST", "WLCG profile, iss",
        "Groups that an unknown issuer asserts open nothing.",
        _member("$group", iss="https://another-issuer.invalid/"), protocols=EVERYWHERE),
    refused("group-signed-not-at-all", "MUST", "WLCG profile, token signing",
        "Groups that nobody signed open nothing.",
        Token(scope="openid", groups=("$group",), spoiled="unsigned")),
    refused("group-signed-by-a-stranger", "MUST", "WLCG profile, token signing",
        "Groups that a stranger signed open nothing.",
        Token(scope="openid", groups=("$group",), spoiled="foreign-key")),
    refused("group-version-2-0", "MUST", "WLCG profile, wlcg.ver",
        "Groups of an unknown major version open nothing.", _member("$group", **{"wlcg.ver": "2.0"})),
)  # fmt: skip
GROUPS = tuple(replace(case, auth="token-group") for case in _CASES)
