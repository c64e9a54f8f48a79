import pytest

from channeld.config import language
from channeld.config.language import LANGUAGE, Rule
from channeld.protocol.frames import Json


@pytest.mark.parametrize(
    ("pointer", "name"),
    [
        ("", "the file"),
        ("/server", "`server`"),
        ("/server/limits/outbox", "`server.limits.outbox`"),
        ("/channels/room", "channel `room`"),
        ("/channels/room/history/size", "`history.size` of channel `room`"),
        ("/channels/room/messages", "`messages` of channel `room`"),
        ("/channels/room/messages/say", "message `say`"),
        ("/channels/room/messages/say/route/0/to", "`route.0.to` of message `say`"),
        ("/channels/room/events/paid/schema", "`schema` of event `paid`"),
        ("/channels/a~1b/params/x", "param `x`"),
        ("/auth/session/secret", "`secret` of authenticator `session`"),
        ("/schemas/text", "schema `text`"),
        ("/webhooks/1", "entry 2 of `webhooks`"),
        ("/channels/room/rooms/0", "entry 1 of `rooms` of channel `room`"),
    ],
)
def test_names_of_places(pointer: str, name: str) -> None:
    assert language.names_place(pointer) == name


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (["server"], "a mapping"),
        (["server", "drain"], "a duration such as `10s` or a mapping"),
        (["server", "compression"], "`true` or `false`"),
        (["server", "bind"], "an address such as `127.0.0.1:4000` or a list"),
        (["server", "allowed_origins"], "`same-origin`, `any` or a list"),
        (["log", "level"], "`debug`, `info`, `warning` or `error`"),
    ],
)
def test_what_a_key_takes(path: list[str], words: str) -> None:
    rule = LANGUAGE
    for key in path:
        rule = rule["properties"][key]
    assert language.wanted(rule) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        (True, "`true`"),
        (False, "`false`"),
        (0, "a number"),
        (1.5, "a number"),
        ("secret", "text"),
        ([], "a list"),
        ({}, "a mapping"),
    ],
)
def test_what_was_got_shows_no_value(value: Json, words: str) -> None:
    assert language.got(value) == words


def test_keys_are_known_where_they_are_legal() -> None:
    assert language.elsewhere("bind") == ("server", "api")
    assert language.elsewhere("channels") == ("", "webhooks")
    assert language.elsewhere("nothing") == ()


def keywords(rule: Rule) -> set[str]:
    found = set(rule)
    below = [*rule.get("properties", {}).values(), *rule.get("anyOf", ())]
    below += [rule[key] for key in ("items", "additionalProperties") if rule.get(key)]
    return found.union(*(keywords(child) for child in below))


def test_no_reference_is_left_in_the_language() -> None:
    assert {"properties", "anyOf", "x-kind"} <= keywords(LANGUAGE)
    assert keywords(LANGUAGE).isdisjoint({"$ref", "allOf", "definitions"})


def test_every_choice_of_words_says_that_it_is_text() -> None:
    def untyped(rule: Json, pointer: str) -> list[str]:
        if isinstance(rule, list):
            return [
                one
                for index, below in enumerate(rule)
                for one in untyped(below, f"{pointer}/{index}")
            ]
        if not isinstance(rule, dict):
            return []
        here = [pointer] if "enum" in rule and rule.get("type") != "string" else []
        return here + [
            one for key, below in rule.items() for one in untyped(below, f"{pointer}/{key}")
        ]

    # Without a type, a list in its place would be taken for a list of the language.
    assert untyped(dict(LANGUAGE), "") == []
