import pytest

from tests.diff.kit import BASE, codes, diff, instead

SAY = "schema: {type: object, required: [text], properties: {text: {type: string}}}"


def saying(lines: str, text: str = BASE) -> str:
    return instead("        route: room", lines, text)


def test_a_message_of_two_that_are_alike_is_not_taken_for_renamed() -> None:
    twin = f"      shout: {{{SAY}, route: room}}\n    events:"
    old = instead("    events:", twin)
    assert codes(old, BASE) == [("D201", "breaking")]


def test_a_message_that_becomes_an_event_changes_its_direction() -> None:
    old = instead("    events:", "      tick: {schema: true, route: sender}\n    events:")
    new = BASE + "      tick: {schema: true}\n"
    assert codes(old, new) == [("D204", "breaking")]
    assert ("D204", "breaking") in codes(new, old)


@pytest.mark.parametrize("draft", ["draft-04/schema#", "draft-07/schema#", "draft/2019-09/schema"])
@pytest.mark.parametrize(
    "body",
    [
        "$ref: '#/definitions/say'",
        "allOf: [{$ref: '#/definitions/say'}]",
        "properties: {x: {$ref: '#/definitions/say'}}",
    ],
)
def test_a_change_in_the_definitions_of_an_older_draft_is_seen(draft: str, body: str) -> None:
    start = f"schema: {{$schema: 'http://json-schema.org/{draft}', {body}, definitions: {{say: "
    old = instead(SAY, f"{start}{{type: object}}}}}}")
    new = instead(SAY, f"{start}{{type: object, required: [text]}}}}}}")
    assert codes(old, old) == []
    assert codes(old, new) == [("D301", "breaking")]


MARKED = "{type: object, properties: {user: {$ref: '#/$defs/user'}, keys: {type: array, items: {type: string, x-sensitive: true}}}, $defs: {user: {type: object, properties: {pin: {type: string, x-sensitive: true}, boss: {$ref: '#/$defs/user'}}}}}"


@pytest.mark.parametrize(
    ("was", "now", "names"),
    [
        (MARKED, MARKED, []),
        ("{type: object}", MARKED, []),
        (MARKED, MARKED.replace("pin: {type: string, x-sensitive: true}", "pin: {type: string}"), ["pin"]),
        (MARKED, MARKED.replace(", x-sensitive: true", ""), ["keys", "pin"]),
        (MARKED, MARKED.replace("user: {$ref: '#/$defs/user'}", "user: {type: object, x-sensitive: true}"), []),
        (MARKED, "{type: object}", []),
    ],
)  # fmt: skip
def test_values_that_are_no_longer_hidden(was: str, now: str, names: list[str]) -> None:
    event = "      secret: {schema: %s}\n"
    found = [one for one in diff(BASE + event % was, BASE + event % now) if one.code == "D705"]
    assert sorted(one.message.split("`")[1] for one in found) == names
    assert all(one.security and one.level == "safe" for one in found)


def test_an_event_that_describes_a_message_is_no_new_type() -> None:
    new = BASE + "      say: {schema: {type: object}}\n"
    assert codes(BASE, new) == []
    assert codes(new, BASE) == []


def test_what_an_event_schema_says_is_what_receivers_get() -> None:
    event = "      say: {schema: {type: object, properties: {text: {type: string}}}}\n"
    new = instead(
        "{text: {type: string}}}\n        route",
        "{text: {type: [string, integer]}}}\n        route",
    )
    assert codes(BASE + event, new + event) == [("D306", "safe")]
    assert codes(BASE, new) == [("D306", "breaking")]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("        route: room", "        route: [room]", []),
        (
            "        route: room",
            "        route: {to: room, except_sender: true}",
            [("D601", "dangerous")],
        ),
        (
            "        route: room",
            "        hook: chat.hooks:say",
            [("D601", "dangerous"), ("D701", "dangerous")],
        ),
        (
            "        route: room\n        emit: {text: '{message.text}'}",
            "        route: room",
            [],
        ),
        (
            "        route: room",
            "        route: room\n        emit: {body: '{message.text}'}",
            [("D603", "breaking"), ("D604", "safe")],
        ),
        (
            "        route: room\n        stamp: {text: '{connection.id}'}",
            "        route: room",
            [("D605", "dangerous")],
        ),
        (
            "        route: room\n        deprecated: true",
            "        route: room",
            [("D207", "safe")],
        ),
    ],
)
def test_routes_and_what_they_deliver(old: str, new: str, expected: list[tuple[str, str]]) -> None:
    assert sorted(codes(saying(old), saying(new))) == expected


def test_a_message_that_is_no_longer_kept() -> None:
    base = instead("auth: none", "auth: none\n    history: {size: 9, ttl: 1h}")
    new = saying("        route: room\n        history: false", base)
    assert codes(base, new) == [("D504", "breaking")]
    assert codes(new, base) == [("D508", "safe")]


def test_a_deprecated_message_that_goes_is_said_to_have_been() -> None:
    old = instead(
        "    events:", "      x: {schema: true, route: sender, deprecated: true}\n    events:"
    )
    (change,) = diff(old, BASE)
    assert change.label == "it was marked as deprecated"
    assert change.affects == ("clients of `room` that send `x`",)


def test_an_event_that_may_be_undeclared_is_nothing_new() -> None:
    open_ = BASE.partition("    events:")[0]
    assert codes(open_, BASE) == [("D205", "safe")]
    assert codes(BASE, open_) == [("D206", "dangerous")]
