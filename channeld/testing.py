"""The real engine in memory: no socket, virtual time. For hook authors, scenarios and channeld's own tests.

    async with running("channels.yaml") as app:
        ann = await app.connect("/rooms/general", user="ann", claims={"name": "Ann"})
        await ann.send({"type": "message", "text": "hi"})
        assert (await ann.receive("message"))["text"] == "hi"
        await app.advance(3600)

What is as in the server: plan, engine, hub, broker, hooks, limits, timers. What is not: handshakes are not parsed (the
path is matched, and refused like there), and `user=` lets a client in with claims that nobody signed; everything
else about tokens (claims' schema, expiry, `require`) holds. Time moves only in `advance`; a hook that sleeps on trio's
clock wakes when trio's clock says so, so run such tests on `trio.testing.MockClock`, which `advance` moves along.
"""

import json
import random
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import attrs
import trio
import trio.testing

from channeld.broker.later import Pending
from channeld.broker.memory import MemoryBroker
from channeld.engine.auth import Denied, Grant, JwtVerifier, accept_user
from channeld.engine.engine import Engine
from channeld.engine.identity import find_user
from channeld.engine.session import Session
from channeld.hooks import Request, User
from channeld.hub.fanout import DirectFanout
from channeld.loading import load_plan
from channeld.plan.plan import Match, Plan
from channeld.protocol.frames import Frame
from channeld.protocol.websocket import payload_of
from channeld.timers import Timers

__all__ = ["Client", "NotReceived", "Refused", "TestApp", "VirtualClock", "running"]

START = 1_767_225_600.0
"""The wall clock's start in every test: 2026-01-01T00:00:00Z."""


class Refused(Exception):
    """The handshake was refused before the upgrade; `status` is the HTTP status."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


class NotReceived(AssertionError):
    """Nothing (or nothing of that type) has come, and the server is at rest."""


class VirtualClock:
    """Both clocks, moved by `advance` only (and by trio's own `MockClock` where that is in use)."""

    def __init__(self) -> None:
        self.offset = -trio.current_time()
        self._mock = isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock)
        self._now = 0.0

    def monotonic(self) -> float:
        """Seconds since the test began."""
        return trio.current_time() + self.offset if self._mock else self._now

    def wall(self) -> float:
        """The same, as Unix time."""
        return START + self.monotonic()

    def jump(self, seconds: float) -> None:
        """Move both clocks."""
        clock = trio.lowlevel.current_clock()
        if isinstance(clock, trio.testing.MockClock):
            clock.jump(seconds)
        else:
            self._now += seconds

    def next_deadline(self) -> float:
        """When something on trio's own clock is due, on this clock's scale."""
        if not self._mock:
            return float("inf")
        return self.monotonic() + trio.lowlevel.current_statistics().seconds_to_next_deadline


