"""The record of which connections this node has entered where, and the script calls that tell Redis.

The record is authoritative: each session enters it again under a new lease and reaps the earlier lease, so a lost answer,
an outage or an emptied server never leaves ghosts. A node that does not renew its lease for `LEASE` seconds is reaped by
another. A node may only do that if it has itself renewed without a break for as long, since after an outage of Redis all
leases have expired.
"""

import math
import secrets
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import NoReturn, TypeAlias

import attrs
import orjson
import trio
from coredis.exceptions import RedisError

from channeld.broker.broker import Position, Topic
from channeld.broker.redis.connection import Lost
from channeld.broker.redis.encoding import Names, topic_key
from channeld.broker.redis.layout import ALONE, Spread
from channeld.broker.redis.queue import Argument, Reply, Script
from channeld.broker.redis.scripts import VERSION
from channeld.broker.redis.session import Session
from channeld.protocol.frames import Json, encode

LEASE = 10.0
RENEWAL = 3.0
# Renewals without a break before a node may undo another.
_STEADY = int(LEASE / RENEWAL) + 1
_AT_ONCE = 200


_Key: TypeAlias = tuple[Topic, str, str]
_Lost: TypeAlias = tuple[Topic, str, Position]


@attrs.define(eq=False)
class _Entry:
    info: bytes
    alive: bool = True
    ends: float = 0.0


@attrs.define(eq=False)
class Entries:
    """The record. `lease` is that of the current session, `before` the one that it takes over from."""

    _names: Names
    lease: str = attrs.field(default="", init=False)
    before: str = attrs.field(default="", init=False)
    _entries: dict[_Key, _Entry] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._entries)

    def enter(self, topic: Topic, user: str, connection: str, info: Mapping[str, Json]) -> Script:
        """Record an entry; returns the call that tells Redis.

        Raises:
            TypeError: the user, the connection or the info is not JSON.
        """
        entry = _Entry(encode(dict(info)))
        # The call first: it raises for what is not JSON, which must not get into the record.
        script = self._enter(topic, user, connection, entry)
        self._entries[topic, user, connection] = entry
        return script

    def undo(self, topic: Topic, user: str, connection: str) -> None:
        """Undo `enter` after a failure."""
        self._entries.pop((topic, user, connection), None)

    def linger(self, topic: Topic, user: str, connection: str, ends: float) -> Script | None:
        """Record that an entry lingers, and until when; returns the call, if needed."""
        entry = self._entries.get((topic, user, connection))
        if entry is None:
            return None
        entry.alive, entry.ends = False, ends
        arguments = (self.lease, topic_key(topic), user, connection)
        return Script("linger", (self._names.base,), arguments, _unread, bound=True)

    def leave(self, topic: Topic, user: str, connection: str) -> Script | None:
        """Remove an entry; returns the call, if needed."""
        if self._entries.pop((topic, user, connection), None) is None:
            return None
        return self._leave(topic, user, connection)

    def differences(self, told: dict[_Key, bool]) -> Iterator[tuple[_Key, bool, Script]]:
        """The calls that Redis needs if it knows `told` (alive or lingering); for each its key, and whether it enters."""
        for key, entry in self._entries.items():
            if told.get(key) is not entry.alive:
                yield key, True, self._enter(*key, entry)
        for key in told:
            if key not in self._entries:
                yield key, False, self._leave(*key)

    def heirlooms(self, now: float) -> dict[int, list[str]]:
        """The lingering entries, packed, by the seconds that they still linger, rounded up."""
        found: dict[int, list[str]] = {}
        for key, entry in self._entries.items():
            if not entry.alive and entry.ends > now:
                found.setdefault(math.ceil(entry.ends - now), []).append(_pack(*key).decode())
        return found

    def entry(self, key: _Key) -> tuple[bool, Mapping[str, Json]] | None:
        """Whether an entry is alive, and its info; None if it does not exist."""
        entry = self._entries.get(key)
        return None if entry is None else (entry.alive, orjson.loads(entry.info))

    def _leave(self, topic: Topic, user: str, connection: str) -> Script:
        packed = _pack(topic, user, connection)
        arguments = (self.lease, topic_key(topic), user, connection, packed)
        return Script("leave", (self._names.base,), arguments, _unread, bound=True)

    def _enter(self, topic: Topic, user: str, connection: str, entry: _Entry) -> Script:
        packed = _pack(topic, user, connection)
        arguments: list[Argument] = [self.lease, topic_key(topic), user, connection]
        arguments += (packed, entry.info, "1" if entry.alive else "0", self.before)
        keys, size = (self._names.base, self._names.state), 100 + len(entry.info)
        return Script("enter", keys, arguments, _unread, size=size, bound=True)


