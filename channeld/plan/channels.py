"""Compiles one channel: its params, rooms, messages, events and limits become a `ChannelPlan`."""

from collections.abc import Mapping

import attrs

from channeld.config.model import Channel, Config, Message
from channeld.plan.context import ChannelContext, MessageContext
from channeld.plan.deliveries import POSITION_FIELDS, compile_delivery, refuse_position
from channeld.plan.hooks import HookLoader, Role
from channeld.plan.identity import Identity
from channeld.plan.options.kept import check_agreement, compile_newest
from channeld.plan.options.rate import is_rate_asked
from channeld.plan.options.table import OPTIONS
from channeld.plan.plan import (
    AuthPlan,
    ChannelPlan,
    EventPlan,
    MessagePlan,
    PresencePlan,
    Scope,
    SubscribePlan,
)
from channeld.plan.private_rooms import check_private_rooms
from channeld.plan.query import compile_query, query_types
from channeld.plan.requires import RequireCompiler
from channeld.plan.room_patterns import Tokens, allows, tokens
from channeld.plan.routes import compile_targets
from channeld.plan.template_scope import TemplateScope
from channeld.plan.templates import TemplateCompiler
from channeld.pointer import at
from channeld.protocol.frames import Frame, Json
from channeld.schema.schemas import Schemas


