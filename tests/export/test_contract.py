from channeld.export.contract import Contract
from tests.export.kit import channel_of


def test_frames_of_all_channels_are_named_once(shipped: Contract) -> None:
    names = shipped.frame_names()
    assert len(names) == len(set(names))
    assert {"RoomSendMessage", "RoomReceiveMessage", "PingRequest", "PongFrame"} <= set(names)
    assert all(name in shipped.definitions for name in names)


def test_channels_tell_their_unions(shipped: Contract) -> None:
    room = channel_of(shipped, "room")
    assert (room.send_name, room.receive_name) == ("RoomSend", "RoomReceive")
    assert not room.is_open
    assert channel_of(shipped, "lobby").is_open
