"""What a reading makes of a value; which of them lead where is in the cases of `newcomers/`."""

from collections.abc import Callable

import pytest

from channeld.config.language import LANGUAGE, Rule
from channeld.config.load import Loaded
from channeld.config.meant import MEANT, entry
from channeld.protocol.frames import Json


def named_readings(rule: Rule) -> set[str]:
    named = {rule["x-meant"]} if "x-meant" in rule else set()
    below = [*rule.get("properties", {}).values(), *rule.get("anyOf", ())]
    below += [
        rule[key] for key in ("items", "additionalProperties") if isinstance(rule.get(key), dict)
    ]
    return named.union(*map(named_readings, below))


def test_the_language_names_each_reading() -> None:
    assert named_readings(LANGUAGE) == set(MEANT)


@pytest.mark.parametrize(
    ("reading", "value"),
    [
        ("auth", {"session": {"type": "jwt"}}),
        ("broker", "memory"),
        ("broker", {"redis": {"url": "redis://a:1"}}),
        ("channel_auth", {"use": "session", "optional": True}),
        ("channel_auth", ["a", "b"]),
        ("message", {"schema": {"type": "object"}, "route": "room"}),
        ("message", {"schema": True, "required": "typo"}),
        ("presence", True),
        ("presence", {"info": {"name": "{claims.name}"}}),
        ("rate", {"limit": "10/s", "burst": 5}),
        ("require", [{"role": "admin"}]),
        ("rooms", {"join": "a"}),
        ("rooms", {}),
        ("route", {"to": "room"}),
        ("route", ["room", "sender"]),
        ("route", "rom"),
        ("schema", "schemas/say.json"),
        ("secret", {"file": "secret.txt"}),
        ("server", {"bind": "127.0.0.1:4000"}),
        ("tokens", {"file": "tokens.yaml"}),
        ("webhooks", [{"url": "https://a"}]),
    ],
)
def test_what_may_be_right_is_left_to_the_checker(reading: str, value: Json) -> None:
    assert MEANT[reading](value, "key") is None


@pytest.mark.parametrize("reading", MEANT)
@pytest.mark.parametrize(
    "value", [None, True, 0, 1.5, "", "a", [], [[]], {}, {"a": {}}, {"": None}]
)
def test_no_value_makes_a_reading_raise(reading: str, value: Json) -> None:
    meant = MEANT[reading](value, "key")
    assert meant is None or (meant.message and meant.help)


@pytest.mark.parametrize(
    "reading", ["auth", "channel_auth", "secret", "tokens", "broker", "webhooks"]
)
@pytest.mark.parametrize(
    "value",
    [
        "hunter2://hunter2",
        [{"secret": "hunter2"}],
        {"type": "jwt", "secret": "hunter2"},
        {"secret": "hunter2"},
        {"env": "hunter2"},
        {"redis": "redis://ann:hunter2@host"},
        {"url": "redis://ann:hunter2@host", "type": "redis"},
    ],
)
def test_no_help_repeats_a_secret(reading: str, value: Json) -> None:
    meant = MEANT[reading](value, "secret")
    assert meant is None or "hunter2" not in meant.message + meant.help


@pytest.mark.parametrize(
    "value",
    [{"limit": 10**400}, {"limit": 5, "per": 10**400}, {"limit": -1}, {"limit": True, "per": -0.0}],
)
def test_a_rate_of_any_size_is_read(value: Json) -> None:
    found = MEANT["rate"](value, "rate")
    assert found is None or "/s" in found.help


def test_an_entry_is_as_the_file_has_it() -> None:
    assert entry("rooms", "{params.id}") == '`rooms: "{params.id}"`'
    assert entry("auth", "none") == "`auth: none`"
    assert entry("a", ["x" * 200]).endswith("…`")


def test_the_checker_goes_on_with_what_was_meant(load_config: Callable[..., Loaded]) -> None:
    loaded = load_config(
        "channeld: 1\nlog: debug\nchannels: {a: {path: /a, auth: none, events: {}}}\n"
    )
    assert loaded.config is not None
    assert loaded.config.log.level == "debug"
    assert [found.help for found in loaded.report.errors] == ["write `log: {level: debug}`"]
