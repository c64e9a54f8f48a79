from collections.abc import Callable

import pytest

from channeld.config.load import Loaded

Load = Callable[..., Loaded]

BASE = """\
channeld: 1
server: {}
auth:
  session: {type: hook, hook: "m:f"}
channels:
  room:
    path: /room
    description: d
    auth: session
    rooms: lobby
    messages:
      say: {schema: true, route: room}
"""


def codes(loaded: Loaded) -> list[str]:
    return [d.code for d in loaded.report.sorted()]


def origins(load_config: Load, origin: str) -> list[tuple[str, str]]:
    text = BASE.replace("server: {}", f"server: {{allowed_origins: ['{origin}']}}")
    return [(d.code, d.help) for d in load_config(text).report]


@pytest.mark.parametrize(
    "origin",
    [
        "https://chat.example.com",
        "http://localhost:3000",
        "https://*.example.com",
        "https://*.a.example.com:8443",
        "http://*.localhost:3000",
        "http://[::1]:3000",
        "http://[::1]:65535",
        "app://obsidian.md",
    ],
)
def test_good_origins(load_config: Load, origin: str) -> None:
    assert origins(load_config, origin) == []


@pytest.mark.parametrize(
    ("origin", "help"),
    [
        ("chat.example.com", "write `https://chat.example.com`"),
        ("https://chat.example.com/", "write `https://chat.example.com`"),
        ("https://chat.example.com/app", "write `https://chat.example.com`"),
        ("wss://chat.example.com", "write `https://chat.example.com`"),
        ("https://münchen.example", "write `https://xn--mnchen-3ya.example`"),
        ("https://Bücher.example:8443", "write `https://xn--bcher-kva.example:8443`"),
        ("ws://chat.example.com", "write `http://chat.example.com`"),
        ("https://me@chat.example.com", "write `https://chat.example.com`"),
        ("https://Chat.example.com", "write `https://chat.example.com`"),
        ("https://chat.example.com:443", "write `https://chat.example.com`"),
        ("http://chat.example.com:80", "write `http://chat.example.com`"),
        ("null", "remove it"),
        ("https://chat.example.com:65536", "remove it"),
        (f"https://chat.example.com:{'9' * 5000}", "remove it"),
        ("https://chat example.com", "remove it"),
    ],
)
def test_origins_that_never_match(load_config: Load, origin: str, help: str) -> None:
    assert origins(load_config, origin) == [("CH411", help)]


@pytest.mark.parametrize(
    ("origin", "severity"),
    [
        ("chat.example.com", "error"),
        ("https://münchen.example", "error"),
        ("https://chat.example.com/", "error"),
        ("https://Chat.example.com", "warning"),
        ("https://chat.example.com:443", "warning"),
    ],
)
def test_an_origin_that_lets_nobody_in_is_an_error(
    load_config: Load, origin: str, severity: str
) -> None:
    text = BASE.replace("server: {}", f"server: {{allowed_origins: ['{origin}']}}")
    assert [str(found.severity) for found in load_config(text).report] == [severity]


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https://*",
        "https://*example.com",
        "https://*.com",
        "https://a.*.example.com",
        "https://*.*.example.com",
        "https://chat.example.*",
        "https://chat.example.com:*",
        "*://chat.example.com",
        "https://*..com",
    ],
)
def test_wildcards_that_let_in_too_much(load_config: Load, origin: str) -> None:
    assert "CH418" in [code for code, _ in origins(load_config, origin)]


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ('{bind: ":4000"}', ["CH414"]),
        ('{bind: ["127.0.0.1:1", "[::]:4000"]}', ["CH414"]),
        ('{bind: "0.0.0.0:4000", trusted_proxies: [10.0.0.0/8]}', []),
        ('{bind: "0.0.0.0:4000", tls: {certificate: a, key: b}}', ["CH124", "CH124"]),
        ('{bind: "0.0.0.0:4000", tls: {certificate: a}}', ["CH104"]),
        ('{bind: "unix:a.sock"}', []),
        ('{bind: "192.0.2.1:4000"}', []),
    ],
)
def test_plain_text_on_every_interface(load_config: Load, server: str, expected: list[str]) -> None:
    assert codes(load_config(BASE.replace("server: {}", f"server: {server}"))) == expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("    presence: true\n", ["CH413"]),
        ("    require: {a: b}\n", ["CH423"]),
        ("    events: {}\n", []),
    ],
)
def test_what_needs_users_on_a_channel_without(
    load_config: Load, lines: str, expected: list[str]
) -> None:
    text = BASE.replace('auth:\n  session: {type: hook, hook: "m:f"}\n', "")
    text = text.replace("auth: session", "auth: none").replace("    rooms", f"{lines}    rooms")
    assert codes(load_config(text)) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("{schema: true, require: {role: admin}, route: room}", ["CH423"]),
        ("{schema: true, route: [room, {to: user, user: ann}]}", ["CH403"]),
        ("{schema: true, route: {to: user, user: ann, channel: room}}", ["CH403"]),
        ("{schema: true, route: {to: user, user: ann, channel: other}}", []),
    ],
)
def test_messages_on_a_channel_without_users(
    load_config: Load, message: str, expected: list[str]
) -> None:
    text = BASE.replace('auth:\n  session: {type: hook, hook: "m:f"}\n', "")
    text = text.replace("auth: session", "auth: none")
    text = text.replace("{schema: true, route: room}", message)
    assert codes(load_config(text)) == expected


