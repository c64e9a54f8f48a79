from channeld.export.contract import Contract
from tests.export.kit import channel_of, sent


def test_a_self_contained_schema_has_what_it_refers_to_and_no_more(shipped: Contract) -> None:
    schema = shipped.self_contained(sent(shipped, "room", "message").schema)
    assert isinstance(schema, dict)
    assert schema["$defs"] == {"Text": {"type": "string", "minLength": 1, "maxLength": 2000}}


def test_a_recursive_definition_is_contained_once(nasty: Contract) -> None:
    schema = nasty.self_contained({"$ref": "#/$defs/Node"})
    assert isinstance(schema, dict)
    assert isinstance(schema["$defs"], dict)
    assert sorted(schema["$defs"]) == ["Groe101", "Node"]


def test_a_schema_without_references_stays_as_it_is(shipped: Contract) -> None:
    assert shipped.self_contained({"type": "string"}) == {"type": "string"}
    assert shipped.self_contained(True) is True


def test_frames_of_all_channels_are_named_once(shipped: Contract) -> None:
    names = shipped.frame_names()
    assert len(names) == len(set(names))
    assert {"RoomSendMessage", "RoomReceiveMessage", "PingRequest", "PongFrame"} <= set(names)
    assert all(name in shipped.definitions for name in names)


def test_channels_tell_their_unions(shipped: Contract) -> None:
    room = channel_of(shipped, "room")
    assert (room.send_name, room.receive_name) == ("RoomSend", "RoomReceive")
    assert not room.open
    assert channel_of(shipped, "lobby").open
