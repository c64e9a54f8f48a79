from collections.abc import Callable
from typing import Any

import pytest

from channeld.plan.targets.room import RoomPlan
from channeld.plan.targets.sender import SenderPlan
from channeld.plan.targets.user import UserPlan

Compile = Callable[..., Any]

SCHEMA = """{type: object, additionalProperties: false, required: [to, text], properties: {
          to: {type: string, maxLength: 99}, text: {type: string, maxLength: 99},
          kind: {enum: [a, b]}, word: {type: string, pattern: "^[a-z]$"}}}"""


def config(route: str, channel: str = "", more: str = "", top: str = "", auth: str = "none") -> str:
    return f"""channeld: 1
{top}
auth:
  staff: {{type: tokens, tokens: [{{token: "${{CHANNELD_SECRET}}", user: ann}}]}}
channels:
  room:
    path: /rooms/{{room_id}}
    auth: {auth}
    {channel}
    messages:
      say:
        schema: {SCHEMA}
        route: {route}
        {more}
  other: {{path: /other, auth: none}}
"""


JOIN = 'rooms: "{params.room_id}"'
TWO = "rooms: {join: [a, b]}"
ALLOW = "rooms: {subscribe: {allow: [general, 'topic-*']}}"


@pytest.mark.parametrize(
    ("route", "channel", "codes"),
    [
        ("sender", "", []),
        ("global", "", []),
        ('{to: global, channel: "*"}', "", []),
        ("{to: global, channel: other}", "", []),
        ("{to: global, channel: othr}", "", ["CH312"]),
        ('{to: sender, channel: "*"}', "", ["CH333"]),
        ('{to: user, user: x, channel: "*"}', "", ["CH312"]),
        ('{to: global, channel: "{params.room_id}"}', "", ["CH320"]),
        ("room", JOIN, []),
        ("room", "", ["CH321"]),
        ("room", TWO, ["CH321"]),
        ("{to: room, room: a}", TWO, []),
        ("{to: room, room: c}", TWO, ["CH324"]),
        ("{to: room, room: c, members_only: false}", TWO, []),
        ("{to: room, room: a}", "", ["CH323"]),
        ("{to: room, room: general}", ALLOW, []),
        ("{to: room, room: topic-1}", ALLOW, []),
        ("{to: room, room: tpic-1}", ALLOW, ["CH324"]),
        ('{to: room, room: "{message.to}"}', ALLOW, []),
        ("{to: room, channel: other}", JOIN, ["CH321"]),
        ("{to: room, channel: other, room: x}", JOIN, ["CH323"]),
        ("{to: room, channel: other, room: x, members_only: false}", JOIN, []),
        ("{to: user, channel: other}", "", ["CH322"]),
        ("{to: global, room: x}", "", ["CH333"]),
        ("{to: sender, members_only: false}", "", ["CH333"]),
        ("none", "", ["CH315"]),
        ("[none, sender]", "", ["CH616"]),
        ('{to: room, room: "{params.nope}"}', JOIN, ["CH302"]),
        ('{to: room, room: "t-{message.text}"}', JOIN, ["CH317"]),
        ('{to: room, room: "t-{message.word?}"}', JOIN, []),
        ('{to: room, room: "t-{message.kind?}"}', JOIN, []),
    ],
)
def test_a_route_is_judged(
    route: str, channel: str, codes: list[str], compile_text: Compile
) -> None:
    assert compile_text(config(route, channel)).codes() == codes


def test_a_room_is_not_judged_where_a_hook_may_join(compile_text: Compile) -> None:
    hooked = "hooks: {connect: chat:joined}"
    assert compile_text(config("{to: room, room: a}", hooked)).codes() == []


def test_a_room_is_not_judged_where_the_api_may_subscribe(compile_text: Compile) -> None:
    api = 'api: {keys: ["${CHANNELD_SECRET}"]}'
    assert compile_text(config("{to: room, room: a}", top=api)).codes() == []


