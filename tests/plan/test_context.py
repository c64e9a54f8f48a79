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
from channeld.plan.context import ChannelContext, MessageContext
from channeld.plan.identity import Identity
from channeld.plan.templates import TemplateCompiler
from channeld.schema.guarantees import Shape

Make = Callable[..., ChannelContext]


@pytest.fixture
def context(templates: TemplateCompiler) -> Make:
    def make(**fields: Any) -> ChannelContext:
        channel = Channel(name="a/b", path="/a", auth=ChannelAuth(), **fields)
        return ChannelContext(
            config=Config(),
            channel=channel,
            templates=templates,
            schemas=None,  # type: ignore[arg-type]
            params={"id": frozenset({"string"})},
            identity=Identity(),
        )

    return make


def test_pointers_are_escaped(context: Make) -> None:
    message = MessageContext(
        context=context(), type="x~y", message=Message(schema=True), shape=Shape(True)
    )
    assert message.pointer == "/channels/a~1b/messages/x~0y"


def test_one_join_room_is_one_room(context: Make) -> None:
    assert context(rooms=Rooms(join=("a",))).has_one_room
    assert not context(rooms=Rooms(join=("a", "b"))).has_one_room
    assert not context().has_one_room


def test_any_hook_counts(context: Make) -> None:
    hook = HookRef(call="a:b")
    assert context(hooks=ChannelHooks(connect=hook)).has_hooks
    assert context(messages={"say": Message(schema=True, hook=hook)}).has_hooks
    assert not context(messages={"say": Message(schema=True)}).has_hooks


def test_a_message_s_templates_reach_further(context: Make) -> None:
    message = MessageContext(
        context=context(), type="say", message=Message(schema=True), shape=Shape(True)
    )
    assert "message" not in context().scope("rooms.join").roots()
    assert {"message", "room"} <= set(message.scope("emit", room=True).roots())
