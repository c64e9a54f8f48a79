from collections.abc import Callable
from typing import Any

import pytest

Compile = Callable[..., Any]


def config(delivery: str, *, route: str = "sender", channel: str = "", event: str = "") -> str:
    events = f"events: {{said: {{schema: {event}}}}}" if event else ""
    return f"""channeld: 1
channels:
  room:
    path: /rooms/{{room_id}}
    auth: none
    {channel}
    {events}
    messages:
      say:
        schema: {{type: object, additionalProperties: false, required: [text, n],
                 properties: {{text: {{type: string, maxLength: 9}}, n: {{type: integer}},
                              to: {{type: string, maxLength: 9}}}}}}
        route: {route}
        {delivery}
"""


EVENT = "{type: object, required: [text], additionalProperties: false, properties: {text: {type: string, maxLength: 9}}}"
JOIN = 'rooms: "{params.room_id}"'


def message(outcome: Any) -> Any:
    assert outcome.compiled.plan is not None, outcome.codes()
    return outcome.compiled.plan.channels["room"].messages["say"]


def test_emit_makes_the_whole_frame_type_first(
    compile_text: Compile, session: Callable[..., Any]
) -> None:
    text = config('emit: {text: "{message.text}", to: "{message.to?}", k: 1, type: said}')
    frame = message(compile_text(text)).emit(session(), {"type": "say", "text": "hi", "n": 1})
    assert list(frame.items()) == [("type", "said"), ("text", "hi"), ("k", 1)]


def test_the_type_is_the_message_s_by_default(
    compile_text: Compile, session: Callable[..., Any]
) -> None:
    emit = message(compile_text(config("emit: {k: 1}"))).emit
    assert emit(session(), {}) == {"type": "say", "k": 1}


def test_stamps_are_pairs(compile_text: Compile, session: Callable[..., Any]) -> None:
    stamps = message(compile_text(config('stamp: {n2: "{message.n}", at: "{now_ms}"}'))).stamps
    rendered = [(field, template(session(), {"n": 7})) for field, template in stamps]
    assert rendered == [("n2", 7), ("at", 1_700_000_000_042)]


@pytest.mark.parametrize(
    ("emit", "codes"),
    [
        ("{type: said, text: hi}", []),
        ('{type: said, text: "n={message.n}"}', ["CH316"]),
        ('{type: said, text: "{message.text}"}', []),
        ("{type: said}", ["CH316"]),
        ('{type: said, text: "{message.to?}"}', ["CH316"]),
        ('{type: said, text: "<{message.to?}>"}', ["CH316"]),
        ('{type: said, text: "{message.n}"}', ["CH316"]),
        ("{type: said, text: 1}", ["CH316"]),
        ("{type: said, text: [hi]}", ["CH316"]),
        ("{type: said, text: far-too-long-a-text}", ["CH316"]),
        ("{type: said, text: hi, more: 1}", ["CH316"]),
        ("{type: sayd, text: hi}", ["CH328"]),
        ("{type: say, text: hi}", []),
        ("{type: error, text: hi}", ["CH313"]),
        ('{type: "{message.text}", text: hi}', ["CH334"]),
        ("{type: 1, text: hi}", ["CH334"]),
        ('{type: said, text: "{message.nope}"}', ["CH309"]),
    ],
)
def test_an_emitted_event_must_fit(emit: str, codes: list[str], compile_text: Compile) -> None:
    outcome = compile_text(config(f"emit: {emit}", event=EVENT))
    assert outcome.codes() == codes


def test_a_misfit_says_why(compile_text: Compile) -> None:
    found = compile_text(config("emit: {type: said, text: 1}", event=EVENT)).finding("CH316")
    assert found.label == '`{"text": 1}` would be refused: `/text` must be a string, not a number'
    assert found.place.path == "/channels/room/messages/say/emit"


