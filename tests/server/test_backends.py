"""The pool of backends: signatures, places, and what makes one count as away."""

import contextlib
import json

import pytest
import trio
import trio.testing

from channeld.broker.broker import BrokerUnavailable
from channeld.config.model import Backend, Secret
from channeld.plan.plan import RemoteHook
from channeld.protocol.standard_webhooks import signature
from channeld.server.backends import FAILURES, BackendPool, _BackendLink
from channeld.server.http_client import AnswerRead
from channeld.server.runtime import TrioClock
from channeld.telemetry.tracing import Tracing, attached
from tests.server.backend_kit import Asked, LoopbackBackend, loopback_backend

SECRET = "a secret of more than thirty-two bytes"


class MovedClock(TrioClock):
    """trio's clock, some seconds later."""

    __slots__ = ("ahead",)

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


def hook(url: str, *, timeout: float = 30.0, concurrency: int = 4) -> RemoteHook:
    backend = Backend(
        url=url, secrets=(Secret(text=SECRET),), timeout=timeout, concurrency=concurrency
    )
    return RemoteHook(kind="message", name="app", backend=backend, path="/say")


def pool(clock: TrioClock | None = None) -> BackendPool:
    return BackendPool(clock or TrioClock(), lambda: "msg_1")


def samples(backends: BackendPool) -> dict[tuple[str, ...], float]:
    return {(one.metric, *one.labels): float(one.value) for one in backends.samples()}  # type: ignore[arg-type]


async def test_a_call_is_signed_and_its_connection_is_used_again() -> None:
    async with loopback_backend() as backend:
        backends = pool()
        for _ in range(2):
            answer = await backends.ask(hook(f"{backend.url}/hooks/"), b"{}", 60)
            assert (answer.status, answer.body) == (200, b"{}")
        await backends.aclose()
    first = backend.asked[0]
    moment = int(first.headers["webhook-timestamp"])
    assert first.target == "/hooks/say"
    assert first.headers["webhook-id"] == "msg_1"
    assert first.headers["webhook-signature"] == signature(SECRET, "msg_1", moment, b"{}")
    assert backend.connections == 1
    assert samples(backends)["channeld_backend_calls_total", "app", "ok"] == 2


async def test_a_call_within_a_span_hands_its_context_on() -> None:
    tracing = Tracing(lambda _span: None, now=lambda: 0, random_bits=lambda _bits: 7)
    async with loopback_backend() as backend:
        backends = pool()
        with attached(tracing.receive("message say", None, {})):
            await backends.ask(hook(backend.url), b"{}", 60)
        await backends.ask(hook(backend.url), b"{}", 60)
        await backends.aclose()
    within, without = backend.asked
    assert within.headers["traceparent"] == f"00-{7:032x}-{7:016x}-01"
    assert "traceparent" not in without.headers


async def test_a_connection_that_was_closed_meanwhile_is_not_used() -> None:
    async with loopback_backend() as backend:
        backend.closes = True
        backends = pool()
        for _ in range(2):
            assert (await backends.ask(hook(backend.url), b"{}", 60)).status == 200
        assert backend.connections == 2


async def test_no_more_calls_than_places_at_a_time() -> None:
    running = most = 0
    gate = trio.Event()

    async def answer(_: Asked) -> tuple[int, bytes]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return 200, b"{}"

    async with loopback_backend(answer) as backend, trio.open_nursery() as nursery:
        backends = pool()
        for _ in range(5):
            nursery.start_soon(backends.ask, hook(backend.url, concurrency=2), b"{}", 60)
        while running < 2:
            await trio.testing.wait_all_tasks_blocked(0.001)
        gate.set()
    assert most == 2
    await backends.aclose()


async def test_a_late_answer_leaves_the_outcome_unknown() -> None:
    async with loopback_backend(_never) as backend:
        backends = pool()
        with pytest.raises(BrokerUnavailable) as caught:
            await backends.ask(hook(backend.url, timeout=0.05), b"{}", 60)
        assert caught.value.is_unknown
        assert samples(backends)["channeld_backend_calls_total", "app", "late"] == 1


async def test_who_found_no_place_in_time_was_not_asked() -> None:
    async with loopback_backend(_never) as backend, trio.open_nursery() as nursery:
        backends = pool()
        nursery.start_soon(_suffer, backends, hook(backend.url, timeout=30, concurrency=1))
        await trio.testing.wait_all_tasks_blocked(0.001)
        busy = next(iter(backends._known.values()))
        late = hook(backend.url, timeout=0.05, concurrency=1)
        backends._known = {("app", late.backend): busy}
        busy._backend = late.backend
        with pytest.raises(BrokerUnavailable) as caught:
            await backends.ask(late, b"{}", 60)
        assert not caught.value.is_unknown
        nursery.cancel_scope.cancel()


class _TrioTime(TrioClock):
    """Both clocks are trio's, so that time limits and waits agree under a clock that jumps."""

    def monotonic(self) -> float:
        return trio.current_time()


def _slow(takes: float) -> tuple[BackendPool, RemoteHook]:
    """A backend with one place and a timeout of 2 s, which answers after that many seconds."""
    remote = hook("http://127.0.0.1:1", timeout=2.0, concurrency=1)
    backends = pool(_TrioTime())
    link = _BackendLink("app", remote.backend, _TrioTime())
    backends._known = {("app", remote.backend): link}

    async def post(*_: object) -> AnswerRead:
        await trio.sleep(takes)
        return AnswerRead(200, b"{}")

    link._post = post  # type: ignore[method-assign, assignment]
    return backends, remote


