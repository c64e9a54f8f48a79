from collections.abc import Callable
from typing import Any

import pytest

Compile = Callable[..., Any]

CHANNEL = """channeld: 1
auth: {{t: {{type: tokens, tokens: [{{token: "${{CHANNELD_SECRET}}", user: ann}}]}}}}
channels:
  c:
    path: /c/{{x}}/{{y}}
    params: {{x: {x}, y: {{type: string}}}}
    auth: t
    rooms: {rooms}
    {hooks}
    messages:
      tell:
        schema: {{type: object, additionalProperties: false, required: [to], properties: {{to: {{type: string, maxLength: 40}}}}}}
        route: {route}
        stamp: {{from: "{{user.id}}"}}
"""
ANY = "{type: string}"
WORD = '{type: string, pattern: "^[a-z]{1,20}$"}'
MINE = 'subscribe: {allow: "user-{user.id}"}'


def found(
    compile_text: Compile, rooms: str, x: str = ANY, hooks: str = "", route: str = "sender"
) -> bool:
    text = CHANNEL.format(rooms=rooms, x=x, hooks=hooks, route=route)
    return "CH354" in compile_text(text).codes()


@pytest.mark.parametrize(
    ("rooms", "x", "expected"),
    [
        (f'{{join: "{{params.x}}", {MINE}}}', ANY, True),
        (f'{{join: "{{params.x}}", {MINE}}}', WORD, False),
        (f'{{join: "user-{{params.x}}", {MINE}}}', WORD, True),
        (f'{{join: "room-{{params.x}}", {MINE}}}', ANY, False),
        (f'{{join: "{{params.x}}-{{params.y}}", {MINE}}}', ANY, True),
        ('{join: "{params.x}"}', ANY, False),
        ('{join: "user-{user.id}", subscribe: {allow: "u*"}}', ANY, True),
        ('{join: "user-{user.id}", subscribe: {allow: "room-*"}}', ANY, False),
        ('{join: "user-{user.id}", subscribe: {allow: "u*", hook: "a:b"}}', ANY, False),
        ('{join: "user-{user.id}", subscribe: {allow: "user-{user.id}-{params.x}"}}', ANY, False),
    ],
)
def test_what_a_client_can_spell(compile_text: Compile, rooms: str, x: str, expected: bool) -> None:
    assert found(compile_text, rooms, x) is expected


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ('{to: room, room: "{message.to}", members_only: false}', True),
        ('[sender, {to: room, room: "user-{message.to}", members_only: false}]', True),
        ('{to: room, room: "room-{message.to}", members_only: false}', False),
        ('{to: room, room: "{message.to}"}', False),
    ],
)
def test_what_may_be_sent_from_outside(compile_text: Compile, route: str, expected: bool) -> None:
    rooms = '{join: "user-{user.id}"}'
    assert found(compile_text, rooms, route=route) is expected


def test_a_connect_hook_may_know_better(compile_text: Compile) -> None:
    rooms = f'{{join: "{{params.x}}", {MINE}}}'
    assert not found(compile_text, rooms, hooks='hooks: {connect: "a:b"}')
