"""The broker for many nodes: Redis or Valkey between them, one supervised task in each.

Every verb goes through one bounded queue, in order, and is sent in batches (`outlet.py`). No task waits for an answer. A session
(`session.py`) ends at the first fault; the next one subscribes to all wanted topics, fills the gaps (`subscriptions.py`) and enters all
presence again (`entries.py`). Between sessions, a verb waits in the queue for at most `HOLD` seconds and then fails with
`BrokerUnavailable`. Nothing is ever sent twice.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import NoReturn, TypeVar

import attrs
import trio
from coredis.exceptions import RedisError

from channeld.broker.broker import (
    BrokerUnavailable,
    Deliver,
    History,
    Later,
    Page,
    Position,
    PresenceChange,
    PresenceEntry,
    Started,
    Told,
    Topic,
    tell_nobody,
)
from channeld.broker.publish_options import NO_OPTIONS, Conflated, PublishOptions
from channeld.broker.redis.connection import Lost
from channeld.broker.redis.encoding import Epochs, fresh_letters, place
from channeld.broker.redis.entries import Entries, Leases, read_version
from channeld.broker.redis.layout import ALONE, Spread
from channeld.broker.redis.outlet import TOPS_OUTLIVE, Outlet
from channeld.broker.redis.queue import (
    Answer,
    Argument,
    Conflating,
    Outgoing,
    Publish,
    Reply,
    Script,
)
from channeld.broker.redis.roster import PAGE, Roster, RosterReading, present_page
from channeld.broker.redis.server_clock import ServerClock
from channeld.broker.redis.session import Dialler, Session
from channeld.broker.redis.single_calls import SingleCalls
from channeld.broker.redis.statistics import RedisStatistics
from channeld.broker.redis.subscriptions import Inbox
from channeld.groups import first
from channeld.protocol.frames import Json
from channeld.telemetry import Sample
from channeld.timers import Clock

T = TypeVar("T")

# Seconds that verbs wait for a new session before they fail.
HOLD = 1.0
# The maximum size of history in one reply: it blocks Redis, and a node's loop, for about a millisecond.
PAGE_BYTES, PAGE_FRAMES = 512 * 1024, 500
ECHO = 1.0
# How many echoes in a row may be accepted by Redis without coming back. They are counted, not timed: after a stall, the echo may be
# among the bytes that are still to be read, or still be in the queue.
_DEAF = 3
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
_FILL_AT_ONCE = 50


class RedisBroker(SingleCalls):
    """Implements the `Networked` contract."""

    def __init__(
        self,
        url: str,
        prefix: str,
        deliver: Deliver,
        clock: Clock,
        node_id: str,
        spread: Spread = ALONE,
    ) -> None:
        """Remember where to connect.

        Raises:
            ValueError: the URL is not a known one.
        """
        self.on_gap: Callable[[Topic, Position | None], None] = lambda _topic, _top: None
        self.on_presence_lost: Callable[[Topic, str, Position], None] = lambda *_lost: None
        self.on_presence_back: Callable[[Topic, str, Mapping[str, Json], Position], None] = (
            lambda *_back: None
        )
        self.on_health: Callable[[bool, str], None] = lambda _healthy, _reason: None
        self.on_versions: Callable[[str, frozenset[str]], None] = lambda _own, _others: None
        self.begin_turn: Callable[[], None] = lambda: None
        self.end_turn: Callable[[], None] = lambda: None
        self.when_turn_ends: Callable[[Callable[[], None]], None] = lambda call: call()
        self._dialler = Dialler(url, prefix, f"channeld-{secrets.token_hex(4)}")
        self._names = self._dialler.names
        # Instead of a history's keys, if nothing is kept.
        self._blank = (self._names.state,) * 3
        self._clock = clock
        self.node_id = node_id
        self._outgoing = Outgoing()
        # The callables may be set after construction, so they are looked up late.
        turn_ends = lambda call: self.when_turn_ends(call)  # noqa: E731, PLW0108
        self._outlet = Outlet(self._outgoing, self._names.state, turn_ends)
        self._server_clock = ServerClock()
        # Unique to this process.
        self._node = secrets.token_hex(8)
        gap = lambda *gap: self.on_gap(*gap)  # noqa: E731, PLW0108
        lost = lambda *lost: self.on_presence_lost(*lost)  # noqa: E731, PLW0108
        back = lambda *back: self.on_presence_back(*back)  # noqa: E731, PLW0108
        self._inbox = Inbox(self._names, deliver, gap, self._read_roster, self._node)
        versions = lambda *versions: self.on_versions(*versions)  # noqa: E731, PLW0108
        self._leases = Leases(self._names, Entries(self._names), lost, back, versions, spread)
        self._entries = self._leases.entries
        self._numbered: dict[str, bool] = {}
        self._healthy = False
        self._refuse_after = float("-inf")
        self._pause = FIRST_PAUSE
        self._sessions = 0
        self._heard = self._echo_sent = 0.0
        self._echo = 0.0
        self._presence_in_doubt = False
        self.reason = ""  # why the latest session ended
        self.refusal = ""  # why the server refuses this node, if it does
        self.on_admission: Callable[[], None] = lambda: None
        self._started: Callable[[], None] = lambda: None
        self._scope = trio.CancelScope()
        self._ended: trio.Event | None = None

    # The verbs.

    def publish(
        self, topic: Topic, payload: bytes, options: PublishOptions = NO_OPTIONS
    ) -> Answer[Position | None]:
        """Queue a publication; the answer arrives when Redis has it."""
        entry = self._publication(topic, payload, options)
        self._put(entry)
        return entry.answer

    def publish_newest(
        self,
        topic: Topic,
        payload: bytes,
        conflated: Conflated,
        options: PublishOptions = NO_OPTIONS,
    ) -> Answer[float]:
        """Queue a publication; the answer says in how many seconds to ask again if Redis holds it."""
        entry = self._publication(topic, payload, options)
        now = self._clock.monotonic()
        came = self._server_clock.at(now - conflated.age) or 0.0
        entry.conflating = Conflating(conflated, came, partial(self._server_clock.note, now))
        # The slot's key is derived from the history's, even if the frame is not kept.
        entry.history = self._names.history(topic)
        self._put(entry)
        return entry.answer

    def _publication(self, topic: Topic, payload: bytes, options: PublishOptions) -> Publish:
        history = self._names.history(topic) if options.keep else self._blank
        once = options.once
        taken_at = "" if once is None else self._names.once(once.owner)
        return Publish(self._names.channel(topic), history, payload, options, taken_at, self._node)

    def subscribe(self, topic: Topic, *, is_numbered: bool = True) -> Later[None]:
        """Subscribe to a topic. The answer arrives when Redis has confirmed; at once while Redis is unreachable."""
        if not is_numbered and self._numbered.get(topic.channel):
            # If numbers begin again, those who subscribe now have to hear of it.
            del self._numbered[topic.channel]
        subscription, fresh = self._inbox.want(topic, is_numbered=is_numbered)
        if self._outlet.session is None:
            return None
        if fresh:
            self._inbox.asked((subscription.channel,))
            self._outlet.ask(subscription.channel, is_wanted=True)
        return None if subscription.ready.done else subscription.ready

    def unsubscribe(self, topic: Topic) -> None:
        """Unsubscribe from a topic."""
        channel = self._inbox.forget(topic)
        if channel is not None:
            self._outlet.ask(channel, is_wanted=False)

    def number(self, channel: str, is_numbered: bool) -> None:
        """Set whether a channel's rooms have a history; Redis is told about those without now and in each new session."""
        if self._numbered.get(channel) is is_numbered:
            return
        self._numbered[channel] = is_numbered
        self._inbox.forget_positions(channel)
        # The first kept frame begins a new one.
        if not is_numbered and self._outlet.session is not None:
            keys = (self._names.mark(channel),)
            script = Script("end_histories", keys, (), lambda _reply: None, bound=True)
            self._outgoing.put(script, urgent=True)

    def since(
        self, topic: Topic, position: Position | None, keep: History, replay: int = 0
    ) -> Later[Page]:
        """All frames after a position, or nothing if some are missing; without a position, the latest `replay` frames."""
        return self._since(topic, position, keep, replay)

    def _since(
        self,
        topic: Topic,
        position: Position | None,
        keep: History,
        replay: int = 0,
        hidden: int = 0,
        floor: int = 0,
    ) -> Answer[Page]:
        self._inbox.is_asked(topic)

        def read(reply: Reply) -> Page:
            *said, has_more, replayed, floor = reply
            page = _read_page(said, replayed=replayed)
            self._inbox.starts(topic, page.top)
            if not has_more:
                return page
            # Up to its top, a replay's pages leave out hidden frames. Later frames are not part of the replay.
            shown_from = page.top.offset if replayed else hidden
            last = page.frames[-1].position
            rest = partial(self._since, topic, last, keep, 0, shown_from, floor)
            return attrs.evolve(page, rest=rest)

        where = (*place(position), PAGE_BYTES, PAGE_FRAMES, replay, hidden, floor)
        return self._ask("since", topic, keep, where, read)

    def before(
        self, topic: Topic, position: Position | None, limit: int, keep: History
    ) -> Answer[Page]:
        """The latest `limit` frames before a position, or before the end."""

        def read(reply: Reply) -> Page:
            *said, has_more = reply
            return _read_page(said, more=bool(has_more))

        where = (*place(position), PAGE_BYTES, min(max(0, limit), PAGE_FRAMES))
        return self._ask("before", topic, keep, where, read)

    def enter(
        self,
        topic: Topic,
        user: str,
        connection: str,
        info: Mapping[str, Json],
        told: Told = tell_nobody,
    ) -> Answer[None]:
        """Count a connection in a topic's presence; `told` is called if the user was on no node, not even lingering."""
        script = self._entries.enter(topic, user, connection, info)
        reading: RosterReading | None = None
        if user and self._outlet.session is not None:
            roster = self._inbox.kept_roster(topic)
            if roster is not None and roster.needs_reading:
                # The same call also returns who is present.
                came = PresenceChange("join", user, info, connection)
                reading = self._reading(roster, came)
                script.arguments = [*script.arguments, PAGE]
        script.read = partial(self._read_change, topic, told, reading)

        def undo() -> None:
            self._entries.undo(topic, user, connection)
            if reading is not None:
                reading.give_up()

        script.answer.on_failure = undo
        try:
            self._put(script)
        except BrokerUnavailable:
            undo()
            raise
        return script.answer

    def linger(self, topic: Topic, user: str, connection: str, seconds: float = 0.0) -> Later[None]:
        """Stop counting a connection, but keep its user until `leave`. Redis is told later if unreachable."""
        ends = self._clock.monotonic() + seconds
        script = self._entries.linger(topic, user, connection, ends)
        return None if script is None else self._tell(topic, script)

    def leave(
        self, topic: Topic, user: str, connection: str, told: Told = tell_nobody
    ) -> Later[None]:
        """Remove a connection. If Redis is unreachable this raises, and `on_presence_lost` is called later, not `told`."""
        script = self._entries.leave(topic, user, connection)
        return None if script is None else self._tell(topic, script, told)

    def present(self, topic: Topic) -> Later[list[PresenceEntry]]:
        """Who is present on all nodes, in order of arrival; from this node's copy if it subscribes to the topic."""
        if self._outlet.session is None:
            raise BrokerUnavailable(self._retry_after())
        roster = self._inbox.roster(topic)
        if roster is None:
            return self._read_present(topic)
        return roster.entries() if roster.is_current else roster

    def entry(self, topic: Topic, user: str) -> Later[PresenceEntry | None]:
        """One user's entry, as in `present`."""
        roster = self._inbox.roster(topic)
        if self._outlet.session is not None and roster is not None and roster.is_current:
            return roster.entry(user)
        return self._find(self.present(topic), user)

    async def _find(self, present: Later[list[PresenceEntry]], user: str) -> PresenceEntry | None:
        entries = present if isinstance(present, list) else await present
        return next((entry for entry in entries if entry.user == user), None)

    async def aclose(self) -> None:
        """End `run`, fail pending verbs, give up the lease."""
        self._refuse_after = float("-inf")
        if self._outlet.session is not None:
            with trio.move_on_after(1), suppress(Lost, RedisError):
                await self._leases.depart(self._outlet.session, self._clock.monotonic())
        self._scope.cancel()
        if self._ended is not None:
            await self._ended.wait()
        self._outgoing.fail(BrokerUnavailable())

    @property
    def healthy(self) -> bool:
        """Whether this node receives its own echo through Redis."""
        return self._healthy

    def states(self) -> Mapping[str, bool]:
        """Empty: there is only one server."""
        return {}

    def statistics(self) -> RedisStatistics:
        """Totals and current numbers."""
        return RedisStatistics(
            healthy=self._healthy,
            sessions=self._sessions,
            echo=self._echo,
            queued=len(self._outgoing),
            subscriptions=len(self._inbox),
            entries=len(self._entries),
            **self._inbox.counts,
        )

    def samples(self) -> Iterator[Sample]:
        """The latest round trip."""
        yield Sample("channeld_broker_round_trip_seconds", self._echo)

    # The supervised task.

    async def run(self, *, task_status: Started = trio.TASK_STATUS_IGNORED) -> None:
        """Maintain a session with Redis until `aclose` or cancellation; starts after the first attempt, good or not."""
        self._ended = trio.Event()
        self._started = task_status.started
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._expire)
                    await self._supervise()
            # Closed before the first attempt was over.
            self._start()
        finally:
            self._end("closed")
            self._refuse_after = float("-inf")
            self._outgoing.fail(BrokerUnavailable())
            self._ended.set()

    async def _supervise(self) -> NoReturn:
        while True:
            reason = "cancelled"
            try:
                await self._session()
            # Broad, because this is a supervisor: whatever ended this session, the next one may work.
            except* Exception as group:
                reason = _first(group)
            finally:
                self._end(reason)
            self._start()
            # Part of the pause is random, so that nodes do not reconnect in step.
            await trio.sleep(self._pause * (0.5 + secrets.randbelow(500) / 1000))
            # A refused node waits until the others stop, and then clients wait for this node.
            self._pause = min(self._pause * 2, ECHO if self.refusal else LONGEST_PAUSE)

    async def _expire(self) -> NoReturn:
        """Fail verbs that have waited for a session for longer than `HOLD`."""
        while True:
            await trio.sleep(HOLD / 2)
            if self._outlet.session is None and self._clock.monotonic() >= self._refuse_after:
                self._outgoing.fail(BrokerUnavailable(self._retry_after()))

    async def _session(self) -> None:
        async with trio.open_nursery() as nursery:
            turn = (lambda: self.begin_turn(), lambda: self.end_turn())  # noqa: PLW0108 - set later
            connection = await self._dialler.dial(nursery, turn)
            await self._connected(nursery, Session(connection, self._dialler.dialect))

    async def _connected(self, nursery: trio.Nursery, session: Session) -> NoReturn:
        await session.load()
        self._presence_in_doubt = False
        self.refusal = await self._leases.vouch(session)
        self.on_admission()
        if self.refusal:
            raise Lost(self.refusal)
        await self._leases.arrive(session)
        ended = [self._names.mark(one) for one, is_kept in self._numbered.items() if not is_kept]
        if ended:
            await session.call("end_histories", ended, ())
        self._outlet.begin(session)
        wanted = self._inbox.connect(numbers_go_on=self._leases.is_same_run)
        echo = self._names.echo(self._entries.lease)
        self._inbox.asked(wanted)
        session.listen(self._inbox, echo, self._hear)
        session.subscribe([echo, *wanted])
        self._outlet.open()
        nursery.start_soon(session.send_again, HOLD)
        nursery.start_soon(self._fill)
        nursery.start_soon(self._leases.renew, session)
        await self._watch(echo)

    def _end(self, reason: str) -> None:
        self.reason = reason
        self._outlet.end()
        self._inbox.disconnect()
        self._outgoing.fail(BrokerUnavailable(), bound_only=True)
        if self._healthy:
            self._healthy = False
            self._refuse_after = self._clock.monotonic() + HOLD
            self.on_health(False, reason)

    async def _fill(self) -> NoReturn:
        while True:
            some = await self._inbox.take_doubtful(_FILL_AT_ONCE)
            keys, arguments = self._inbox.questions(some)
            arguments += (PAGE_BYTES, PAGE_FRAMES)
            script = Script("fill", keys, arguments, lambda reply: reply)
            self._outgoing.put(script, urgent=True)
            try:
                reply = await script.answer
            except BrokerUnavailable as error:
                raise Lost("a history could not be read") from error
            self._inbox.filled(some, reply)

    async def _watch(self, echo: bytes) -> NoReturn:
        unheard = 0
        while unheard < _DEAF:
            if self._presence_in_doubt:
                raise Lost("Redis may have missed who left")
            now = self._echo_sent = self._clock.monotonic()
            sent = Publish(echo, self._blank, b"", NO_OPTIONS)
            self._outgoing.put(sent, urgent=True)
            asking = Script("time", self._blank[:1], (), partial(self._note_time, now), bound=True)
            self._outgoing.put(asking, urgent=True)
            with suppress(BrokerUnavailable):
                await sent.answer
            await trio.sleep(ECHO)
            unheard = 0 if self._heard >= now else unheard + 1
        raise Lost("does not hear its own echo")

    def _note_time(self, asked: float, reply: Reply) -> None:
        seconds, micros = map(int, reply)
        self._server_clock.note(asked, seconds + micros / 1e6)

    def _hear(self) -> None:
        self._heard = self._clock.monotonic()
        self._echo = self._heard - self._echo_sent
        if not self._healthy:
            self._healthy = True
            self._sessions += 1
            self._pause = FIRST_PAUSE
            self.on_health(True, "")
            self._start()

    def _start(self) -> None:
        started, self._started = self._started, lambda: None
        started()

    # What the verbs share.

    def _read_change(
        self, topic: Topic, told: Told, reading: RosterReading | None, reply: Reply
    ) -> None:
        """Read the reply to a change: call `told` if its user came or left; from now on, the change must be visible."""
        is_turnout, *version = reply
        page = version.pop() if reading is not None else None
        if version:
            self._inbox.require(topic, *version)
        if reading is not None:
            reading.take(page, has_come=bool(is_turnout))
        if is_turnout:
            told(read_version(*version))

    def _reading(self, roster: Roster, came: PresenceChange | None = None) -> RosterReading:
        put = partial(self._outgoing.put, urgent=True)
        return RosterReading(roster, self._names.base, put, self._inbox.deliver_changes, came)

    def _read_roster(self, roster: Roster) -> None:
        if self._outlet.session is not None:
            self._reading(roster).ask()

    async def _read_present(self, topic: Topic) -> list[PresenceEntry]:
        found: dict[str, PresenceEntry] = {}
        after = None
        while after != b"":
            script = present_page(self._names.base, topic, after or b"")
            self._put(script)
            _, after, entries = await script.answer
            found.update((entry.user, entry) for entry in entries)
        return list(found.values())

    def _tell(self, topic: Topic, script: Script, told: Told = tell_nobody) -> Answer[Reply]:
        script.read = partial(self._read_change, topic, told, None)
        # The record has changed already. If Redis is not told, only a new session makes the two agree.
        script.answer.on_failure = self._doubt_presence
        self._put(script, urgent=True)
        return script.answer

    def _doubt_presence(self) -> None:
        self._presence_in_doubt = True

    def _put(self, entry: Publish | Script, *, urgent: bool = False) -> None:
        if self._outlet.session is None:
            bound = isinstance(entry, Script) and entry.bound
            if bound or self._clock.monotonic() >= self._refuse_after:
                raise BrokerUnavailable(self._retry_after())
        self._outgoing.put(entry, urgent=urgent)

    def _ask(
        self,
        name: str,
        topic: Topic,
        keep: History,
        where: Sequence[Argument],
        read: Callable[[Reply], Page],
    ) -> Answer[Page]:
        ttl = max(1, round(keep.ttl * 1000))
        lifetime = ttl + TOPS_OUTLIVE * 1000
        arguments = (fresh_letters(), max(1, keep.size), ttl, lifetime, *where)
        keys = (self._names.state, *self._names.history(topic))
        script = Script(name, keys, arguments, read)
        self._put(script)
        return script.answer

    def _retry_after(self) -> float:
        return max(1.0, self._pause)


def _read_page(reply: Sequence[Reply], *, more: bool = False, replayed: int = 0) -> Page:
    epoch, number, recovered, frames, before, at = reply
    kept = Epochs(epoch, before).entries(frames, at) if frames else ()
    return Page(kept, Position(epoch.decode(), number), bool(recovered), more, replayed)


def _first(group: BaseException) -> str:
    error = first(group)
    return str(error) or type(error).__name__