@attrs.frozen(slots=True, kw_only=True, eq=False)
class ChannelCompiler:
    """Compiles the channels of one configuration; findings go to the report of the templates."""

    config: Config
    templates: TemplateCompiler
    schemas: Schemas
    hooks: HookLoader
    auth: Mapping[str, AuthPlan]

    def compile(self, channel: Channel, params: Mapping[str, frozenset[str]]) -> ChannelPlan:
        """Compile a channel whose path has these params; the plan is unusable if there were errors."""
        context = self._rooms_of(self._context(channel, params))
        check_private_rooms(context)
        pointer = context.pointer
        auth = tuple(self.auth[name] for name in channel.auth.names if name in self.auth)
        hooks = channel.hooks
        compiled = (
            self._message(context, type_, message) for type_, message in channel.messages.items()
        )
        messages = {message.type: message for message in compiled if message is not None}
        place = at(pointer, "hooks")
        return ChannelPlan(
            name=channel.name,
            transports=channel.transports or self.config.server.transports,
            path=channel.path,
            auth=auth,
            auth_optional=channel.auth.optional,
            require=self._requires(context.scope("require")).compile(
                channel.require, at(pointer, "require")
            ),
            join=tuple(join.render for join in context.joins),
            subscribe=self._subscribe(context),
            presence=self._presence(context),
            history=channel.history,
            messages=messages,
            events=self._events(context),
            connect=self.hooks.load(hooks.connect, at(place, "connect"), Role.CONNECT),
            close=self.hooks.load(hooks.close, at(place, "close"), Role.CLOSE),
            on_subscribe=self.hooks.load(hooks.subscribe, at(place, "subscribe"), Role.SUBSCRIBE),
            on_unsubscribe=self.hooks.load(
                hooks.unsubscribe, at(place, "unsubscribe"), Role.UNSUBSCRIBE
            ),
            limits=self.config.server.limits.under(channel.limits),
            contract=(
                channel.name,
                channel.path,
                channel.auth,
                tuple(plan.declared for plan in auth),
                channel.require,
                channel.params,
                channel.query,
                channel.subprotocols,
                self._referred(channel),
            ),
            read_query=compile_query(self.config, channel, self.templates, self.schemas),
            subprotocols=channel.subprotocols,
            membership=(
                channel.rooms,
                channel.presence,
                self.schemas.resolved(at("/channels", channel.name, "presence", "state")),
                channel.history is None,
            ),
        )

    def _referred(self, channel: Channel) -> tuple[Json, ...]:
        """The schemas that decide who may connect to the channel, with what their `$ref`s reach."""
        pointers = [at("/auth", name, "claims") for name in channel.auth.names]
        for section, schemas in (("params", channel.params), ("query", channel.query)):
            pointers += [at("/channels", channel.name, section, name) for name in schemas]
        return tuple(map(self.schemas.resolved, pointers))

    def _requires(self, scope: TemplateScope) -> RequireCompiler:
        return RequireCompiler(scope, self.templates, self.schemas)

    def _context(self, channel: Channel, params: Mapping[str, frozenset[str]]) -> ChannelContext:
        return ChannelContext(
            config=self.config,
            channel=channel,
            templates=self.templates,
            schemas=self.schemas,
            params=params,
            query=query_types(channel, self.schemas),
            identity=Identity.of(channel.auth, self.config, self.schemas),
        )

    def _rooms_of(self, context: ChannelContext) -> ChannelContext:
        pointer = at(context.pointer, "rooms")
        declared = self.templates.sources.written(pointer)
        join = at(pointer, "join") if isinstance(declared, dict) else pointer
        joins = [
            self.templates.compile_name(text, place, context.scope("rooms.join"))
            for text, place in self.templates.each(context.channel.rooms.join, join)
        ]
        sound = [checked for checked in joins if checked is not None]
        return attrs.evolve(context, joins=sound, allowed=self._allowed(context, pointer))

    def _allowed(self, context: ChannelContext, pointer: str) -> list[Tokens]:
        subscribe = context.channel.rooms.subscribe
        if subscribe is None:
            return []
        scope = context.scope("rooms.subscribe.allow")
        checked = (
            self.templates.compile_name(text, place, scope)
            for text, place in self.templates.each(
                subscribe.allow, at(pointer, "subscribe", "allow")
            )
        )
        return [tokens(one.node, stars=True) for one in checked if one is not None]

    def _subscribe(self, context: ChannelContext) -> SubscribePlan | None:
        declared = context.channel.rooms.subscribe
        if declared is None:
            return None
        pointer = at(context.pointer, "rooms", "subscribe", "hook")
        allow = self.templates.sources.written(at(context.pointer, "rooms", "subscribe", "allow"))
        hook_decides = declared.hook is not None and allow is None
        return SubscribePlan(
            allows=_any_room if hook_decides else allows(context.allowed),
            hook=self.hooks.load(declared.hook, pointer, Role.SUBSCRIBE),
            max=declared.max,
        )

    def _presence(self, context: ChannelContext) -> PresencePlan | None:
        declared = context.channel.presence
        if declared is None:
            return None
        # It holds only users, so `optional: true` makes no difference there.
        identity = attrs.evolve(context.identity, optional=False)
        room = True if declared.scope == "room" else None
        scope = attrs.evolve(context.scope("presence.info", room=room), identity=identity)
        pointer = at(context.pointer, "presence", "info")
        state = at(context.pointer, "presence", "state")
        checked = self.templates.compile(dict(declared.info), pointer, scope)
        return PresencePlan(
            scope=declared.scope,
            info=checked.render if checked is not None else _nothing,
            grace=declared.grace,
            events=declared.events,
            batch=declared.batch,
            state=None if declared.state is None else self.schemas.validator(state),
            rate=declared.rate,
        )

    def _events(self, context: ChannelContext) -> Mapping[str, EventPlan] | None:
        if context.channel.events is None:
            return None
        plans = {}
        check_agreement(context)
        for type_, declared in context.channel.events.items():
            pointer = at(context.pointer, "events", type_)
            event = MessageContext(
                context=context,
                type=type_,
                message=declared.as_message(),
                shape=self.schemas.shape(at(pointer, "schema")),
                section="events",
            )
            for option in OPTIONS:
                option.check(event)
            newest, key = compile_newest(event)
            validator = self.schemas.validator(at(pointer, "schema"))
            if context.channel.history is not None:
                for field in POSITION_FIELDS:
                    if field in event.shape.property_names():
                        refuse_position(context, type_, at(pointer, "schema"), field)
            if validator is not None:
                plans[type_] = EventPlan(
                    type=type_,
                    validator=validator,
                    kept=bool(declared.history),
                    newest=newest,
                    key=key,
                )
        return plans

    def _message(
        self, context: ChannelContext, type_: str, declared: Message
    ) -> MessagePlan | None:
        pointer = at(context.pointer, "messages", type_)
        hook = self.hooks.load(declared.hook, at(pointer, "hook"), Role.MESSAGE)
        shape = self.schemas.shape(at(pointer, "schema"))
        message = MessageContext(context=context, type=type_, message=declared, shape=shape)
        targets = compile_targets(message)
        delivery = compile_delivery(message, targets)
        scope = message.scope("require", room=context.has_one_room)
        require = self._requires(scope).compile(declared.require, at(pointer, "require"))
        for option in OPTIONS:
            option.check(message)
        newest, key = compile_newest(message)
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
            is_rate_asked=is_rate_asked(message),
            once=declared.once,
            newest=newest,
            key=key,
            deprecated=declared.deprecated,
            kept=bool(declared.history),
        )


def _any_room(_scope: Scope, _room: str) -> bool:
    return True


def _nothing(_scope: Scope, _frame: Frame) -> dict[str, Json]:
    return {}