class VirtualRuntime:
    """The engine's runtime in tests: seeded randomness, tasks in the test's nursery, threads counted."""

    def __init__(self, nursery: trio.Nursery, seed: int) -> None:
        self.clock = VirtualClock()
        self.timers = Timers()
        self.failures: list[BaseException] = []
        self._random = random.Random(seed)  # noqa: S311 - the same ids in every run
        self._nursery = nursery
        self._threads = 0
        self._thread_done = trio.Event()

    def random_id(self) -> str:
        """Twenty-two characters, the same ones in every run."""
        return f"{self._random.getrandbits(88):022x}"

    def uuid(self) -> str:
        """A version 4 UUID, the same one in every run."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def random(self) -> float:
        """A number in [0, 1), the same one in every run."""
        return self._random.random()

    async def within(
        self, seconds: float, call: Callable[..., Awaitable[Any]], *args: object
    ) -> Any:
        """`await call(*args)`, cancelled after so many virtual seconds."""
        with trio.move_on_after(seconds):
            return await call(*args)
        raise TimeoutError

    async def in_thread(self, seconds: float, call: Callable[..., Any], *args: object) -> Any:
        """Call a function in a worker thread; the server is not at rest meanwhile."""
        self._threads += 1
        try:
            return await trio.to_thread.run_sync(call, *args, abandon_on_cancel=True)
        finally:
            self._threads -= 1
            self._thread_done.set()
            self._thread_done = trio.Event()

    make_event = staticmethod(trio.Event)

    def spawn(self, pending: Awaitable[object]) -> None:
        """Await it in a task; what it raises is kept in `failures`."""
        self._nursery.start_soon(self._contained, pending)

    async def _contained(self, pending: Awaitable[object]) -> None:
        try:
            await pending
        except Exception as error:  # shown by whoever runs the test, at its end
            self.failures.append(error)

    async def rest(self) -> None:
        """Wait until nothing can happen any more unless time moves."""
        while True:
            await trio.testing.wait_all_tasks_blocked()
            if not self._threads:
                return
            await self._thread_done.wait()


@attrs.frozen(slots=True, kw_only=True)
class TestRequest(Request):
    """A handshake whose user is simply given."""

    __test__ = False

    user: str | None = None
    claims: Mapping[str, Any] = attrs.field(factory=dict)


async def _find_test_user(session: Session, request: Request) -> Grant | Denied | None:
    if not isinstance(request, TestRequest) or request.user is None:
        return await find_user(session, request)
    auth = session.channel.auth[0]
    verifier = session.engine.verifiers.get(auth.name)
    if isinstance(verifier, JwtVerifier):
        claims = {"sub": request.user, **request.claims}
        return verifier.grant(claims, session.engine.runtime.clock.wall())
    user = User(request.user, request.claims)
    reason = accept_user(auth, user)
    return Grant(user) if reason is None else Denied(reason)


class Client:
    """One in-memory connection. What it receives waits in `inbox`; `closed` is (code, reason) once it has ended."""

    def __init__(self, app: "TestApp", path: str) -> None:
        self.path = path
        self.inbox: deque[Frame] = deque()
        self.closed: tuple[int, str] | None = None
        self.pos: str | None = None
        self.session: Session | None = None
        self._app = app
        self._waiting: deque[bytes] = deque()
        self._busy = False

    # --------------------------------------------------------------------------------------- for the test

    async def send(self, frame: Mapping[str, Any]) -> None:
        """Send a frame; like a real client's, it is on its way and not waited for."""
        await self.send_raw(json.dumps(frame))

    async def send_raw(self, text: str) -> None:
        """Send any text."""
        self._waiting.append(text.encode())
        self._pump()
        await trio.lowlevel.checkpoint()

    async def receive(self, type: str | None = None) -> Frame:
        """The next frame, or the next of a type (those before it are dropped).

        Raises:
            NotReceived: there is none, and the server is at rest.
        """
        await self._app.rest()
        while self.inbox:
            frame = self.inbox.popleft()
            if type is None or frame["type"] == type:
                return frame
        what = "frame" if type is None else f"`{type}`"
        raise NotReceived(f"no {what} came; the connection is {self.closed or 'open'}")

    async def received(self) -> list[Frame]:
        """Everything that has come by now."""
        await self._app.rest()
        frames = list(self.inbox)
        self.inbox.clear()
        return frames

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close from the client's side."""
        self._end(code, reason)
        await self._app.rest()

    async def wait_closed(self) -> tuple[int, str]:
        """The code and reason with which the server closed.

        Raises:
            NotReceived: it has not.
        """
        await self._app.rest()
        if self.closed is None:
            raise NotReceived("the connection is open")
        return self.closed

    # ------------------------------------------------------------------------------- the engine's `Peer`

    def peer_send(self, frame: bytes) -> None:
        """Keep a frame that the server sent."""
        if self.closed is None:
            value: Frame = json.loads(payload_of(frame))
            self.pos = value.get("pos", self.pos)
            self.inbox.append(value)
            self._app.on_frame(self, value)

    def peer_close(self, code: int, reason: str = "") -> None:
        """The server closes."""
        self._end(code, reason)

    def start(self, pending: Pending[None] | None) -> None:
        """Go on with what the session could not finish at once; frames wait meanwhile."""
        if pending is not None:
            self._busy = True
            self._app.runtime.spawn(self._finish(pending))

    async def _finish(self, pending: Pending[None]) -> None:
        try:
            await pending
        finally:
            self._busy = False
        self._pump()

    def _pump(self) -> None:
        session = self.session
        while self._waiting and not self._busy and self.closed is None and session is not None:
            text = self._waiting.popleft()
            now = self._app.runtime.clock.monotonic()
            if len(text) > session.limits.message_size:
                session.too_large(now)
            else:
                self.start(session.receive(text, now))

    def _end(self, code: int, reason: str) -> None:
        if self.closed is None:
            self.closed = (code, reason)
            self._app.on_close(self, code, reason)
            self._app.runtime.spawn(self._say_closed(code, reason))

    async def _say_closed(self, code: int, reason: str) -> None:
        if self.session is not None:
            rest = self.session.closed(code, reason, self._app.runtime.clock.monotonic())
            if rest is not None:
                await rest


class _ClientPeer:
    """A client as the engine sees it (two objects, so that `Client.close` may mean the client's own)."""

    __slots__ = ("_client",)

    def __init__(self, client: Client) -> None:
        self._client = client

    def send(self, frame: bytes) -> None:
        self._client.peer_send(frame)

    def close(self, code: int, reason: str = "") -> None:
        self._client.peer_close(code, reason)


