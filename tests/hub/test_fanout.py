"""The plain fan-out."""

from channeld.hub.fanout import DirectFanout
from tests.hub.kit import RecordingPeer


def test_every_recipient_but_the_skipped_one_gets_the_frame() -> None:
    ann, bob = RecordingPeer(), RecordingPeer()
    fanout = DirectFanout()
    fanout.publish({ann: None, bob: None}, b"{}", skip=bob)
    fanout.settle()
    assert (ann.frames, bob.frames) == ([{}], [])


def test_there_are_no_turns_whose_end_is_waited_for() -> None:
    calls: list[str] = []
    DirectFanout().at_end(lambda: calls.append("called"))
    assert calls == ["called"]
