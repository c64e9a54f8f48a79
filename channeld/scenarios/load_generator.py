"""Generates load from a configuration: clients send valid messages within their rates, and every delivery is counted.

A client sends its next message when the last one has been answered and the rates allow it, at most one per second. The plan
says who must receive it (`receivers.py`). If a message has room for it, a mark in its text gives the latency to each
receiver.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

import attrs
import orjson
import trio

from channeld.auth.authenticator import CannotMint
from channeld.dev.address import Opening, likely_path, resolve, with_token
from channeld.dev.claims import claims_meeting
from channeld.dev.client import Line, LineClosed, speak_on
from channeld.dev.mint import choose
from channeld.plan.plan import ChannelPlan, MessagePlan, Plan
from channeld.protocol.frames import Frame, Json
from channeld.scenarios.inbox import SPOKEN
from channeld.scenarios.load_result import LoadResult
from channeld.scenarios.load_rooms import LoadRooms, routed_fields
from channeld.scenarios.made_up import Maker
from channeld.scenarios.receivers import Known, Receivers, is_checkable

_GROUP: Final = 10
"""Clients that share a path's params, and so a room."""
_SLOWEST: Final = 1.0
_PATIENCE: Final = 5.0
_TOLD_EVERY: Final = 0.5
_REFUSALS: Final = 3
_MADE: Final = 20
_MARK = re.compile(r"#b(\d+)#")
_READY: Final = "bench-ready"
_SUBSCRIBE: Final = "bench-room-"


@attrs.define(eq=False)
class LoadWatch:
    """Observes a load: `progress` is called every half second; `stop` ends it early, after pending deliveries."""

    progress: Callable[[LoadResult], None] = lambda _result: None
    stop: trio.Event = attrs.field(factory=trio.Event)


def cannot_load(plan: Plan, channel: ChannelPlan) -> str:
    """Why a channel cannot be loaded; empty if it can."""
    try:
        _Client(plan, channel, 0, _Shared(LoadResult(), 1)).opening("ws://localhost")
    except (LookupError, CannotMint) as error:
        return str(error)
    return "" if channel.messages else "it has no messages"


