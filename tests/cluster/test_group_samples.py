from channeld.cluster import group_samples
from channeld.cluster.group_samples import GroupSamples
from channeld.telemetry import Histogram, Sample, summed

FRAMES, ROOMS, TIME = "channeld_frames_out_total", "channeld_rooms", "channeld_handling_seconds"


def of(frames: int, rooms: int = 1) -> list[Sample]:
    histogram = Histogram()
    for _ in range(frames):
        histogram.observe(0.001)
    return [Sample(FRAMES, frames), Sample(ROOMS, rooms), Sample(TIME, histogram)]


def total(samples: list[Sample]) -> tuple[float, float, int]:
    """Frames, rooms, and how many times were measured."""
    found = {one.metric: one.value for one in summed(samples)}
    frames, rooms, times = found.get(FRAMES, 0), found.get(ROOMS, 0), found[TIME]
    assert isinstance(times, Histogram)
    assert not isinstance(frames, Histogram)
    assert not isinstance(rooms, Histogram)
    return frames, rooms, sum(times.counts)


def test_those_who_answer_add_up() -> None:
    assert total(GroupSamples().take({"a": of(2), "b": of(3)}, {"b"})) == (5, 2, 5)


def test_a_late_one_is_shown_as_it_was() -> None:
    group = GroupSamples()
    group.take({"a": of(2), "b": of(3)}, {"b"})
    assert total(group.take({"a": of(4)}, {"b"})) == (7, 2, 7)
    assert total(group.take({"a": of(4), "b": of(9)}, {"b"})) == (13, 2, 13)


def test_of_one_that_is_gone_stays_what_it_counted() -> None:
    group = GroupSamples()
    group.take({"a": of(2), "b": of(3, rooms=7)}, {"b"})
    for _ in range(3):
        assert total(group.take({"a": of(2)}, ())) == (5, 1, 5)
    assert total(group.take({"a": of(2), "c": of(1)}, {"c"})) == (6, 2, 6)


def test_one_that_was_given_up_and_answers_again_counts_once() -> None:
    group = GroupSamples()
    group.take({"a": of(2), "b": of(3)}, {"b"})
    group.take({"a": of(2)}, ())
    assert total(group.take({"a": of(2), "b": of(4)}, {"b"})) == (6, 2, 6)


def test_many_that_are_gone_are_kept_in_few_places() -> None:
    group = GroupSamples()
    for number in range(3 * group_samples.MOST_GONE):
        group.take({"a": of(1), f"n{number}": of(1)}, ())
    samples = group.take({"a": of(1)}, ())
    assert total(samples)[0] == 1 + 3 * group_samples.MOST_GONE
    assert len(samples) <= 3 + 2 * (group_samples.MOST_GONE + 1)
