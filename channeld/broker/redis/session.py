"""One session with Redis: a connection, from dialling to the first fault, after which it is discarded.

Every fault ends the session: a call without an answer in time, a lost connection, a missing echo. Script replies and
subscribed messages arrive over the one connection, in the order in which Redis executed them.
"""

import hashlib
import secrets
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

import attrs
import trio
from coredis.exceptions import NoScriptError, RedisError

from channeld.broker.broker import BrokerUnavailable
from channeld.broker.redis.connection import (
    Connection,
    Location,
    Lost,
    NoLongerPrimary,
    SlotMoving,
    Turn,
    connect,
)
from channeld.broker.redis.dialect import PLAIN, Dialect, of_cluster
from channeld.broker.redis.discovery import NotFound, read_url
from channeld.broker.redis.encoding import pack
from channeld.broker.redis.queue import Argument, Publish, Reply, Script, ScriptCall
from channeld.broker.redis.subscriptions import Inbox
from channeld.groups import first

TIMEOUT = 3.0
_SUBSCRIBE_AT_ONCE = 500
_AGAIN = 0.05


def _no_turn() -> None:
    pass


class Dialler:
    """Makes connections to the primary that a URL leads to (`discovery.py`), with its credentials and TLS files."""

    def __init__(self, url: str, prefix: str, name: str) -> None:
        """Read the URL.

        Raises:
            ValueError: it has an unknown form.
        """
        self._target = target = read_url(url, prefix)
        self.names = target.names
        self.dialect = of_cluster(target.names.base) if target.is_cluster else PLAIN
        self._name = name
        options = target.pool.connection_kwargs
        self._tls: ssl.SSLContext | None = options.get("ssl_context")
        if self._tls is not None and self._tls.verify_mode is not ssl.CERT_NONE:
            # coredis leaves this off unless the URL asks for it.
            self._tls.check_hostname = (
                "ssl_check_hostname=" not in target.url or self._tls.check_hostname
            )
        self._options: dict[str, Any] = {**options}

    async def dial(self, nursery: trio.Nursery, turn: Turn = (_no_turn, _no_turn)) -> Connection:
        """Connect to the primary; the connection runs in the nursery. `turn` is begun and ended around each read.

        Raises:
            Lost: it failed.
        """
        with trio.move_on_after(2 * TIMEOUT):
            try:
                location = await self._target.find(self._ask)
                connection = await self._open(nursery, location, self._options, turn)
                await _demand_primary(connection, location)
            except (RedisError, OSError, NotFound) as error:
                raise Lost(_reason(error)) from error
            return connection
        raise Lost("no answer while connecting")

    async def _open(
        self, nursery: trio.Nursery, location: Location, options: dict[str, Any], turn: Turn
    ) -> Connection:
        try:
            wire = await connect(location, self._tls)
        except ssl.SSLError:
            raise
        except OSError as error:
            raise NotFound(f"nothing answers at {location!r}") from error
        connection = Connection(wire, TIMEOUT, turn)
        await nursery.start(connection.run)
        words: list[Argument] = ["HELLO", 3]
        if options.get("password") is not None:
            words += ("AUTH", options.get("username") or "default", options["password"])
        await connection.ask(*words, "SETNAME", self._name)
        if options.get("db"):
            await connection.ask("SELECT", options["db"])
        return connection

    async def _ask(self, location: Location, of_sentinel: bool, words: tuple[bytes, ...]) -> Reply:
        options = self._options
        if of_sentinel:
            options = options | {"username": None, "password": None, "db": 0}
            options |= self._target.sentinel_options
        reply: Reply = None
        try:
            async with trio.open_nursery() as nursery:
                connection = await self._open(nursery, location, options, (_no_turn, _no_turn))
                reply = await connection.ask(*words)
                nursery.cancel_scope.cancel()
        except* (RedisError, OSError, NotFound, Lost) as group:
            raise NotFound(f"{location!r} does not say: {first(group)}") from group
        return reply


async def _demand_primary(connection: Connection, location: Location) -> None:
    """Refuse a replica, because it accepts no writes. A name or Sentinel that leads to one will soon lead to a primary."""
    try:
        role: Reply = await connection.ask("ROLE")
    except RedisError:
        # This user may not ask; on a replica the scripts will be refused.
        return
    if role[0] != b"master":
        raise NotFound(f"{location!r} is a replica")


