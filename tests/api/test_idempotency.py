import pytest
import trio
import trio.lowlevel

from channeld.api.idempotency import WINDOW, Idempotency, Result
from channeld.api.problems import Problem


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


async def done(result: Result) -> Result:
    return result


async def test_a_key_stands_for_its_first_answer() -> None:
    table = Idempotency(Clock())
    assert table.find("c", "k", "1") is None
    entry = table.add("c", "k", "1")
    assert await table.settle("c", "k", entry, done({"nodes": 1})) == {"nodes": 1}
    known = table.find("c", "k", "1")
    assert known is not None
    assert await known.result() == {"nodes": 1}
    assert table.find("other", "k", "1") is None


def test_a_key_stands_for_one_thing() -> None:
    table = Idempotency(Clock())
    table.add("c", "k", "1")
    with pytest.raises(Problem) as caught:
        table.find("c", "k", "2")
    assert caught.value.status == 422


async def test_a_failure_is_forgotten_and_told_to_those_who_waited() -> None:
    table = Idempotency(Clock())
    entry = table.add("c", "k", "1")

    async def fail() -> Result:
        await trio.lowlevel.checkpoint()
        raise Problem(503, "away")

    seen: list[int] = []

    async def ask() -> None:
        with pytest.raises(Problem) as caught:
            await entry.result()
        seen.append(caught.value.status)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        with pytest.raises(Problem):
            await table.settle("c", "k", entry, fail())
    assert seen == [503]
    assert table.find("c", "k", "1") is None


async def test_a_request_that_was_given_up_stands_for_nothing() -> None:
    table = Idempotency(Clock())
    entry = table.add("c", "k", "1")

    async def forever() -> Result:
        await trio.Event().wait()
        return {}

    with trio.move_on_after(0):
        await table.settle("c", "k", entry, forever())
    assert len(table) == 0
    with pytest.raises(Problem):
        await entry.result()


def test_after_the_window_a_key_is_free() -> None:
    clock = Clock()
    table = Idempotency(clock)
    table.add("c", "k", "1")
    clock.now = WINDOW - 1
    table.add("c", "later", "1")
    assert table.find("c", "k", "1") is not None
    clock.now = WINDOW
    assert table.find("c", "k", "2") is None
    assert len(table) == 1


def test_the_oldest_gives_way() -> None:
    table = Idempotency(Clock(), most=2)
    for key in ("a", "b", "c"):
        table.add("x", key, "1")
    assert len(table) == 2
    assert table.find("x", "a", "1") is None
