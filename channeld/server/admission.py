"""Decides who may connect: all listeners of a server share one admission, which counts connections and judges handshakes.

It also holds what all connections of a server share: the engine above, the fan-out, the clock, the counters.
"""

from collections.abc import Callable, MutableMapping, Sequence
from typing import Protocol

import attrs
import trio

from channeld.engine.ports import Runtime
from channeld.plan.plan import Plan
from channeld.server.exchange import Answer, Refuse, refuse
from channeld.server.handshake import Accept, Arrival, Condition, Rules, Seat, decide, judge_room
from channeld.server.head import Malformed, read_head
from channeld.server.outbox import Fanout
from channeld.server.ports import Engine, StreamClient
from channeld.server.transports import CALLS, TRANSPORTS
from channeld.server.transports.call import Call
from channeld.server.transports.transport import Respond, Transport
from channeld.telemetry import log

__all__ = ["Admission", "Counters", "Seat"]


class Waiting(Protocol):
    """A connection that has not been accepted yet or is waiting for another request."""

    @property
    def is_idle(self) -> bool:
        """Whether its request was answered and nothing of the next one has arrived."""

    def give_way(self) -> None:
        """Close to make room for another connection."""


@attrs.define(slots=True)
class Counters:
    """Totals since the server was created. `handshakes` counts answers by HTTP status (101: accepted)."""

    bytes_in: int = 0
    slow_consumers: int = 0
    ping_timeouts: int = 0
    handshake_timeouts: int = 0
    failures: int = 0
    handshakes: dict[int, int] = attrs.field(factory=dict)


class Answerer(Protocol):
    """Answers requests for which no session is opened (`calls.py`)."""

    @property
    def streams(self) -> MutableMapping[str, StreamClient]:
        """This node's connections that read events, by their secrets."""

    async def answer(self, call: Call, body: bytes, respond: Respond) -> None:
        """Answer a call whose body is whole. Never raises for what a client sent."""


@attrs.define(eq=False, kw_only=True)
class Admission:
    """What every connection of a server shares.

    Attributes:
        plan_source: the current plan; a reload replaces it.
        linger: seconds that a connection may take to end, once its Close frame or refusal has been queued.
        condition: the server's state, for health checks.
        waiting: connections that have not been accepted, oldest first; when too many sockets are open, the oldest is
            closed.
        transports: what clients may ask for; the first is the default.
        answerer: answers calls; None: calls are not served.
        sockets: connections that have not ended; `open`: those of them that were accepted; `addresses`: how many of
            these each address has. `calls` and `callers`: the same for POSTs and preflights. Clients send these next to
            their streams, so they are counted apart.
    """

    engine: Engine
    plan_source: Callable[[], Plan]
    runtime: Runtime
    fanout: Fanout
    linger: float = 2.0
    condition: Callable[[], Condition] = Condition
    transports: Sequence[Transport] = TRANSPORTS
    answerer: Answerer | None = None
    counters: Counters = attrs.field(factory=Counters)
    sockets: int = 0
    open: int = 0
    addresses: dict[str, int] = attrs.field(factory=dict)
    calls: int = 0
    callers: dict[str, int] = attrs.field(factory=dict)
    waiting: dict[Waiting, None] = attrs.field(factory=dict)
    _rules_of: tuple[Plan, Rules] | None = None
    _empty: trio.Event = attrs.field(factory=trio.Event)

    def now(self) -> float:
        """Monotonic seconds."""
        return self.runtime.clock.monotonic()

    def arrive(self, connection: Waiting) -> None:
        """Register a new connection; `leave` removes it."""
        self.sockets += 1
        self.waiting[connection] = None

    def make_room(self) -> bool:
        """End the connection that has waited longest to be accepted, if there is one."""
        longest = next(iter(self.waiting), None)
        if longest is not None:
            longest.give_way()
        return longest is not None

    def judge(self, data: bytes, address: str, *, secure: bool) -> Accept | Answer:
        """Judge one whole request head. A good one counts as a connection until `leave`."""
        head = read_head(data)
        verdict: Accept | Answer
        if isinstance(head, Malformed):
            verdict = refuse(head.status, head.detail)
        else:
            arrival = Arrival(
                address=address, secure=secure, lacks=self._lacks, condition=self.condition
            )
            verdict = decide(head, self._rules(), arrival)
        if isinstance(verdict, Accept):
            self._take(verdict.seat)
        return verdict

    def note_slow(self, connection: str, address: str, waiting: int, limit: int) -> None:
        """Count a connection that is closed because too many bytes wait for its peer."""
        self.counters.slow_consumers += 1
        told = {"connection": connection, "address": address, "bytes": waiting, "limit": limit}
        log("slow_consumer", **told)

    def count(self, status: int) -> None:
        """Count a handshake's answer."""
        self.counters.handshakes[status] = self.counters.handshakes.get(status, 0) + 1

    def leave(self, seat: Seat | None) -> None:
        """Remove a connection that has ended, and free its seat if it was accepted."""
        self.sockets -= 1
        if not self.sockets:
            self._empty.set()
        self.settle(seat)

    def settle(self, seat: Seat | None) -> None:
        """Free a seat; its connection may still be open."""
        if seat is None:
            return
        addresses = self._count(seat, -1)
        left = addresses[seat.address] - 1
        if left:
            addresses[seat.address] = left
        else:
            del addresses[seat.address]

    def _take(self, seat: Seat) -> None:
        addresses = self._count(seat, 1)
        addresses[seat.address] = addresses.get(seat.address, 0) + 1

    def _count(self, seat: Seat, change: int) -> dict[str, int]:
        if seat.is_call:
            self.calls += change
            return self.callers
        self.open += change
        return self.addresses

    def is_draining(self) -> bool:
        """Whether the server is draining."""
        return self.condition().is_draining

    def end_idle(self) -> None:
        """Close the connections that are only waiting for another request."""
        for connection in [one for one in self.waiting if one.is_idle]:
            connection.give_way()

    async def wait_empty(self) -> None:
        """Wait until no connection is left."""
        while self.sockets:
            self._empty = trio.Event()
            await self._empty.wait()

    def _rules(self) -> Rules:
        plan = self.plan_source()
        if self._rules_of is None or self._rules_of[0] is not plan:
            offered = self.transports if self.answerer is None else (*self.transports, *CALLS)
            self._rules_of = (plan, Rules.of(plan, offered))
        return self._rules_of[1]

    def _lacks(self, seat: Seat) -> Refuse | None:
        limits = self.plan_source().limits
        taken, addresses = (
            (self.calls, self.callers) if seat.is_call else (self.open, self.addresses)
        )
        most = limits.connections_per_address
        return judge_room(
            is_full=taken >= limits.connections,
            is_crowded=most is not None and addresses.get(seat.address, 0) >= most,
        )