async def _ask_side_by_side(
    backends: BackendPool, remote: RemoteHook, calls: int, seconds: float
) -> list[str]:
    """What becomes of calls at the same time."""
    ends = ["?"] * calls

    async def ask(index: int) -> None:
        try:
            await backends.ask(remote, b"{}", seconds)
            ends[index] = "answered"
        except BrokerUnavailable as error:
            ends[index] = "late" if error.is_unknown else "no place"

    async with trio.open_nursery() as nursery:
        for index in range(calls):
            nursery.start_soon(ask, index)
            await trio.testing.wait_all_tasks_blocked()
    return ends


async def test_who_waited_for_a_place_has_the_whole_time_for_its_answer(
    autojump_clock: trio.testing.MockClock,
) -> None:
    backends, remote = _slow(1.5)
    ends = await _ask_side_by_side(backends, remote, 3, 60)
    assert ends == ["answered", "answered", "no place"]


async def test_calls_cut_short_by_the_hooks_limit_say_nothing_of_the_backend(
    autojump_clock: trio.testing.MockClock,
) -> None:
    backends, remote = _slow(1.5)
    places = next(iter(backends._known.values()))._places
    for _ in range(FAILURES + 1):
        begun = trio.current_time()
        places.acquire_on_behalf_of_nowait(backends)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_suffer_late, backends, remote, 2.5)
            await trio.sleep(1.5)
            places.release_on_behalf_of(backends)
        assert trio.current_time() - begun == pytest.approx(2.5)  # the limit holds over both
    assert samples(backends)["channeld_backend_away", "app"] == 0


async def _suffer_late(backends: BackendPool, remote: RemoteHook, seconds: float) -> None:
    with pytest.raises(BrokerUnavailable) as caught:
        await backends.ask(remote, b"{}", seconds)
    assert caught.value.is_unknown


async def _never(_: Asked) -> tuple[int, bytes]:
    await trio.sleep_forever()
    raise AssertionError


async def _suffer(backends: BackendPool, remote: RemoteHook) -> None:
    await backends.ask(remote, b"{}", 60)


async def _fail(backends: BackendPool, remote: RemoteHook, times: int) -> None:
    for _ in range(times):
        with contextlib.suppress(BrokerUnavailable):
            await backends.ask(remote, b"{}", 60)


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_after_five_failures_a_backend_is_away_and_one_call_tries(status: int) -> None:
    wanted = [status]

    async def answer(_: Asked) -> tuple[int, bytes]:
        return wanted[0], b"{}"

    async with loopback_backend(answer) as backend:
        clock = MovedClock()
        backends, remote = pool(clock), hook(backend.url)
        await _fail(backends, remote, FAILURES)
        with pytest.raises(BrokerUnavailable) as caught:
            await backends.ask(remote, b"{}", 60)
        assert caught.value.retry_after == 1.0
        assert len(backend.asked) == FAILURES
        assert samples(backends)["channeld_backend_away", "app"] == 1
        clock.ahead += 1.1
        await _fail(backends, remote, 2)
        assert len(backend.asked) == FAILURES + 1  # the second found it away for two seconds
        clock.ahead += 2.1
        wanted[0] = 200
        assert (await backends.ask(remote, b"{}", 60)).status == 200
        assert (await backends.ask(remote, b"{}", 60)).status == 200
        assert samples(backends)["channeld_backend_away", "app"] == 0
        await backends.aclose()


async def test_calls_that_fail_together_are_one_reason_to_wait() -> None:
    async with loopback_backend() as backend:
        url = backend.url
    clock = MovedClock()
    backends, remote = pool(clock), hook(url, concurrency=4 * FAILURES)
    async with trio.open_nursery() as nursery:
        for _ in range(3 * FAILURES):
            nursery.start_soon(_fail, backends, remote, 1)
    counted = samples(backends)
    assert counted["channeld_backend_calls_total", "app", "failed"] == 3 * FAILURES
    clock.ahead += 1.1
    # It is tried after a second, and after two more.
    await _fail(backends, remote, 2)
    assert samples(backends)["channeld_backend_calls_total", "app", "failed"] == 3 * FAILURES + 1
    clock.ahead += 2.1
    await _fail(backends, remote, 1)
    assert samples(backends)["channeld_backend_calls_total", "app", "failed"] == 3 * FAILURES + 2
    await backends.aclose()


async def test_other_statuses_are_answers() -> None:
    async def answer(_: Asked) -> tuple[int, bytes]:
        return 500, json.dumps({}).encode()

    async with loopback_backend(answer) as backend:
        backends = pool()
        for _ in range(FAILURES + 2):
            assert (await backends.ask(hook(backend.url), b"{}", 60)).status == 500
        await backends.aclose()


async def test_no_connection_counts() -> None:
    async with loopback_backend() as backend:
        url = backend.url
    backends = pool()
    await _fail(backends, hook(url), FAILURES + 1)
    counted = samples(backends)
    assert counted["channeld_backend_calls_total", "app", "failed"] == FAILURES
    assert counted["channeld_backend_calls_total", "app", "away"] == 1


async def test_a_reload_that_changes_a_backend_begins_with_a_new_one() -> None:
    async with loopback_backend() as backend:
        backends = pool()
        await backends.ask(hook(backend.url), b"{}", 60)
        await backends.ask(hook(backend.url, timeout=7.0), b"{}", 60)
        assert len(backends._known) == 1
        assert backend.connections == 2
        await backends.aclose()


def test_the_kit_says_where_it_is() -> None:
    assert LoopbackBackend(port=5).url == "http://127.0.0.1:5"
