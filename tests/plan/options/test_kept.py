import pytest

from channeld.config.model import Clears, Message
from channeld.plan.options.kept import (
    ClearsOption,
    ConflateOption,
    HistoryOption,
    KeyOption,
)
from channeld.plan.options.option import MessageOption
from tests.plan.options.kit import Compile, channel, codes

PLAIN = Message(schema=True)
LATEST = Message(schema=True, history="latest")


@pytest.mark.parametrize(
    ("option", "top", "expected"),
    [
        ("history: latest", "history: {size: 9, ttl: 1h}", []),
        ("history: latest", "", ["CH348"]),
        ("conflate: 1s", "", []),
        ("conflate: 1s", "history: {size: 9, ttl: 1h, replay: 5}", ["CH349"]),
        ("conflate: 1s, history: latest", "history: {size: 9, ttl: 1h, replay: 5}", []),
        ("conflate: 1s, history: false", "history: {size: 9, ttl: 1h, replay: 5}", []),
        ("key: x", "", ["CH349"]),
        ("key: x, conflate: 1s", "", []),
        ("key: x, rate: {limit: 1/s, over: latest}", "", []),
        ("clears: talk", "history: {size: 9, ttl: 1h}", ["CH350"]),
        ("clears: say, history: latest", "history: {size: 9, ttl: 1h}", []),
        ("clears: {on: leave}, history: latest", "history: {size: 9, ttl: 1h}", ["CH350"]),
        ("clears: {on: leave}, history: latest", "history: {size: 9, ttl: 1h}, presence: true", []),
        ("clears: {on: leave}", "history: {size: 9, ttl: 1h}, presence: true", ["CH350"]),
    ],
)
def test_what_can_not_be(compile_text: Compile, option: str, top: str, expected: list[str]) -> None:
    text = channel(option.replace(", ", "\n        ") if "{" not in option else spread(option))
    more = "".join(f"    {part}\n" for part in spread(top).split("\n        ") if part)
    assert codes(compile_text, text + more) == expected


def spread(options: str) -> str:
    """Options on lines of their own, apart at the commas outside of braces."""
    depth, found = 0, ""
    for character in options:
        depth += {"{": 1, "}": -1}.get(character, 0)
        found += "\n       " if character == "," and depth == 0 else character
    return found


@pytest.mark.parametrize(
    ("history", "expected"), [("", ["CH348"]), ("history: {size: 9, ttl: 1h}", [])]
)
def test_the_history_is_that_of_the_channel_whose_room_it_goes_to(
    compile_text: Compile, history: str, expected: list[str]
) -> None:
    there = "{to: room, channel: board, room: all, members_only: false}"
    text = channel("history: latest").replace("route: room", f"route: {there}")
    assert there in text
    board = f"  board:\n    path: /board\n    auth: none\n    rooms: all\n    {history}\n"
    assert codes(compile_text, text + board) == expected


@pytest.mark.parametrize(
    ("option", "was", "now", "count"),
    [
        (HistoryOption(), PLAIN, LATEST, 1),
        (HistoryOption(), PLAIN, Message(schema=True, history=False), 0),
        (KeyOption(), LATEST, Message(schema=True, history="latest", key="{user.id}"), 1),
        (ClearsOption(), PLAIN, Message(schema=True, clears=Clears(types=("a",))), 1),
        (ConflateOption(), PLAIN, Message(schema=True, conflate=1.0), 1),
        (ConflateOption(), Message(schema=True, conflate=1.0), PLAIN, 1),
    ],
)
def test_changes_are_dangerous(
    option: MessageOption, was: Message, now: Message, count: int
) -> None:
    found = [*option.differences("say", was, now)]
    assert [(each.code, each.level) for each in found] == [("D513", "dangerous")] * count


def test_each_is_shown_to_machines_and_people() -> None:
    full = Message(
        schema=True,
        history="latest",
        key="{user.id}",
        clears=Clears(types=("a", "b")),
        conflate=0.5,
    )
    shown = [
        (o.shown(full), o.words(full))
        for o in (HistoryOption(), KeyOption(), ClearsOption(), ConflateOption())
    ]
    assert shown == [
        ("latest", "The history keeps the newest frame of each key."),
        ("{user.id}", "Its key is `{user.id}`."),
        (["a", "b"], "It removes the kept frame of `a`, `b` with the same key."),
        (0.5, "At most one frame per key is delivered in 0.5 s, and always the last."),
    ]
    leaving = Message(schema=True, clears=Clears(on_leave=True))
    assert ClearsOption().shown(leaving) == {"on": "leave"}
    assert "leaves the room" in ClearsOption().words(leaving)
    assert HistoryOption().shown(Message(schema=True, history=False)) is False


def test_the_type_of_what_is_delivered() -> None:
    assert PLAIN.delivered_type("say") == "say"
    assert Message(schema=True, emit={"type": "said"}).delivered_type("say") == "said"


EVENTS = """    history: {size: 9, ttl: 1h}
    events:
      say: {schema: {additionalProperties: false}, %s}
      news: {schema: {required: [m], properties: {m: {type: string}}}, %s}
"""


@pytest.mark.parametrize(
    ("message", "say", "news", "expected"),
    [
        ("", "", "", []),
        ("", "history: latest", "", ["CH352"]),
        ("history: latest", "history: latest", "", []),
        ("", "", 'key: "{event.m}", history: latest', []),
        ("", "", "clears: nws, key: a", ["CH350"]),
        ("", "", "deprecated: {use: say}", []),
        ("", "", "deprecated: {use: talk}", ["CH345"]),
        ("", "", "key: a", ["CH349"]),
    ],
)
def test_events_take_the_same_options(
    compile_text: Compile, message: str, say: str, news: str, expected: list[str]
) -> None:
    text = channel(message) + EVENTS % (say, news)
    assert codes(compile_text, text.replace(", }", "}")) == expected


@pytest.mark.parametrize(
    ("delivered", "key", "expected"),
    [
        ('stamp: {who: "{user.id?}"}', "{event.who}", []),
        ('stamp: {who: "{connection.id}"}', "{event.who}", ["CH352"]),
        ('stamp: {who: "{user.id?}"}', "{event.what}", ["CH352"]),
        ('emit: {who: "{user.id?}", what: 1}', "{event.who}", []),
        ('emit: {who: "{now}", what: 1}', "{event.who}", ["CH352"]),
    ],
)
def test_the_key_of_an_event_may_name_what_the_message_delivers(
    compile_text: Compile, delivered: str, key: str, expected: list[str]
) -> None:
    options = 'history: latest, key: "{user.id?}", clears: {on: leave}'.replace(
        ", ", "\n        ", 2
    )
    event = "{type: object, required: [who, what], properties: {who: {type: string}, what: {type: integer}}}"
    text = (
        channel(f"{options}\n        {delivered}")
        + f"""    history: {{size: 9, ttl: 1h}}
    presence: true
    events:
      say: {{schema: {event}, history: latest, key: "{key}"}}
"""
    )
    assert [code for code in codes(compile_text, text) if code == "CH352"] == expected


@pytest.mark.parametrize("key", ["{message.m}", "{user.id}", "{now}", "{params.x}"])
def test_a_key_of_an_event_knows_the_event_alone(compile_text: Compile, key: str) -> None:
    text = channel("") + EVENTS % ("", f'key: "{key}", history: latest')
    assert "CH320" in compile_text(text.replace(", }", "}")).codes()
