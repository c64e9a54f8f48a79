from collections.abc import Callable
from typing import Any

import pytest

from channeld.plan.requires import unmet

Compile = Callable[..., Any]


def channel(outcome: Any) -> Any:
    assert outcome.compiled.plan is not None, outcome.codes()
    return outcome.compiled.plan.channels["room"]


def config(lines: str, *, auth: str = "staff") -> str:
    return f"""channeld: 1
auth:
  staff: {{type: tokens, tokens: {{file: tokens.yaml}}}}
channels:
  room:
    path: /rooms/{{room_id}}
    auth: {auth}
    {lines}
"""


@pytest.mark.parametrize(
    ("rooms", "names"),
    [
        ('"{params.room_id}"', ["general"]),
        ('{join: "{params.room_id}"}', ["general"]),
        ('{join: [all, "u-{user.id}"]}', ["all", "u-ann"]),
    ],
)
def test_rooms_are_joined_by_template(
    rooms: str, names: list[str], compile_text: Compile, session: Callable[..., Any]
) -> None:
    scope = session(params={"room_id": "general"}, user_id="ann")
    found = channel(compile_text(config(f"rooms: {rooms}")))
    assert [join(scope, {}) for join in found.join] == names


def test_a_finding_in_a_list_of_rooms_has_its_place(compile_text: Compile) -> None:
    found = compile_text(config('rooms: {join: [all, "{params.x}"]}')).finding("CH302")
    assert found.place.path == "/channels/room/rooms/join/1"


def test_what_may_be_subscribed_to(compile_text: Compile, session: Callable[..., Any]) -> None:
    text = config('rooms: {subscribe: {allow: ["t-*", "u-{user.id}"], max: 7}}')
    plan = channel(compile_text(text)).subscribe
    scope = session(user_id="ann")
    answers = [plan.allows(scope, room) for room in ("t-1", "u-ann", "u-bob", "x")]
    assert answers == [True, True, False, False]
    assert (plan.max, plan.hook) == (7, None)


def test_a_subscribe_hook_alone_decides(compile_text: Compile, session: Callable[..., Any]) -> None:
    alone = channel(compile_text(config('rooms: {subscribe: {hook: "chat:may"}}')))
    both = channel(compile_text(config('rooms: {subscribe: {hook: "chat:may", allow: [a]}}')))
    assert alone.subscribe.allows(session(), "any-room")
    assert not both.subscribe.allows(session(), "any-room")


def test_without_subscribe_there_is_no_plan(compile_text: Compile) -> None:
    assert channel(compile_text(config('rooms: "a"'))).subscribe is None


def test_presence_knows_its_user_even_where_others_are_anonymous(
    compile_text: Compile, session: Callable[..., Any]
) -> None:
    text = config(
        'rooms: "a"\n    presence: {info: {id: "{user.id}", in: "{room}"}}',
        auth="{use: staff, optional: true}",
    )
    presence = channel(compile_text(text)).presence
    assert presence.info(session(user_id="ann", room="a"), {}) == {"id": "ann", "in": "a"}
    assert (presence.scope, presence.grace, presence.events, presence.batch) == (
        "room",
        5.0,
        True,
        0.0,
    )


def test_presence_of_a_channel_has_no_room(compile_text: Compile) -> None:
    text = config('presence: {scope: channel, info: {in: "{room}"}}')
    assert compile_text(text).codes() == ["CH320"]


def test_events_are_validators(compile_text: Compile) -> None:
    text = config("events: {paid: {schema: {type: object, required: [n]}}, any: {}}")
    events = channel(compile_text(text)).events
    assert not events["paid"].validator.accepts({})
    assert events["any"].validator.accepts({"x": 1})


def test_undeclared_events_are_none(compile_text: Compile) -> None:
    assert channel(compile_text(config('rooms: "a"'))).events is None


def test_requirements_of_channel_and_message(
    compile_text: Compile, session: Callable[..., Any]
) -> None:
    text = config(
        "require: {role: [a, b]}\n    messages: {say: {schema: true, route: sender, require: {n: 1}}}"
    )
    found = channel(compile_text(text))
    assert unmet(found.require, session(claims={"role": "b"})) is None
    assert unmet(found.require, session(claims={"role": "c"})) == "role"
    assert unmet(found.messages["say"].require, session(claims={"n": 2})) == "n"


EACH = """channeld: 1
auth:
  s:
    type: jwt
    algorithms: [HS256]
    audience: a
    secret: "${CHANNELD_SECRET}"
    claims: {type: object, required: [teams], properties: {teams: {type: array}, role: {type: string}}}
channels:
  room:
    path: /room
    auth: s
"""


def test_a_room_is_joined_for_each_element_of_a_list(
    compile_text: Compile, session: Callable[..., Any]
) -> None:
    (join,) = channel(compile_text(EACH + '    rooms: "team-{claims.teams.*}"\n')).join
    scope = session(claims={"teams": ["a", 5, "", "x" * 129, "b"]})
    assert join(scope, {}) == ["team-a", "team-b"]
    assert join(session(claims={"teams": "a"}), {}) == []


def test_each_element_of_a_list_may_be_subscribed_to(
    compile_text: Compile, session: Callable[..., Any]
) -> None:
    text = EACH + '    rooms: {subscribe: {allow: ["team-{claims.teams.*}-*"]}}\n'
    plan = channel(compile_text(text)).subscribe
    scope = session(claims={"teams": ["a", "b*"]})
    answers = [
        plan.allows(scope, room) for room in ("team-a-x", "team-b*-", "team-bc-x", "team-*-x")
    ]
    assert answers == [True, True, False, False]


EACH_PLACE = (
    "only `rooms.join` and `rooms.subscribe.allow` take one room for each element; "
    "name `{claims.teams}` itself"
)


@pytest.mark.parametrize(
    ("lines", "code", "help"),
    [
        (
            '    rooms: "{claims.groups.*}"\n',
            "CH310",
            "add `required: [groups]` to the `claims` schema of `s`, or write `{claims.groups.*?}`",
        ),
        (
            '    rooms: "{claims.role.*?}"\n',
            "CH311",
            "write `{claims.role}`, or give it `type: array` in the `claims` schema",
        ),
        ('    rooms: "{claims.teams.*}-{claims.teams.*}"\n', "CH320", "make two templates"),
        (
            '    presence: {info: {t: "{claims.teams.*}"}}\n    rooms: x\n',
            "CH320",
            EACH_PLACE,
        ),
    ],
)
def test_where_and_of_what_each_element_can_be_named(
    compile_text: Compile, lines: str, code: str, help: str
) -> None:
    outcome = compile_text(EACH + lines)
    assert outcome.codes() == [code]
    assert outcome.finding(code).help == help


def test_a_route_to_the_joined_room_needs_one(compile_text: Compile) -> None:
    text = EACH + '    rooms: "{claims.teams.*}"\n    messages: {m: {schema: true, route: room}}\n'
    found = compile_text(text).finding("CH321")
    assert found.label == "the channel joins a room for each element of a list"
