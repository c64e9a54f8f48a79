from collections.abc import Awaitable, Coroutine
from typing import Any

import pytest
import trio

from channeld.broker.broker import BrokerUnavailable
from channeld.broker.once import AlreadyTaken
from channeld.broker.publish_options import Conflated
from channeld.hub.conflation import Conflation
from channeld.protocol.names import Topic
from channeld.timers import Timers
from tests.hub.kit import HandClock

ROOM = Topic("room", "c", "r")
OTHER = Topic("room", "c", "other")


class Rig:
    """A conflation whose broker answers `waits`, in turn, then 0; an exception is raised."""

    def __init__(self, *waits: float | Exception, is_networked: bool = False) -> None:
        self.clock, self.timers = HandClock(), Timers()
        self.conflation = Conflation(self.clock, self.timers, self.spawn)
        self.published: list[str] = []
        self.ages: list[float] = []
        self.at_once: list[bool] = []
        self.waits, self.is_networked = list(waits), is_networked

    def spawn(self, awaitable: Awaitable[object]) -> None:
        coroutine: Any = awaitable
        with pytest.raises(StopIteration):
            coroutine.send(None)

    def offer(
        self, frame: str, key: str = "k", connection: str = "c1", topic: Topic = ROOM, **more: bool
    ) -> Any:
        def publish(conflated: Conflated, _once: object, is_asking: bool) -> Any:
            self.published.append("?" if is_asking else frame)
            self.ages.append(conflated.age)
            self.at_once.append(conflated.at_once)
            return self.answer()

        return self.conflation.offer(topic, Conflated(key, 1.0, **more), connection, publish)

    def answer(self) -> Any:
        wait = self.waits.pop(0) if self.waits else 0.0
        if self.is_networked:
            return self.later(wait)
        if isinstance(wait, Exception):
            raise wait
        return wait

    async def later(self, wait: float | Exception) -> float:
        if isinstance(wait, Exception):
            raise wait
        return wait

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
    rig.conflation.flush("nobody")
    assert rig.published == ["a", "c", "b"]
    rig.advance(1)
    assert rig.published == ["a", "c", "b", "d"]


def test_who_leaves_a_room_leaves_what_waits_elsewhere() -> None:
    rig = Rig()
    for topic in (ROOM, OTHER):
        for frame in "ab":
            rig.offer(frame + topic.name, topic=topic)
    rig.conflation.flush("c1", ROOM)
    assert rig.published == ["ar", "aother", "br"]


def test_what_waits_belongs_to_who_sent_it_last() -> None:
    rig = Rig()
    for frame, connection in (("a", "1"), ("b", "1"), ("c", "2")):
        rig.offer(frame, connection=connection)
    rig.conflation.flush("1")
    assert rig.published == ["a"]
    rig.conflation.flush("2")
    assert rig.published == ["a", "c"]


def test_a_reload_sends_all_that_waits_at_once() -> None:
    rig = Rig(0.0, 0.0, 0.5)
    for frame, key in (("a", "k"), ("b", "k"), ("c", "l"), ("d", "m")):
        rig.offer(frame, key)
    rig.conflation.flush_all()
    assert rig.published == ["a", "c", "d", "b", "?"]
    assert rig.at_once == [False, False, False, True, True]


@pytest.mark.parametrize("connection", ["c1", ""])
def test_a_forgotten_slot_belongs_to_nobody(connection: str) -> None:
    rig = Rig()
    rig.offer("a", connection=connection)
    rig.advance(1)
    assert len(rig.conflation) == 0
    rig.conflation.flush(connection)
    assert rig.published == ["a"]


def test_a_broker_that_answers_at_once_may_hold_a_frame_as_well() -> None:
    rig = Rig(0.5, 0.25)
    assert rig.offer("a") is True
    assert rig.offer("b") is True
    assert rig.published == ["a", "b"]


def test_what_cannot_wait_makes_what_waits_old() -> None:
    rig = Rig()
    rig.offer("a")
    rig.offer("b")
    assert rig.offer("c", at_once=True) is False
    rig.advance(3)
    assert rig.published == ["a", "c"]


@pytest.mark.parametrize("error", [AlreadyTaken(), BrokerUnavailable(1.0)])
def test_what_cannot_wait_and_is_not_published_leaves_what_waits(error: Exception) -> None:
    rig = Rig(0.0, error)
    rig.offer("a")
    rig.offer("b")
    with pytest.raises(type(error)):
        rig.offer("c", at_once=True)
    rig.advance(3)
    assert rig.published == ["a", "c", "b"]


