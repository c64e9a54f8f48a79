from collections.abc import Callable

import pytest

from channeld.config.load import Loaded
from channeld.diagnostics.diagnostic import Diagnostic, Severity

Load = Callable[..., Loaded]

BASE = """\
channeld: 1
auth:
  session:
    type: jwt
    algorithms: [HS256]
    secret: ${CHANNELD_JWT_SECRET}
    audience: chat
channels:
  room: {path: /room, description: d, auth: session, events: {}}
"""


def found(loaded: Loaded) -> list[tuple[str, str]]:
    return [(d.code, d.place.path) for d in loaded.report.sorted()]


def only(loaded: Loaded) -> Diagnostic:
    (diagnostic,) = loaded.report
    return diagnostic


def test_the_base_has_no_findings(load_config: Load) -> None:
    assert found(load_config(BASE)) == []


@pytest.mark.parametrize(
    ("old", "new", "codes"),
    [
        ("auth: session", "auth: [session, sesion]", [("CH401", "/channels/room/auth/1")]),
        ("auth: session", "auth: {use: [none, session]}", [("CH401", "/channels/room/auth/use/0")]),
        ("auth: session", "auth: [none, session]", [("CH401", "/channels/room/auth/0")]),
        ("auth: session", "auth: 5", [("CH105", "/channels/room/auth")]),
        ("channels:\n", "channels:\n  bad: {path: /bad, auth: []}\n", [("CH121", "/channels/bad/auth")]),
        ("[HS256]", "[hs256]", [("CH419", "/auth/session/algorithms/0")]),
        ("[HS256]", "[None]", [("CH404", "/auth/session/algorithms/0")]),
        ("[HS256]", "[HS256, EdDSA]", [("CH406", "/auth/session/algorithms")]),
        ("${CHANNELD_JWT_SECRET}", "[short, '${CHANNELD_JWT_SECRET}']",
         [("CH405", "/auth/session/secret/0"), ("CH409", "/auth/session/secret/0")]),
        ("${CHANNELD_JWT_SECRET}", "['${CHANNELD_JWT_SECRET}', '${UNSET:-0123456789abcdef0123456789abcdef}']",
         [("CH409", "/auth/session/secret/1")]),
        # What is written is in version control, whether or not a variable replaces it here.
        ("${CHANNELD_JWT_SECRET}", "${CHANNELD_JWT_SECRET:-0123456789abcdef0123456789abcdef}",
         [("CH409", "/auth/session/secret")]),
        ("${CHANNELD_JWT_SECRET}", "${CHANNELD_JWT_SECRET:-}", []),
        ("    secret: ${CHANNELD_JWT_SECRET}\n", "    secret: 5\n", [("CH105", "/auth/session/secret")]),
        ("    secret: ${CHANNELD_JWT_SECRET}\n", "    secret:\n", [("CH110", "/auth/session/secret")]),
        ("    audience: chat", "    audience: {}", [("CH105", "/auth/session/audience")]),
        ("    audience: chat", "    audience: chat\n    public_key: PEM", [("CH421", "/auth/session/public_key")]),
        ("    secret: ${CHANNELD_JWT_SECRET}", "    jwks: {file: a}", [("CH421", "/auth/session/jwks")]),
        ("    audience: chat", "    audience: chat\n    token_from: [header, 'query:t']",
         [("CH412", "/auth/session/token_from/1")]),
        ("    audience: chat", "    audience: chat\n    expiry: optional", [("CH422", "/auth/session/expiry")]),
    ],
)  # fmt: skip
def test_findings_stand_where_the_mistake_is(
    load_config: Load, old: str, new: str, codes: list[tuple[str, str]]
) -> None:
    assert old in BASE
    assert found(load_config(BASE.replace(old, new))) == codes


@pytest.mark.parametrize(
    ("claims", "codes"),
    [
        ("{required: [client_id], properties: {client_id: {const: a}}}", []),
        ("{required: [azp], properties: {azp: {enum: [a, b]}}}", []),
        ("{required: [azp], properties: {azp: {type: string}}}", ["CH407"]),
        ("{properties: {client_id: {const: a}}}", ["CH407"]),
        ("{required: [role], properties: {role: {const: a}}}", ["CH407"]),
        ("true", ["CH407"]),
    ],
)
def test_a_fixed_client_is_as_good_as_an_audience(
    load_config: Load, claims: str, codes: list[str]
) -> None:
    text = BASE.replace("audience: chat", f"claims: {claims}")
    assert [one.code for one in load_config(text).report] == codes


