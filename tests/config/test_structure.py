import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.config import model
from channeld.config.language import LANGUAGE, Rule, schema_text
from channeld.config.load import Loaded
from channeld.config.model import (
    ChannelAuth,
    Config,
    HookRef,
    Jwks,
    JwtAuth,
    MessageRate,
    Presence,
    RedisBroker,
    Rooms,
    Route,
    Secret,
    Subscribe,
    TokensAuth,
)
from channeld.config.source import FileSystem, read_sources
from channeld.config.structure import structure
from channeld.diagnostics.diagnostic import Diagnostic, Report, Severity

Load = Callable[..., Loaded]

BASE = """\
channeld: 1
server: {}
auth:
  session: {type: jwt, algorithms: [HS256], secret: "${CHANNELD_JWT_SECRET}", audience: chat}
channels:
  room:
    path: /room
    auth: session
    rooms: lobby
    messages:
      say: {schema: true}
"""


def edited(old: str, new: str) -> str:
    assert old in BASE
    return BASE.replace(old, new, 1)


def config_of(loaded: Loaded) -> Config:
    assert loaded.report.errors == []
    assert loaded.config is not None
    return loaded.config


def errors_of(loaded: Loaded) -> list[Diagnostic]:
    return sorted(loaded.report.errors, key=lambda d: (d.place.line, d.place.column))


def test_both_copies_of_the_schema_are_one() -> None:
    root = Path(__file__).parents[2]
    assert (root / "schemas" / "channels.schema.json").read_text("utf-8") == schema_text()


@pytest.mark.parametrize(
    "section",
    [
        "log: {level: '${LEVEL}'}",
        "server: {workers: '${WORKERS:-1}', compression: '${C}', limits: {json_depth: '${DEPTH}'}}",
        "server: {bind: ['127.0.0.1:${PORT}', '[fe80::1%eth0]:1'], trusted_proxies: ['10.${N}.0.0/16']}",
        "api: {bind: '[::]:${PORT}', keys: ['${KEY}']}",
        "server: {limits: {message_size: '${N}KiB', messages: '1${N}/s'}, drain: '1${N}s'}",
        "broker: '${BROKER:-memory}'",
        "webhooks: [{url: '${URL}', secret: '${SECRET}', events: ['${EVENT}']}]",
        "backends: {app: {url: '${URL}', secret: '${SECRET}', concurrency: '${C}', on_failure: '${F}'}}",
    ],
)
def test_editors_take_a_variable_for_any_scalar(section: str) -> None:
    value = yaml.safe_load(f"{section}\nchanneld: 1\nchannels: {{a: {{path: /a, auth: none}}}}")
    jsonschema.Draft7Validator(json.loads(schema_text())).validate(value)
    value["channels"]["a"]["presence"] = "${PRESENCE}"
    assert not jsonschema.Draft7Validator(json.loads(schema_text())).is_valid(value)


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(json.loads(schema_text()))


def mappings(rule: Rule, path: str = "") -> list[tuple[str, Rule]]:
    found = [(path, rule)] if "properties" in rule else []
    for key, child in rule.get("properties", {}).items():
        found += mappings(child, f"{path}/{key}")
    for key in ("additionalProperties", "items"):
        if isinstance(rule.get(key), dict):
            found += mappings(rule[key], f"{path}/{key}")
    for index, branch in enumerate(rule.get("anyOf", ())):
        found += mappings(branch, f"{path}({index})")
    return found


@pytest.mark.parametrize(("path", "rule"), mappings(LANGUAGE))
def test_every_mapping_is_closed_and_explains_its_keys(path: str, rule: Rule) -> None:
    assert rule["additionalProperties"] is False
    assert rule["patternProperties"] == {"^x-": True}
    for key, child in rule["properties"].items():
        assert child.get("title"), key
        assert child.get("description"), key


@pytest.mark.parametrize(
    ("keys", "cls"),
    [
        (["server"], model.Server),
        (["server", "limits"], model.Limits),
        (["server", "ping"], model.Ping),
        (["log"], model.Log),
        (["hooks"], model.Hooks),
        (["diff"], model.Diff),
        (["api"], model.Api),
    ],
)
def test_the_model_has_the_same_keys_as_the_language(keys: list[str], cls: type) -> None:
    rule = LANGUAGE
    for key in keys:
        rule = rule["properties"][key]
    # A channel's limits are the server's with its own over them, and one of those is a channel's alone.
    of_channels = {"connections_per_user"} if cls is model.Limits else set()
    assert set(rule["properties"]) == {field.name for field in attrs.fields(cls)} - of_channels