async def run(coroutine: Coroutine[Any, Any, bool]) -> bool:
    await trio.lowlevel.checkpoint()
    return await coroutine


async def test_what_the_broker_holds_is_asked_for_when_it_says() -> None:
    rig = Rig(0.4, 0.2, is_networked=True)
    assert await run(rig.offer("a")) is True
    rig.advance(0.3)
    assert rig.published == ["a"]
    rig.advance(0.1)
    assert rig.published == ["a", "?"]
    rig.advance(0.2)
    assert rig.published == ["a", "?", "?"]
    rig.advance(9)
    assert (rig.published, len(rig.conflation)) == (["a", "?", "?"], 0)


async def test_a_newer_frame_goes_in_place_of_what_the_broker_holds() -> None:
    rig = Rig(0.5, 0.25, 0.0, is_networked=True)
    await run(rig.offer("a"))
    rig.advance(0.25)
    assert await run(rig.offer("b")) is True
    assert rig.published == ["a", "b"]
    rig.advance(0.25)
    assert rig.published == ["a", "b", "?"]
    assert rig.offer("c") is True
    rig.advance(0.75)
    rig.advance(0.25)
    assert (rig.published[-1], rig.ages[-1]) == ("c", 1.0)


async def test_a_frame_that_the_broker_sent_does_not_wait() -> None:
    rig = Rig(0.0, is_networked=True)
    assert await run(rig.offer("a")) is False


async def test_what_follows_a_frame_that_the_broker_sent_is_held_here() -> None:
    rig = Rig(0.5, 0.0, is_networked=True)
    assert await run(rig.offer("a")) is True
    assert await run(rig.offer("b")) is False
    assert rig.offer("c") is True
    assert rig.published == ["a", "b"]


async def test_what_the_broker_goes_on_holding_is_asked_for_again() -> None:
    rig = Rig(0.5, 0.5, is_networked=True)
    await run(rig.offer("a"))
    rig.conflation.flush("c1")
    rig.advance(0.5)
    assert rig.published == ["a", "?", "?"]


async def test_what_came_while_the_broker_was_asked_follows_at_once() -> None:
    rig = Rig(0.5, 0.5, is_networked=True)
    first = rig.offer("a")
    assert rig.offer("b") is True
    assert await run(first) is True
    assert rig.published == ["a", "b"]


async def test_a_slot_in_which_nothing_waits_is_forgotten() -> None:
    rig = Rig(0.5, -1.0, is_networked=True)
    await run(rig.offer("a"))
    rig.advance(0.5)
    assert (rig.published, len(rig.conflation)) == (["a", "?"], 0)


async def test_what_the_broker_holds_goes_with_the_end_of_its_sender() -> None:
    rig = Rig(0.5, is_networked=True)
    await run(rig.offer("a"))
    rig.conflation.flush("c1")
    assert rig.published == ["a", "?"]
    rig.advance(9)
    assert rig.published == ["a", "?"]


@pytest.mark.parametrize("is_networked", [False, True])
async def test_what_could_not_be_published_waits_on(is_networked: bool) -> None:
    rig = Rig(0.0, BrokerUnavailable(2.0), BrokerUnavailable(is_unknown=True))
    rig.offer("a")
    rig.is_networked = is_networked
    rig.offer("b")
    rig.advance(1)
    assert rig.published == ["a", "b"]
    rig.advance(2)
    assert rig.published == ["a", "b", "b"]
    rig.advance(9)
    assert rig.published == ["a", "b", "b"]


async def test_the_first_fails_as_any_publication_does() -> None:
    rig = Rig(BrokerUnavailable(), BrokerUnavailable())
    with pytest.raises(BrokerUnavailable):
        rig.offer("a")
    assert len(rig.conflation) == 0
    rig.is_networked = True
    with pytest.raises(BrokerUnavailable):
        await run(rig.offer("b"))
    rig.advance(1)
    assert len(rig.conflation) == 0


@pytest.mark.parametrize(
    ("error", "follows"),
    [
        (AlreadyTaken(), ["b"]),
        (BrokerUnavailable(1.0), ["b"]),
        (BrokerUnavailable(1.0, is_unknown=True), []),
    ],
)
async def test_what_cannot_wait_and_fails_at_the_broker_leaves_what_waits(
    error: Exception, follows: list[str]
) -> None:
    rig = Rig(0.0, error, is_networked=True)
    await run(rig.offer("a"))
    rig.offer("b")
    with pytest.raises(type(error)):
        await run(rig.offer("c", at_once=True))
    rig.advance(3)
    assert rig.published == ["a", "c", *follows]
