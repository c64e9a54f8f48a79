"""One scenario's world: the running engine, its clients with their inboxes, and everything that happens, in order."""

import base64
from typing import Final
from urllib.parse import quote

import attrs

from channeld.auth.token_places import Carried, carry
from channeld.engine.session import State
from channeld.plan.plan import ChannelPlan, Match
from channeld.protocol.frames import Frame, Json
from channeld.protocol.reserved import RESERVED
from channeld.scenarios.coverage import Exercised
from channeld.scenarios.frame_checks import Breach, check_delivered
from channeld.scenarios.inbox import ClientInbox, Received
from channeld.scenarios.instrumentation import ORIGIN
from channeld.scenarios.matching import LONGEST, Env, fill, shown
from channeld.scenarios.model import ClientSpec, Scenario
from channeld.scenarios.outcome import TimelineEntry, shown_seconds
from channeld.scenarios.secrets import value_texts
from channeld.server.exchange import Answer, Refuse, RequestHead
from channeld.server.handshake import Arrival, Rules, Seat, decide, judge_room
from channeld.server.transports import TRANSPORTS
from channeld.testing import Client, TestApp, TestRequest

HOST: Final = "localhost"
ADDRESS: Final = "127.0.0.1"
OUTLASTS: Final = 366 * 86_400.0 + 3600.0
"""The lifetime of a token if the scenario does not give one: longer than any `advance`."""
_KEY: Final = base64.b64encode(b"channeld-testing")
MOST_ENTRIES: Final = 10_000


