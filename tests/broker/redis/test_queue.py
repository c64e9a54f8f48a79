import pytest
import trio

from channeld.broker.broker import BrokerUnavailable, History, Position
from channeld.broker.once import Once
from channeld.broker.publish_options import Conflated, PublishOptions
from channeld.broker.redis import queue as outgoing
from channeld.broker.redis.queue import (
    Answer,
    Conflating,
    Outgoing,
    Publish,
    Script,
    commands,
    plain_runs,
)

KEEP = History(size=3, ttl=1.5)


def publish(channel: bytes, payload: bytes, keep: History | None = None) -> Publish:
    return Publish(channel, ("h", "m"), payload, PublishOptions(keep))


def script(name: str = "since", *, bound: bool = False) -> Script:
    return Script(name, ("k",), ("a",), lambda reply: reply * 2, bound=bound)


async def test_an_answer_wakes_all_who_wait() -> None:
    answer, got = Answer[int](), list[int]()

    async def wait() -> None:
        got.append(await answer)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        answer.resolve(3)
    assert [*got, await answer] == [3, 3, 3]


def test_an_answer_calls_who_asked_once() -> None:
    got = list[Exception | None]()
    for answer in (Answer[int](), Answer[int]()):
        answer.then(got.append)
        answer.resolve(3)
        answer.then(got.append)
    error = BrokerUnavailable()
    failed = Answer[int]()
    failed.then(got.append)
    failed.fail(error)
    assert got == [None] * 4 + [error]


async def test_a_failed_answer_raises_each_time() -> None:
    answer = Answer[int]()
    answer.fail(BrokerUnavailable(2.0))
    for _ in range(2):
        with pytest.raises(BrokerUnavailable) as raised:
            await answer
        assert raised.value.retry_after == 2.0


async def test_batches_are_bounded_in_number_and_bytes() -> None:
    queue = Outgoing()
    for _ in range(300):
        queue.put(publish(b"c", b"x"))
    assert [len(queue.take()), len(queue.take())] == [256, 44]
    for _ in range(3):
        queue.put(publish(b"c", b"x" * 600_000))
    assert [len(queue.take()), len(queue.take())] == [2, 1]


def test_bytes_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "MOST_BYTES", 1000)
    queue = Outgoing()
    queue.put(publish(b"c", b"x" * 2000))
    with pytest.raises(BrokerUnavailable):
        queue.put(publish(b"c", b""))
    queue.put(script(), urgent=True)
    assert len(queue) == 2


async def test_only_what_belongs_to_a_session_fails_with_it() -> None:
    queue, kept, bound = Outgoing(), publish(b"c", b"1"), script("enter", bound=True)
    queue.put(kept)
    queue.put(bound)
    queue.fail(BrokerUnavailable(), bound_only=True)
    assert (bound.answer.done, kept.answer.done, queue.take()) == (True, False, [kept])


def test_publishes_share_a_call_and_neighbours_an_envelope() -> None:
    batch = [
        publish(b"a", b"1"),
        publish(b"a", b"2"),
        publish(b"b", b"3", KEEP),
        publish(b"a", b"4"),
    ]
    (command,) = commands(batch, "s", ("epoch", 9))
    assert command.name == "publish"
    assert command.keys == ["s", "h", "m", "h", "m", "h", "m"]
    assert command.arguments == [
        *("epoch", 9),
        *(b"a", 0, 0, 2, b"", b"1", b"", b"2"),
        *(b"b", 3, 1500, 1, b"", b"3"),
        *(b"a", 0, 0, 1, b"", b"4"),
    ]


def test_order_is_kept_around_other_calls() -> None:
    batch: list[Publish | Script] = [
        publish(b"a", b"1"),
        script(),
        publish(b"a", b"2"),
        script("before"),
    ]
    made = commands(batch, "s", ())
    assert [command.name for command in made] == ["publish", "since", "publish", "before"]


async def test_each_publish_gets_its_own_position() -> None:
    batch = [publish(b"a", b"1", KEEP), publish(b"a", b"2", KEEP), publish(b"b", b"3")]
    (command,) = commands(batch, "s", ())
    command.resolve([0, b"e", 5, b"", 0])
    assert [await entry.answer for entry in batch] == [Position("e", 5), Position("e", 6), None]


async def test_a_refused_run_does_not_hurt_the_others() -> None:
    batch = [publish(b"a", b"1", KEEP), publish(b"b", b"2")]
    (command,) = commands(batch, "s", ())
    command.resolve([0, b"!OOM", 0, b"", 0])
    with pytest.raises(BrokerUnavailable):
        await batch[0].answer
    assert await batch[1].answer is None


async def test_a_reply_that_cannot_be_read_is_unavailable() -> None:
    call = script()
    call.read = lambda reply: reply[0].decode()
    (command,) = commands([call], "s", ())
    command.resolve([1])
    with pytest.raises(BrokerUnavailable):
        await call.answer


def joining() -> list[Script]:
    return [
        Script(name, (name, f"{name} 2"), (f"of {name}",), lambda reply: reply * 2)
        for name in ("redeem", "since", "enter")
    ]


async def test_what_a_join_asks_is_one_call() -> None:
    redeem, since, enter = joining()
    before = publish(b"c", b"1")
    (_, command) = commands([before, redeem, since, enter], "s", ())
    assert (command.name, command.keys, command.arguments) == (
        "join",
        ["since", "since 2", "enter", "redeem", "redeem 2"],
        ["of since", "of enter"],
    )
    command.resolve([1, 2, 3])
    assert [await one.answer for one in (since, enter, redeem)] == [2, 4, 6]


async def test_a_join_that_asks_less_is_one_call_if_it_reads_and_enters() -> None:
    redeem, since, enter = joining()
    (command,) = commands([since, enter], "s", ())
    assert command.keys == ["since", "since 2", "enter"]
    command.fail(BrokerUnavailable())
    for one in (since, enter):
        with pytest.raises(BrokerUnavailable):
            await one.answer
    for batch in ([redeem, enter], [redeem, since], [enter, since]):
        assert [one.name for one in commands(batch, "s", ())] == [one.name for one in batch]


def test_who_fails_at_an_answer_fails_alone(capsys: pytest.CaptureFixture[str]) -> None:
    def fails(_error: Exception | None) -> None:
        raise ZeroDivisionError

    answer = Answer[int]()
    answer.then(fails)
    answer.resolve(3)
    assert answer.done
    assert '"task_failed","task":"answer"' in capsys.readouterr().err


def test_only_a_batch_in_which_nothing_is_kept_needs_no_script() -> None:
    plain = [publish(b"a", b"1"), publish(b"a", b"2"), publish(b"b", b"3")]
    runs = plain_runs(plain)
    assert runs is not None
    assert [[entry.payload for entry in run] for run in runs] == [[b"1", b"2"], [b"3"]]
    once = Publish(b"a", (), b"4", PublishOptions(once=Once("o", "k", 60.0)), "o")
    waiting = publish(b"a", b"5")
    waiting.conflating = Conflating(Conflated("s", 1.0), 0.0, lambda _seconds: None)
    for other in (script(), publish(b"a", b"6", KEEP), once, waiting):
        assert plain_runs([*plain, other]) is None
