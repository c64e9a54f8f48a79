import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from trio.testing import MockClock, assert_no_checkpoints, wait_all_tasks_blocked

from channeld.telemetry.tracing import Span, Tracing
from channeld.testing import VirtualRuntime
from channeld.webhooks.endpoint import Reply
from channeld.webhooks.queue import EventQueue
from channeld.webhooks.sender import Poster, WebhookSender, sign
from tests.webhooks.kit import SECRET, FakePoster, backend, event, plain, receiver, webhook

AWAY = Reply(reason="no route")
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """The log's lines since it was last asked."""
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.fixture
def patient_clock() -> MockClock:
    """Jumps where nothing comes over a socket for a while, either."""
    return MockClock(autojump_threshold=0.05)


@asynccontextmanager
async def sending(poster: Poster | None = None, **options: Any) -> AsyncIterator[WebhookSender]:
    """A sender that runs; options of `webhook`, and `queue`."""
    queue = options.pop("queue", None)
    async with trio.open_nursery() as nursery:
        runtime = VirtualRuntime(nursery, 0)
        sender = WebhookSender("0", webhook(**options), runtime, poster=poster, queue=queue)
        nursery.start_soon(sender.run)
        yield sender
        nursery.cancel_scope.cancel()


async def test_it_is_sent_until_it_is_taken_and_then_what_came_after(
    patient_clock: MockClock,
) -> None:
    async with backend(500, "hang", "cut", 429) as there, sending(url=there.url) as sender:
        sender.put(event(1))
        await there.until(1)
        sender.put(event(2))
        sender.put(event(3))
        told = await there.until(6)
        await sender.drain()
    assert [one.numbers for one in told] == [[1]] * 5 + [[2, 3]]
    ids = [one.headers["webhook-id"] for one in told]
    assert len(set(ids[:5])) == 1
    assert ids[5] != ids[0]
    assert sender.waiting == 0


async def test_a_backend_that_comes_later_gets_everything(patient_clock: MockClock) -> None:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    async with sending(url=f"http://127.0.0.1:{port}/told") as sender:
        sender.put(event(1))
        await wait_all_tasks_blocked(0.01)
        async with backend() as there, trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, there.talk, listeners)
            assert [one.numbers for one in await there.until(1)] == [[1]]
            nursery.cancel_scope.cancel()


async def test_each_request_is_a_span_that_the_receiver_is_told(patient_clock: MockClock) -> None:
    spans: list[Span] = []
    async with backend(500) as there, sending(url=there.url) as sender:
        sender.tracing = Tracing(spans.append, now=lambda: 0, random_bits=lambda _bits: 7)
        sender.put(event(1))
        told = await there.until(2)
        await sender.drain()
    assert [one.headers["traceparent"] for one in told] == [one.traceparent for one in spans]
    assert [(one.name, one.kind) for one in spans] == [("webhook", "client")] * 2


async def test_each_attempt_is_signed_at_its_own_time(autojump_clock: MockClock) -> None:
    poster = FakePoster(Reply(status=503, retry_after="3"))
    async with sending(poster) as sender:
        sender.put(event(1))
        await trio.sleep(5)
    first, second = (told.headers for told in poster.requests)
    assert first["webhook-id"] == second["webhook-id"] == first["channeld-delivery"]
    assert first["webhook-signature"] != second["webhook-signature"]
    for told in poster.requests:
        moment = int(told.headers["webhook-timestamp"])
        assert receiver().is_signed(told.headers, told.body, [SECRET], moment)
        # As before Standard Webhooks.
        assert told.headers["channeld-signature"] == sign(SECRET, moment, told.body)


async def test_pauses_grow_and_have_jitter(autojump_clock: MockClock) -> None:
    poster = FakePoster(*[AWAY] * 9)
    async with sending(poster) as sender:
        sender.put(event(1))
        await trio.sleep(600)
    pauses = [b - a for a, b in zip(poster.times, poster.times[1:], strict=False)]
    for pause, longest in zip(pauses, (1, 2, 4, 8, 16, 32, 60, 60, 60), strict=True):
        assert longest / 2 <= pause <= longest
    assert sender.counters.delivered == 1


async def test_the_backend_says_when_to_come_again(autojump_clock: MockClock) -> None:
    poster = FakePoster(Reply(status=503, retry_after="100"))
    async with sending(poster) as sender:
        sender.put(event(1))
        await trio.sleep(200)
    assert poster.times[1] - poster.times[0] == pytest.approx(100)


async def test_more_events_do_not_shorten_the_pause(autojump_clock: MockClock) -> None:
    poster = FakePoster(Reply(status=503, retry_after="100"))
    async with sending(poster) as sender:
        sender.put(event(1))
        await trio.sleep(1)
        for number in range(200):
            sender.put(event(number))
        await trio.sleep(50)
        assert len(poster.requests) == 1


@pytest.mark.parametrize("status", [301, 400, 404, 410])
async def test_what_is_refused_is_not_sent_again(
    status: int, autojump_clock: MockClock, lines: Lines
) -> None:
    poster = FakePoster(Reply(status=status, reason=f"HTTP {status}"))
    async with sending(poster) as sender:
        sender.put(event(1))
        await trio.sleep(1)
        sender.put(event(2))
        await sender.drain()
    assert [told.numbers for told in poster.requests] == [[1], [2]]
    assert (sender.counters.dropped, sender.counters.delivered) == (1, 1)
    [line] = lines()
    assert (line["event"], line["events"], line["reason"]) == (
        "webhook_dropped",
        1,
        f"HTTP {status}",
    )


async def test_it_is_given_up_after_a_day(autojump_clock: MockClock) -> None:
    poster = FakePoster(*[AWAY] * 10_000)
    async with sending(poster) as sender:
        sender.put(event(1))
        await trio.sleep(86_000)
        assert sender.counters.dropped == 0
        await trio.sleep(600)
    assert sender.counters.dropped == 1


