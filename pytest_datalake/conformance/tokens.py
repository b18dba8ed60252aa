"""Whether a token is a good one at all: claims, times, signature, form."""

from __future__ import annotations

from pytest_datalake.conformance.case import Moment, Nothing, Token
from pytest_datalake.conformance.rows import EVERYWHERE, granted, noted, refused

_READ = "storage.read:$top"

_EXP, _NBF, _IAT = "WLCG profile, exp", "WLCG profile, nbf", "WLCG profile, iat"
_ISS, _AUD, _SUB = "WLCG profile, iss", "WLCG profile, aud", "WLCG profile, sub"
_JTI, _VER = "WLCG profile, jti", "WLCG profile, wlcg.ver"
_SIGNED = "WLCG profile, token signing"
_KID = "WLCG profile, kid"
_UNKNOWN = "WLCG profile, claims that are not understood"


def _with(**claims: object) -> Token:
    return Token(scope=_READ, claims=claims)


def _headed(**header: object) -> Token:
    return Token(scope=_READ, header=header)


TIMES = (
    granted("token-valid", "MUST", _SIGNED, "A valid token, signed with RS256, is honoured.",
        Token(scope=_READ), protocols=EVERYWHERE, forged=False),
    refused("token-none", "MUST", "RFC 6750, 3.1", "Without a token nothing is read.",
        Nothing(), protocols=EVERYWHERE, forged=False),
    refused("token-expired-long-ago", "MUST", _EXP, "A token that ended an hour ago is refused.",
        _with(iat=Moment(-7200), nbf=Moment(-7200), exp=Moment(-3600)), protocols=EVERYWHERE),
    refused("token-expired-just-now", "MUST", _EXP,
        "A token that ended two seconds ago is refused: there is no grace.",
        _with(iat=Moment(-60), nbf=Moment(-60), exp=Moment(-2))),
    refused("token-expires-never", "MUST", _EXP, "A token without exp is refused.", _with(exp=None)),
    refused("token-exp-negative", "MUST", _EXP, "An exp before 1970 is one in the past.", _with(exp=-1)),
    refused("token-exp-as-text", "MUST", "RFC 7519, 4.1.4", "An exp that is no number is refused.",
        _with(exp="4102444800")),
    granted("token-exp-with-fraction", "SHOULD", "RFC 7519, 2 (NumericDate)",
        "A time may be a number with a fraction.", _with(exp=Moment(3600, fraction=True))),
    noted("token-exp-huge", "RFC 7519, 2 (NumericDate)", "An exp of 1e30.", _with(exp=1e30)),
    refused("token-nbf-in-an-hour", "MUST", _NBF, "A token that is valid in an hour is refused now.",
        _with(nbf=Moment(3600), exp=Moment(7200)), protocols=EVERYWHERE),
    noted("token-nbf-in-half-a-minute", "WLCG profile, clock skew",
        "A token of an issuer whose clock is half a minute ahead.", _with(nbf=Moment(30))),
    granted("token-nbf-backdated", "MUST", _NBF, "An nbf in the past is fine.", _with(nbf=Moment(-3000))),
    granted("token-nbf-missing", "SHOULD", _NBF, "The claim nbf is optional.", _with(nbf=None)),
    refused("token-nbf-as-text", "MUST", "RFC 7519, 4.1.5", "An nbf that is no number is refused.",
        _with(nbf="0")),
    refused("token-iat-in-an-hour", "SHOULD", _IAT, "A token issued in the future is refused.",
        _with(iat=Moment(3600), nbf=None, exp=Moment(7200))),
    refused("token-iat-missing", "SHOULD", _IAT, "The claim iat is required.", _with(iat=None)),
)  # fmt: skip

