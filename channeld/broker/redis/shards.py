"""Topics spread over several brokers, the shards: each topic has one home, which every node finds from the topic's name alone.

`layout.py` determines it. Each shard has its own session, health and leases; an unreachable shard causes `BrokerUnavailable` for its
own topics only. A server that remembers another layout refuses the whole node, because topics would be elsewhere.

Topics between nodes (`kind` "node") must work while any shard works, even for a node that is cut off from one of them. So two shards
carry them: messages go to both, nodes listen to both, and each message is delivered once.

An idempotency key is claimed at the home of the topic that is published to, in the same step. Lookups go to the home of its
owner, which is updated afterwards: if a node dies in between, the topic's home still detects a repeated message.
"""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from itertools import islice
from typing import Final, TypeAlias, TypeVar, cast

import attrs
import trio

from channeld.broker.broker import (
    BrokerFailed,
    BrokerUnavailable,
    Bucket,
    Deliver,
    Delivered,
    History,
    Later,
    Networked,
    Page,
    Position,
    PresenceCount,
    PresenceEntry,
    Publication,
    Started,
    Told,
    Topic,
    tell_nobody,
)
from channeld.broker.once import AlreadyTaken, Once
from channeld.broker.publish_options import NO_OPTIONS, Conflated, PublishOptions
from channeld.broker.redis.broker import RedisBroker
from channeld.broker.redis.encoding import topic_key
from channeld.broker.redis.layout import Layout, Shard, Spread
from channeld.protocol.frames import Json
from channeld.telemetry import Sample, log

T = TypeVar("T")
Info: TypeAlias = Mapping[str, Json]

_CONTROL: Final = "node"
# Seconds after which a refused node may ask again.
_LATER: Final = 5.0
_STARTED: Final = trio.TASK_STATUS_IGNORED
# Messages between nodes that are remembered, to recognise the second copy.
_MOST_HEARD: Final = 20_000


async def _settled(later: Later[T]) -> T:
    return await cast("Awaitable[T]", later) if hasattr(later, "__await__") else later