def test_the_event_s_schema_is_asked_at_run_time_where_it_is_not_proven(
    compile_text: Compile,
) -> None:
    event = "{not: {required: [more]}}"
    found = message(compile_text(config("emit: {type: said, text: hi}", event=event)))
    assert found.out is None or found.out.accepts({"text": "hi"})


def test_an_event_that_takes_anything_is_not_asked(compile_text: Compile) -> None:
    assert message(compile_text(config("emit: {type: said}", event="true"))).out is None


@pytest.mark.parametrize(
    ("route", "channel", "codes"),
    [
        ("room", JOIN, []),
        ("sender", JOIN, []),
        ("{to: room, room: a}", "rooms: {join: [a, b]}", []),
        ("sender", "rooms: {join: [a, b]}", ["CH326"]),
        ("[{to: room, room: a}, global]", "rooms: {join: [a, b]}", ["CH325", "CH326"]),
        ("sender", "", ["CH326"]),
    ],
)
def test_where_there_is_a_room(
    route: str, channel: str, codes: list[str], compile_text: Compile
) -> None:
    text = config('stamp: {where: "{room}"}', route=route, channel=channel)
    assert compile_text(text).codes() == codes
    optional = config('stamp: {where: "{room?}"}', route=route, channel=channel)
    assert "CH326" not in compile_text(optional).codes()


@pytest.mark.parametrize("delivery", ["stamp: {room: x}", "emit: {pos: 1}"])
def test_history_overwrites_room_and_pos(delivery: str, compile_text: Compile) -> None:
    history = JOIN + "\n    history: {size: 9, ttl: 1h}"
    kept = config(delivery, route="room", channel=history)
    assert compile_text(kept).codes() == ["CH329"]
    assert compile_text(config(delivery, route="room", channel=JOIN)).codes() == []
    assert compile_text(config(delivery, channel=history)).codes() == []


POSITIONS = """channeld: 1
channels:
  c:
    path: /c
    auth: none
    rooms: {{join: lobby, subscribe: {{allow: ["*"]}}}}
    {history}
    messages:
      move:
        schema: {{type: object, additionalProperties: false, required: [{field}], properties: {{{field}: {{maxLength: 9, type: string}}}}}}
        route: {route}
"""


@pytest.mark.parametrize(
    ("field", "route", "history", "expected"),
    [
        ("pos", "room", True, True),
        ("pos", "sender", True, True),
        ("pos", "none", True, False),
        ("pos", "room", False, False),
        ("room", "room", True, True),
        ("room", "sender", True, False),
        ("room", '{to: room, room: "{message.room}"}', True, False),
        ("place", "room", True, False),
    ],
)
def test_declared_fields_that_the_history_overwrites_are_errors(
    compile_text: Compile, field: str, route: str, history: bool, expected: bool
) -> None:
    kept = "history: {size: 9, ttl: 1h}" if history else ""
    text = POSITIONS.format(field=field, route=route, history=kept)
    assert ("CH347" in compile_text(text).codes()) is expected


def test_events_lose_them_as_well(compile_text: Compile) -> None:
    text = POSITIONS.format(field="x", route="room", history="history: {size: 9, ttl: 1h}")
    text += "    events: {spawn: {schema: {properties: {pos: true, room: true}}}}\n"
    assert compile_text(text).codes().count("CH347") == 1


@pytest.mark.parametrize(("delivery", "code"), [("", "CH347"), ("stamp: {pos: x}", "CH329")])
@pytest.mark.parametrize("history", [True, False])
def test_another_channels_history_overwrites_them_as_well(
    compile_text: Compile, delivery: str, code: str, history: bool
) -> None:
    there = "{to: room, room: hall, channel: d, members_only: false}"
    text = POSITIONS.format(field="x" if delivery else "pos", route=there, history="")
    text += f"        {delivery}\n" if delivery else ""
    kept = ", history: {size: 9, ttl: 1h}" if history else ""
    text += f"  d: {{path: /d, auth: none, rooms: hall{kept}}}\n"
    assert (code in compile_text(text).codes()) is history
