from collections.abc import Callable
from typing import Any

import pytest

from channeld.config.model import (
    Channel,
    ChannelAuth,
    ChannelHooks,
    Config,
    HookRef,
    Message,
    Rooms,
)
from channeld.plan.guarantees import Shape
from channeld.plan.reach import Identity
from channeld.plan.site import ChannelSite, MessageSite
from channeld.plan.templates import TemplateDesk

Make = Callable[..., ChannelSite]


@pytest.fixture
def site(desk: TemplateDesk) -> Make:
    def make(**fields: Any) -> ChannelSite:
        channel = Channel(name="a/b", path="/a", auth=ChannelAuth(), **fields)
        return ChannelSite(
            config=Config(),
            channel=channel,
            desk=desk,
            schemas=None,  # type: ignore[arg-type]
            params={"id": frozenset({"string"})},
            identity=Identity(),
        )

    return make


def test_pointers_are_escaped(site: Make) -> None:
    message = MessageSite(site=site(), type="x~y", message=Message(schema=True), shape=Shape(True))
    assert message.pointer == "/channels/a~1b/messages/x~0y"


def test_one_join_room_is_one_room(site: Make) -> None:
    assert site(rooms=Rooms(join=("a",))).has_one_room
    assert not site(rooms=Rooms(join=("a", "b"))).has_one_room
    assert not site().has_one_room


def test_any_hook_counts(site: Make) -> None:
    hook = HookRef(call="a:b")
    assert site(hooks=ChannelHooks(connect=hook)).has_hooks
    assert site(messages={"say": Message(schema=True, hook=hook)}).has_hooks
    assert not site(messages={"say": Message(schema=True)}).has_hooks


def test_a_message_s_templates_reach_further(site: Make) -> None:
    message = MessageSite(site=site(), type="say", message=Message(schema=True), shape=Shape(True))
    assert "message" not in site().reach("rooms.join").roots()
    assert {"message", "room"} <= set(message.reach("emit", room=True).roots())
