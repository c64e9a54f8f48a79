"""One channel, compiled: its params, rooms, messages, events and limits become a `ChannelPlan`."""

from collections.abc import Mapping

import attrs

from channeld.config.model import Channel, Config, Message
from channeld.plan.compiling import ChannelContext, MessageContext
from channeld.plan.deliveries import compile_delivery
from channeld.plan.hooks import HookLoader, Role
from channeld.plan.plan import (
    AuthPlan,
    ChannelPlan,
    EventPlan,
    MessagePlan,
    PresencePlan,
    ResolvedLimits,
    Scope,
    SubscribePlan,
)
from channeld.plan.reach import Identity
from channeld.plan.requires import compile_requirements
from channeld.plan.rooms import Tokens, allows, tokens
from channeld.plan.routes import compile_targets
from channeld.plan.templates import TemplateCompiler
from channeld.pointer import at
from channeld.protocol.frames import Frame, Json
from channeld.schema.guarantees import Shape
from channeld.schema.schemas import Schemas

__all__ = ["ChannelCompiler", "resolve_limits"]


@attrs.frozen(slots=True, kw_only=True, eq=False)
class ChannelCompiler:
    """Compiles the channels of one configuration; findings go to the desk's report."""

    config: Config
    desk: TemplateCompiler
    schemas: Schemas
    hooks: HookLoader
    auth: Mapping[str, AuthPlan]

    def compile(self, channel: Channel, params: Mapping[str, frozenset[str]]) -> ChannelPlan:
        """The plan of a channel whose path has these params; worth nothing when there were errors."""
        site = self._rooms_of(self._site(channel, params))
        pointer = site.pointer
        auth = tuple(self.auth[name] for name in channel.auth.names if name in self.auth)
        hooks = channel.hooks
        compiled = (
            self._message(site, type_, message) for type_, message in channel.messages.items()
        )
        messages = {message.type: message for message in compiled if message is not None}
        place = at(pointer, "hooks")
        return ChannelPlan(
            name=channel.name,
            path=channel.path,
            auth=auth,
            auth_optional=channel.auth.optional,
            require=compile_requirements(
                channel.require, self._require_pointer(pointer), site.reach("require"), self.desk
            ),
            join=tuple(join.render for join in site.joins),
            subscribe=self._subscribe(site),
            presence=self._presence(site),
            history=channel.history,
            messages=messages,
            events=self._events(site),
            connect=self.hooks.load(hooks.connect, at(place, "connect"), Role.CONNECT),
            close=self.hooks.load(hooks.close, at(place, "close"), Role.CLOSE),
            on_subscribe=self.hooks.load(hooks.subscribe, at(place, "subscribe"), Role.SUBSCRIBE),
            on_unsubscribe=self.hooks.load(
                hooks.unsubscribe, at(place, "unsubscribe"), Role.UNSUBSCRIBE
            ),
            limits=resolve_limits(self.config, channel),
            contract=(
                channel.name,
                channel.path,
                channel.auth,
                tuple(plan.declared for plan in auth),
                channel.require,
            ),
        )

    def _require_pointer(self, pointer: str) -> str:
        # `require` stands under `auth` where that is a mapping, beside it otherwise.
        under = at(pointer, "auth", "require")
        declared = self.desk.written(at(pointer, "auth"))
        return (
            under
            if isinstance(declared, dict) and "require" in declared
            else at(pointer, "require")
        )

    def _site(self, channel: Channel, params: Mapping[str, frozenset[str]]) -> ChannelContext:
        authenticators = tuple(
            (self.config.auth[name], self._claims_shape(name))
            for name in channel.auth.names
            if name in self.config.auth
        )
        return ChannelContext(
            config=self.config,
            channel=channel,
            desk=self.desk,
            schemas=self.schemas,
            params=params,
            identity=Identity(
                authenticators,
                channel.auth.optional,
                is_unknown=len(authenticators) < len(channel.auth.names),
                names=tuple(name for name in channel.auth.names if name in self.config.auth),
            ),
        )

    def _claims_shape(self, name: str) -> Shape | None:
        if self.config.auth[name].claims is None:
            return None
        return self.schemas.shape(at("/auth", name, "claims"))

    def _rooms_of(self, site: ChannelContext) -> ChannelContext:
        pointer = at(site.pointer, "rooms")
        declared = self.desk.written(pointer)
        join = at(pointer, "join") if isinstance(declared, dict) else pointer
        listed = isinstance(self.desk.written(join), list)
        joins = [
            self.desk.compile_name(
                text, at(join, index) if listed else join, site.reach("rooms.join")
            )
            for index, text in enumerate(site.channel.rooms.join)
        ]
        sound = [checked for checked in joins if checked is not None]
        return attrs.evolve(site, joins=sound, allowed=self._allowed(site, pointer))

    def _allowed(self, site: ChannelContext, pointer: str) -> list[Tokens]:
        subscribe = site.channel.rooms.subscribe
        if subscribe is None:
            return []
        allow = at(pointer, "subscribe", "allow")
        listed = isinstance(self.desk.written(allow), list)
        reach = site.reach("rooms.subscribe.allow")
        patterns: list[Tokens] = []
        for index, text in enumerate(subscribe.allow):
            place = at(allow, index) if listed else allow
            checked = self.desk.compile_name(text, place, reach)
            if checked is not None:
                patterns.append(tokens(checked.node, stars=True))
        return patterns

    def _subscribe(self, site: ChannelContext) -> SubscribePlan | None:
        declared = site.channel.rooms.subscribe
        if declared is None:
            return None
        pointer = at(site.pointer, "rooms", "subscribe", "hook")
        return SubscribePlan(
            allows=allows(site.allowed),
            hook=self.hooks.load(declared.hook, pointer, Role.SUBSCRIBE),
            max=declared.max,
        )

    def _presence(self, site: ChannelContext) -> PresencePlan | None:
        declared = site.channel.presence
        if declared is None:
            return None
        # Only users are in it, so there `optional: true` takes nothing away.
        identity = attrs.evolve(site.identity, optional=False)
        room = True if declared.scope == "room" else None
        reach = attrs.evolve(site.reach("presence.info", room=room), identity=identity)
        pointer = at(site.pointer, "presence", "info")
        checked = self.desk.compile(dict(declared.info), pointer, reach)
        return PresencePlan(
            scope=declared.scope,
            info=checked.render if checked is not None else _nothing,
            grace=declared.grace,
            events=declared.events,
            batch=declared.batch,
        )

    def _events(self, site: ChannelContext) -> Mapping[str, EventPlan] | None:
        if site.channel.events is None:
            return None
        plans = {}
        for type_ in site.channel.events:
            pointer = at(site.pointer, "events", type_)
            validator = self.schemas.validator(at(pointer, "schema"))
            if validator is not None:
                plans[type_] = EventPlan(type=type_, validator=validator)
        return plans

    def _message(self, site: ChannelContext, type_: str, declared: Message) -> MessagePlan | None:
        pointer = at(site.pointer, "messages", type_)
        hook = self.hooks.load(declared.hook, at(pointer, "hook"), Role.MESSAGE)
        shape = self.schemas.shape(at(pointer, "schema"))
        message = MessageContext(site=site, type=type_, message=declared, shape=shape)
        targets = compile_targets(message)
        delivery = compile_delivery(message, targets)
        reach = message.reach("require", room=site.has_one_room)
        require = compile_requirements(declared.require, at(pointer, "require"), reach, self.desk)
        validator = self.schemas.validator(at(pointer, "schema"))
        if validator is None:
            return None
        return MessagePlan(
            type=type_,
            accepts=validator.accepts,
            validator=validator,
            targets=tuple(target.plan for target in targets),
            emit=delivery.emit,
            stamps=delivery.stamps,
            out=delivery.out,
            hook=hook,
            require=require,
            rate=declared.rate,
            kept=declared.history,
        )


def resolve_limits(config: Config, channel: Channel) -> ResolvedLimits:
    """A channel's limits: its own, the server's where it has none."""
    own, server = channel.limits, config.server.limits
    return ResolvedLimits(
        message_size=server.message_size if own.message_size is None else own.message_size,
        json_depth=server.json_depth if own.json_depth is None else own.json_depth,
        hook_timeout=server.hook_timeout if own.hook_timeout is None else own.hook_timeout,
        outbox=server.outbox if own.outbox is None else own.outbox,
        rooms_per_connection=(
            server.rooms_per_connection
            if own.rooms_per_connection is None
            else own.rooms_per_connection
        ),
        messages=own.messages or server.messages,
        errors=own.errors or server.errors,
        connections_per_user=own.connections_per_user,
    )


def _nothing(_scope: Scope, _frame: Frame) -> dict[str, Json]:
    return {}
