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
from channeld.plan.compiling import ChannelContext, MessageContext
from channeld.plan.reach import Identity
from channeld.plan.templates import TemplateCompiler
from channeld.schema.guarantees import Shape

Make = Callable[..., ChannelContext]


@pytest.fixture
def site(desk: TemplateCompiler) -> Make:
    def make(**fields: Any) -> ChannelContext:
        channel = Channel(name="a/b", path="/a", auth=ChannelAuth(), **fields)
        return ChannelContext(
            config=Config(),
            channel=channel,
            desk=desk,
            schemas=None,  # type: ignore[arg-type]
            params={"id": frozenset({"string"})},
            identity=Identity(),
        )

    return make


def test_pointers_are_escaped(site: Make) -> None:
    message = MessageContext(
        site=site(), type="x~y", message=Message(schema=True), shape=Shape(True)
    )
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
    message = MessageContext(
        site=site(), type="say", message=Message(schema=True), shape=Shape(True)
    )
    assert "message" not in site().reach("rooms.join").roots()
    assert {"message", "room"} <= set(message.reach("emit", room=True).roots())
