from channeld.lsp.rules import described, keys_of, rules_at, takes_mapping, words_of
from channeld.protocol.frames import Json


def keys(pointer: str, value: Json = None, *, scenarios: bool = False) -> list[str]:
    rules = rules_at(pointer, value, scenarios=scenarios)
    return sorted(keys_of(rules))


def test_rules_follow_names_and_lists() -> None:
    assert "path" in keys("/channels/any")
    assert "limit" in keys("/channels/a/messages/b/rate")
    assert keys("/webhooks/0") == ["batch", "channels", "events", "secret", "url"]
    assert keys("/nowhere/else") == []


def test_of_several_mappings_the_tag_chooses() -> None:
    value: Json = {"auth": {"s": {"type": "tokens"}}}
    assert "tokens" in keys("/auth/s", value)
    assert "secret" not in keys("/auth/s", value)
    assert {"secret", "tokens", "hook"} <= set(keys("/auth/s", {"auth": {"s": {}}}))


def test_of_several_mappings_the_keys_choose() -> None:
    value: Json = {"channels": {"c": {"messages": {"m": {"hook": {"backend": "app"}}}}}}
    assert keys("/channels/c/messages/m/hook", value) == ["backend", "path"]


def test_words_are_all_that_a_rule_takes_or_examples() -> None:
    [rule] = rules_at("/log/level", "info", scenarios=False)
    assert words_of(rule) == ["debug", "info", "warning", "error"]
    assert words_of({"type": "boolean"}) == ["true", "false"]
    assert words_of({"const": 1}) == ["1"]
    assert words_of({"examples": ["10s", {"a": 1}], "default": "5s"}) == ["10s", "5s"]


def test_a_rule_is_told_with_its_default_and_examples() -> None:
    [rule] = rules_at("/server/ping/interval", "25s", scenarios=False)
    text = described(rule)
    assert text.startswith("**Interval**\n\nIdle time after which a ping is sent.")
    assert text.endswith("Takes a duration such as `10s`. Default: `25s`.")
    assert described({"examples": [{"a": "{x}"}, ["b"], True]}) == (
        'For example `{a: "{x}"}`, `[b]`, `true`.'
    )


def test_scenario_files_have_rules_of_their_own() -> None:
    assert keys("", scenarios=True) == ["config", "env", "hooks", "ignore", "scenarios"]
    assert "steps" in keys("/scenarios/0", scenarios=True)
    assert "path" in keys("/scenarios/0/clients/ann", scenarios=True)
    assert "expect" in keys("/scenarios/0/steps/0/ann", {}, scenarios=True)
    assert "$capture" in keys("/scenarios/0/steps/0/ann/expect/x", scenarios=True)


def test_mappings_are_known() -> None:
    assert takes_mapping({"properties": {}})
    assert takes_mapping({"type": "object"})
    assert not takes_mapping({"type": "string"})