@pytest.mark.parametrize(
    ("routes", "who"),
    [
        ("[room, sender]", "the sender"),
        ("[sender, global]", "the sender"),
        ("[global, room]", "everyone in the room"),
        ("[room, room]", "everyone reached"),
        ('[global, {to: global, channel: "*"}]', "everyone reached"),
        ('[{to: user, user: "{user.id}"}, sender]', "the sender"),
        ('[{to: user, user: "x"}, global]', "the user"),
    ],
)
def test_who_would_get_a_frame_twice(routes: str, who: str, compile_text: Compile) -> None:
    found = compile_text(config(routes, JOIN, auth="staff")).finding("CH325")
    assert found.message == f"{who} gets the frame twice"
    assert [related.message for related in found.related] == ["first delivered here"]


@pytest.mark.parametrize(
    "routes",
    [
        "[{to: room, except_sender: true}, sender]",
        "[{to: room, members_only: false}, sender]",
        "[{to: global, channel: other}, sender]",
        "[{to: room, room: a}, {to: room, room: b}]",
        "[{to: user, user: x}, sender]",
    ],
)
def test_targets_that_need_not_meet_are_fine(routes: str, compile_text: Compile) -> None:
    channel = TWO if "room: a" in routes else JOIN
    assert "CH325" not in compile_text(config(routes, channel)).codes()


@pytest.mark.parametrize(
    ("more", "auth", "codes"),
    [
        ("", "staff", ["CH327"]),
        ('stamp: {from: "{user.id}"}', "staff", []),
        ('emit: {text: "{message.text}", from: "{user.id}"}', "staff", []),
        ("require: {role: admin}", "staff", []),
        ("hook: chat:check", "staff", []),
        ('stamp: {at: "{now}"}', "staff", ["CH327"]),
    ],
)
def test_a_receiver_learns_who_sent(
    more: str, auth: str, codes: list[str], compile_text: Compile
) -> None:
    route = '{to: user, user: "{message.to}"}'
    assert compile_text(config(route, more=more, auth=auth)).codes() == codes


def test_targets_are_kept_in_order(compile_text: Compile, session: Callable[..., Any]) -> None:
    routes = '[{to: room, except_sender: true}, {to: user, user: "u-{message.to}"}, none, sender]'
    outcome = compile_text(config(routes, JOIN, 'stamp: {from: "{user.id}"}', auth="staff"))
    room, user, sender = outcome.compiled.plan.channels["room"].messages["say"].targets
    scope = session(params={"room_id": "general"}, user_id="ann")
    assert (type(room), room.except_sender, room.members_only) == (RoomPlan, True, True)
    assert room.room(scope, {}) == "general"
    assert (type(user), user.user(scope, {"to": "bob"})) == (UserPlan, "u-bob")
    assert sender == SenderPlan()


def test_a_finding_points_at_the_target_in_a_list(compile_text: Compile) -> None:
    found = compile_text(config("[sender, {to: global, channel: othr}]")).finding("CH312")
    assert found.place.path == "/channels/room/messages/say/route/1/channel"
    assert found.help == "did you mean `other`?"


@pytest.mark.parametrize("route", ["rom", "{to: rom}", "[rom]", "{to: room, rom: x}"])
def test_a_route_that_is_wrong_is_not_called_missing(route: str, compile_text: Compile) -> None:
    assert "CH315" not in compile_text(config(route, JOIN)).codes()
    assert "CH315" in compile_text(config("none", JOIN)).codes()


@pytest.mark.parametrize(
    ("route", "more", "idle"),
    [
        ("[room, none]", "", ["`none`"]),
        ("none", 'hook: "m:f"\n        emit: {a: 1}', ["`emit`"]),
        ("none", 'hook: "m:f"\n        stamp: {a: 1}\n        once: 60s', ["`stamp`", "`once`"]),
        ("room", 'hook: "m:f"\n        stamp: {a: 1}\n        once: 60s', []),
        ("none", 'hook: "m:f"', []),
    ],
)
def test_what_is_for_frames_that_nobody_gets(
    compile_text: Compile, route: str, more: str, idle: list[str]
) -> None:
    outcome = compile_text(config(route, JOIN, more))
    found = [one for one in outcome.compiled.report if one.code == "CH616"]
    assert [one.message.partition(" has no effect")[0] for one in found] == idle