def test_defaults_in_the_schema_are_those_of_the_model(load_config: Load) -> None:
    limits = LANGUAGE["properties"]["server"]["properties"]["limits"]["properties"]
    server = {
        key: rule["default"]
        for key, rule in LANGUAGE["properties"]["server"]["properties"].items()
        if "default" in rule
    }
    server["limits"] = {key: rule["default"] for key, rule in limits.items() if "default" in rule}
    text = edited("server: {}", f"server: {json.dumps(server)}")
    assert config_of(load_config(text)).server == Config().server


@pytest.mark.parametrize(
    ("written", "auth"),
    [
        ("none", ChannelAuth()),
        ("session", ChannelAuth(names=("session",))),
        ("[session]", ChannelAuth(names=("session",))),
        ("{use: session, optional: true}", ChannelAuth(names=("session",), optional=True)),
        ("{use: [session]}", ChannelAuth(names=("session",))),
    ],
)
def test_forms_of_a_channels_auth(load_config: Load, written: str, auth: ChannelAuth) -> None:
    loaded = load_config(edited("auth: session", f"auth: {written}"))
    assert config_of(loaded).channels["room"].auth == auth


@pytest.mark.parametrize(
    ("written", "rooms"),
    [
        ("lobby", Rooms(join=("lobby",))),
        ("[a, b]", Rooms(join=("a", "b"))),
        ("{join: a}", Rooms(join=("a",))),
        ("{join: []}", Rooms()),
        (
            '{subscribe: {allow: "t-*", hook: "m:f", max: 3}}',
            Rooms(subscribe=Subscribe(allow=("t-*",), hook=HookRef(call="m:f"), max=3)),
        ),
    ],
)
def test_forms_of_rooms(load_config: Load, written: str, rooms: Rooms) -> None:
    loaded = load_config(edited("rooms: lobby", f"rooms: {written}"))
    assert config_of(loaded).channels["room"].rooms == rooms


@pytest.mark.parametrize(
    ("written", "presence"),
    [
        ("true", Presence()),
        ("false", None),
        ("{}", Presence()),
        ("{scope: channel, grace: 0s}", Presence(scope="channel", grace=0.0)),
    ],
)
def test_forms_of_presence(load_config: Load, written: str, presence: Presence | None) -> None:
    loaded = load_config(edited("rooms: lobby", f"rooms: lobby\n    presence: {written}"))
    assert config_of(loaded).channels["room"].presence == presence


@pytest.mark.parametrize(
    ("written", "route"),
    [
        ("room", (Route(to="room"),)),
        ("{to: room, except_sender: true}", (Route(to="room", except_sender=True),)),
        (
            '[{to: user, user: "{user.id}"}, sender]',
            (Route(to="user", user="{user.id}"), Route(to="sender")),
        ),
    ],
)
def test_forms_of_a_route(load_config: Load, written: str, route: tuple[Route, ...]) -> None:
    loaded = load_config(edited("{schema: true}", f"{{schema: true, route: {written}}}"))
    assert config_of(loaded).channels["room"].messages["say"].route == route


@pytest.mark.parametrize(
    ("written", "rate"),
    [
        ("5/s", MessageRate(limit=5, period=1.0, burst=5)),
        ("{limit: 60/m}", MessageRate(limit=60, period=60.0, burst=60)),
        ("{limit: 5/s, burst: 9}", MessageRate(limit=5, period=1.0, burst=9)),
        (
            "{limit: 5/s, per: room, over: drop}",
            MessageRate(limit=5, period=1.0, burst=5, per="room", over="drop"),
        ),
    ],
)
def test_forms_of_a_rate(load_config: Load, written: str, rate: MessageRate) -> None:
    loaded = load_config(edited("{schema: true}", f"{{schema: true, rate: {written}}}"))
    assert config_of(loaded).channels["room"].messages["say"].rate == rate