ISSUER_AND_AUDIENCE = (
    refused("issuer-unknown", "MUST", _ISS, "A token of an issuer that the site does not know is refused.",
        _with(iss="https://another-issuer.invalid/"), protocols=EVERYWHERE),
    refused("issuer-without-slash", "MUST", _ISS, "An issuer is compared as it stands.",
        _with(iss="$issuer_without_slash")),
    refused("issuer-in-capitals", "MUST", _ISS, "An issuer is compared case by case.",
        _with(iss="$issuer_in_capitals")),
    refused("issuer-with-more-behind", "MUST", _ISS, "An issuer that begins like the right one is another.",
        _with(iss="${issuer}more/")),
    refused("issuer-by-http", "MUST", _ISS, "An issuer without TLS is another.",
        _with(iss="$issuer_by_http")),
    refused("issuer-missing", "MUST", _ISS, "A token that names no issuer is refused.", _with(iss=None)),
    refused("issuer-in-a-list", "MUST", "RFC 7519, 4.1.1", "An issuer that is no text is refused.",
        _with(iss=["$issuer"])),
    refused("audience-of-another", "MUST", _AUD, "A token for another service is refused.",
        _with(aud="https://another-door.invalid"), protocols=EVERYWHERE),
    refused("audience-missing", "MUST", _AUD, "A token for nobody is refused.", _with(aud=None)),
    refused("audience-empty", "MUST", _AUD, "An empty audience is no audience.", _with(aud="")),
    refused("audience-list-empty", "MUST", _AUD, "An empty list of audiences is no audience.", _with(aud=[])),
    granted("audience-right", "MUST", _AUD, "A token for this door is honoured.", _with(aud="$audience"),
        protocols=EVERYWHERE, forged=False),
    granted("audience-any", "MUST", _AUD, "A token for every service of the WLCG is honoured.",
        _with(aud="https://wlcg.cern.ch/jwt/v1/any"), protocols=EVERYWHERE),
    granted("audience-right-in-a-list", "MUST", _AUD, "One right audience of several is enough.",
        _with(aud=["https://another-door.invalid", "$audience"])),
    granted("audience-list-of-one", "MUST", _AUD, "A list of one is a list.", _with(aud=["$audience"])),
    refused("audience-list-of-others", "MUST", _AUD, "A list of other services is refused.",
        _with(aud=["https://another-door.invalid", "https://a-third.invalid"])),
    refused("audience-with-slash", "MUST", _AUD, "An audience is compared as it stands, with its slash.",
        _with(aud="$audience/")),
    refused("audience-with-more-behind", "MUST", _AUD,
        "An audience that begins like the right one is another.", _with(aud="${audience}.example.org")),
    refused("audience-cut-short", "MUST", _AUD, "The beginning of the right audience is another.",
        _with(aud="$audience_cut_short")),
    refused("audience-any-in-capitals", "MUST", _AUD, "The audience for all is compared case by case, too.",
        _with(aud="HTTPS://WLCG.CERN.CH/JWT/V1/ANY")),
    refused("audience-any-of-scitokens", "SHOULD", _AUD,
        "The wildcard ANY of SciTokens means nothing in a token of the WLCG profile.", _with(aud="ANY")),
    refused("audience-as-number", "MUST", "RFC 7519, 4.1.3", "An audience that is no text is refused.",
        _with(aud=1)),
    refused("audience-in-one-text", "MUST", _AUD, "Several audiences in one text are one audience.",
        _with(aud="$audience https://another-door.invalid")),
)  # fmt: skip

