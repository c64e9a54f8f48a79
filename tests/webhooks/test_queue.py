from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.webhooks.queue import EventQueue


def test_the_oldest_come_first() -> None:
    queue = EventQueue()
    assert [queue.put(one) for one in (b"a", b"b", b"c")] == [0, 0, 0]
    assert queue.take(2, 100) == [b"a", b"b"]
    assert queue.take(2, 100) == [b"c"]
    assert queue.take(2, 100) == []


def test_the_oldest_go_when_there_are_too_many() -> None:
    queue = EventQueue(most=2)
    assert [queue.put(one) for one in (b"a", b"b", b"c")] == [0, 0, 1]
    assert queue.take(9, 100) == [b"b", b"c"]


def test_the_oldest_go_when_they_are_too_large() -> None:
    queue = EventQueue(most_bytes=10)
    assert [queue.put(b"x" * size) for size in (4, 4, 9, 20)] == [0, 0, 2, 1]
    assert queue.take(9, 100) == [b"x" * 20]


def test_as_many_are_taken_as_are_not_too_large_together() -> None:
    queue = EventQueue()
    for size in (3, 3, 3, 20):
        queue.put(b"x" * size)
    assert [len(one) for one in queue.take(9, 7)] == [3, 3]
    assert [len(one) for one in queue.take(9, 7)] == [3]
    assert [len(one) for one in queue.take(9, 7)] == [20]


@settings(max_examples=50)
@given(st.lists(st.one_of(st.binary(max_size=6), st.integers(1, 4)), max_size=40))
def test_it_is_a_list_that_loses_its_head(steps: list[bytes | int]) -> None:
    queue, model = EventQueue(most=5, most_bytes=12), list[bytes]()
    for step in steps:
        if isinstance(step, int):
            expected = model[:step]
            assert queue.take(step, 1000) == expected
            del model[:step]
            continue
        model.append(step)
        dropped = 0
        while len(model) > 1 and (len(model) > 5 or sum(map(len, model)) > 12):
            del model[0]
            dropped += 1
        assert queue.put(step) == dropped
        assert len(queue) == len(model)
