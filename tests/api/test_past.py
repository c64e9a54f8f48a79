from collections.abc import Iterable

import trio
import trio.testing

from channeld.api.past import EVERY, KEPT, Past, quantile, watch
from channeld.telemetry import BUCKETS, Histogram, Sample


def samples(messages: float, *, refused: float = 0, slow: int = 0) -> list[Sample]:
    handling = Histogram()
    for _ in range(slow):
        handling.observe(0.02)
    return [
        Sample("channeld_connections", 3, ("room",)),
        Sample("channeld_connections", 2, ("lobby",)),
        Sample("channeld_messages_total", messages, ("room", "say", "accepted")),
        Sample("channeld_messages_total", refused, ("lobby", "say", "invalid")),
        Sample("channeld_handshakes_total", 7, ("accepted",)),
        Sample("channeld_handshakes_total", refused, ("403",)),
        Sample("channeld_deliveries_total", messages * 2),
        Sample("channeld_outbox_bytes", 9),
        Sample("channeld_handling_seconds", handling),
    ]


def test_rates_are_those_between_two_moments() -> None:
    past = Past()
    past.take(100.0, samples(10))
    assert past.moments() == []
    past.take(105.0, samples(20, refused=5, slow=4))
    assert past.moments() == [
        {
            "at": 105.0,
            "connections": 5,
            "outbox_bytes": 9,
            "messages": 3.0,
            "deliveries": 4.0,
            "refused": 2.0,
            "p50": 0.05,
            "p99": 0.05,
            "channels": {"room": 2.0, "lobby": 1.0},
        }
    ]


def test_a_process_that_went_makes_no_negative_rate() -> None:
    past = Past()
    past.take(100.0, samples(100, slow=3))
    past.take(105.0, samples(50))
    [moment] = past.moments()
    assert isinstance(moment, dict)
    assert (moment["messages"], moment["p50"]) == (0.0, None)


def test_only_the_latest_are_kept() -> None:
    past = Past()
    for number in range(KEPT + 10):
        past.take(float(number), samples(number))
    moments = past.moments()
    assert len(moments) == KEPT
    assert isinstance(moments[-1], dict)
    assert moments[-1]["at"] == KEPT + 9


def test_a_clock_that_is_set_back_leaves_a_gap() -> None:
    past = Past()
    past.take(100.0, samples(1))
    past.take(50.0, samples(2))
    assert past.moments() == []
    past.take(55.0, samples(3))
    assert len(past.moments()) == 1


def test_quantiles_are_bounds_of_buckets() -> None:
    counts = [0] * (len(BUCKETS) + 1)
    assert quantile(counts, 0.5) is None
    counts[2], counts[-1] = 98, 2
    assert (quantile(counts, 0.5), quantile(counts, 0.99)) == (BUCKETS[2], BUCKETS[-1])


async def test_it_is_filled_at_its_pace(autojump_clock: trio.testing.MockClock) -> None:
    past, asked = Past(), 0

    async def take() -> Iterable[Sample]:
        nonlocal asked
        asked += 1
        return samples(asked)

    with trio.move_on_after(EVERY * 4 + 1):
        await watch(past, take, trio.current_time)
    assert asked == 5
    assert len(past.moments()) == 4