def test_an_undefined_name_gets_a_suggestion(load_config: Load) -> None:
    finding = next(d for d in load_config(BASE.replace("auth: session", "auth: sesion")).report)
    assert finding.help == "did you mean `session`?"


def test_none_in_a_list_is_explained(load_config: Load) -> None:
    finding = only(load_config(BASE.replace("auth: session", "auth: [session, none]")))
    assert "optional: true" in finding.help


def test_a_broken_authenticator_is_neither_undefined_nor_unused(load_config: Load) -> None:
    loaded = load_config(BASE.replace("algorithms: [HS256]", "algorithms: 5"))
    assert found(loaded) == [("CH105", "/auth/session/algorithms")]


@pytest.mark.parametrize(
    ("url", "severity"),
    [
        ("http://login.example.com/keys", Severity.ERROR),
        ("http://127.0.0.1:8080/keys", Severity.WARNING),
        ("http://localhost/keys", Severity.WARNING),
        ("http://[::1/keys", Severity.ERROR),
    ],
)
def test_keys_over_http(load_config: Load, url: str, severity: Severity) -> None:
    text = BASE.replace("HS256", "ES256").replace(
        "secret: ${CHANNELD_JWT_SECRET}", f"jwks: '{url}'"
    )
    finding = only(load_config(text))
    assert (finding.code, finding.severity) == ("CH408", severity)


def test_message_is_awaited_where_one_channel_needs_a_token(load_config: Load) -> None:
    text = BASE.replace("audience: chat", "audience: chat\n    token_from: [message]").replace(
        "auth: session", "auth: {use: session, optional: true}"
    )
    finding = only(load_config(text))
    assert finding.code == "CH424"
    assert finding.related[0].place.path == "/channels/room/auth"
    more = text + "  other: {path: /other, description: d, auth: session, events: {}}\n"
    assert found(load_config(more)) == []


TOKENS = """\
channeld: 1
auth:
  machines:
    type: tokens
    tokens: [{token: "${SENSOR_TOKEN}", user: a}]
channels:
  room: {path: /room, description: d, auth: machines, events: {}}
"""


@pytest.mark.parametrize(
    ("entries", "codes"),
    [
        ('[{token: "${SENSOR_TOKEN}", user: a}, {token: "${SENSOR_TOKEN}", user: b}]',
         [("CH427", "/auth/machines/tokens/1")]),
        ("[{token: abc, user: a}]",
         [("CH428", "/auth/machines/tokens/0"), ("CH409", "/auth/machines/tokens/0/token")]),
        ('[{token: "sha256:' + "a" * 64 + '", user: a}]', []),
        ('[{token: "${UNSET:-0123456789abcdef}", user: a}]', [("CH409", "/auth/machines/tokens/0/token")]),
        ("{file: t.yaml}", [("CH427", "/auth/machines/tokens")]),
    ],
)  # fmt: skip
def test_tokens(load_config: Load, entries: str, codes: list[tuple[str, str]]) -> None:
    text = TOKENS.replace('[{token: "${SENSOR_TOKEN}", user: a}]', entries)
    twice = "- {token: 0123456789abcdef, user: a}\n- {token: 0123456789abcdef, user: b}\n"
    assert found(load_config(text, files={"conf/t.yaml": twice})) == codes


def test_secrets_of_api_and_webhooks_are_seen(load_config: Load) -> None:
    more = """\
api: {keys: written-here-and-thirty-two-characters-long}
webhooks: [{url: "https://a.example", secret: here, events: [joined]}]
"""
    codes = found(load_config(BASE + more))
    assert ("CH409", "/api/keys") in codes
    assert ("CH409", "/webhooks/0/secret") in codes


def test_a_secret_given_as_a_default_is_named_and_not_shown(load_config: Load) -> None:
    secret = "a-default-of-more-than-thirty-two-characters"
    loaded = load_config(f'{BASE}api: {{keys: ["${{UNSET:-{secret}}}"]}}\n')
    (finding,) = (one for one in loaded.report if one.code == "CH409")
    assert "`${UNSET}`" in finding.message
    assert secret not in finding.message + finding.help + str(
        loaded.sources.text("conf/channels.yaml")
    )
