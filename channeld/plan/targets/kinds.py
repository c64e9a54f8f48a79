"""The table of target kinds."""

from collections.abc import Mapping
from typing import Final

from channeld.config.model import Route
from channeld.plan.targets.everyone import ToEveryone
from channeld.plan.targets.none import ToNobody
from channeld.plan.targets.room import ToRoom
from channeld.plan.targets.sender import ToSender
from channeld.plan.targets.target import TargetKind
from channeld.plan.targets.user import ToUser

KINDS: Final[Mapping[str, TargetKind]] = {
    kind.name: kind for kind in (ToRoom(), ToUser(), ToEveryone(), ToSender(), ToNobody())
}


def kind_of(route: Route) -> TargetKind:
    """The kind that a route's `to` names."""
    return KINDS[route.to]