@pytest.mark.parametrize(
    ("written", "hook"),
    [
        ("chat.hooks:f", HookRef(call="chat.hooks:f")),
        ("{call: 'chat:f', thread: true}", HookRef(call="chat:f", thread=True)),
    ],
)
def test_forms_of_a_hook(load_config: Load, written: str, hook: HookRef) -> None:
    loaded = load_config(edited("{schema: true}", f"{{schema: true, hook: {written}}}"))
    assert config_of(loaded).channels["room"].messages["say"].hook == hook


@pytest.mark.parametrize(
    ("written", "secrets"),
    [
        ('"${CHANNELD_JWT_SECRET}"', [("a secret of more than thirty-two bytes", False)]),
        (
            "written-here-and-long-enough-for-hmac",
            [("written-here-and-long-enough-for-hmac", True)],
        ),
        ("{file: key}", [("from a file that holds thirty-two bytes", False)]),
        (
            '["${CHANNELD_JWT_SECRET}", {file: key}]',
            [
                ("a secret of more than thirty-two bytes", False),
                ("from a file that holds thirty-two bytes", False),
            ],
        ),
    ],
)
def test_forms_of_a_secret(
    load_config: Load, written: str, secrets: list[tuple[str, bool]]
) -> None:
    loaded = load_config(
        edited('"${CHANNELD_JWT_SECRET}"', written),
        files={"conf/key": "from a file that holds thirty-two bytes\n"},
    )
    auth = config_of(loaded).auth["session"]
    assert isinstance(auth, JwtAuth)
    assert auth.secrets == tuple(Secret(text=text, inline=inline) for text, inline in secrets)


PEM = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEy3rFxNWuHcaYeYJltWcihmVt4cfX
9EUvNBbUSWpCXsCAsajJuK7oYGhcOHBMOr6rv9lBDA/O6xKqnSrjcqfHIA==
-----END PUBLIC KEY-----
"""


def test_forms_of_keys(load_config: Load) -> None:
    text = edited(
        'HS256], secret: "${CHANNELD_JWT_SECRET}"', "ES256], public_key: {file: k.pem}"
    ).replace(
        "channels:",
        "  other: {type: jwt, algorithms: [ES256], audience: [a, b], jwks: 'https://a.example/k'}\n"
        "channels:",
    )
    auth = config_of(load_config(text, files={"conf/k.pem": PEM})).auth
    assert isinstance(auth["session"], JwtAuth)
    assert auth["session"].public_key == PEM
    assert isinstance(auth["other"], JwtAuth)
    assert auth["other"].jwks == Jwks(url="https://a.example/k")
    assert auth["other"].audience == ("a", "b")


def test_tokens_here_and_in_a_file_are_the_same(load_config: Load) -> None:
    tokens = '[{token: "${SENSOR_TOKEN}", user: a}, {token: "sha256:' + "Ab" * 32 + '", user: b}]'
    session = re.search("session: .*", BASE)
    assert session is not None
    here = edited(session[0], f"session: {{type: tokens, tokens: {tokens}}}")
    there = edited(session[0], "session: {type: tokens, tokens: {file: t.yaml}}")
    document = tokens.replace("${SENSOR_TOKEN}", "a-token-nobody-can-guess")
    ours = config_of(load_config(here)).auth["session"]
    assert isinstance(ours, TokensAuth)
    assert [entry.sha256 for entry in ours.tokens] == [None, "ab" * 32]
    loaded = load_config(there, files={"conf/t.yaml": document})
    assert config_of(loaded).auth["session"] == ours


def test_mistakes_in_a_file_of_tokens_are_found_there(load_config: Load) -> None:
    session = re.search("session: .*", BASE)
    assert session is not None
    text = edited(session[0], "session: {type: tokens, tokens: {file: t.yaml}}")
    loaded = load_config(text, files={"conf/t.yaml": "- {token: hunter2, usr: a}\n"})
    assert [(d.code, d.place.file) for d in errors_of(loaded)] == [("CH103", "conf/t.yaml")]
    assert loaded.sources is not None
    assert "hunter2" not in str(loaded.sources.text("conf/t.yaml"))
    assert "hunter2" not in repr([d.message + d.help for d in loaded.report])


@pytest.mark.parametrize("missing_is_error", [False, True])
def test_a_missing_file_of_secrets(load_config: Load, missing_is_error: bool) -> None:
    text = edited('"${CHANNELD_JWT_SECRET}"', "{file: gone}")
    loaded = load_config(text, missing_is_error=missing_is_error)
    severity = Severity.ERROR if missing_is_error else Severity.WARNING
    assert [(d.code, d.severity) for d in loaded.report if d.code != "CH701"] == [
        ("CH124", severity)
    ]


@pytest.mark.parametrize(
    ("missing_is_error", "severity"), [(True, Severity.ERROR), (False, Severity.WARNING)]
)
def test_a_certificate_that_is_missing_here(
    load_config: Load, missing_is_error: bool, severity: Severity
) -> None:
    text = BASE.replace("server: {}", "server: {tls: {certificate: cert.pem, key: key.pem}}")
    files = {"conf/cert.pem": "a certificate"}
    loaded = load_config(text, files=files, missing_is_error=missing_is_error)
    (finding,) = (one for one in loaded.report if one.code == "CH124")
    assert finding.severity is severity
    assert "`conf/key.pem` cannot be used" in finding.message


@pytest.mark.parametrize(
    ("files", "codes"),
    [({}, ["CH124"]), ({"conf/t.yaml": "["}, ["CH001"]), ({"conf/t.yaml": "{}"}, ["CH105"])],
)
def test_a_file_of_tokens_that_is_none(
    load_config: Load, files: dict[str, str], codes: list[str]
) -> None:
    session = re.search("session: .*", BASE)
    assert session is not None
    text = edited(session[0], "session: {type: tokens, tokens: {file: t.yaml}}")
    loaded = load_config(text, files=files)
    assert [d.code for d in loaded.report if d.code != "CH701"] == codes
    assert loaded.config is not None
    assert "session" in loaded.config.auth


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * (1024 * 1024 + 1)])
def test_a_file_that_is_no_text_of_a_sane_size(load_config: Load, content: bytes) -> None:
    text = edited('"${CHANNELD_JWT_SECRET}"', "{file: key}")
    assert [d.code for d in errors_of(load_config(text, files={"conf/key": content}))] == ["CH124"]


def test_broker_api_webhooks_and_diff_are_in_the_model(load_config: Load) -> None:
    text = BASE.replace(
        "server: {}",
        """\
