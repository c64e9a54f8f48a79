from typing import Any

import jsonschema
import pytest

from channeld.export.contract import Contract
from tests.export.conftest import ContractOf
from tests.export.kit import NASTY_CHANNEL, channel_of, received, sent

CHAT = """
channels:
  chat:
    path: /chat
    auth: none
    rooms: lobby
    messages:
      say: {schema: {type: object, properties: {text: {type: string}}, additionalProperties: false}, ROUTE}
    events:
      say: {}
      news: {schema: {type: object, required: [n], properties: {n: {type: integer}}}}
  other:
    path: /other
    auth: none
    rooms: lobby
    history: {size: 9, ttl: 1h}
"""
DECLARED = """    events: {say: {schema: {type: object, required: [text], properties: {text: {type: string}}, additionalProperties: false}}}
"""


def accepts(contract: Contract, schema: Any, frame: Any) -> bool:
    whole = {**schema, "$defs": contract.definitions}
    return jsonschema.Draft202012Validator(whole).is_valid(frame)


def examples(contract: Contract, channel: str) -> list[tuple[Any, Any]]:
    """Every example of a channel, with the schema of its frame."""
    described = channel_of(contract, channel)
    found = [(each.schema, example) for each in described.sent for example in each.examples]
    return found + [(each.schema, e) for each in described.received for e in each.examples]


def fields(contract: Contract, channel: str, type: str) -> tuple[set[str], set[str]]:
    """The required and the optional fields of what arrives."""
    schema = received(contract, channel, type).schema
    names, required = schema["properties"], schema["required"]
    assert isinstance(names, dict)
    assert isinstance(required, list)
    return {str(name) for name in required}, {*names} - {str(name) for name in required}


@pytest.mark.parametrize("channel", ["room", "lobby", "notifications"])
def test_examples_satisfy_their_frames(shipped: Contract, channel: str) -> None:
    found = examples(shipped, channel)
    assert found
    assert all(accepts(shipped, schema, example) for schema, example in found)


def test_examples_of_nasty_schemas_satisfy_their_frames(nasty: Contract) -> None:
    found = examples(nasty, NASTY_CHANNEL)
    assert len(found) == 14
    assert [e for schema, e in found if not accepts(nasty, schema, e)] == []


def test_a_frame_with_a_field_that_nobody_declared_is_refused(nasty: Contract) -> None:
    closed = sent(nasty, NASTY_CHANNEL, "a.b-c/d:e")
    assert accepts(nasty, closed.schema, {"type": "a.b-c/d:e", "kind": "one", "id": "x"})
    assert not accepts(nasty, closed.schema, {"type": "a.b-c/d:e", "kind": "one", "size": 1})
    assert not accepts(nasty, closed.schema, {"type": "other", "kind": "one"})


def test_stamps_and_a_position_are_added_to_what_a_room_keeps(shipped: Contract) -> None:
    required, optional = fields(shipped, "room", "message")
    assert required == {"type", "from", "name", "at", "room", "pos", "text"}
    assert optional == set()


def test_what_is_not_kept_has_a_room_and_no_position(shipped: Contract) -> None:
    assert fields(shipped, "room", "typing") == ({"type", "user", "room"}, set())


def test_what_goes_to_everyone_has_neither(shipped: Contract) -> None:
    assert fields(shipped, "room", "announce") == ({"type", "from", "text"}, {"level"})


def test_an_event_may_have_a_position(shipped: Contract) -> None:
    assert fields(shipped, "room", "welcome") == ({"type", "visits"}, {"room", "pos"})


def test_an_emitted_field_has_the_schema_of_what_it_names(shipped: Contract) -> None:
    whisper = received(shipped, "room", "whisper").schema
    assert isinstance(whisper["properties"], dict)
    assert whisper["properties"]["text"] == {"type": "string", "minLength": 1, "maxLength": 500}


@pytest.mark.parametrize(
    ("route", "arrives"),
    [
        ("route: room", {"chat"}),
        ("route: sender", {"chat"}),
        ("route: [{to: room}, {to: global, channel: other}]", {"chat", "other"}),
        ('route: {to: global, channel: "*"}', {"chat", "other"}),
        ("route: {to: room, room: lobby, channel: other, members_only: false}", {"other"}),
    ],
)
def test_a_message_arrives_where_its_route_leads(
    contract_of: ContractOf, route: str, arrives: set[str]
) -> None:
    contract = contract_of(CHAT.replace("ROUTE", route).replace("      say: {}\n", ""))
    found = {c.name for c in contract.channels if any(r.type == "say" for r in c.received)}
    assert found == arrives