@pytest.mark.parametrize(
    ("auth", "info", "expected"),
    [
        ("{use: session, optional: true}", '"{claims.name?}"', ["CH425"]),
        ("{use: session, optional: true}", '["{claims.name?}"]', ["CH425"]),
        ("{use: session, optional: true}", '"{user.id?}"', []),
        ("session", '"{claims.name?}"', []),
    ],
)
def test_claims_that_anonymous_clients_see(
    load_config: Load, auth: str, info: str, expected: list[str]
) -> None:
    text = BASE.replace("auth: session", f"auth: {auth}\n    presence: {{info: {{a: {info}}}}}")
    assert codes(load_config(text)) == expected


def test_cookies_from_any_page(load_config: Load) -> None:
    text = BASE.replace("server: {}", "server: {allowed_origins: any}")
    assert codes(load_config(text)) == []
    text = text.replace(
        '{type: hook, hook: "m:f"}',
        '{type: tokens, token_from: [header, cookie:sid], tokens: [{token: "${SENSOR_TOKEN}", user: a}]}',
    )
    (finding,) = load_config(text).report
    assert (finding.code, finding.place.path) == ("CH410", "/server/allowed_origins")
    assert finding.related[0].place.path == "/auth/session/token_from"


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        ("{bind: '0.0.0.0:4001', keys: '${CHANNELD_JWT_SECRET}'}", {"CH415"}),
        ("{bind: 'unix:api.sock', keys: '${CHANNELD_JWT_SECRET}'}", set()),
        ("{keys: ['${CHANNELD_JWT_SECRET}', '${SENSOR_TOKEN}']}", {"CH426"}),
    ],
)
def test_the_control_api(load_config: Load, api: str, expected: set[str]) -> None:
    loaded = load_config(BASE.replace("server: {}", f"api: {api}"))
    assert set(codes(loaded)) == expected


def test_an_address_that_is_not_known_is_not_taken(load_config: Load) -> None:
    text = "channeld: 1\nserver: {bind: SERVER}\napi: {bind: API, keys: ['${KEY}']}\nchannels: {c: {path: /c, description: One., auth: none, rooms: r, events: {}}}\n"
    for server, api, twice in (
        ("'${NONE}'", "127.0.0.1:4000", False),
        ("127.0.0.1:4001", "'${NONE}'", False),
        ("127.0.0.1:5000", "127.0.0.1:5000", True),
    ):
        report = load_config(text.replace("SERVER", server).replace("API", api)).report
        assert ("CH709" in [one.code for one in report]) is twice