broker: {redis: {url: redis://localhost, prefix: chat}}
api: {bind: 127.0.0.1:4001, keys: "${CHANNELD_JWT_SECRET}"}
webhooks: [{url: https://a.example/, secret: "${SENSOR_TOKEN}", events: [joined], batch: 1s}]
diff: {accept: [{code: D309, reason: agreed with everybody}]}""",
    )
    config = load_config(text).config
    assert config is not None
    assert config.broker == RedisBroker(urls=("redis://localhost",), prefix="chat")
    assert config.api is not None
    assert [secret.inline for secret in config.api.keys] == [False]
    assert config.webhooks[0].batch == 1.0
    assert config.diff.accept[0].code == "D309"


def test_x_keys_are_ignored_everywhere(load_config: Load) -> None:
    text = BASE.replace("server: {}", "server: {x-note: 1}\nx-top: {a: b}")
    text = text.replace("channels:\n", "channels:\n  x-template: &t {path: 5}\n")
    text = text.replace("{schema: true}", "{schema: true, x-why: [1]}")
    assert list(config_of(load_config(text)).channels) == ["room"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("channeld: 1\n", "", ("CH101", 1, "write `channeld: 1` on the first line")),
        ("channeld: 1", 'channeld: "1"', ("CH102", 1, "write `channeld: 1`")),
        ("server: {}", "serve: {}", ("CH103", 2, "did you mean `server`?")),
        ("server: {}", "server: {port: 4000}", ("CH105", 2, "write `bind: 127.0.0.1:4000`")),
        (
            "server: {}",
            "server: {history: {}}",
            (
                "CH103",
                2,
                "`history` belongs under `channels.NAME`",
            ),
        ),
        (
            "server: {}",
            "server: {zzz: 1}",
            ("CH103", 2, "remove it, or write `x-` before its name"),
        ),
        ("    path: /room\n", "", ("CH104", 6, "add `path: /chat`")),
        ("{type: jwt,", "{", ("CH104", 4, "add `type: jwt`")),
        ("type: jwt", "type: jtw", ("CH106", 4, "did you mean `jwt`? It takes `jwt`, `tokens` or `hook`")),
        ("type: jwt", "type: [jwt]", ("CH106", 4, "write `jwt`, `tokens` or `hook`")),
        (
            "server: {}",
            "server: []",
            ("CH105", 2, "write, for example, `server: {bind: 127.0.0.1:4000}`"),
        ),
        ("server: {}", 'server: {workers: "1"}', ("CH105", 2, "remove the quotes")),
        ("server: {}", "server: {workers: 1.0}", ("CH105", 2, "write `1`")),
        ("rooms: lobby", "rooms: 5", ("CH105", 9, "put it in quotes")),
        ("[HS256]", "HS256", ("CH105", 4, "write a list: `algorithms: [HS256]`")),
        (
            "server: {}",
            "server: {compression: 'on'}",
            ("CH105", 2, "write `true`, without quotes; `yes` and `on` are strings in YAML 1.2"),
        ),
        (
            "server: {}",
            "server: {allowed_origins: https://a.example}",
            ("CH106", 2, "write `same-origin`, `any` or a list"),
        ),
        ("server: {}", "server: {drain: 10}", ("CH107", 2, "write `10s`")),
        (
            "server: {}",
            "server: {drain: [10s]}",
            ("CH105", 2, "write, for example, `drain: {over: 10s, delay: 5s}`"),
        ),
        (
            "server: {}",
            "server: {limits: {outbox: 1 MB}}",
            ("CH108", 2, "write `1MiB`"),
        ),
        ("{schema: true}", "{schema: true, rate: 10}", ("CH109", 11, "write `10/s`")),
        (
            "{schema: true}",
            "{schema: true, rate: {limit: often}}",
            ("CH109", 11, "write 10/s, 100/m or 1000/h"),
        ),
        (
            "server: {}",
            "server:",
            (
                "CH110",
                2,
                "indent what belongs under it, add a value such as `server: {bind: 127.0.0.1:4000}`, or remove it",
            ),
        ),
        ("say:", '"say it":', ("CH118", 11, "a name is 1 to 128 letters, digits, `_`, `.`, `:`, `/` or `-`")),
        ("server: {}", "server: {bind: 4000}", ("CH119", 2, "write `127.0.0.1:4000`")),
        (
            "server: {}",
            "server: {trusted_proxies: [10.0.0.300]}",
            ("CH119", 2, "write an address such as `127.0.0.1`, or `10.0.0.0/8`"),
        ),
        ("{schema: true}", "{schema: true, hook: chat.hooks.f}", ("CH120", 11, "write `chat.hooks:f`")),
        ("{schema: true}", "{schema: true, hook: 'chat/hooks.py::f()'}", ("CH120", 11, "write `chat.hooks:f`")),
        ("{schema: true}", "{schema: true, hook: a-b}", ("CH120", 11, "write `module:function`")),
        (
            "{schema: true}",
            "{schema: true, hook: app/say}",
            ("CH120", 11, "write `app:say`, or `{backend: app, path: /say}` for one over HTTP"),
        ),
        (
            "{schema: true}",
            "{schema: true, hook: /say}",
            ("CH120", 11, "write `module:function`, or `{backend: NAME, path: /say}` for one over HTTP"),
        ),
        ("audience: chat", "audience: []", ("CH121", 4, "add at least one entry, or remove it")),
        ("[HS256]", "[]", ("CH121", 4, "add at least one entry")),
        ("server: {}", "server: {connection_age: {max: 1h, jitter: 20}}", ("CH120", 2, "write `20%`")),
        ("server: {}", "server: {connection_age: {max: 1h, jitter: 0.2}}", ("CH120", 2, "write `20%`")),
        (
            "server: {}",
            "server: {connection_age: {max: 1h, jitter: 200}}",
            ("CH120", 2, "write a share such as `20%`"),
        ),
        ("say:", '"room:*":', ("CH118", 11, "a name is 1 to 128 letters, digits, `_`, `.`, `:`, `/` or `-`")),
        (
            "{schema: true}",
            "{schema: true, hook: {call: 'a:b', concurrency: 9}}",
            ("CH103", 11, "`concurrency` belongs under `backends.NAME`"),
        ),
        (
            "rooms: lobby",
            "hooks: {close: {call: 'a:b', max: 9}}",
            ("CH103", 9, "`max` belongs under `channels.room.rooms.subscribe`"),
        ),
        (
            "audience: chat",
            "audience: chat, token_from: [headr]",
            ("CH106", 4, "did you mean `header`?"),
        ),
        (
            "audience: chat",
            "audience: chat, token_from: [cookie]",
            ("CH106", 4, "write `cookie:` and the cookie's name"),
        ),
        ("server: {}", "server: {drain: 1700000000000}", ("CH107", 2, "write 250ms, 10s, 5m, 1h or 7d")),
        ("server: {}", "server: {drain: -5s}", ("CH601", 2, "write a value in that range")),
        ("server: {}", "server: {limits: {connections: 0}}", ("CH601", 2, "write a value in that range")),
        ("{schema: true}", "{schema: true, rate: 0/s}", ("CH601", 11, "write a value in that range")),
        ("rooms: lobby", "history: {size: 5}", ("CH605", 9, "add `ttl: 1h`")),
    ],
)  # fmt: skip
def test_one_mistake_one_finding(
    load_config: Load, old: str, new: str, expected: tuple[str, int, str]
) -> None:
    found = errors_of(load_config(edited(old, new)))
    assert [(d.code, d.place.line, d.help) for d in found] == [expected]


def test_unknown_keys_point_at_the_key_and_wrong_values_at_the_value(load_config: Load) -> None:
    key, value = errors_of(load_config(edited("server: {}", "server: {binds: a, drain: 1}")))
    assert (key.code, key.place.column, key.place.end_column) == ("CH103", 10, 15)
    assert (value.code, value.place.column, value.place.end_column) == ("CH107", 27, 28)


def test_a_broken_channel_is_left_out_and_the_rest_is_checked(load_config: Load) -> None:
    text = BASE + "  good: {path: /good, auth: none, events: {}}\n"
    loaded = load_config(text.replace("path: /room", "path: [room]"))
    assert [d.code for d in errors_of(loaded)] == ["CH105"]
    assert loaded.config is not None
    assert list(loaded.config.channels) == ["good"]


def test_a_broken_key_falls_back_to_its_default(load_config: Load) -> None:
    loaded = load_config(edited("server: {}", "server: {drain: soon, workers: 1}"))
    assert loaded.config is not None
    assert loaded.config.server.drain.over == 10.0


def test_a_newer_version_is_the_only_finding(load_config: Load) -> None:
    loaded = load_config(edited("channeld: 1\nserver", "channeld: 2\nsrv"))
    assert [d.code for d in loaded.report] == ["CH102"]
    assert loaded.config is None


@pytest.mark.parametrize("text", ["", "# nothing", "null"])
def test_an_empty_file_is_one_finding(load_config: Load, text: str) -> None:
    loaded = load_config(text)
    assert len(loaded.report) == 1
    assert loaded.config is None


@pytest.mark.parametrize(
    ("old", "new", "codes"),
    [
        ("type: jwt", "type: ", ["CH110"]),
        ("type: jwt", "type: '${T}'", ["CH113"]),
        ("auth: session", "auth: session\n    description: [a]", ["CH105"]),
        ("audience: chat", "audience: chat, user: 5", ["CH105"]),
    ],
)
def test_what_breaks_an_authenticator_has_no_consequences(
    load_config: Load, old: str, new: str, codes: list[str]
) -> None:
    loaded = load_config(edited(old, new))
    assert [d.code for d in loaded.report if d.code != "CH701"] == codes


@pytest.mark.parametrize("text", ["[]", "text", "5"])
def test_a_file_that_is_no_mapping(load_config: Load, text: str) -> None:
    loaded = load_config(text)
    assert [d.code for d in loaded.report] == ["CH105"]
    assert loaded.config is None


def test_values_from_the_environment_are_not_quoted(load_config: Load) -> None:
    text = edited("server: {}", "server: {drain: '${D}', workers: '${W}', log: 1}")
    loaded = load_config(text, environ={"D": "hunter2", "W": "hunter2"})
    assert "hunter2" not in repr([d.message + d.help for d in loaded.report])


def test_findings_do_not_grow_with_the_value(load_config: Load) -> None:
    loaded = load_config(edited("server: {}", f"server: {{drain: {'x' * 9999}}}"))
    assert len(errors_of(loaded)[0].message) < 100


# A generator of configurations from the language's own schema: what it says is legal must structure.

SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "rate_text": st.sampled_from(["10/s", "100/m", "7/h"]),
    "address": st.sampled_from(["127.0.0.1:4000", "[::1]:0", "unix:a.sock", ":1"]),
    "listen": st.sampled_from(["systemd", "127.0.0.1:4000"]),
    "network": st.sampled_from(["127.0.0.1", "10.0.0.0/8", "::1"]),
    "call": st.sampled_from(["app:f", "chat.hooks:g"]),
    "path": st.sampled_from(["present", "a/../present"]),
    "token_source": st.sampled_from(["query", "query:t", "header", "cookie:sid", "subprotocol"]),
    "private": st.sampled_from(["redis://localhost:6379/0"]),
}
PATTERNS = {
    "^(/.*)?$": "/channels/room",
    "^D[0-9]{3}$": "D309",
    "^[A-Za-z0-9._-]{1,64}$": "ocpp1.6",
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}$": "2027-01-31",
    "^https?://[^/]+": "https://a.example/x",
    "^https?://[^/]+|^\\$\\{": "https://a.example/x",
    "^[A-Za-z0-9_.:-]{1,64}$|^\\$\\{": "chat",
    "^(100|[0-9]{1,2})%$|^\\$\\{": "20%",
    "^none$|^/[!-~]*$|^\\$\\{": "/health",
    "^(https?://|\\$\\{)": "https://a.example/x",
    "^/[!-~]*$": "/say",
    "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$": "cookie",
}
NAMES = st.sampled_from(["alpha", "beta", "gamma_3"])


def generated(rule: Rule) -> st.SearchStrategy[Any]:
    kind = rule.get("x-kind", "")
    if kind in {"duration", "size"}:
        unit = "s" if kind == "duration" else "KiB"
        return st.sampled_from([rule.get("x-minimum") or "64KiB", f"30{unit}"])
    if kind in SCALARS:
        return SCALARS[kind]
    if "const" in rule or "enum" in rule:
        return st.sampled_from(rule.get("enum", [rule.get("const")]))
    if "anyOf" in rule:
        return st.one_of([generated(branch) for branch in rule["anyOf"]])
    if "pattern" in rule:
        return st.just(PATTERNS[rule["pattern"]])
    return by_type(rule)


def by_type(rule: Rule) -> st.SearchStrategy[Any]:
    match rule.get("type"):
        case "boolean":
            return st.booleans()
        case "integer" | "number":
            return st.integers(rule.get("minimum", 1), min(rule.get("maximum", 99), 500))
        case "string":
            return st.sampled_from(["some text of more than sixteen characters", "x" * 40])
        case "array":
            return st.lists(
                generated(rule["items"]),
                min_size=rule.get("minItems", 0),
                max_size=2,
                unique_by=repr if rule.get("uniqueItems") else None,
            )
        case "object":
            return mapping(rule)
        case _:
            return st.sampled_from([None, 1, "a", {"b": [2]}])


def mapping(rule: Rule) -> st.SearchStrategy[Any]:
    if "properties" in rule:
        required = rule.get("required", ())
        fixed = {k: generated(v) for k, v in rule["properties"].items() if k in required}
        optional = {k: generated(v) for k, v in rule["properties"].items() if k not in required}
        drawn = st.fixed_dictionaries(fixed, optional=optional)
        least = rule.get("minProperties", 0)
        choice = [one["required"][0] for one in rule.get("oneOf", ())]
        # What editors are not told, since the schema language of the table has no words for it.
        asked = {"allow", "hook"} if rule.get("x-kind") == "subscribe" else set[str]()
        return drawn.filter(
            lambda value: (
                len(value) >= least
                and (not choice or sum(key in value for key in choice) == 1)
                and (not asked or bool(value.keys() & asked))
            )
        )
    more = rule.get("additionalProperties")
    if isinstance(more, dict):
        least = rule.get("minProperties", 0)
        return st.dictionaries(NAMES, generated(more), min_size=least, max_size=2)
    return st.dictionaries(NAMES, st.integers() | st.none(), max_size=2)


WHOLE_LANGUAGE = generated(LANGUAGE)


def structured(value: dict[str, Any]) -> tuple[Config | None, Report]:
    held = {"channels.yaml": b"channeld: 1\n", "present": b"- {token: 0123456789abcdef, user: a}\n"}

    def read(file: str) -> bytes:
        if file not in held:
            raise FileNotFoundError(2, "No such file or directory", file)
        return held[file]

    report = Report()
    sources = read_sources(
        "channels.yaml", FileSystem(read, lambda _: []), {}, report, missing_is_error=False
    )
    sources.value = value
    return structure(sources, report), report


@settings(max_examples=60, deadline=None)
@given(WHOLE_LANGUAGE)
def test_what_the_language_allows_is_structured(value: dict[str, Any]) -> None:
    jsonschema.Draft7Validator(json.loads(schema_text())).validate(value)
    config, report = structured(value)
    assert [(d.code, d.message) for d in report] == []
    assert config is not None
    assert set(config.channels) == set(value["channels"])


def spots(value: Any) -> list[tuple[Any, Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[Any, Any]] = []
    for key, child in pairs:
        found.append((value, key))
        if isinstance(child, dict | list):
            found += spots(child)
    return found


@settings(max_examples=80, deadline=None)
@given(WHOLE_LANGUAGE, st.data())
def test_a_wrong_value_anywhere_is_reported_or_harmless(
    value: dict[str, Any], data: st.DataObject
) -> None:
    value = json.loads(json.dumps(value))
    holder, key = data.draw(st.sampled_from(spots(value)))
    holder[key] = data.draw(st.sampled_from([None, 5, -1, 0.5, "?", True, [], {}, [[]], {"q": 1}]))
    config, report = structured(value)
    assert config is not None or report.errors


@pytest.mark.parametrize("written", ['"${N:-2}"', "'${N:-2}'", "${N:-2}"])
def test_a_variable_is_a_number_where_one_is_wanted_also_in_quotes(
    load_config: Load, written: str
) -> None:
    config = load_config(BASE.replace("server: {}", f"server:\n  workers: {written}")).config
    assert config is not None
    assert config.server.workers == 2


@pytest.mark.parametrize(
    ("pointer", "good", "bad"),
    [
        (("channels", "c", "rooms"), {"subscribe": {"allow": ["a"]}}, {"subscribe": {"max": 5}}),
        (("channels", "c", "rooms"), {"subscribe": {"hook": "m:f", "max": 5}}, {"x-note": 1}),
        (("channels", "c", "rooms", "subscribe"), {"allow": "a", "x-note": 1}, {"x-note": 1}),
        (("server", "bind"), ["systemd", ":1", "[::1]:4000", "unix:a b"], "4000"),
        (("server", "bind"), "${BIND}", ["127.0.0.1"]),
        (("api", "bind"), "unix:x", "systemd"),
        (("server", "trusted_proxies"), ["10.0.0.0/8", "::1"], ["localhost"]),
        (("server", "limits", "message_size"), 64, 63),
        (("server", "limits", "outbox"), "1GiB", 2**31),
    ],
)
def test_editors_and_the_checker_agree(
    load_config: Load, pointer: tuple[str, ...], good: Any, bad: Any
) -> None:
    key = "0123456789012345678901234567890123456789"
    for value, is_good in ((good, True), (bad, False)):
        document: dict[str, Any] = {
            "channeld": 1,
            "server": {"limits": {}},
            "api": {"keys": [key]},
            "channels": {"c": {"path": "/c", "auth": "none", "rooms": {"join": "r"}, "events": {}}},
        }
        *above, last = pointer
        held = document
        for step in above:
            held = held[step]
        held[last] = value
        editor = jsonschema.Draft7Validator(json.loads(schema_text())).is_valid(document)
        report = load_config(json.dumps(document), environ={"BIND": "127.0.0.1:1"}).report
        assert (editor, not list(report.errors)) == (is_good, is_good)
