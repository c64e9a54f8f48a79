"""The plan: a compiled configuration, with nothing left to look up, parse or decide at run time.

`compile.py` makes it. It is immutable except for the counters, plain integers that belong to their message type. Everything
callable in it is composed once, before the first byte: validators, templates, routes, room patterns, hooks.
"""

import abc
import enum
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, Protocol, TypeAlias

import attrs

from channeld.auth.authenticator import Authenticator, CompiledAuth
from channeld.config.model import (
    ONCE_A_SECOND,
    Auth,
    Backend,
    Config,
    Deprecation,
    History,
    Limits,
    MessageRate,
    Rate,
    Server,
)
from channeld.plan.path_syntax import parse_path
from channeld.plan.sensitive import SensitiveFrames
from channeld.protocol.frames import CheckedJson, Frame, Json
from channeld.protocol.names import Topic, room_name
from channeld.schema.violations import Validator


class Scope(Protocol):
    """Supplies what a template uses besides the message; implemented by sessions.

    `room` is the room that the frame is being routed to, or the channel's one `join` room, or None.
    """

    query: Mapping[str, Json]
    user_id: str | None
    claims: Mapping[str, Json]
    connection_id: str
    room: str | None

    @property
    def params(self) -> Mapping[str, Json]:
        """Those of its path."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""

    def uuid(self) -> str:
        """A new random UUID (RFC 9562, version 4) as text."""


class _Missing(enum.Enum):
    MISSING = "MISSING"


MISSING: Final = _Missing.MISSING
"""What a template gives when an optional expression has no value: the field is left out."""

Template: TypeAlias = Callable[[Scope, Frame], CheckedJson]
"""A compiled template: a JSON value, or MISSING. Cannot fail on what the compiler admitted."""


@attrs.frozen(slots=True, kw_only=True)
class RemoteHook:
    """A request to a backend: the kind of hook, as the request names it, and the path that is added to the URL."""

    kind: str
    name: str
    backend: Backend
    path: str


async def unasked(*_arguments: object) -> object:
    """Stands in for the function of a hook that a backend answers.

    Raises:
        RuntimeError: always; the caller asks the backend instead.
    """
    raise RuntimeError("this hook is answered by a backend")


@attrs.frozen(slots=True, eq=False)
class Hook:
    """A hook: `call` is the function, `name` its `module:function`. With `remote`, a backend is called over HTTP instead.

    `accepts_on_failure`: a client is accepted even if its connect hook fails. `loop` is what an async hook runs on.
    """

    name: str
    call: Callable[..., Any]
    is_async: bool
    thread: bool = False
    accepts_on_failure: bool = False
    loop: Literal["trio", "asyncio"] = "trio"
    remote: RemoteHook | None = None

    @property
    def asks(self) -> RemoteHook | None:
        """The backend to call; None if there is a function, including one that a test has substituted."""
        return self.remote if self.call is unasked else None


@attrs.define(slots=True)
class MessageCounters:
    """Totals of one message type of one channel since the process started."""

    accepted: int = 0
    invalid: int = 0
    forbidden: int = 0
    rate_limited: int = 0
    rejected: int = 0
    failed: int = 0
    unavailable: int = 0
    dropped: int = 0
    held: int = 0
    repeated: int = 0


@attrs.frozen(slots=True)
class Requirement:
    """One entry of a `require`: its key as written, the path of the claim, and its alternative checks."""

    key: str
    path: tuple[str | Template, ...]
    accepts: tuple[Callable[[Json, Scope, Frame], bool], ...]


Require: TypeAlias = tuple[tuple[Requirement, ...], ...]
"""Alternatives, each of requirements that must all be met; none of them where nothing is required."""


class Sender(Scope, Protocol):
    """A scope that sends, from which a target finds its topic. `home` is the channel's only `join` room."""

    home: str | None
    channel: "ChannelPlan"

    @property
    def rooms(self) -> Mapping[str, Topic]:
        """The topics of the rooms that it is in, by name."""


class NotInRoom(Exception):
    """A message is addressed to a room that its sender is not in."""

    def __init__(self, room: str) -> None:
        super().__init__(room)
        self.room = room


@attrs.frozen(slots=True, kw_only=True)
class TargetPlan(abc.ABC):
    """One target of a route. `channel` is a name, `*`, or None for its own channel.

    `in_room`: its topic is a room, which may have a history. `is_direct`: it has no topic; the frame goes only to the
    sending connection.
    """

    in_room: ClassVar[bool] = False
    is_direct: ClassVar[bool] = False
    channel: str | None = None
    except_sender: bool = False

    def take_room(self, sender: Sender, frame: Frame) -> bool:
        """Set the target's room on the sender; False if the target names none."""
        return False

    @abc.abstractmethod
    def topic(self, sender: Sender, frame: Frame) -> Topic | None:
        """The topic to publish to; None: nobody.

        Raises:
            NotInRoom: the sender may not send there.
        """


@attrs.frozen(slots=True, kw_only=True)
class NewestPlan:
    """What frames of a type replace (`is_latest`), clear (`clears` are types) and wait for (`conflate` seconds).

    `waits`: how many seconds a frame that is cleared may wait at most.

    `type` is the type of the delivered frames, which is part of their key. `on_leave`: kept frames are removed when their
    sender leaves.
    """

    type: str
    is_latest: bool = False
    clears: tuple[str, ...] = ()
    on_leave: bool = False
    conflate: float = 0.0
    waits: float = 0.0

    def named(self, key: str) -> str:
        """The key of its frames in a history and in conflation; includes the type, so that no two types share one."""
        return f"{self.type}\0{key}"