OTHER_CLAIMS = (
    refused("subject-missing", "SHOULD", _SUB, "The claim sub is required.", _with(sub=None)),
    refused("subject-as-list", "SHOULD", "RFC 7519, 4.1.2", "A subject that is no text is refused.",
        _with(sub=["somebody"])),
    refused("jti-missing", "SHOULD", _JTI, "The claim jti is required.", _with(jti=None)),
    refused("version-missing", "SHOULD", _VER, "The claim wlcg.ver is required.",
        _with(**{"wlcg.ver": None})),
    granted("version-1-2", "MUST", _VER, "A newer minor version is accepted: 1.2.",
        _with(**{"wlcg.ver": "1.2"})),
    granted("version-1-99", "MUST", _VER, "A newer minor version is accepted: 1.99.",
        _with(**{"wlcg.ver": "1.99"})),
    refused("version-2-0", "MUST", _VER, "An unknown major version is refused: 2.0.",
        _with(**{"wlcg.ver": "2.0"})),
    refused("version-10-0", "MUST", _VER, "Version 10.0 is not 1.0.", _with(**{"wlcg.ver": "10.0"})),
    refused("version-garbage", "MUST", _VER, "A version that is none is refused.",
        _with(**{"wlcg.ver": "one"})),
    refused("version-empty", "MUST", _VER, "An empty version is none.", _with(**{"wlcg.ver": ""})),
    refused("version-as-number", "SHOULD", _VER, "A version is a text.", _with(**{"wlcg.ver": 1.0})),
    granted("claims-unknown", "MUST", _UNKNOWN, "Claims that nobody knows do no harm.",
        _with(**{"x-claim": {"deep": [1, 2]}, "acr": "high"})),
    refused("claims-of-another-profile", "MUST", _UNKNOWN, "Claims of another profile authorise nothing.",
        Token(scope="openid", claims={"authorized": _READ, "path": "/", "scp": [_READ]})),
    granted("claims-padded-to-4-kb", "MUST", _UNKNOWN, "A token of 4 kB is honoured.",
        Token(scope=_READ, padding=2_400)),
    noted("claims-padded-to-8-kb", _UNKNOWN, "A token of 8 kB.", Token(scope=_READ, padding=6_000)),
    noted("claims-padded-to-60-kb", _UNKNOWN, "A token of 60 kB.", Token(scope=_READ, padding=45_000)),
    noted("claims-padded-to-900-kb", _UNKNOWN, "A token of 900 kB.", Token(scope=_READ, padding=675_000)),
)  # fmt: skip

SIGNATURES = (
    granted("signed-by-es256", "MUST", _SIGNED, "A token signed with ES256 is honoured.",
        Token(scope=_READ, algorithm="ES256"), protocols=EVERYWHERE),
    noted("signed-by-ps256", "RFC 7518, 3.5", "A token signed with PS256 by the RSA key.",
        Token(scope=_READ, algorithm="PS256")),
    noted("signed-by-rs512", "RFC 7518, 3.3", "A token signed with RS512 by the RSA key.",
        Token(scope=_READ, algorithm="RS512")),
    refused("signed-not-at-all", "MUST", _SIGNED, "The algorithm none is refused.",
        Token(scope=_READ, spoiled="unsigned"), protocols=EVERYWHERE),
    refused("signed-not-at-all-without-kid", "MUST", _SIGNED,
        "The algorithm None, spelt otherwise and without kid, is refused.",
        Token(scope=_READ, spoiled="unsigned-without-kid")),
    refused("signed-with-the-public-key", "MUST", _SIGNED,
        "HS256 keyed with the issuer's public key is refused.",
        Token(scope=_READ, spoiled="keyed-with-the-public-key"), protocols=EVERYWHERE),
    refused("signed-before-the-change", "MUST", _SIGNED,
        "Claims that were changed after signing are refused.", Token(scope=_READ, spoiled="payload-changed"),
        protocols=EVERYWHERE),
    refused("signed-but-for-a-bit", "MUST", _SIGNED, "A signature with one bit flipped is refused.",
        Token(scope=_READ, spoiled="signature-bit-flipped")),
    refused("signature-cut-off", "MUST", _SIGNED, "An empty signature is refused.",
        Token(scope=_READ, spoiled="signature-cut-off")),
    refused("signature-left-out", "MUST", "RFC 7515, 7.1", "A token of two parts is refused.",
        Token(scope=_READ, spoiled="signature-left-out")),
    refused("signed-by-a-stranger", "MUST", _SIGNED,
        "A stranger's key under the name of a known one is refused.",
        Token(scope=_READ, spoiled="foreign-key"), protocols=EVERYWHERE),
    refused("signed-by-an-enclosed-key", "MUST", "RFC 7515, 4.1.3",
        "A stranger's key that the token brings along is refused.",
        Token(scope=_READ, spoiled="foreign-key-enclosed")),
    refused("kid-unknown", "MUST", _KID, "A key that the issuer does not publish is refused.",
        _headed(kid="not-there")),
    refused("kid-missing", "MUST", _KID, "A token that names no key is refused.", _headed(kid=None)),
    refused("kid-empty", "MUST", _KID, "An empty kid names no key.", _headed(kid="")),
    refused("kid-is-a-path", "MUST", _KID, "A kid is no path.", _headed(kid="../../../../dev/null")),
    refused("kid-is-a-query", "MUST", _KID, "A kid is no part of a database query.",
        _headed(kid="' OR '1'='1")),
    refused("kid-as-number", "MUST", "RFC 7515, 4.1.4", "A kid is a text.", _headed(kid=1)),
    refused("header-crit-unknown", "SHOULD", "RFC 7515, 4.1.11",
        "Critical header parameters that are not understood lead to refusal.",
        _headed(crit=["x-critical"], **{"x-critical": True})),
    noted("header-type-at-jwt", "RFC 9068, 2.1", "A token whose typ is at+jwt.", _headed(typ="at+jwt")),
    granted("header-without-type", "MUST", "RFC 7519, 5.1", "The header typ is optional.", _headed(typ=None)),
    granted("header-jku-of-a-stranger", "SHOULD", "RFC 7515, 4.1.2",
        "An address of keys in the header is not looked at: the signature is good.",
        _headed(jku="https://another-issuer.invalid/jwk")),
)  # fmt: skip