@attrs.define(eq=False)
class Actor:
    """One of a scenario's clients, through all of its connections.

    `status` is an HTTP refusal, or 0. `closed` is how the last connection ended: `is_leaving`: the client closed it,
    `is_closure_taken`: a step expected the server to. `asked` is the type of the last frame it sent.
    """

    name: str
    inbox: ClientInbox
    pos: str | None = None
    client: Client | None = None
    spec: ClientSpec | None = None
    status: int = 0
    closed: tuple[int, str] | None = None
    is_leaving: bool = False
    is_closure_taken: bool = False
    asked: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it is connected."""
        return self.client is not None and self.client.closed is None

    @property
    def is_waited_for(self) -> bool:
        """Whether the server waits for its `authenticate` frame."""
        session = None if self.client is None else self.client.session
        return self.is_open and session is not None and session.is_in(State.AUTHENTICATING)

    @property
    def was_sent_away(self) -> bool:
        """Whether the server closed, and no step has expected it yet."""
        return self.closed is not None and not self.is_leaving and not self.is_closure_taken


@attrs.frozen(slots=True, kw_only=True)
class BadDelivery:
    """A frame that violates its declaration, and the client that received it."""

    actor: Actor
    received: Received
    breach: Breach
    step: int


@attrs.define(eq=False)
class Stage:
    """Opens connections, and distributes what arrives to inboxes, timeline and coverage."""

    app: TestApp
    scenario: Scenario
    reached: Exercised
    step: int = -1
    captured: dict[str, Json] = attrs.field(factory=dict)
    actors: dict[str, Actor] = attrs.field(factory=dict)
    timeline: list[TimelineEntry] = attrs.field(factory=list)
    breaches: list[BadDelivery] = attrs.field(factory=list)
    secrets: set[str] = attrs.field(factory=set)
    _of: dict[Client, Actor] = attrs.field(factory=dict)
    _rules: Rules = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        schemas = self.app.plan.config.schemas
        for name in self.scenario.clients:
            ignore = self.scenario.ignore
            inbox = ClientInbox(captured=self.captured, schemas=schemas, ignore=ignore)
            self.actors[name] = Actor(name, inbox)
        self._rules = Rules.of(self.app.plan, TRANSPORTS)
        self.app.on_frame = self._on_frame
        self.app.on_close = self._on_close

    @property
    def now(self) -> float:
        """Virtual seconds since the scenario began."""
        return self.app.runtime.clock.monotonic()

    @property
    def env(self) -> Env:
        """What patterns and templates may refer to."""
        return Env(captured=self.captured, schemas=self.app.plan.config.schemas)

    def note(self, who: str, mark: str, text: str, note: str = "") -> TimelineEntry:
        """Add a line to the timeline, whose size is bounded."""
        entry = TimelineEntry(time=self.now, who=who, mark=mark, text=text, note=note)
        if len(self.timeline) < MOST_ENTRIES:
            self.timeline.append(entry)
        return entry

    def shown(self, frame: Frame, longest: int = LONGEST) -> str:
        """A frame on one line, with sensitive values masked."""
        self.keep_secrets(frame)
        return shown(self.app.plan.sensitive.masked(frame), longest)

    def keep_secrets(self, frame: Json) -> None:
        """Remember the sensitive values of a frame or pattern, so that no other text shows them."""
        for value in self.app.plan.sensitive.secrets(frame):
            self.secrets.update(value_texts(value))

    def leave(self) -> None:
        """End the scenario: later events are ignored."""
        self.app.on_frame = lambda _client, _frame: None
        self.app.on_close = lambda _client, _code, _reason: None

    # ------------------------------------------------------------------------------------------------ connecting

    async def connect(self, actor: Actor, spec: ClientSpec) -> None:
        """Perform a handshake; afterwards the actor is connected, or `status` or `closed` says why not."""
        ORIGIN.set(None)
        actor.spec = spec
        actor.status, actor.closed = 0, None
        actor.is_leaving = actor.is_closure_taken = False
        match = self._rules.match(spec.path.partition("?")[0])
        decided = decide(self._head(actor, spec, match), self._rules, self._arrival())
        if isinstance(decided, Answer):
            actor.status = decided.status
            self.reached.add("server", "status", decided.status)
            self.note(actor.name, "=", f"refused with HTTP {decided.status} on {spec.path}")
            return
        self.note(actor.name, "=", f"connects to {spec.path}")
        request = TestRequest(
            **{field.name: getattr(decided.request, field.name) for field in _REQUEST_FIELDS},
            user=spec.user,
            claims=self._claims(spec, decided.match.channel),
        )

        def begin(client: Client) -> None:
            actor.client = client
            self._of[client] = actor

        self.app.open(decided.match, request, begin)
        await self.app.rest()
        if actor.is_open:
            self.reached.add(decided.match.channel.name, "channel", "connected")
        if spec.token is not None and _carried(decided.match.channel, spec.token).in_frame:
            await self._authenticate(actor, spec.token)

    async def _authenticate(self, actor: Actor, token: str) -> None:
        if actor.is_open and actor.client is not None:
            self.note(actor.name, ">", '{"type": "authenticate", "token": "…"}')
            await actor.client.send({"type": "authenticate", "token": token})
            await self.app.rest()

    def _claims(self, spec: ClientSpec, channel: ChannelPlan) -> dict[str, Json]:
        claims = dict(spec.claims)
        if not channel.auth:
            return claims
        # `expires` in a scenario is the time at which the connection ends.
        end = self.app.runtime.clock.wall() + (OUTLASTS if spec.expires is None else spec.expires)
        return channel.auth[0].type.claims_until(end) | claims

    def _arrival(self) -> Arrival:
        plan = self.app.plan
        sessions = list(self.app.engine.sessions.values())
        most = plan.limits.connections_per_address

        def lacks(seat: Seat) -> Refuse | None:
            beside = sum(one.address == seat.address for one in sessions)
            return judge_room(
                is_full=len(sessions) >= plan.limits.connections,
                is_crowded=most is not None and beside >= most,
            )

        return Arrival(address=ADDRESS, lacks=lacks)

    def _head(self, actor: Actor, spec: ClientSpec, match: Match | None) -> RequestHead:
        fields = {
            "host": HOST,
            "upgrade": "websocket",
            "connection": "Upgrade",
            "sec-websocket-version": "13",
            "sec-websocket-key": _KEY.decode(),
        }
        path, _, query = spec.path.partition("?")
        parts = [query] if query else []
        since = actor.pos if spec.since == "last" else fill(spec.since, self.env)
        if since is not None:
            parts.append(f"since={quote(str(since))}")
        if spec.token is not None and match is not None:
            carried = _carried(match.channel, spec.token)
            parts += [f"{quote(name)}={quote(value)}" for name, value in carried.query.items()]
            fields |= carried.headers
            if carried.subprotocols:
                fields["sec-websocket-protocol"] = ", ".join(carried.subprotocols)
        if spec.origin is not None:
            fields["origin"] = spec.origin
        fields |= spec.headers
        target = "?".join([path, "&".join(parts)]) if parts else path
        encoded = {name: value.encode().decode("latin-1") for name, value in fields.items()}
        return RequestHead("GET", quote(target, safe="/?&=%:+,;@!$'()*~-._"), "1.1", encoded)

    # ------------------------------------------------------------------------------------------------ what comes

    def _on_frame(self, client: Client, frame: Frame) -> None:
        actor = self._of[client]
        channel = client.session.channel
        kind = frame.get("type")
        origin = None if kind in RESERVED and kind != "reply" else ORIGIN.get()
        entry = self.note(actor.name, "<", self.shown(frame))
        received = Received(time=self.now, frame=frame, origin=origin, entry=entry)
        actor.inbox.put(received)
        actor.pos = client.pos if client.pos is not None else actor.pos
        self._reach(actor, channel, received)
        breach = check_delivered(self.app.plan, channel, frame, origin)
        if breach is not None:
            bad = BadDelivery(actor=actor, received=received, breach=breach, step=self.step)
            self.breaches.append(bad)

    def _reach(self, actor: Actor, channel: ChannelPlan, received: Received) -> None:
        kind = received.frame.get("type")
        origin = received.origin
        if kind == "error":
            code = received.frame.get("code")
            self.reached.add(channel.name, "error", code)
            if actor.asked == "subscribe":
                self.reached.add(channel.name, "refusal", f"subscribe ({code})")
        elif kind not in RESERVED:
            self.reached.add(channel.name, "event", kind)
            if origin is not None and origin.kind == "message":
                self.reached.add(origin.channel, "route", origin.name)

    def _on_close(self, client: Client, code: int, reason: str) -> None:
        actor = self._of[client]
        if actor.client is not client:
            return
        actor.closed = (code, reason)
        if not actor.is_leaving:
            self.reached.add(client.session.channel.name, "close", code)
        words = f" {reason}" if reason else ""
        who = "closes" if actor.is_leaving else "the server closes"
        self.note(actor.name, "=", f"{who} {code}{words}")

    async def advance(self, seconds: float) -> None:
        """Let virtual time pass."""
        ORIGIN.set(None)
        self.note("", ".", f"{shown_seconds(seconds)} pass")
        await self.app.advance(seconds)


_REQUEST_FIELDS: Final = tuple(
    field for field in attrs.fields(TestRequest) if field.name not in ("user", "claims")
)


def _carried(channel: ChannelPlan, token: str) -> Carried:
    """How a client sends its token to the first place of the channel's first authenticator with tokens."""
    places = (place for auth in channel.auth for place in auth.type.token_from())
    return carry([*places][:1], token)
