"""The engine of a configuration, run in memory, and the users that a test admits."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl

import attrs
import trio
import trio.testing

from channeld.auth.authenticator import Denied, Grant, accept_user
from channeld.broker.broker import Deliver, Position, Publication, Topic
from channeld.broker.memory import MemoryBroker
from channeld.broker.publish_options import NO_OPTIONS, PublishOptions
from channeld.cluster.cluster import Cluster
from channeld.engine.authenticate import find_user
from channeld.engine.engine import Engine
from channeld.engine.ports import Surroundings
from channeld.groups import only
from channeld.hooks import Request, User
from channeld.hub.fanout import DirectFanout
from channeld.plan.load import load_plan
from channeld.plan.plan import ChannelPlan, Match, Plan
from channeld.protocol.frames import CheckedJson, Frame
from channeld.server.handshake import read_cookies
from channeld.server.hook_server import HookServer, enter_lifespan
from channeld.testing.client import ClaimsRefused, Client, Refused
from channeld.testing.virtual import VirtualRuntime


@attrs.frozen(slots=True, kw_only=True)
class TestRequest(Request):
    """A handshake whose user is given by the test."""

    __test__ = False

    user: str | None = None
    claims: Mapping[str, CheckedJson] = attrs.field(factory=dict)


async def find_test_user(
    engine: Surroundings, channel: ChannelPlan, request: Request, connection: str
) -> Grant | Denied | None:
    """The user that a `TestRequest` names; other handshakes bring a token."""
    if not isinstance(request, TestRequest) or request.user is None:
        return await find_user(engine, channel, request, connection)
    auth = channel.auth[0]
    verifier = engine.verifiers.get(auth.name)
    if verifier is not None:
        return verifier.vouch(request.user, request.claims, engine.runtime.clock.wall())
    user = User(request.user, request.claims)
    reason = accept_user(auth.compiled.claims, user)
    return Grant(user) if reason is None else Denied(reason, of_claims=True)


class TestApp:
    """A running engine.

    `on_frame(client, frame)` sees everything that clients receive, `on_close(client, code, reason)` every end, and
    `on_publication(topic, publication)` everything that is published, whether or not anybody is there.
    """

    __test__ = False

    def __init__(self, plan: Plan, runtime: VirtualRuntime) -> None:
        self.plan = plan
        self.runtime = runtime
        self.on_frame: Callable[[Client, Frame], None] = lambda _client, _frame: None
        self.on_close: Callable[[Client, int, str], None] = lambda _client, _code, _reason: None
        self.on_publication: Callable[[Topic, Publication], None] = lambda _topic, _publication: (
            None
        )
        self.engine = Engine(
            plan,
            lambda deliver: _ToldBroker(self, deliver),
            DirectFanout(),
            runtime,
            find_user=find_test_user,
        )
        self.cluster = Cluster(self.engine, "local")
        self.engine.cluster = self.cluster
        self.server = HookServer(
            self.engine, self.cluster, runtime.asyncio, runtime.failures.append
        )
        self.engine.servers = self.server.by_loop

    async def connect(  # noqa: PLR0913 - keywords, each of them optional
        self,
        path: str,
        *,
        user: str | None = None,
        claims: Mapping[str, CheckedJson] | None = None,
        expires: float | None = 3600.0,
        token: str | None = None,
        since: str | None = None,
        headers: Mapping[str, str] | None = None,
        subprotocols: Sequence[str] = (),
        address: str = "127.0.0.1",
    ) -> Client:
        """Connect to a path (with or without a query).

        Args:
            path: as in the URL.
            user: admit this user without a token, with `claims`; on a jwt channel, as if a token had them.
            claims: the user's claims.
            expires: for jwt: seconds until `exp`; None: the token has none.
            token: a real token, sent as `?token=`.
            since: the position to recover from.
            headers: lower-case names.
            subprotocols: those that the client offers.
            address: where the connection comes from.

        Raises:
            Refused: the path is unknown, or its params are bad.
            ClaimsRefused: the authenticator refuses the user or the claims; the message says why.
        """
        target, _, query_text = path.partition("?")
        query = dict(parse_qsl(query_text, keep_blank_values=True))
        query |= {"token": token} if token is not None else {}
        query |= {"since": since} if since is not None else {}
        match = self.engine.plan.match(target)
        if match is None:
            raise Refused(404)
        read = match.channel.read_query
        if read is not None and isinstance(read(query), str):
            raise Refused(400)
        all_claims = dict(claims or {})
        if expires is not None and user is not None:
            all_claims.setdefault("exp", self.runtime.clock.wall() + expires)
        request = TestRequest(
            path=target,
            channel=match.channel.name,
            params=match.params,
            query=query,
            headers=headers or {},
            cookies=read_cookies((headers or {}).get("cookie", "")),
            subprotocols=subprotocols,
            address=address,
            user=user,
            claims=all_claims,
        )
        await self._check_claims(match.channel, request)
        client = self.open(match, request)
        await self.rest()
        return client

    async def _check_claims(self, channel: ChannelPlan, request: TestRequest) -> None:
        # A test whose made-up claims are refused should learn why; a client never does.
        if request.user is None or not channel.auth:
            return
        found = await find_test_user(self.engine, channel, request, "")
        if isinstance(found, Denied) and found.of_claims:
            raise ClaimsRefused(found.reason)

    def open(
        self, match: Match, request: Request, begin: Callable[[Client], None] | None = None
    ) -> Client:
        """Open a connection whose handshake was accepted; `begin` gets the client before anything is sent to it."""
        connect = partial(self.engine.connect, match, request)
        client = Client(self, request.path, connect)
        if begin is not None:
            begin(client)
        client.start(client.session.open(self.runtime.clock.monotonic()))
        return client

    async def publish(self, channel: str, frame: Mapping[str, CheckedJson], **to: str) -> None:
        """Publish as the control API would: `room=`, `user=`, or neither for everyone.

        Raises:
            FrameRefused: the channel's clients may not get it.
        """
        room, user = to.pop("room", None), to.pop("user", None)
        if to:
            raise TypeError(f"publish() takes `room` or `user`, not {sorted(to)}")
        later = self.engine.publish(channel, frame, room=room, user=user)
        if isinstance(later, Awaitable):
            await later

    async def rest(self) -> None:
        """Wait until nothing more can happen unless time moves."""
        await self.runtime.rest()

    async def advance(self, seconds: float, *, until: Callable[[], bool] | None = None) -> None:
        """Move virtual time, timer by timer, without taking real time. Stops early once `until()` is true."""
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


class _ToldBroker(MemoryBroker):
    """Tells the app of each publication."""

    def __init__(self, app: TestApp, deliver: Deliver) -> None:
        super().__init__(deliver, app.runtime.clock, "0" * 11)
        self._app = app

    def publish(
        self, topic: Topic, payload: bytes, options: PublishOptions = NO_OPTIONS
    ) -> Position | None:
        position = super().publish(topic, payload, options)
        self._app.on_publication(topic, Publication(payload, position, options.skip))
        return position


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
            stack.push_async_callback(app.runtime.asyncio.aclose)
            await stack.enter_async_context(app.server.open())
            for hook in plan.lifespans:
                await stack.enter_async_context(enter_lifespan(app.engine, app.server, hook))
            yield app
            for session in list(app.engine.sessions.values()):
                session.peer.close(1001, "the test is over")
            await app.rest()
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # A failed assertion reads better without the nursery around it.
        raise only(group) from None