FORM = (
    refused("form-payload-is-a-list", "MUST", "RFC 7519, 7.2", "Claims that are no object are refused.",
        Token(scope=_READ, spoiled="payload-is-a-list")),
    refused("form-payload-is-no-text", "MUST", "RFC 7519, 7.2", "Claims that are no UTF-8 are refused.",
        Token(scope=_READ, spoiled="payload-is-no-text")),
    refused("form-payload-deeply-nested", "MUST", "RFC 7519, 7.2",
        "An unsigned payload 3,000 levels deep is refused, and survived.",
        Token(scope=_READ, spoiled="deeply-nested")),
    refused("form-garbage", "MUST", "RFC 6750, 2.1", "Something that is no token is refused.",
        Token(scope=_READ, spoiled="garbage")),
    refused("refusal-is-401", "SHOULD", "RFC 6750, 3.1", "An invalid token is answered with 401.",
        _with(aud="https://another-door.invalid"), statuses=(401,)),
    refused("form-empty", "MUST", "RFC 6750, 2.1", "An empty token is refused.",
        Token(scope=_READ, spoiled="empty"), statuses=(400, 401, 403)),
    granted("form-scheme-in-lower-case", "SHOULD", "RFC 9110, 11.1",
        "The scheme's case does not matter: bearer.", Token(scope=_READ, scheme="bearer")),
    refused("form-scheme-basic", "MUST", "RFC 6750, 2.1", "A token shown as a password is refused.",
        Token(scope=_READ, scheme="Basic")),
    refused("form-scheme-missing", "SHOULD", "RFC 6750, 2.1", "A token without a scheme is refused.",
        Token(scope=_READ, scheme="")),
    noted("form-in-authz", "XRootD, http.header2cgi", "A token in the parameter authz of the URL.",
        Token(scope=_READ, shown="authz")),
    noted("form-in-access-token", "RFC 6750, 2.3", "A token in the parameter access_token of the URL.",
        Token(scope=_READ, shown="access_token")),
    noted("form-scope-twice", "RFC 7519, 4", "A token with two scope claims.",
        Token(scope="storage.read:$other", spoiled="scope-twice")),
)  # fmt: skip

TOKENS = (*TIMES, *ISSUER_AND_AUDIENCE, *OTHER_CLAIMS, *SIGNATURES, *FORM)
