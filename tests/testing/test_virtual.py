"""Virtual time and seeded ids."""

import trio

from channeld.testing import START, VirtualClock, VirtualRuntime


async def test_clock_stands_until_it_is_moved() -> None:
    clock = VirtualClock()
    assert (clock.monotonic(), clock.wall()) == (0.0, START)
    clock.jump(2.5)
    assert (clock.monotonic(), clock.wall()) == (2.5, START + 2.5)


async def test_same_seed_gives_the_same_ids() -> None:
    async with trio.open_nursery() as nursery:
        first, second = (VirtualRuntime(nursery, 7) for _ in range(2))
        assert [first.random_id(), first.uuid()] == [second.random_id(), second.uuid()]
        assert len(first.random_id()) == 22


async def test_server_is_not_at_rest_while_a_thread_runs() -> None:
    async with trio.open_nursery() as nursery:
        runtime, done = VirtualRuntime(nursery, 0), []

        async def work() -> None:
            await runtime.in_thread(1.0, int)
            done.append(True)

        nursery.start_soon(work)
        await runtime.rest()
        assert done == [True]
