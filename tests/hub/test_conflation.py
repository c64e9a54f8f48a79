from channeld.hub.conflation import Conflation
from channeld.protocol.names import Topic
from channeld.timers import Timers
from tests.hub.kit import HandClock

ROOM = Topic("room", "c", "r")


class Rig:
    def __init__(self) -> None:
        self.clock, self.timers = HandClock(), Timers()
        self.conflation = Conflation(self.clock, self.timers)
        self.published: list[str] = []

    def offer(self, frame: str, key: str = "k", connection: str = "c1") -> bool:
        def publish() -> None:
            self.published.append(frame)

        if self.conflation.holds(ROOM, key, 1.0, connection, publish):
            return True
        publish()
        return False

    def advance(self, seconds: float) -> None:
        self.clock.now += seconds
        self.timers.run(self.clock.now)


def test_the_first_goes_the_newest_waits_and_the_last_always_comes() -> None:
    rig = Rig()
    assert [rig.offer(frame) for frame in "abc"] == [False, True, True]
    assert rig.published == ["a"]
    rig.advance(1)
    assert rig.published == ["a", "c"]
    assert rig.offer("d")
    rig.advance(1)
    assert rig.published == ["a", "c", "d"]
    rig.advance(1)
    assert len(rig.conflation) == 0
    assert not rig.offer("e")


def test_keys_do_not_wait_for_each_other() -> None:
    rig = Rig()
    assert [rig.offer("a", "k"), rig.offer("b", "l")] == [False, False]
    assert len(rig.conflation) == 2


def test_what_was_cleared_never_comes() -> None:
    rig = Rig()
    rig.offer("a")
    rig.offer("b")
    rig.conflation.forget(ROOM, "k")
    rig.conflation.forget(ROOM, "unknown")
    rig.advance(5)
    assert rig.published == ["a"]


def test_what_a_connection_sent_last_goes_with_its_end() -> None:
    rig = Rig()
    for frame, key, connection in (
        ("a", "k", "1"),
        ("b", "k", "1"),
        ("c", "l", "2"),
        ("d", "l", "2"),
    ):
        rig.offer(frame, key, connection)
    rig.conflation.flush("1")
    assert rig.published == ["a", "c", "b"]
    rig.advance(1)
    assert rig.published == ["a", "c", "b", "d"]