async def test_failures_and_recovery_are_logged(autojump_clock: MockClock, lines: Lines) -> None:
    async with sending(FakePoster(AWAY, AWAY)) as sender:
        sender.put(event(1))
        await sender.drain()
    first, second, third = lines()
    assert (first["event"], first["reason"], first["attempts"]) == ("webhook_failed", "no route", 1)
    assert second["retry_in"] > first["retry_in"]
    assert (third["event"], third["attempts"]) == ("webhook_recovered", 3)


async def test_a_batch_gathers_what_comes_in_its_time(autojump_clock: MockClock) -> None:
    poster = FakePoster()
    async with sending(poster, batch=1.0) as sender:
        for number in range(3):
            sender.put(event(number))
            await trio.sleep(0.4)
        await trio.sleep(1)
    assert [told.numbers for told in poster.requests] == [[0, 1, 2]]
    assert poster.times == [pytest.approx(1.0)]


async def test_a_full_request_waits_for_no_batch(autojump_clock: MockClock) -> None:
    poster = FakePoster()
    async with sending(poster, batch=60.0) as sender:
        sender.put(event(0))
        await trio.sleep(1)
        for number in range(1, 250):
            sender.put(event(number))
        await trio.sleep(1)
        assert [len(told.numbers) for told in poster.requests] == [100, 100]
        await sender.drain()
    assert [n for told in poster.requests for n in told.numbers] == list(range(250))


async def test_the_queue_is_bounded_and_drops_the_oldest(
    autojump_clock: MockClock, lines: Lines
) -> None:
    poster = FakePoster(AWAY)
    async with sending(poster, queue=EventQueue(most=3)) as sender:
        sender.put(event(0))
        await trio.sleep(0.1)
        for number in range(1, 11):
            sender.put(event(number))
        await sender.drain()
    assert [told.numbers for told in poster.requests] == [[0], [0], [8, 9, 10]]
    assert sender.counters.dropped == 7
    dropped = [line["events"] for line in lines() if line["event"] == "webhook_dropped"]
    assert dropped == [1]  # the other six are said within the minute's next line


async def test_drops_are_logged_once_a_minute(autojump_clock: MockClock, lines: Lines) -> None:
    async with sending(FakePoster(*[Reply(status=404)] * 400)) as sender:
        for number in range(150):
            sender.put(event(number))
            await trio.sleep(1)
        sender.give_up()
    assert [line["events"] for line in lines()] == [1, 60, 60, 29]


async def test_each_reason_for_drops_is_said_with_its_own_number(
    autojump_clock: MockClock, lines: Lines
) -> None:
    replies = [*[Reply(status=404, reason="the answer was HTTP 404")] * 2, AWAY]
    async with sending(FakePoster(*replies), queue=EventQueue(most=2)) as sender:
        for number in range(6):
            sender.put(event(number))
            await trio.sleep(0.1)
        sender.give_up()
    dropped = [line for line in lines() if line["event"] == "webhook_dropped"]
    assert [(line["events"], line["reason"]) for line in dropped] == [
        (1, "the answer was HTTP 404"),
        (1, "the answer was HTTP 404"),
        (1, "too many events wait"),
        (3, "the server stopped"),
    ]


async def test_draining_ends_a_batch_and_a_pause(autojump_clock: MockClock) -> None:
    poster = FakePoster(Reply(status=503, retry_after="1000"))
    async with sending(poster, batch=60.0) as sender:
        sender.put(event(1))
        await trio.sleep(100)
        sender.put(event(2))
        await sender.drain()
        assert trio.current_time() == pytest.approx(100, abs=1)
    assert [told.numbers for told in poster.requests] == [[1], [1], [2]]


async def test_what_is_never_taken_is_counted_at_the_end(
    autojump_clock: MockClock, lines: Lines
) -> None:
    async with sending(FakePoster(*[AWAY] * 100)) as sender:
        sender.put(event(1))
        await trio.sleep(0.1)
        sender.put(event(2))
        with trio.move_on_after(5):
            await sender.drain()
        sender.give_up()
        sender.give_up()
    assert (sender.waiting, sender.counters.dropped) == (0, 2)
    last = lines()[-1]
    assert (last["event"], last["events"]) == ("webhook_dropped", 2)
    assert last["reason"] == "the server stopped"


async def test_to_put_never_waits(autojump_clock: MockClock) -> None:
    async with backend("hang") as there, sending(url=there.url) as sender:
        sender.put(event(0))
        await there.until(1)
        with assert_no_checkpoints():
            for number in range(20_000):
                sender.put(event(number))
        assert sender.waiting <= 10_001


async def test_it_counts(patient_clock: MockClock) -> None:
    async with backend(500, 404, plain(204)) as there, sending(url=there.url) as sender:
        sender.put(event(0))
        await there.until(2)
        sender.put(event(1))
        await sender.drain()
    samples = {(sample.metric, *sample.labels): sample.value for sample in sender.samples()}
    assert samples == {
        ("channeld_webhooks_delivered_total", "0"): 1,
        ("channeld_webhooks_dropped_total", "0"): 1,
        ("channeld_webhooks_requests_total", "0", "ok"): 1,
        ("channeld_webhooks_requests_total", "0", "failed"): 1,
        ("channeld_webhooks_requests_total", "0", "refused"): 1,
        ("channeld_webhooks_waiting", "0"): 0,
    }


def test_the_value_is_what_openssl_makes() -> None:
    # printf '1700000000.{}' | openssl dgst -sha256 -hmac key
    digest = "9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
    assert sign("key", 1_700_000_000, b"{}") == f"t=1700000000,v1={digest}"