class ShardedBroker:
    """Implements the `Networked` contract over shards that do. It is up while any of them is."""

    def __init__(
        self,
        layout: Layout,
        make: Callable[[Shard, Spread, Deliver], RedisBroker],
        deliver: Deliver,
    ) -> None:
        """Make the shards.

        Args:
            layout: the shards.
            make: makes the broker of one shard.
            deliver: receives their deliveries.

        Raises:
            ValueError: a URL has an unknown form.
        """
        self.on_gap: Callable[[Topic, Position | None], None] = lambda _topic, _top: None
        self.on_presence_lost: Callable[[Topic, str, Position], None] = lambda *_lost: None
        self.on_presence_back: Callable[[Topic, str, Info, Position], None] = lambda *_back: None
        self.on_health: Callable[[bool, str], None] = lambda _healthy, _reason: None
        self.on_versions: Callable[[str, frozenset[str]], None] = lambda _own, _others: None
        self.begin_turn: Callable[[], None] = lambda: None
        self.end_turn: Callable[[], None] = lambda: None
        self.when_turn_ends: Callable[[Callable[[], None]], None] = lambda call: call()
        self._deliver = deliver
        self._layout = layout
        self._names = tuple(shard.name for shard in layout.shards)
        # If there is a guard, its answer counts for all shards.
        loose = attrs.evolve(layout.spread, is_fixed=False)
        self._shards = [
            make(shard, layout.spread if at == layout.guard else loose, self._take)
            for at, shard in enumerate(layout.shards)
        ]
        self._carriers: list[Networked] = [self._shards[at] for at in layout.carriers]
        find = lru_cache(maxsize=16_384)(layout.home)
        self._home: Callable[[str], Networked] = lambda text: self._shards[find(text)]
        self._home_of_topic = lru_cache(maxsize=16_384)(
            lambda topic: self._shards[layout.home(topic_key(topic))]
        )
        self._heard: OrderedDict[bytes, None] = OrderedDict()
        self._away: dict[int, float] = {}  # since when
        self._versions: dict[int, frozenset[str]] = {}
        self._said = False
        self._is_admitted = True
        self._guard_answered = trio.Event()

    def _at(self, topic: Topic) -> Networked:
        return self._carriers[0] if topic.kind == _CONTROL else self._home_of_topic(topic)

    def _asked(self, topic: Topic) -> Networked:
        """The shard of a topic, for verbs that need an answer.

        Raises:
            BrokerUnavailable: a server refuses this node, and in its layout the topic may be elsewhere.
        """
        self._demand_admission()
        return self._at(topic)

    def _demand_admission(self) -> None:
        if not self._is_admitted:
            raise BrokerUnavailable(_LATER)

    # The verbs.

    def publish(
        self, topic: Topic, payload: bytes, options: PublishOptions = NO_OPTIONS
    ) -> Later[Position | None]:
        """Publish at the topic's home."""
        self._demand_admission()
        if topic.kind == _CONTROL:
            return self._publish_control(topic, payload, options.keep)
        home = self._home_of_topic(topic)
        return self._publish_from(
            home, partial(home.publish, topic, payload, options), options.once
        )

    def publish_newest(
        self,
        topic: Topic,
        payload: bytes,
        conflated: Conflated,
        options: PublishOptions = NO_OPTIONS,
    ) -> Later[float]:
        """Publish, or hold, at the topic's home."""
        home = self._home_of_topic(topic)
        publish = partial(home.publish_newest, topic, payload, conflated, options)
        return self._publish_from(home, publish, options.once)

    def _publish_from(
        self, home: Networked, publish: Callable[[], Later[T]], once: Once | None
    ) -> Later[T]:
        if once is None or self._home(once.owner) is home:
            return publish()
        return self._publish_once(publish, once)

    async def _publish_once(self, publish: Callable[[], Later[T]], once: Once) -> T:
        owner = self._home(once.owner)
        if await _settled(owner.is_taken(once)):
            raise AlreadyTaken
        published = await _settled(publish())
        with suppress(BrokerUnavailable):
            # Not awaited: the topic's home has the key.
            owner.take(once)
        return published

    def _publish_control(
        self, topic: Topic, payload: bytes, keep: History | None
    ) -> Later[Position | None]:
        answering = [shard for shard in self._carriers if shard.healthy]
        # The two copies of a message that is not kept have one name, in the field for the connection to skip.
        name = secrets.token_hex(8)
        laters: list[Later[Position | None]] = []
        for shard in answering or self._carriers:
            with suppress(BrokerUnavailable):
                laters.append(shard.publish(topic, payload, PublishOptions(keep, name)))
        if not laters:
            raise BrokerUnavailable
        return laters[0] if keep is None else self._any_of(laters)

    async def _any_of(self, laters: Sequence[Later[Position | None]]) -> Position | None:
        positions, is_unknown = [], False
        for later in laters:
            try:
                positions.append(await _settled(later))
            except BrokerUnavailable as error:
                is_unknown = is_unknown or error.is_unknown
        if not positions:
            raise BrokerUnavailable(is_unknown=is_unknown)
        return positions[0]

    def is_taken(self, once: Once) -> Later[bool]:
        """Whether the key is taken, according to its owner's home."""
        self._demand_admission()
        return self._home(once.owner).is_taken(once)

    def take(self, once: Once) -> Later[bool]:
        """Take a key without publishing anything, at the home of its owner."""
        self._demand_admission()
        return self._home(once.owner).take(once)

    def spend(self, bucket: Bucket) -> Later[float]:
        """Take a token of an allowance, at its home."""
        return self._home(bucket.key).spend(bucket)

    def owe(self, account: str, debt: Mapping[str, float]) -> Later[None]:
        """Record a debt at the home of its account."""
        return self._home(account).owe(account, debt)

    def redeem(
        self, account: str, told: Callable[[Mapping[str, float]], object] | None = None
    ) -> Later[Mapping[str, float]]:
        """Take over a debt from the home of its account."""
        return self._home(account).redeem(account, told)

    def subscribe(self, topic: Topic, *, is_numbered: bool = True) -> Later[None]:
        """Subscribe at a topic's home; for topics between nodes, at both carriers."""
        if topic.kind != _CONTROL:
            return self._home_of_topic(topic).subscribe(topic, is_numbered=is_numbered)
        laters = (shard.subscribe(topic) for shard in self._carriers)
        waiting = [later for later in laters if later is not None]
        return self._all_of(waiting) if waiting else None

    async def _all_of(self, laters: Sequence[Awaitable[None]]) -> None:
        for later in laters:
            await later

    def unsubscribe(self, topic: Topic) -> None:
        """Unsubscribe."""
        for shard in self._carriers if topic.kind == _CONTROL else (self._at(topic),):
            shard.unsubscribe(topic)

    def number(self, channel: str, is_numbered: bool) -> None:
        """Set whether a channel's rooms, which are on all shards, have a history."""
        for shard in self._shards:
            shard.number(channel, is_numbered)

    def since(
        self, topic: Topic, position: Position | None, keep: History, replay: int = 0
    ) -> Later[Page]:
        """The frames after a position, from the topic's home."""
        return self._asked(topic).since(topic, position, keep, replay)

    def before(
        self, topic: Topic, position: Position | None, limit: int, keep: History
    ) -> Later[Page]:
        """The latest frames before a position; for a topic between nodes, one shard after the other."""
        if topic.kind == _CONTROL:
            return self._before_everywhere(topic, position, limit, keep)
        return self._asked(topic).before(topic, position, limit, keep)

    async def _before_everywhere(
        self, topic: Topic, position: Position | None, limit: int, keep: History
    ) -> Page:
        failed: BrokerUnavailable | None = None
        page: Page | None = None
        readers: list[Networked] = [self._shards[at] for at in self._layout.readers]
        for shard in readers:
            try:
                found = await _settled(shard.before(topic, position, limit, keep))
            except BrokerUnavailable as error:
                failed = error
                continue
            if position is not None and not found.recovered:
                continue  # the position is another shard's
            page, position = found, None
            if page.frames:
                break
        if page is None or (failed is not None and not page.frames):
            raise failed or BrokerUnavailable
        is_last = shard is readers[-1]
        return Page(page.frames, page.top, page.recovered, page.more or not is_last)

    def clear(self, topic: Topic, keys: Sequence[str] | None = None) -> Later[int]:
        """Remove kept frames, at the topic's home."""
        return self._at(topic).clear(topic, keys)

    def enter(
        self, topic: Topic, user: str, connection: str, info: Info, told: Told = tell_nobody
    ) -> Later[None]:
        """Count a connection in a topic's presence, at its home."""
        return self._asked(topic).enter(topic, user, connection, info, told)

    def linger(self, topic: Topic, user: str, connection: str, seconds: float = 0.0) -> Later[None]:
        """Stop counting a connection, but keep its user until `leave`."""
        return self._at(topic).linger(topic, user, connection, seconds)

    def leave(
        self, topic: Topic, user: str, connection: str, told: Told = tell_nobody
    ) -> Later[None]:
        """Forget a connection."""
        return self._at(topic).leave(topic, user, connection, told)

    def present(self, topic: Topic) -> Later[list[PresenceEntry]]:
        """Who is present, according to the topic's home."""
        return self._asked(topic).present(topic)

    def entry(self, topic: Topic, user: str) -> Later[PresenceEntry | None]:
        """One user's entry, as in `present`."""
        return self._asked(topic).entry(topic, user)

    def count(self, topic: Topic) -> Later[PresenceCount]:
        """How many are present."""
        return self._asked(topic).count(topic)

    async def aclose(self) -> None:
        """Close all shards, at once."""
        async with trio.open_nursery() as nursery:
            for shard in self._shards:
                shard.on_health = lambda _healthy, _reason: None
                nursery.start_soon(shard.aclose)

    # Events of the shards.

    def _take(self, topic: Topic, delivered: Delivered) -> None:
        if topic.kind != _CONTROL or not self._is_copy(delivered):
            self._deliver(topic, delivered)

    def _is_copy(self, delivered: Delivered) -> bool:
        """Whether it is the second copy of a message that was published on both carriers."""
        if not isinstance(delivered, Publication):
            return False
        # From a history it comes without a name.
        told_by = delivered.payload
        if delivered.position is None:
            if delivered.skip is None:
                return False
            told_by = delivered.skip.encode()
        digest = hashlib.blake2b(told_by, digest_size=16).digest()
        if digest in self._heard:
            return True
        self._heard[digest] = None
        if len(self._heard) > _MOST_HEARD:
            self._heard.popitem(last=False)
        return False

    def _tell_versions(self, number: int, own: str, others: frozenset[str]) -> None:
        self._versions[number] = others
        self.on_versions(own, frozenset().union(*self._versions.values()))

    def _tell_health(self, number: int, healthy: bool, reason: str) -> None:
        name = self._names[number]
        if not healthy:
            self._away[number] = trio.current_time()
            log("broker_shard_unavailable", shard=name, reason=reason)
        elif number in self._away:
            seconds = round(trio.current_time() - self._away.pop(number), 3)
            log("broker_shard_recovered", shard=name, seconds=seconds)
        # Messages of other nodes may have been missed on that shard.
        if not self._tell(reason) and healthy and self._shards[number] in self._carriers:
            self.on_health(True, "")

    def _tell(self, reason: str) -> bool:
        """Report the health of the whole if it has changed."""
        if self.healthy == self._said:
            return False
        self._said = self.healthy
        self.on_health(self._said, reason)
        return True

    # As a whole.

    def _admit(self) -> None:
        """Record that a server accepted the layout or refused this node."""
        refused = any(shard.refusal for shard in self._shards)
        guard = self._layout.guard
        if guard is not None and not refused:
            self._guard_answered.set()
        if refused is self._is_admitted:
            self._is_admitted = not refused
            self._tell(self.reason)

    @property
    def healthy(self) -> bool:
        """Whether any shard answers and none refuses this node."""
        return self._is_admitted and any(shard.healthy for shard in self._shards)

    @property
    def reason(self) -> str:
        """Why this node is refused, or why shards are unreachable."""
        for shard in self._shards:
            if shard.refusal:
                return shard.refusal
        away = (
            f"{name}: {shard.reason}"
            for name, shard in zip(self._names, self._shards, strict=True)
            if not shard.healthy and shard.reason
        )
        return "; ".join(islice(away, 3))

    def states(self) -> Mapping[str, bool]:
        """Whether each shard answers, by name."""
        return {name: shard.healthy for name, shard in zip(self._names, self._shards, strict=True)}

    def samples(self) -> Iterator[Sample]:
        """Whether each shard answers, and the longest round trip."""
        longest: dict[str, float] = {}
        for name, shard in zip(self._names, self._shards, strict=True):
            yield Sample("channeld_broker_shard_up", int(shard.healthy), (name,))
            for metric, value, _ in shard.samples():
                if isinstance(value, int | float):
                    longest[metric] = max(longest.get(metric, 0), value)
        for metric, value in longest.items():
            yield Sample(metric, value)

    async def run(self, *, task_status: Started = trio.TASK_STATUS_IGNORED) -> None:
        """Run all shards; starts after the first attempt of each.

        Raises:
            BrokerFailed: the layout's guard remembers another layout.
        """
        for number, shard in enumerate(self._shards):
            shard.on_gap, shard.on_health = self.on_gap, partial(self._tell_health, number)
            shard.on_presence_lost = self.on_presence_lost
            shard.on_presence_back = self.on_presence_back
            shard.on_versions = partial(self._tell_versions, number)
            shard.begin_turn, shard.end_turn = self.begin_turn, self.end_turn
            shard.when_turn_ends = self.when_turn_ends
            shard.on_admission = self._admit
        refusal = ""
        async with trio.open_nursery() as nursery:
            rest = list(self._shards)
            if self._layout.guard is not None:
                guard = rest.pop(self._layout.guard)
                await nursery.start(guard.run)
                refusal = guard.refusal
                if not refusal and not self._guard_answered.is_set():
                    task_status.started()
                    task_status = _STARTED
                    await self._guard_answered.wait()
            if refusal:
                nursery.cancel_scope.cancel()
            else:
                await self._start(rest, nursery)
                task_status.started()
        if refusal:
            # Outside, so that it is not wrapped in a group.
            raise BrokerFailed(refusal)

    async def _start(self, shards: Sequence[RedisBroker], nursery: trio.Nursery) -> None:
        async with trio.open_nursery() as starting:
            for shard in shards:
                starting.start_soon(nursery.start, shard.run)
        for number, shard in enumerate(self._shards):
            if not shard.healthy and number not in self._away:
                self._tell_health(number, False, shard.reason)