@attrs.frozen(slots=True, kw_only=True, eq=False)
class MessagePlan:
    """One message type: how it is checked, changed and routed.

    `emit` renders the whole delivered frame, `type` included and first; None: the message as it was sent, under
    `stamps` (pairs of field and template). `accepts` is the validator's bound method, kept here because it is called for
    every message. `out` is the event schema that the delivered frame must satisfy if its type is a declared event, else
    None. `kept`: the frame goes into the channel's history, if it has one. `key` renders a frame's key.
    `rate_looks_inside`: the rate is checked after the schema, since it needs the room or the key. `is_rate_asked`: the rate
    is shared with other nodes through the broker. `has_steps`: the type has options with steps of their own. `is_plain`:
    one target, and no steps.
    """

    type: str
    accepts: Callable[[Json], bool]
    validator: Validator
    targets: tuple[TargetPlan, ...] = ()
    emit: Template | None = None
    stamps: tuple[tuple[str, Template], ...] = ()
    out: Validator | None = None
    hook: Hook | None = None
    require: Require = ()
    rate: MessageRate | None = None
    kept: bool = True
    is_rate_asked: bool = False
    once: float | None = None
    key: Template | None = None
    deprecated: Deprecation | None = None
    rate_looks_inside: bool = attrs.field(init=False)
    newest: NewestPlan | None = None
    has_steps: bool = attrs.field(init=False)
    is_plain: bool = attrs.field(init=False)
    counters: MessageCounters = attrs.field(factory=MessageCounters)
    posted: MessageCounters = attrs.field(factory=MessageCounters)

    def counted(self, transport: str) -> MessageCounters:
        """The counters for a client's messages: over a WebSocket, or by POST."""
        return self.counters if transport == "websocket" else self.posted

    @rate_looks_inside.default
    def _rate_looks_inside(self) -> bool:
        return self.rate is not None and (self.rate.per == "room" or self.rate.over == "latest")

    @is_plain.default
    def _is_plain(self) -> bool:
        routed = self.hook is None and not self.require and self.newest is None
        return routed and len(self.targets) == 1

    @has_steps.default
    def _has_steps(self) -> bool:
        return self.once is not None or self.rate_looks_inside or self.is_rate_asked


@attrs.frozen(slots=True, kw_only=True, eq=False)
class EventPlan:
    """One declared server → client type. `kept`: whether its frames go into a history; `key` renders a frame's key."""

    type: str
    validator: Validator
    kept: bool = True
    newest: NewestPlan | None = None
    key: Template | None = None


@attrs.frozen(slots=True, kw_only=True, eq=False)
class SubscribePlan:
    """Which rooms clients may subscribe to: `allows(scope, room)`."""

    allows: Callable[[Scope, str], bool]
    hook: Hook | None = None
    max: int | None = None


@attrs.frozen(slots=True, kw_only=True, eq=False)
class PresencePlan:
    """How presence is tracked and announced; `info` renders what others see of a user.

    `state` is the schema of the state that users may set, at most at `rate`; None: none.
    """

    scope: Literal["room", "channel"]
    info: Template
    grace: float
    events: bool
    batch: float
    state: Validator | None = None
    rate: Rate = ONCE_A_SECOND


@attrs.frozen(slots=True, kw_only=True, eq=False)
class AuthPlan:
    """One authenticator: its declaration, the object of its type, its compiled parts and its hook."""

    name: str
    declared: Auth
    type: Authenticator[Any]
    compiled: CompiledAuth
    hook: Hook | None = None


@attrs.frozen(slots=True, kw_only=True, eq=False)
class ChannelPlan:
    """One channel, compiled.

    `contract` is equal for two plans if a live connection may move from one to the other, `membership` if its rooms and
    presence then stay the same. `read_query` returns the declared parameters of a query, or the name of an invalid one.
    """

    name: str
    path: str
    auth: tuple[AuthPlan, ...]
    auth_optional: bool
    require: Require
    join: tuple[Template, ...]
    subscribe: SubscribePlan | None
    presence: PresencePlan | None
    history: History | None
    messages: Mapping[str, MessagePlan]
    events: Mapping[str, EventPlan] | None
    connect: Hook | None
    close: Hook | None
    on_subscribe: Hook | None
    on_unsubscribe: Hook | None
    limits: Limits
    contract: object
    transports: tuple[str, ...] = ("websocket", "sse", "streams")
    membership: object = None
    read_query: Callable[[Mapping[str, str]], Mapping[str, Json] | str] | None = None
    subprotocols: tuple[str, ...] = ()
    param_names: tuple[str, ...] = attrs.field(init=False)

    @param_names.default
    def _param_names(self) -> tuple[str, ...]:
        pattern = parse_path(self.path, [])
        return () if pattern is None else pattern.params

    def presence_topic(self, room: str) -> Topic:
        """The topic of a room's presence: the room's, or the channel's if `presence.scope` says so."""
        if self.presence is not None and self.presence.scope == "channel":
            return Topic("channel", self.name, "")
        return Topic("room", self.name, room_name(room))


@attrs.frozen(slots=True)
class Match:
    """A URL's channel, and its params converted."""

    channel: ChannelPlan
    params: Mapping[str, Json]


@attrs.frozen(slots=True, kw_only=True, eq=False)
class Plan:
    """A compiled configuration. `match` takes a raw URL path (still percent-encoded, without query).

    `version` is a hash of its files' texts, so it changes whenever any of them does.
    """

    config: Config
    server: Server
    limits: Limits
    channels: Mapping[str, ChannelPlan]
    match: Callable[[str], Match | None]
    lifespans: tuple[Hook, ...]
    hook_modules: Sequence[str] = ()
    sensitive: SensitiveFrames = attrs.field(factory=SensitiveFrames)
    version: str = ""