class TestApp:
    """A running engine.

    `on_frame(client, frame)` sees everything that clients receive, `on_close(client, code, reason)` every end.
    """

    __test__ = False

    def __init__(self, plan: Plan, runtime: VirtualRuntime) -> None:
        self.plan = plan
        self.runtime = runtime
        self.on_frame: Callable[[Client, Frame], None] = lambda _client, _frame: None
        self.on_close: Callable[[Client, int, str], None] = lambda _client, _code, _reason: None
        self.engine = Engine(
            plan,
            lambda deliver: MemoryBroker(deliver, runtime.clock, "0" * 11),
            DirectFanout(),
            runtime,
            find_user=_find_test_user,
        )

    async def connect(  # noqa: PLR0913 - keywords, each of them optional
        self,
        path: str,
        *,
        user: str | None = None,
        claims: Mapping[str, Any] | None = None,
        expires: float | None = 3600.0,
        token: str | None = None,
        since: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Client:
        """Connect to a path (with or without a query).

        Args:
            path: as in the URL.
            user: let this user in without a token, with `claims`; on a jwt channel they are a token's.
            claims: the user's claims.
            expires: for jwt: seconds until `exp`; None for a token without one.
            token: a real token, sent as `?token=`.
            since: the position to recover from.
            headers: lower-case names.

        Raises:
            Refused: the path is unknown, or its params are bad.
        """
        target, _, query_text = path.partition("?")
        query = dict(parse_qsl(query_text, keep_blank_values=True))
        query |= {"token": token} if token is not None else {}
        query |= {"since": since} if since is not None else {}
        match = self.plan.match(target)
        if match is None:
            raise Refused(404)
        all_claims = dict(claims or {})
        if expires is not None and user is not None:
            all_claims.setdefault("exp", self.runtime.clock.wall() + expires)
        request = TestRequest(
            path=target,
            channel=match.channel.name,
            params=match.params,
            query=query,
            headers=headers or {},
            address="127.0.0.1",
            user=user,
            claims=all_claims,
        )
        client = self.open(match, request)
        await self.rest()
        return client

    def open(
        self, match: Match, request: Request, begin: Callable[[Client], None] | None = None
    ) -> Client:
        """Open a connection whose handshake was accepted; `begin` gets the client before anything is sent to it."""
        client = Client(self, request.path)
        if begin is not None:
            begin(client)
        session = self.engine.connect(match.channel, match.params, request, _ClientPeer(client))
        client.session = session
        client.start(session.open(self.runtime.clock.monotonic()))
        return client

    async def publish(self, channel: str, frame: Mapping[str, Any], **to: str) -> None:
        """Publish as the control API would: `room=`, `user=`, or neither for everyone.

        Raises:
            FrameRefused: clients of that channel may not get it.
        """
        later = self.engine.publish(channel, frame, **to)
        if isinstance(later, Awaitable):
            await later

    async def rest(self) -> None:
        """Wait until nothing can happen any more unless time moves."""
        await self.runtime.rest()

    async def advance(self, seconds: float, *, until: Callable[[], bool] | None = None) -> None:
        """Move virtual time, timer by timer; takes no real time. Stops early where `until()` is true."""
        clock, timers = self.runtime.clock, self.runtime.timers
        end = clock.monotonic() + seconds
        await self.rest()
        while True:
            due = timers.next_deadline()
            stop = min(end, clock.next_deadline(), end if due is None else due)
            clock.jump(max(0.0, stop - clock.monotonic()))
            timers.run(clock.monotonic())
            await self.rest()
            if clock.monotonic() >= end - 1e-9 or (until is not None and until()):
                return


@asynccontextmanager
async def running(config: str | Path | Plan, *, seed: int = 0) -> AsyncIterator[TestApp]:
    """Run a configuration's engine, lifespan hook included, until the block ends.

    Args:
        config: the file, or a compiled plan.
        seed: for ids and randomness.

    Raises:
        ConfigError: the configuration has errors; its text is the report.
    """
    plan = config if isinstance(config, Plan) else load_plan(str(config))
    try:
        async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
            app = TestApp(plan, VirtualRuntime(nursery, seed))
            if plan.lifespan is not None:
                app.engine.state = await stack.enter_async_context(plan.lifespan.call(app.engine))
            yield app
            for session in list(app.engine.sessions.values()):
                session.peer.close(1001, "the test is over")
            await app.rest()
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # A failed assertion reads better without the nursery round it.
        raise _only(group) from None


def _only(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
