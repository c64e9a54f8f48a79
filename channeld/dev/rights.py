"""Who may do what: the rights that a configuration grants, derived from the file, for everybody or for one user.

`rights(config)` reads the declarations; `rights_of(plan, …)` evaluates the compiled requirements, as the engine does, for
one user's claims. What a hook decides, or what depends on a path or a message, is marked as such.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NoReturn, TypeAlias

import attrs

from channeld.auth.authenticator import CompiledAuth
from channeld.auth.authenticators import authenticator
from channeld.config.model import Channel, Config
from channeld.dev.routes_table import receivers_of, requirement_words
from channeld.plan.plan import MISSING, ChannelPlan, Plan, Require, Template
from channeld.plan.requires import unmet
from channeld.protocol.frames import Json

TITLES: Final = {
    "connect": "may connect",
    "send": "may send",
    "join": "is put into",
    "subscribe": "may subscribe to",
    "receive": "hears",
    "presence": "sees who is there",
    "history": "reads the history",
}
"""What each right is called."""

Verdict: TypeAlias = Literal["yes", "no", "depends"]
_NOBODY: Final = "nobody"


@attrs.frozen(slots=True, kw_only=True)
class Right:
    """One thing that may be done on a channel.

    Attributes:
        what: `connect`, `send`, `join`, `subscribe`, `receive`, `presence`, `history`.
        of: the authenticator, the message type, the room's template or pattern; empty if there is only one.
        who: a description.
        requires: the required claims, as alternatives, each described.
        effect: the result: whom a message reaches, what presence shows.
        hooks: hooks that may refuse.
        verdict: for one user; None for everybody.
        why: the claim that is missing, or what it depends on.
    """

    what: str
    of: str = ""
    who: str = ""
    requires: tuple[str, ...] = ()
    effect: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    verdict: Verdict | None = None
    why: str = ""


def right_words(right: Right) -> str:
    """Who has it and its effect: `anyone connected, requires role=admin → everyone in the room`."""
    words = right.who
    if right.requires:
        words += f", requires {' or '.join(right.requires)}"
    if right.hooks:
        words += f", if {', '.join(right.hooks)} agrees"
    if right.effect:
        words += f" → {'; '.join(right.effect)}"
    return words


@attrs.frozen(slots=True, kw_only=True)
class ChannelRights:
    """A channel, and everything that may be done on it."""

    channel: str
    path: str
    transports: tuple[str, ...]
    rights: tuple[Right, ...]


def rights(config: Config) -> list[ChannelRights]:
    """The rights on each channel, in the order of the file."""
    return [
        ChannelRights(
            channel=channel.name,
            path=channel.path,
            transports=channel.transports or config.server.transports,
            rights=tuple(_rights(config, channel)),
        )
        for channel in config.channels.values()
    ]


def _rights(config: Config, channel: Channel) -> Iterator[Right]:
    yield from _connecting(config, channel)
    members = "anyone connected"
    for name, message in channel.messages.items():
        yield Right(
            what="send",
            of=name,
            who=members,
            requires=requirement_words(message.require),
            effect=tuple(receivers_of(channel, message)) or ("nobody",),
            hooks=() if message.hook is None else (message.hook.call,),
        )
    for template in channel.rooms.join:
        yield Right(what="join", of=template, who=members, effect=("on connecting",))
    yield from _subscribing(channel)
    yield from _receiving(config, channel)
    if channel.presence is not None:
        shown = tuple(f"{name}: {value}" for name, value in channel.presence.info.items())
        where = "members of the room" if channel.presence.scope == "room" else members
        yield Right(what="presence", who=where, effect=("user ids", *shown))
    if channel.history is not None:
        kept = f"the last {channel.history.size} frames of the room"
        yield Right(what="history", who="members of the room", effect=(kept,))


def _connecting(config: Config, channel: Channel) -> Iterator[Right]:
    hooks = () if channel.hooks.connect is None else (channel.hooks.connect.call,)
    requires = requirement_words(channel.require)
    # `diff` also compares files with errors, from which an invalid one is missing.
    for name in filter(config.auth.__contains__, channel.auth.names):
        kind = authenticator(config.auth[name]).type
        yield Right(
            what="connect",
            of=name,
            who=f"users of `{name}` ({kind}){_claims_words(config.auth[name].claims)}",
            requires=requires,
            hooks=hooks,
        )
    if not channel.auth.names or channel.auth.optional:
        # An absent claim meets nothing.
        who = _NOBODY if requires else "anyone, without a token"
        yield Right(what="connect", of="anonymous", who=who, requires=requires, hooks=hooks)


def _claims_words(schema: Json) -> str:
    """The claims that a token must have at all, as the `claims` schema itself lists them."""
    required = schema.get("required") if isinstance(schema, dict) else None
    if not isinstance(required, list) or not required:
        return ""
    names = [str(name) for name in required]
    return f" with {'claim' if len(names) == 1 else 'claims'} {', '.join(names)}"


def _subscribing(channel: Channel) -> Iterator[Right]:
    subscribe = channel.rooms.subscribe
    if subscribe is None:
        return
    hooks = () if subscribe.hook is None else (subscribe.hook.call,)
    most = () if subscribe.max is None else (f"at most {subscribe.max} rooms",)
    for pattern in subscribe.allow or ("*",):
        yield Right(what="subscribe", of=pattern, who="anyone connected", effect=most, hooks=hooks)


def _receiving(config: Config, channel: Channel) -> Iterator[Right]:
    for name, message in channel.messages.items():
        for reached in receivers_of(channel, message):
            yield Right(what="receive", of=name, who=reached)
    for other in config.channels.values():
        for name, message in other.messages.items():
            if other is not channel and any(
                route.channel in (channel.name, "*") for route in message.route
            ):
                who = ", ".join(receivers_of(other, message))
                yield Right(what="receive", of=name, who=who, effect=(f"from `{other.name}`",))
    for name in channel.events or {}:
        if name not in channel.messages:
            yield Right(what="receive", of=name, who="as the API or a hook publishes it")


# ------------------------------------------------------------------------------------------------------- one person


@attrs.frozen(slots=True, kw_only=True)
class Person:
    """The user whose rights are queried; `user` None: somebody without a token."""

    user: str | None = None
    claims: Mapping[str, Json] = attrs.field(factory=dict)


class _Depends(Exception):
    """The answer depends on a connection or a message."""


class _UnknownName(dict[str, Json]):
    """Params, or a message, of which nothing is known."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind

    def __missing__(self, key: str) -> NoReturn:
        raise _Depends(f"{{{self._kind}.{key}}}")

    def get(self, key: str, default: object = None) -> NoReturn:
        raise _Depends(f"{{{self._kind}.{key}}}")

    def __contains__(self, key: object) -> bool:
        raise _Depends(f"{{{self._kind}.{key}}}")