def test_another_channels_history_gives_the_position(contract_of: ContractOf) -> None:
    route = "route: {to: room, room: lobby, channel: other, members_only: false}"
    contract = contract_of(CHAT.replace("ROUTE", route))
    assert fields(contract, "other", "say") == ({"type", "room", "pos"}, {"text"})


def test_an_event_that_describes_a_message_is_another_kind_of_it(contract_of: ContractOf) -> None:
    contract = contract_of(CHAT.replace("ROUTE", "route: room"))
    say = received(contract, "chat", "say")
    assert say.origins == ("message `say`", "event")
    assert isinstance(say.schema["anyOf"], list)
    assert len(say.schema["anyOf"]) == 2


def test_a_checked_emit_is_what_the_event_says(contract_of: ContractOf) -> None:
    contract = contract_of(CHAT.replace("ROUTE", "route: room, emit: {type: news, n: 1}"))
    news = received(contract, "chat", "news")
    assert news.origins == ("message `say`", "event")
    assert news.schema["properties"] == {"type": {"const": "news"}, "n": {"type": "integer"}}


def test_a_checked_emit_keeps_its_schema_on_other_channels(contract_of: ContractOf) -> None:
    route = 'route: {to: global, channel: "*"}, emit: {type: news, n: 1}'
    contract = contract_of(CHAT.replace("ROUTE", route))
    assert fields(contract, "other", "news") == ({"type", "n"}, set())


def test_what_another_channel_declares_holds_for_what_is_routed_there(
    contract_of: ContractOf,
) -> None:
    route = 'route: {to: global, channel: "*"}'
    required = CHAT.replace("{type: object, prop", "{type: object, required: [text], prop", 1)
    contract = contract_of(required.replace("ROUTE", route) + DECLARED)
    say = received(contract, "other", "say")
    assert say.origins == ("message `say` of channel `chat`", "event")
    assert fields(contract, "other", "say") == ({"type", "text"}, {"room", "pos"})


def test_an_optional_stamp_may_be_missing(contract_of: ContractOf) -> None:
    text = CHAT.replace("ROUTE", 'route: room, stamp: {text: "{message.text?}", new: "{room?}"}')
    contract = contract_of(text.replace("      say: {}\n", ""))
    assert fields(contract, "chat", "say") == ({"type", "new"}, {"text"})


def test_a_dynamic_schema_leaves_the_frame_open_and_says_so(nasty: Contract) -> None:
    dynamic = sent(nasty, NASTY_CHANNEL, "dynamic").schema
    assert "$dynamicRef" in str(dynamic["$comment"])


def test_params_have_schemas_and_the_rest_is_told(nasty: Contract) -> None:
    params = channel_of(nasty, NASTY_CHANNEL).params
    assert [(p.name, p.rest) for p in params] == [
        ("zahl", False),
        ("wahr", False),
        ("farbe", False),
        ("rest", True),
    ]
    assert params[0].schema == {"type": "integer"}


def test_a_param_without_a_schema_is_any_name(contract_of: ContractOf) -> None:
    contract = contract_of("channels: {c: {path: '/c/{p}', auth: none}}")
    (param,) = channel_of(contract, "c").params
    assert param.schema == {"type": "string", "minLength": 1, "maxLength": 128}


def test_addresses_are_those_that_clients_can_use(contract_of: ContractOf) -> None:
    bind = "server: {bind: ['0.0.0.0:1', '[::1]:2', 'unix:/tmp/s']}\n"
    contract = contract_of(bind + "channels: {c: {path: /c, auth: none}}")
    assert contract.addresses == ("ws://127.0.0.1:1", "ws://[::1]:2")


def test_a_history_holds_what_arrives(shipped: Contract) -> None:
    history = received(shipped, "room", "history").schema
    welcome = {"type": "welcome", "visits": 1, "room": "r", "pos": "1-1"}
    page: dict[str, Any] = {"type": "history", "room": "r", "frames": [welcome], "more": False}
    assert accepts(shipped, history, page)
    assert not accepts(shipped, history, {**page, "frames": [{"type": "welcome"}]})


def test_an_open_channels_history_holds_any_frame(nasty: Contract, contract_of: ContractOf) -> None:
    contract = contract_of(
        "channels: {c: {path: /c, auth: none, rooms: r, history: {size: 9, ttl: 1h}}}"
    )
    history = received(contract, "c", "history").schema
    page: dict[str, Any] = {
        "type": "history",
        "room": "r",
        "frames": [{"type": "x"}],
        "more": False,
    }
    assert accepts(contract, history, page)


def test_it_is_the_same_each_time(contract_of: ContractOf) -> None:
    text = CHAT.replace("ROUTE", "route: room")
    assert contract_of(text) == contract_of(text)