@attrs.define(eq=False)
class Session:
    """The verbs on a connection."""

    connection: Connection
    dialect: Dialect = PLAIN
    # Channels that were unsubscribed from, and how often, until that is acknowledged.
    _left: dict[bytes, int] = attrs.field(factory=dict, init=False)
    # Calls that were refused without being executed, because a slot moves or the server has lost its scripts; since when that goes
    # on, for how long it is tolerated, and what to call when all are done.
    _again: list[ScriptCall] = attrs.field(factory=list, init=False)
    _forgot_scripts: bool = attrs.field(default=False, init=False)
    _refused_since: float | None = attrs.field(default=None, init=False)
    _patience: float = attrs.field(default=0.0, init=False)
    _then: Callable[[], object] = attrs.field(default=_no_turn, init=False)
    _refused_some: trio.Event = attrs.field(factory=trio.Event, init=False)

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.connection.fault is None

    async def load(self) -> None:
        """Load the scripts into the server.

        Raises:
            Lost: no answer.
            RedisError: Redis refused it.
        """
        for text in self.dialect.scripts.values():
            await self.connection.ask("SCRIPT", "LOAD", text)

    async def run_id(self, state: str) -> str:
        """The id of this run of the server; `state` is the key shared by all topics.

        Raises:
            Lost: no answer.
        """
        try:
            text = await self.connection.ask("INFO", "server")
        except RedisError:
            return await self._mark(state)
        for line in bytes(text).splitlines():
            if line.startswith(b"run_id:"):
                return line[7:].decode("ascii", "replace")
        return ""

    async def _mark(self, state: str) -> str:
        """The same without INFO permission: the mark is a loaded script, since scripts are not saved or replicated."""
        try:
            known = await self.connection.ask("HGET", state, "mark")
            if known is not None and await self._is_loaded(known):
                return str(bytes(known), "ascii", "replace")
            mark = secrets.token_hex(12)
            await self.connection.ask("SCRIPT", "LOAD", _marking(mark.encode()))
            await self.connection.ask("HSET", state, "mark", mark)
        except RedisError:
            return ""
        return mark

    async def _is_loaded(self, mark: bytes) -> bool:
        digest = hashlib.sha1(_marking(mark), usedforsecurity=False).hexdigest()
        return bool((await self.connection.ask("SCRIPT", "EXISTS", digest))[0])

    async def call(self, script: str, keys: Sequence[str], arguments: Sequence[Argument]) -> Reply:
        """Call one script and wait for its reply.

        Raises:
            Lost: no answer.
            RedisError: Redis refused it.
        """
        words = self.dialect.words(script, keys, arguments)
        try:
            return await self.connection.ask(*words)
        except NoScriptError:
            await self.load()
        return await self.connection.ask(*words)

    async def call_all(self, scripts: Sequence[Script]) -> list[Reply]:
        """Call several scripts at once; returns their replies.

        Raises:
            Lost: no answer.
            RedisError: Redis refused one.
        """
        replies: list[Reply] = []
        for script in scripts[:-1]:
            words = self.dialect.words(script.name, script.keys, script.arguments)
            self.connection.call(words, replies.append)
        for script in scripts[-1:]:
            # Answers arrive in order: after the last one, all are here.
            last = await self.call(script.name, script.keys, script.arguments)
            replies.append(last)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def perform(self, commands: Sequence[ScriptCall], then: Callable[[], object]) -> None:
        """Send all, and pass each its reply or error on arrival; `then()` after the last.

        Those refused temporarily are sent again by `send_again`, in order.
        """
        left = len(commands)

        def answer(command: ScriptCall, reply: Reply) -> None:
            nonlocal left
            left -= 1
            if not isinstance(reply, Exception):
                command.resolve(reply)
            elif isinstance(reply, Lost):
                # Unknown whether Redis executed it.
                command.fail(BrokerUnavailable(is_unknown=True))
            elif isinstance(reply, SlotMoving | NoScriptError):
                self._again.append(command)
                self._forgot_scripts |= isinstance(reply, NoScriptError)
            else:
                command.fail(BrokerUnavailable())
                if isinstance(reply, NoLongerPrimary):
                    self.connection.fail(str(reply))
            if not left:
                self._then = then
                self._performed()

        for command in commands:
            words = self.dialect.words(command.name, command.keys, command.arguments)
            self.connection.call(words, partial(answer, command))
        self.connection.flush()

    def publish(self, runs: Sequence[Sequence[Publish]], then: Callable[[], object]) -> None:
        """Publish without scripts, each run in one envelope; answer each run when it is done, and call `then()` after the last."""
        for run in runs:
            envelope = pack([(entry.options.skip, entry.payload) for entry in run])
            words = (b"PUBLISH", run[0].channel, envelope)
            after = then if run is runs[-1] else _no_turn
            self.connection.call(words, partial(self._published, run, after))
        self.connection.flush()

    def _published(self, run: Sequence[Publish], then: Callable[[], object], reply: Reply) -> None:
        if isinstance(reply, Exception):
            error = BrokerUnavailable(is_unknown=isinstance(reply, Lost))
            for entry in run:
                entry.answer.fail(error)
            if isinstance(reply, NoLongerPrimary):
                self.connection.fail(str(reply))
        else:
            for entry in run:
                entry.answer.resolve(None)
        then()

    def _performed(self) -> None:
        now = trio.current_time()
        if not self._again:
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = now
        if self._refused_since is not None and now - self._refused_since > self._patience:
            self.give_up()
        if self._again:
            self._refused_some.set()
        else:
            self._then()

    async def send_again(self, patience: float) -> NoReturn:
        """Send refused commands again, until that has gone on for `patience` seconds."""
        self._patience = patience
        while True:
            await self._refused_some.wait()
            self._refused_some = trio.Event()
            if self._forgot_scripts:
                self._forgot_scripts = False
                for text in self.dialect.scripts.values():
                    self.connection.call(("SCRIPT", "LOAD", text), _ignore)
            else:
                await trio.sleep(_AGAIN)
            commands, self._again = self._again, []
            self.perform(commands, self._then)

    def give_up(self) -> None:
        """Fail the commands that wait to be sent again."""
        commands, self._again = self._again, []
        for command in commands:
            command.fail(BrokerUnavailable())

    def subscribe(self, channels: Sequence[bytes]) -> None:
        """Subscribe to channels with the next `flush` or `perform`; each is acknowledged by a push. Does nothing after the session's end."""
        self._tell(self.dialect.subscribe, channels)

    def unsubscribe(self, channels: Sequence[bytes]) -> None:
        """Unsubscribe from channels with the next `flush` or `perform`. Does nothing after the session's end."""
        for channel in channels:
            self._left[channel] = self._left.get(channel, 0) + 1
        self._tell(self.dialect.unsubscribe, channels)

    def _tell(self, verb: bytes, channels: Sequence[bytes]) -> None:
        for begin in range(0, len(channels), _SUBSCRIBE_AT_ONCE):
            self.connection.tell((verb, *channels[begin : begin + _SUBSCRIBE_AT_ONCE]))

    def flush(self) -> None:
        """Write what is queued."""
        self.connection.flush()

    def listen(self, inbox: Inbox, echo: bytes, heard: Callable[[], None]) -> None:
        """Pass pushes to the inbox; report when an echo arrives."""
        of_message, of_subscribe = self.dialect.message, self.dialect.subscribe.lower()
        of_unsubscribe = self.dialect.unsubscribe.lower()

        def take(push: list[Reply]) -> None:
            # Pushes of pub/sub have three parts; the third of an acknowledgement is a number that is not needed.
            kind, channel, data = push
            if kind == of_message and channel != echo:
                inbox.message(channel, data)
            elif kind == of_message:
                heard()
            elif kind == of_subscribe:
                self.connection.acknowledged()
                if channel != echo:
                    inbox.acknowledged(channel)
            elif kind == of_unsubscribe:
                self._unsubscribed(channel)

        self.connection.on_push = take

    def _unsubscribed(self, channel: bytes) -> None:
        left = self._left.pop(channel, 0)
        if not left:
            self.connection.fail("the slot has moved to another node")
            return
        self.connection.acknowledged()
        if left > 1:
            self._left[channel] = left - 1


def _marking(mark: bytes) -> bytes:
    return b"return '%b'" % mark


def _ignore(_reply: Reply) -> None:
    pass


def _reason(error: BaseException) -> str:
    cause = error.__cause__
    return f"{error}: {cause}" if cause is not None else str(error)
