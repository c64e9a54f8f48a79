from typing import Any

import attrs
import pytest
from jsonschema import Draft202012Validator

from channeld.engine.reserved import SCHEMAS, VERBS
from channeld.protocol.reserved import (
    ANSWERS,
    EVERYTHING,
    FRAMES,
    RESERVED,
    RESERVED_CLIENT,
    SETTLING,
    Features,
    ReservedFrame,
)

EACH = pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: f"{frame.side} {frame.type}")


@EACH
def test_each_form_is_a_schema(frame: ReservedFrame) -> None:
    for features in (EVERYTHING, Features(), attrs.evolve(EVERYTHING, changes="gathered")):
        for schema in frame.schemas(features):
            Draft202012Validator.check_schema(schema)


@EACH
def test_each_form_is_told_in_words(frame: ReservedFrame) -> None:
    assert frame.words.endswith(".")
    assert all(f'"type": "{frame.type}"' in shown for shown in frame.shown)
    fields = {name for kind in frame.kinds(EVERYTHING) for name in kind} - {
        "ref",
        "limit",
        "errors",
    }
    told = "".join(shown for shown in frame.shown)
    open_form = "…}" in told
    assert open_form or all(f'"{name}"' in told for name in fields)


def test_client_types_are_reserved_and_each_has_an_answer() -> None:
    assert RESERVED_CLIENT < RESERVED
    assert (
        "connection" in RESERVED
    )  # the first event of a stream: it brings a secret, and nobody may word another
    assert ANSWERS.keys() == RESERVED_CLIENT
    assert {*ANSWERS.values(), "ack", "reply"} == {*SETTLING}


def test_a_channel_that_offers_nothing_has_the_bare_protocol() -> None:
    found = {(frame.side, frame.type) for frame in FRAMES if frame.when(Features())}
    assert found == {("client", "ping"), *(("server", t) for t in ("pong", "disconnect", "error"))}
    assert all(frame.when(EVERYTHING) for frame in FRAMES)


def test_the_engine_has_a_verb_for_each_client_frame_but_the_one_of_the_session() -> None:
    assert SCHEMAS.keys() == RESERVED_CLIENT
    assert VERBS.keys() == RESERVED_CLIENT - {"ping"}


def forms(type: str, side: str, **features: Any) -> list[tuple[list[str], list[str]]]:
    """The required and the other fields of each form of a frame; an event's name stands for `event`."""
    (frame,) = (one for one in FRAMES if (one.type, one.side) == (type, side))
    found = []
    for schema in frame.schemas(attrs.evolve(EVERYTHING, **features)):
        properties: Any = schema["properties"]
        event = properties.get("event", {}).get("const", "event")
        required: Any = schema["required"]
        needs = [event if name == "event" else name for name in required]
        found.append((needs, [name for name in properties if name not in required]))
    return found


WHO = ["user", "info"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ("none", []),
        ("each", [["room", "join", *WHO], ["room", "leave", *WHO], ["room", "update", *WHO]]),
        ("gathered", [["room", "changes", "joins", "leaves"], ["room", "update", *WHO]]),
    ],
)
def test_presence_frames_tell_of_changes_as_the_channel_says(
    changes: str, told: list[list[str]]
) -> None:
    asked = [["room", "state", "users"], ["room", "count", "users", "connections"]]
    found = [required for required, _ in forms("presence", "server", changes=changes, state=None)]
    assert found == asked + told


def test_only_those_who_set_a_state_have_one() -> None:
    with_state = [others for needs, others in forms("presence", "server") if "join" in needs]
    without = [others for _, others in forms("presence", "server", state=None)]
    assert with_state == [["state"]]
    assert not any(without)


def test_presence_of_a_whole_channel_names_no_room() -> None:
    for required, others in forms("presence", "server", presence="channel"):
        assert "room" not in required + others
    assert forms("presence", "client", presence="channel", one_room=False, state=None) == [
        ([], ["room", "only"])
    ]


@pytest.mark.parametrize("one_room", [True, False])
def test_where_there_is_one_room_it_need_not_be_named(one_room: bool) -> None:
    assert forms("presence", "client", one_room=one_room) == [
        ([], ["room", "only", "set"]) if one_room else (["room"], ["only", "set"])
    ]
    assert forms("history", "client", one_room=one_room) == [
        ([], ["room", "limit", "before"]) if one_room else (["room"], ["limit", "before"])
    ]


@pytest.mark.parametrize(
    ("history", "form"),
    [(True, (["room", "pos"], ["recovered", "replayed"])), (False, (["room"], ["recovered"]))],
)
def test_positions_are_told_where_there_is_a_history(
    history: bool, form: tuple[list[str], list[str]]
) -> None:
    assert forms("subscribed", "server", history=history) == [form]


def test_what_an_ack_and_an_error_may_say_besides() -> None:
    assert forms("ack", "server") == [(["id"], ["held", "dropped", "repeated", "deprecated"])]
    others = ["errors", "room", "retry_after", "outcome", "limit", "ref"]
    assert forms("error", "server") == [(["code", "message"], others)]
    assert forms("disconnect", "server") == [(["code", "reason", "reconnect"], ["retry_after"])]


@EACH
def test_only_a_clients_frame_is_closed(frame: ReservedFrame) -> None:
    for schema in frame.schemas(EVERYTHING):
        assert (schema.get("additionalProperties") is False) == (frame.side == "client")


@pytest.mark.parametrize(("limit", "good"), [(0, False), (1, True), (1000, True), (1001, False)])
def test_a_page_of_history_has_1_to_1000_frames(limit: int, good: bool) -> None:
    (frame,) = (one for one in FRAMES if (one.type, one.side) == ("history", "client"))
    (schema,) = frame.schemas(EVERYTHING)
    assert Draft202012Validator(schema).is_valid({"limit": limit}) == good
