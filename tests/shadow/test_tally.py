from channeld.shadow.tally import EVERY, Tally, TallyKey
from channeld.telemetry import Sample
from tests.shadow.kit import Watch

SAY = TallyKey("room", "say", "INVALID_MESSAGE")
LATE = TallyKey("room", "", "404")


def test_one_example_a_minute_of_each() -> None:
    clock = Watch()
    tally = Tally(clock, clock.wall())
    assert [tally.count(SAY), tally.count(SAY), tally.count(LATE)] == [True, False, True]
    clock.now += EVERY
    assert tally.count(SAY)
    assert tally.refused == {SAY: 3, LATE: 1}


def test_what_is_most_frequent_comes_first() -> None:
    tally = Tally(Watch(), 0.0)
    for key in (LATE, SAY, SAY):
        tally.count(key)
    assert tally.reasons() == ["2 say in room: INVALID_MESSAGE", "1 handshake in room: 404"]


def test_the_samples() -> None:
    tally = Tally(Watch(), 0.0, messages=7, handshakes=2)
    tally.count(SAY)
    assert list(tally.samples()) == [
        Sample("channeld_shadow_asked_total", 2, ("handshake",)),
        Sample("channeld_shadow_asked_total", 7, ("message",)),
        Sample("channeld_shadow_refused_total", 1, ("room", "say", "INVALID_MESSAGE")),
    ]