async def run_load(
    plan: Plan,
    channels: Sequence[ChannelPlan],
    base: str,
    count: int,
    seconds: float,
    watch: LoadWatch | None = None,
) -> LoadResult:
    """Load a running server with `count` clients, which send for `seconds`; `watch` may end it earlier.

    Clients take the channels in turn, none of which `cannot_load` may refuse. `base` is the server's URL without a path.
    """
    result, watch = LoadResult(clients=count), watch or LoadWatch()
    shared = _Shared(result, count)
    clients = [
        _Client(plan, channels[index % len(channels)], index // len(channels), shared)
        for index in range(count)
    ]
    async with trio.open_nursery() as nursery:
        for client in clients:
            nursery.start_soon(client.run, client.opening(base))
        for client in clients:
            await client.settled.wait()
        here = [client for client in clients if client.is_connected]
        result.connected = len(here)
        # What arrived so far came from the rooms' histories.
        result.deliveries = 0
        for client in here:
            client.came.clear()
        shared.clients = {id(client.known): client for client in here}
        shared.audience = Receivers(client.known for client in here)
        started = trio.current_time()
        nursery.start_soon(_tell, result, started, watch.progress)
        if here:
            with trio.move_on_after(seconds) as sending:
                nursery.start_soon(_end_on, watch.stop, sending, result)
                shared.go.set()
                for client in here:
                    await client.gone.wait()
                result.is_away = True
        shared.is_over = True
        ended = trio.current_time()
        await shared.drain(here)
        nursery.cancel_scope.cancel()
    result.seconds = ended - started
    result.lost += sum(client.missing for client in here)
    return result


async def _tell(result: LoadResult, started: float, progress: Callable[[LoadResult], None]) -> None:
    while True:
        await trio.sleep(_TOLD_EVERY)
        result.seconds = trio.current_time() - started
        progress(result)


async def _end_on(stop: trio.Event, sending: trio.CancelScope, result: LoadResult) -> None:
    await stop.wait()
    result.is_interrupted = True
    sending.cancel()


@attrs.define(eq=False)
class _Shared:
    """What all clients have in common."""

    result: LoadResult
    count: int
    go: trio.Event = attrs.field(factory=trio.Event)
    is_over: bool = False
    audience: Receivers = attrs.field(factory=lambda: Receivers(()))
    clients: dict[int, "_Client"] = attrs.field(factory=dict)
    sent_at: dict[int, float] = attrs.field(factory=dict)
    number: int = 0
    made: dict[tuple[str, str], list[dict[str, Json]]] = attrs.field(factory=dict)

    def messages(self, plan: Plan, channel: str, message: MessagePlan) -> list[dict[str, Json]]:
        """The messages of a type: its examples, and some generated ones."""
        key = (channel, message.type)
        if key not in self.made:
            maker = Maker(Random(message.type), plan.config.schemas)  # noqa: S311 - the same in every run
            examples = plan.config.channels[channel].messages[message.type].examples
            self.made[key] = maker.messages(message, examples, _MADE)
        return self.made[key]

    async def drain(self, clients: Sequence["_Client"]) -> None:
        """Wait for deliveries under way, as long as any arrive."""
        before, since = -1, trio.current_time()
        while any(client.is_waiting for client in clients):
            if self.result.deliveries != before:
                before, since = self.result.deliveries, trio.current_time()
            if trio.current_time() - since > _PATIENCE or all(c.gone.is_set() for c in clients):
                return
            await trio.sleep(0.02)


@attrs.define
class _Kind:
    """One message type of a client: what to send, how often, and whether deliveries are counted."""

    message: MessagePlan
    type: str
    delivered: str
    interval: float
    made: list[dict[str, Json]]
    is_checked: bool
    routed: frozenset[str]
    due: float = 0.0
    refused: int = 0
    turn: int = 0


class _Client:
    """One connection of the load. For `speak_on` it is a screen, which shows nothing and counts ends."""

    def __init__(self, plan: Plan, channel: ChannelPlan, index: int, shared: _Shared) -> None:
        self._plan, self._channel, self._shared = plan, channel, shared
        self._index = index
        self.path = likely_path(plan, channel, f"bench-{index // _GROUP}")
        found = plan.match(self.path)
        params = found.params if found is not None else {}
        user, claims = self._identity(params)
        self.known = Known(channel, params, user, claims)
        made = {
            type_: shared.messages(plan, channel.name, message)
            for type_, message in channel.messages.items()
        }
        declared = plan.config.channels[channel.name]
        self._rooms = LoadRooms(declared, self.known, made, f"bench-{index // _GROUP}")
        self.settled, self.gone = trio.Event(), trio.Event()
        self.is_connected = False
        self.expected: Counter[str] = Counter()
        self.came: Counter[str] = Counter()
        self._answer: tuple[str, trio.Event, list[Frame]] | None = None

    # ------------------------------------------------------------------------------------------------- before

    def _identity(self, params: Mapping[str, Json]) -> tuple[str | None, dict[str, Json]]:
        channel, user = self._channel, f"bench-{self._index}"
        if not channel.auth or (channel.auth_optional and not channel.require):
            return None, {}
        auth = next((one for one in channel.auth if one.type.can_mint()), None)
        if auth is None:
            raise CannotMint("none of its authenticators signs with a secret")
        declared = self._plan.config.channels[channel.name]
        requires = (declared.require, *(one.require for one in declared.messages.values()))
        claims = claims_meeting(self._plan, auth, requires, user=user, params=params)
        minter = choose(self._plan.config.auth, auth.name)
        self._token, payload = minter.mint(user, claims, lifetime=86_400)
        self._token_from = minter.auth.token_from()
        return user, payload

    def opening(self, base: str) -> Opening:
        """The handshake."""
        here = resolve(base + self.path)
        if self.known.user is None:
            return here
        return with_token(here, self._token, self._token_from)

    def _kinds(self) -> list[_Kind]:
        limit = self._channel.limits.messages.interval
        return [
            _Kind(
                message=message,
                type=type_,
                delivered=declared.delivered_type(type_),
                interval=max(_SLOWEST, limit, self._interval(message)),
                made=self._rooms.messages(type_),
                routed=routed_fields(self._plan.config.channels[self._channel.name], type_),
                is_checked=is_checkable(self._plan, message, self._channel.name),
            )
            for type_, message in self._channel.messages.items()
            for declared in (self._plan.config.channels[self._channel.name].messages[type_],)
        ]

    def _interval(self, message: MessagePlan) -> float:
        if message.rate is None:
            return 0.0
        shared = {"room": _GROUP, "address": self._shared.count}
        return message.rate.interval * shared.get(message.rate.per or "", 1)

    # ------------------------------------------------------------------------------------------------ the load

    async def run(self, opening: Opening) -> None:
        """Connect, wait for the others, send until the end, and wait for the remaining deliveries."""
        try:
            await speak_on(opening, self, self._speak)
        finally:
            self.settled.set()
            self.gone.set()

    async def _speak(self, line: Line) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_all, line)
            try:
                while True:
                    self._take(await line.receive())
            except LineClosed as closed:
                self._shared.result.closed[str(closed.code or "no code")] += 1
            nursery.cancel_scope.cancel()

    async def _send_all(self, line: Line) -> None:
        try:
            for number, room in enumerate(self._rooms.subscribed):
                asked = {"type": "subscribe", "room": room, "id": f"{_SUBSCRIBE}{number}"}
                await line.send(orjson.dumps(asked).decode())
            # Frames are handled in order: once this one is answered, the rooms are joined.
            await line.send(orjson.dumps({"type": "ping", "id": _READY}).decode())
            kinds = [kind for kind in self._kinds() if kind.made]
            await self._shared.go.wait()
            await self._send_in_turn(line, kinds)
        except LineClosed:
            return

    async def _send_in_turn(self, line: Line, kinds: list[_Kind]) -> None:
        now = trio.current_time()
        for number, kind in enumerate(kinds):
            spread = (self._index % 97) / 97 + number / len(kinds)
            kind.due = now + spread * min(kind.interval, 1.0)
        while kinds:
            kind = min(kinds, key=lambda one: one.due)
            await trio.sleep_until(kind.due)
            if self._shared.is_over:
                return
            kind.due = trio.current_time() + kind.interval
            await self._send(line, kind)
            # Repeated refusals would only end the connection.
            kinds = [one for one in kinds if one.refused < _REFUSALS]

    async def _send(self, line: Line, kind: _Kind) -> None:
        shared, result = self._shared, self._shared.result
        shared.number += 1
        number, id_ = shared.number, f"b{shared.number}"
        frame = _marked(kind, number)
        kind.turn += 1
        answers: list[Frame] = []
        self._answer = (id_, trio.Event(), answers)
        started = trio.current_time()
        shared.sent_at[number] = started
        shared.sent_at.pop(number - 100_000, None)
        text = orjson.dumps({"type": kind.type, "id": id_, **frame}).decode()
        await line.send(text)
        with trio.move_on_after(_PATIENCE):
            await self._answer[1].wait()
        self._answer = None
        if not answers:
            is_dropped = kind.message.rate is not None and kind.message.rate.over == "drop"
            result.errors["unanswered"] += 1
            result.lost += not is_dropped
            return
        answer = answers[0]
        if answer["type"] == "error":
            code = str(answer.get("code"))
            result.errors[code] += 1
            kind.refused += code != "RATE_LIMITED"
            return
        result.answer.add(trio.current_time() - started)
        result.messages += 1
        kind.refused = 0
        if kind.is_checked and not answer.get("held") and not answer.get("repeated"):
            for one in shared.audience.of(self.known, kind.message, frame):
                shared.clients[id(one)].expected[kind.delivered] += 1

    def _take(self, text: str) -> None:
        frame = orjson.loads(text)
        type_, id_ = frame.get("type"), frame.get("id")
        if type_ == "pong" and id_ == _READY:
            self.is_connected = True
            self.settled.set()
        elif type_ == "error" and str(id_).startswith(_SUBSCRIBE):
            self._rooms.refused(self._rooms.subscribed[int(id_.removeprefix(_SUBSCRIBE))])
        elif type_ in ("ack", "error"):
            if self._answer is not None and id_ == self._answer[0]:
                self._answer[2].append(frame)
                self._answer[1].set()
        elif type_ not in SPOKEN:
            self.came[type_] += 1
            self._shared.result.deliveries += 1
            mark = _MARK.search(text)
            sent = self._shared.sent_at.get(int(mark[1])) if mark is not None else None
            if sent is not None:
                self._shared.result.delivery.add(trio.current_time() - sent)

    @property
    def missing(self) -> int:
        """The number of lost deliveries."""
        return sum(max(0, wanted - self.came[type_]) for type_, wanted in self.expected.items())

    @property
    def is_waiting(self) -> bool:
        """Whether deliveries are pending."""
        return not self.gone.is_set() and (self._answer is not None or self.missing > 0)

    # ------------------------------------------------------------------------------------------------- a screen

    def frame(self, arrow: str, value: Json) -> None:
        """Show nothing."""

    def notice(self, text: str) -> None:
        """Count a connection that could not be opened."""
        self._shared.result.closed["no connection"] += 1

    def ended(self, text: str, code: int | None) -> None:
        """Count a handshake that was refused."""
        self._shared.result.closed[f"HTTP {code}"] += 1


# --------------------------------------------------------------------------------------------------------- messages


def _marked(kind: _Kind, number: int) -> dict[str, Json]:
    """The next message, with a mark in a string that has room for one."""
    frame = kind.made[kind.turn % len(kind.made)]
    for name, value in frame.items():
        if isinstance(value, str) and name not in kind.routed:
            marked = {**frame, name: f"{value}#b{number}#"}
            if kind.message.accepts(marked):
                return marked
    return frame
