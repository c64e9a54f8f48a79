"""`claims` schemas that no token can satisfy."""

import pytest

from tests.plan.conftest import Compile

CONFIG = """\
channeld: 1
auth:
  session: {type: jwt, algorithms: [HS256], secret: "${S:-0123456789012345678901234567890123456789}", OPTIONS claims: CLAIMS}
channels:
  room: {path: /room, description: One room., auth: session, rooms: lobby, events: {}}
"""


def found(compile_text: Compile, claims: str, options: str) -> list[str]:
    outcome = compile_text(CONFIG.replace("CLAIMS", claims).replace("OPTIONS", options))
    return [f"{one.severity} {one.code} {one.message}" for one in outcome.compiled.report]


@pytest.mark.parametrize(
    ("claims", "options", "words"),
    [
        ("{properties: {sub: {type: integer}}}", "", "`sub` is the user id"),
        ("{properties: {sub: {maxLength: 0}}}", "", "`sub` is the user id"),
        ("{properties: {sub: {minLength: 129}}}", "", "`sub` is the user id"),
        ("{properties: {sub: false}}", "", "`sub` is the user id"),
        ("{properties: {sub: {enum: [1, 2]}}}", "", "`sub` is the user id"),
        ("{properties: {name: true}, additionalProperties: false}", "", "`sub` is the user id"),
        ("{properties: {sub: true}, additionalProperties: false}", "", "`exp` is the end"),
        ("{properties: {exp: {type: string}}}", "", "`exp` is the end"),
        ("{properties: {exp: {type: string}}}", "expiry: optional,", "no token with `exp`"),
        ("{properties: {nbf: {type: string}}}", "", "no token with `nbf`"),
        ("{required: [nbf], properties: {nbf: {type: string}}}", "", "no token can satisfy"),
        ("{properties: {jti: {type: integer}}}", "", "no token with `jti`"),
        ("{properties: {aud: {const: them}}}", "audience: us,", "`aud` names the `audience`"),
        ("{properties: {aud: {type: integer}}}", "audience: us,", "`aud` names the `audience`"),
        ("{properties: {iss: {const: you}}}", "issuer: me,", "`iss` is `me`, the `issuer`"),
        ("{required: [uid], properties: {uid: {type: integer}}}", 'user: "{claims.uid}",', "`uid` is"),
        ("{maxProperties: 1}", "", "it has `sub`, `exp`"),
    ],
)  # fmt: skip
def test_a_schema_that_refuses_every_token(
    claims: str, options: str, words: str, compile_text: Compile
) -> None:
    [reported] = found(compile_text, claims, options)
    severity = "warning" if words.startswith("no token with") else "error"
    assert reported.startswith(f"{severity} CH447 no token ")
    assert words in reported


@pytest.mark.parametrize(
    "claims",
    [
        "{required: [sub, exp], properties: {sub: {type: string, maxLength: 9}, exp: {type: integer}}}",
        "{properties: {aud: {type: array, items: {type: string}}}}",
        "{properties: {aud: {enum: [us, them]}}}",
        "{properties: {nbf: false, jti: false}}",
        "{properties: {iat: {type: string}}}",
        "{patternProperties: {'^(sub|exp|aud)$': true}, additionalProperties: false}",
        "true",
    ],
)
def test_a_schema_that_some_token_satisfies(claims: str, compile_text: Compile) -> None:
    assert found(compile_text, claims, "audience: us,") == []


def test_issuer_and_audience_that_the_schema_names(compile_text: Compile) -> None:
    claims = "{required: [iss, aud], properties: {iss: {const: me}, aud: {const: us}}}"
    assert found(compile_text, claims, "issuer: me, audience: us,") == []


def test_what_is_asked_may_be_unknown(compile_text: Compile) -> None:
    claims = "{properties: {aud: {const: them}}}"
    assert found(compile_text, claims, 'audience: ["${NONE}", us],') == []