@attrs.define(eq=False)
class Leases:
    """Renews this node's lease, and reaps other nodes'. Uses its `Session` for calls of its own, outside of the queue."""

    _names: Names
    entries: Entries
    on_lost: Callable[[Topic, str, Position], None]
    on_back: Callable[[Topic, str, Mapping[str, Json], Position], None]
    on_versions: Callable[[str, frozenset[str]], None]
    _spread: Spread = ALONE
    _run_id: str = attrs.field(default="", init=False)
    # Whether the previous session was with the same run of the server, so that numbers continue.
    is_same_run: bool = attrs.field(default=False, init=False)

    async def vouch(self, session: Session) -> str:
        """Tell the server how this node spreads the prefix, under a new lease; returns why it refuses, or an empty text."""
        self.entries.before, self.entries.lease = self.entries.lease, secrets.token_hex(8)
        return await self._agreed(session, self.entries.before)

    async def _agreed(self, session: Session, before: str) -> str:
        spread = self._spread
        arguments = (self.entries.lease, round(LEASE * 1000), before, spread.text)
        more = (secrets.token_hex(6), int(spread.is_fixed), VERSION)
        keys = (self._names.base, self._names.state)
        agrees, stored, *others = await session.call("vouch", keys, (*arguments, *more))
        if agrees:
            found = frozenset(version.decode("utf-8", "replace") for version in others)
            self.on_versions(VERSION, found)
        return "" if agrees else spread.refusal(stored.decode())

    async def arrive(self, session: Session) -> None:
        """Continue after `vouch`: enter everything under the new lease, and reap the earlier one."""
        before = self.entries.before
        run_id = await session.run_id(self._names.state)
        self.is_same_run = bool(run_id) and run_id == self._run_id
        keys = (self._names.base, self._names.state)
        fresh_gen = secrets.token_hex(6)
        arguments: list[Argument] = [self.entries.lease, round(LEASE * 1000), run_id]
        arguments += (fresh_gen, before)
        was_reaped = await session.call("arrive", keys, arguments)
        self._run_id = run_id
        # Repeated until nothing changed meanwhile; there is no checkpoint between the last look and the end.
        told: dict[_Key, bool] = {}
        await self._tell(session, told, back=bool(was_reaped))
        if before:
            await self._reap(session, before)
            await self._tell(session, told, back=False)
        self.entries.before = ""

    async def renew(self, session: Session) -> NoReturn:
        """Renew the lease, and reap those of dead nodes.

        Raises:
            Lost: the lease was taken away; only a new session enters everything again.
        """
        steady = 0
        while True:
            await trio.sleep(RENEWAL)
            try:
                arguments = (self.entries.lease, round(LEASE * 1000))
                state, *ended = await session.call("renew", (self._names.base,), arguments)
                refusal = await self._agreed(session, "")
            except RedisError:
                # For example out of memory: then no lease is renewed, and no node must be reaped.
                steady = 0
                continue
            if state < 0:
                raise Lost("the presence lease is gone")
            if refusal:
                raise Lost(refusal)
            steady = steady + 1 if state else 0
            for lease in ended if steady >= _STEADY else ():
                await self._reap(session, lease.decode())

    async def depart(self, session: Session, now: float) -> None:
        """Give up the lease. Other nodes undo what it still holds: lingering entries when their time is over, others at once."""
        for seconds, packed in sorted(self.entries.heirlooms(now).items()):
            heir = secrets.token_hex(8)
            arguments = (self.entries.lease, heir, seconds * 1000)
            await session.call_all(
                [
                    Script("bequeath", (self._names.base,), (*arguments, *some), _unread)
                    for some in _chunks(packed)
                ]
            )
        await session.call("depart", (self._names.base,), (self.entries.lease, VERSION))

    async def _tell(self, session: Session, told: dict[_Key, bool], *, back: bool) -> None:
        while some := list(islice(self.entries.differences(told), _AT_ONCE)):
            states = {key: self.entries.entry(key) for key, _, _ in some}
            replies = await session.call_all([script for _, _, script in some])
            for (key, enters, _), reply in zip(some, replies, strict=True):
                topic, user, _ = key
                state = states[key]
                changed = read_version(*reply[1:]) if reply[0] else None
                if not enters or state is None:
                    del told[key]
                    if changed is not None:
                        self.on_lost(topic, user, changed)
                    continue
                told[key] = state[0]
                if changed is not None and back:
                    self.on_back(topic, user, state[1], changed)

    async def _reap(self, session: Session, lease: str) -> None:
        left, rooms = 1, list[_Lost]()
        try:
            while left:
                arguments = (lease, _AT_ONCE, self.entries.lease)
                reply = await session.call("reap", (self._names.base,), arguments)
                left, lost = read_last(reply)
                for topic, user, version in lost:
                    if user:
                        self.on_lost(topic, user, version)
                    else:
                        rooms.append((topic, user, version))
        finally:
            # A room is vacated after its last user has left.
            for gone in rooms:
                self.on_lost(*gone)


def _chunks(packed: list[str]) -> Iterator[list[str]]:
    return (packed[begin : begin + _AT_ONCE] for begin in range(0, len(packed), _AT_ONCE))


def _unread(reply: Reply) -> Reply:
    return reply


def read_version(epoch: bytes, version: int) -> Position:
    """The version of a presence, as scripts return it."""
    return Position(epoch.decode(), version)


def read_last(reply: Reply) -> tuple[int, list[_Lost]]:
    """Parse the reply of `reap`: how many entries are left, and the users who are gone, each with the version of that change."""
    left, *rows = reply
    lost = []
    for packed, epoch, version in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        kind, channel, name, user, _ = orjson.loads(packed)
        lost.append((Topic(kind, channel, name), user, read_version(epoch, version)))
    return left, lost


def _pack(topic: Topic, user: str, connection: str) -> bytes:
    return topic_key(topic).encode() + orjson.dumps([*topic, user, connection])
