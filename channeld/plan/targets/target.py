"""The interface of a target kind, and a checked target."""

import abc
from collections.abc import Mapping
from typing import ClassVar

import attrs

from channeld.config.model import Channel, Message, Route
from channeld.plan.context import MessageContext
from channeld.plan.plan import TargetPlan
from channeld.plan.templates import CheckedTemplate

NO_OTHERS: Mapping[str, str] = {}


@attrs.frozen(slots=True, kw_only=True)
class CompiledTarget:
    """One target of a route, checked: its declaration and place, its kind, its template, its plan."""

    route: Route
    pointer: str
    kind: "TargetKind"
    plan: TargetPlan
    name: CheckedTemplate | None = None


class TargetKind(abc.ABC):
    """A kind of target, as a route names it in `to`.

    `keys` are the other keys of the route that apply to it. `delivers` is false if nobody gets a frame, `to_others` if only
    the sender does; `in_room` is true if frames go to a room, and so into its history, `everywhere` if `channel: "*"` means
    all channels. `covers` names the kinds that reach some of the same connections, with descriptions of these.
    """

    name: ClassVar[str]
    keys: ClassVar[frozenset[str]] = frozenset()
    delivers: ClassVar[bool] = True
    to_others: ClassVar[bool] = True
    in_room: ClassVar[bool] = False
    everywhere: ClassVar[bool] = False
    covers: ClassVar[Mapping[str, str]] = NO_OTHERS

    @abc.abstractmethod
    def words(self, route: Route, channel: Channel, message: Message) -> str:
        """Describes whom the route reaches, for tables; without `except_sender`."""

    @abc.abstractmethod
    def compile(self, message: MessageContext, route: Route, pointer: str) -> CompiledTarget | None:
        """Compile the target; None if there is nothing to do or it can't reach anybody, which is reported."""

    def arrives(self, route: Route, own: str, there: str) -> bool:
        """Whether connections of channel `there` may get what channel `own` sends with this route."""
        return there == own if route.channel is None else route.channel in ("*", there)

    def may_miss_sender(self, route: Route) -> bool:
        """Whether the route may leave its sender out."""
        return route.except_sender

    def is_same(self, one: Route, other: Route) -> bool:
        """Whether two routes of this kind on one channel certainly reach the same connections."""
        return one.room == other.room and one.user == other.user


def of_channel(route: Route) -> str:
    """Describes the other channel that a route reaches; empty for its own."""
    return f" of {route.channel}" if route.channel and route.channel != "*" else ""