@attrs.define
class _PersonScope:
    """A person as templates and requirements see one."""

    user_id: str | None
    claims: Mapping[str, Json]
    params: Mapping[str, Json]
    query: Mapping[str, Json] = attrs.field(factory=dict)
    connection_id: str = ""
    room: str | None = None

    def now_ms(self) -> int:
        """Not known."""
        raise _Depends("{now}")

    def uuid(self) -> str:
        """Not known."""
        raise _Depends("{uuid}")


def rights_of(plan: Plan, person: Person) -> list[ChannelRights]:
    """The same rights, each with a verdict about one person."""
    found = []
    for channel in rights(plan.config):
        written = plan.config.channels[channel.channel].rooms.join
        judge = _Judge(plan.channels[channel.channel], written, person)
        found.append(attrs.evolve(channel, rights=tuple(map(judge.judged, channel.rights))))
    return found


class _Judge:
    def __init__(self, channel: ChannelPlan, joins: Sequence[str], person: Person) -> None:
        self._channel = channel
        self._joins = dict(zip(joins, channel.join, strict=True))
        claims = {"sub": person.user, **person.claims} if person.user is not None else {}
        self._scope = _PersonScope(person.user, claims, _UnknownName("params"))
        self._connects = self._connecting()

    def judged(self, right: Right) -> Right:
        """The right with its verdict."""
        if right.what == "connect":
            is_anonymous = right.of == "anonymous"
            comes_with_token = self._scope.user_id is not None and bool(self._channel.auth)
            if is_anonymous is comes_with_token:
                why = "without a token only" if is_anonymous else "a token is required"
                return attrs.evolve(right, verdict="no", why=why)
            verdict, why = self._connects
        elif self._connects[0] == "no":
            verdict, why = "no", "may not connect"
        elif right.what == "send":
            require = self._channel.messages[right.of].require
            verdict, why = self._asked(require, _UnknownName("message"))
        elif right.what == "join":
            verdict, why = self._joining(right.of)
        elif right.what == "presence" and self._scope.user_id is None:
            verdict, why = "depends", "anonymous connections see it and are not in it"
        else:
            verdict, why = "yes", ""
        if verdict == "yes" and right.hooks:
            verdict, why = "depends", f"{', '.join(right.hooks)} may refuse"
        if verdict == "yes" and self._connects[0] == "depends" and right.what != "connect":
            verdict, why = "depends", self._connects[1]
        return attrs.evolve(right, verdict=verdict, why=why)

    def _connecting(self) -> tuple[Verdict, str]:
        channel, scope = self._channel, self._scope
        if scope.user_id is None:
            if channel.auth and not channel.auth_optional:
                return "no", "a token is required"
        elif not channel.auth:
            return self._asked(channel.require, {})
        else:
            refused = [auth.name for auth in channel.auth if not self._satisfies(auth.compiled)]
            if len(refused) == len(channel.auth):
                return "no", f"the claims are not those of {', '.join(refused)}"
        return self._asked(channel.require, {})

    def _satisfies(self, compiled: CompiledAuth) -> bool:
        validator = compiled.claims
        return validator is None or bool(validator.accepts(dict(self._scope.claims)))

    def _asked(self, require: Require, message: Mapping[str, Json]) -> tuple[Verdict, str]:
        if not require:
            return "yes", ""
        try:
            missing = unmet(require, self._scope, message)  # type: ignore[arg-type]
        except _Depends as error:
            return "depends", str(error)
        return ("yes", "") if missing is None else ("no", f"claim `{missing}`")

    def _joining(self, written: str) -> tuple[Verdict, str]:
        try:
            rooms = self._rendered(self._joins[written])
        except _Depends as error:
            return "depends", str(error)
        return ("yes", ", ".join(rooms)) if rooms else ("no", f"{written} gives no room")

    def _rendered(self, template: Template) -> Sequence[str]:
        value = template(self._scope, {})
        if value is MISSING:
            return ()
        return [str(one) for one in value] if isinstance(value, list) else [str(value)]
