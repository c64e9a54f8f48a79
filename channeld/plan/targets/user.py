"""The target `user`: every connection of one user, on every node."""

from collections.abc import Mapping
from typing import ClassVar

import attrs

from channeld.config.model import Channel, Message, Route
from channeld.plan.context import MessageContext
from channeld.plan.expressions import expressions
from channeld.plan.plan import MISSING, Sender, TargetPlan, Template
from channeld.plan.targets.target import CompiledTarget, TargetKind, of_channel
from channeld.plan.templates import CheckedTemplate
from channeld.pointer import at
from channeld.protocol.frames import Frame
from channeld.protocol.names import Topic


@attrs.frozen(slots=True, kw_only=True)
class UserPlan(TargetPlan):
    """A user's topic; `user` renders the id."""

    user: Template

    def topic(self, sender: Sender, frame: Frame) -> Topic | None:
        """The topic of the user's connections; None if an optional part of the id is missing."""
        user = self.user(sender, frame)
        if user is MISSING:
            return None
        return Topic("user", self.channel or sender.channel.name, str(user))


class ToUser(TargetKind):
    """Every connection of the user."""

    name = "user"
    keys = frozenset({"user", "channel", "except_sender"})
    covers: ClassVar[Mapping[str, str]] = {"sender": "the sender"}

    def words(self, route: Route, channel: Channel, message: Message) -> str:
        """The template of the user's id."""
        return f"user {route.user or ''}{of_channel(route)}"

    def may_miss_sender(self, route: Route) -> bool:
        """True unless the template is the sender's own id."""
        return route.except_sender or route.user != "{user.id}"

    def compile(self, message: MessageContext, route: Route, pointer: str) -> CompiledTarget | None:
        """Compile the user id, and warn if the receiver can't tell who sent the frame."""
        context = message.context
        # CH403 reports a channel without users, and the template may have an error of its own.
        is_anonymous = not context.channel.auth.names
        has_said_all = route.user is None or "{user." in route.user
        if is_anonymous and has_said_all and route.channel in (None, context.channel.name):
            return None
        if route.user is None:
            help = 'name one: `{to: user, user: "{message.to}"}`'
            context.templates.find("CH322", "the route does not name a user", pointer, help)
            return None
        scope = message.scope("route.user", room=context.has_one_room)
        name = context.templates.compile_name(route.user, at(pointer, "user"), scope)
        if name is None:
            return None
        _warn_of_unsigned(message, name)
        plan = UserPlan(user=name.render, channel=route.channel, except_sender=route.except_sender)
        return CompiledTarget(route=route, pointer=pointer, kind=self, name=name, plan=plan)


def _warn_of_unsigned(message: MessageContext, name: CheckedTemplate) -> None:
    declared = message.message
    chosen = next((found for found in expressions(name.node) if found.root == "message"), None)
    guards = (*declared.require, *message.context.channel.require, declared.hook)
    if chosen is None or any(guard is not None for guard in guards) or _names_sender(message):
        return
    finding = "the sender chooses the receiver, who can't tell who sent it"
    help = 'add `stamp: {from: "{user.id}"}`, or restrict senders with `require`'
    message.context.templates.find("CH327", finding, message.context.templates.place(chosen), help)


def _names_sender(message: MessageContext) -> bool:
    templates = message.context.templates
    declared = message.message
    for key, value in (("emit", declared.emit), ("stamp", declared.stamp)):
        node = templates.parse(dict(value), at(message.pointer, key)) if value is not None else None
        if node is not None and any(e.root in ("user", "claims") for e in expressions(node)):
            return True
    return False
