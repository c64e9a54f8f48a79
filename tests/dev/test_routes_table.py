from typing import Any

import pytest

from channeld.config.model import (
    Channel,
    ChannelAuth,
    Config,
    Event,
    HookRef,
    Message,
    Rooms,
    Route,
)
from channeld.dev.routes_table import Row, rows


def table(**channel: Any) -> list[Row]:
    given: dict[str, Any] = {"name": "chat", "path": "/chat", "auth": ChannelAuth()}
    return list(rows(Config(channels={"chat": Channel(**given | channel)})))


def receivers(message: Message, **channel: Any) -> tuple[str, ...]:
    [row] = table(messages={"m": message}, **channel)
    return row.receivers


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (Route(to="room"), "room {params.x}"),
        (Route(to="room", room="lobby", except_sender=True), "room lobby, not the sender"),
        (Route(to="room", room="a", members_only=False), "room a, from outside too"),
        (Route(to="room", room="a", channel="other"), "room a of other"),
        (Route(to="user", user="{message.to}"), "user {message.to}"),
        (Route(to="global"), "everyone"),
        (Route(to="global", channel="other"), "everyone of other"),
        (Route(to="global", channel="*"), "everyone on every channel"),
        (Route(to="sender"), "the sender"),
        (Route(to="none"), "nobody"),
    ],
)
def test_each_target_in_words(route: Route, words: str) -> None:
    message = Message(schema=True, route=(route,))
    assert receivers(message, rooms=Rooms(join=("{params.x}",))) == (words,)


def test_targets_keep_their_order() -> None:
    message = Message(schema=True, route=(Route(to="sender"), Route(to="global")))
    assert receivers(message) == ("the sender", "everyone")


def test_a_message_that_goes_nowhere_goes_to_its_hook() -> None:
    assert receivers(Message(schema=True, hook=HookRef(call="a:b"))) == ("hook a:b",)


@pytest.mark.parametrize(
    ("auth", "require", "words"),
    [
        (ChannelAuth(), None, "anyone"),
        (ChannelAuth(names=("session",)), None, "users"),
        (ChannelAuth(names=("session",), optional=True), None, "anyone"),
        (ChannelAuth(names=("session",)), {"role": "admin"}, "users with role=admin"),
        (ChannelAuth(names=("session",)), {"level": [1, 2]}, "users with level=1|2"),
    ],
)
def test_who_may_send(auth: ChannelAuth, require: Any, words: str) -> None:
    [row] = table(
        auth=auth, messages={"m": Message(schema=True, require=(require,) if require else ())}
    )
    assert row.senders == words


def test_a_channels_demands_come_first() -> None:
    message = Message(schema=True, require=({"role": "admin"},))
    [row] = table(
        auth=ChannelAuth(names=("s",)), require=({"rooms": "{params.x}"},), messages={"m": message}
    )
    assert row.senders == "users with rooms={params.x} and role=admin"


def test_events_come_from_the_api_and_hooks() -> None:
    shown = table(messages={"m": Message(schema=True)}, events={"m": Event(), "paid": Event()})
    assert [(row.type, row.direction, row.senders) for row in shown] == [
        ("m", "in", "anyone"),
        ("paid", "out", "API, hooks"),
    ]


def test_a_channel_that_declares_nothing_has_a_row() -> None:
    [row] = table(auth=ChannelAuth(names=("a", "b"), optional=True))
    assert (row.channel, row.auth, row.type) == ("chat", "a, b (optional)", "")
