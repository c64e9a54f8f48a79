import jwt
import pytest

from channeld.shadow.shadow import ShadowedReceiver
from channeld.shadow.tally import TallyKey
from channeld.testing import TestApp
from tests.shadow.conftest import HEAD, Compare
from tests.shadow.kit import ROOM, said


async def test_nothing_is_refused_by_the_same_configuration(compare: Compare) -> None:
    async with compare(ROOM, ROOM) as (app, shadow):
        await said(app, {"type": "say", "text": "hi"}, {"type": "whisper"})
        assert (shadow.tally.handshakes, shadow.tally.messages) == (1, 2)
        assert shadow.tally.refused == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("maxLength: 50", "maxLength: 3"), "INVALID_MESSAGE"),
        (("say:\n", "tell:\n"), "UNKNOWN_TYPE"),
        (("route: room\n", "route: room\n        require: {role: admin}\n"), "FORBIDDEN"),
        (("route: room\n", "route: {to: room, room: other}\n"), "FORBIDDEN"),
        (("route: room\n", "route: room\n        rate: {limit: 1/m, burst: 1}\n"), "RATE_LIMITED"),
        (("route: room\n", "route: room\n        rate: {limit: 1/m, per: room}\n"), "RATE_LIMITED"),
        (("route: room\n", "route: room\n        rate: {limit: 1/m, over: drop}\n"), "dropped"),
        (("route: room\n", "route: room\n        rate: {limit: 1/m, over: latest}\n"), "held"),
        (("    messages:", "    limits: {message_size: 64B}\n    messages:"), "TOO_LARGE"),
        (("    messages:", "    limits: {json_depth: 1}\n    messages:"), "INVALID_JSON"),
        (
            ("    messages:", "    limits: {messages: {limit: 1/m, burst: 1}}\n    messages:"),
            "RATE_LIMITED",
        ),
    ],
)
async def test_a_message_that_would_be_refused(
    compare: Compare, change: tuple[str, str], reason: str
) -> None:
    asked = ROOM.replace(*change)
    assert asked != ROOM
    async with compare(ROOM, asked) as (app, shadow):
        frame = {"type": "say", "text": "hello", "more": ["x" * 40]}
        heard = await said(app, frame, frame)
        assert [one["type"] for one in heard if one["type"] == "say"] == ["say", "say"]
        of_rates = reason in {"RATE_LIMITED", "dropped", "held"}
        both = {TallyKey("room", "say", reason): 1 if of_rates else 2}
        assert shadow.tally.refused == both


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("/rooms/{id}", "/halls/{id}"), "404"),
        (("auth: session", "auth: session\n    require: {role: admin}"), "FORBIDDEN"),
        (("auth: session", "auth: session\n    query: {v: {type: integer}}"), "400"),
        (("auth: session", "auth: session\n    subprotocols: [v2]"), "400"),
    ],
)
async def test_a_handshake_that_would_be_refused(
    compare: Compare, change: tuple[str, str], reason: str
) -> None:
    async with compare(ROOM, ROOM.replace(*change)) as (app, shadow):
        heard = await said(app, {"type": "whisper"}, path="/rooms/a?v=x")
        assert heard[-1]["type"] == "whisper"
        assert shadow.tally.refused == {TallyKey("room", "", reason): 1}
        # One that would not be there would send nothing either.
        assert shadow.tally.messages == 0


async def test_a_token_that_the_other_configuration_does_not_take(compare: Compare) -> None:
    served = ROOM.replace("auth: session", "auth: none")
    async with compare(served, ROOM) as (app, shadow):
        client = await app.connect("/rooms/a")
        await client.send({"type": "whisper"})
        await app.rest()
        assert shadow.tally.refused == {TallyKey("room", "", "UNAUTHORIZED"): 1}


async def test_a_subscription_that_would_be_refused(compare: Compare) -> None:
    async with compare(ROOM, ROOM.replace("side-*", "west-*")) as (app, shadow):
        heard = await said(app, {"type": "subscribe", "room": "side-1"})
        assert heard[-1]["type"] == "subscribed"
        assert shadow.tally.refused == {TallyKey("room", "subscribe", "FORBIDDEN"): 1}


async def test_a_room_subscribed_to_is_one_to_send_to(compare: Compare) -> None:
    named = ROOM.replace("route: room\n", 'route: {to: room, room: "side-{message.text}"}\n')
    named = named.replace(
        "{type: object, properties: {text: {",
        "{type: object, required: [text], properties: {text: {pattern: '^[0-9]$', ",
    )
    async with compare(named, named) as (app, shadow):
        await said(app, {"type": "subscribe", "room": "side-1"}, {"type": "say", "text": "1"})
        assert shadow.tally.messages == 2
        assert shadow.tally.refused == {}


async def test_no_hook_of_the_other_configuration_is_called(compare: Compare) -> None:
    asked = ROOM.replace("route: room\n", "route: room\n        hook: nowhere:never\n")
    async with compare(ROOM, asked) as (app, shadow):
        await said(app, {"type": "say", "text": "hi"})
        assert shadow.tally.messages == 1
        assert shadow.tally.refused == {}


async def test_a_key_of_once_is_not_part_of_the_message(compare: Compare) -> None:
    served = ROOM.replace("route: sender", "route: sender, once: 60s")
    strict = served.replace(
        "whisper: {schema: {type: object}",
        "whisper: {schema: {type: object, additionalProperties: false}",
    )
    async with compare(served, strict) as (app, shadow):
        await said(app, {"type": "whisper", "once": "k1"})
        assert shadow.tally.refused == {}


@pytest.mark.parametrize("by_message", [False, True])
async def test_another_secret_refuses_the_token(compare: Compare, by_message: bool) -> None:
    head = HEAD.replace("leeway", "token_from: [message, query], leeway")
    other = head.replace("at least thirty-two", "more than thirty-two")
    async with compare(ROOM, ROOM, other, served_head=head) as (app, shadow):
        now = app.runtime.clock.wall()
        secret = "a secret of at least thirty-two bytes"
        token = jwt.encode({"sub": "ann", "exp": now + 900}, secret, "HS256")
        client = await app.connect("/rooms/a", token=None if by_message else token)
        if by_message:
            await client.send({"type": "authenticate", "token": token})
        await client.send({"type": "whisper"})
        await app.rest()
        assert client.inbox[-1]["type"] == "whisper"
        assert shadow.tally.refused == {TallyKey("room", "", "UNAUTHORIZED"): 1}


async def test_a_message_whose_text_is_gone_is_not_measured(compare: Compare) -> None:
    shallow = ROOM.replace(
        "    messages:", "    limits: {json_depth: 1, message_size: 64B}\n    messages:"
    )
    async with compare(ROOM, shallow) as (app, shadow):
        client = await app.connect("/rooms/a", user="ann")
        session = client.session
        assert isinstance(session, ShadowedReceiver)
        assert session.shadow is not None
        frame = {"text": "hello", "more": ["x" * 90]}
        refuses = shadow.judge.refuses
        deep = b'{"type": "say", "more": [1]}'
        assert refuses(session.shadow, session, "say", frame, deep, 1.0) == "INVALID_JSON"
        assert refuses(session.shadow, session, "say", frame, b"", 1.0) is None


async def test_a_room_s_rate_is_everyone_s_in_it(compare: Compare) -> None:
    slower = ROOM.replace("route: room\n", "route: room\n        rate: {limit: 1/m, per: room}\n")
    async with compare(ROOM, slower) as (app, shadow):
        for room in ("a", "a", "b"):
            await said(app, {"type": "say", "text": "hi"}, path=f"/rooms/{room}")
        assert shadow.tally.refused == {TallyKey("room", "say", "RATE_LIMITED"): 1}


BY_ROLE = "user: '{claims.role}', claims: {required: [role], properties: {role: {type: string}}}"


def renewal(app: TestApp, **claims: str) -> str:
    secret = "a secret of at least thirty-two bytes"
    exp = app.runtime.clock.wall() + 900
    return jwt.encode({"sub": "ann", "exp": exp, **claims}, secret, "HS256")


@pytest.mark.parametrize(
    ("head", "change", "role", "reason"),
    [
        (
            HEAD,
            ("auth: session", "auth: session\n    require: {role: member}"),
            "guest",
            "FORBIDDEN",
        ),
        (HEAD.replace("leeway", "audience: shop, leeway"), ("", ""), "member", "UNAUTHORIZED"),
        (HEAD.replace("leeway", f"{BY_ROLE}, leeway"), ("", ""), "guest", "UNAUTHORIZED"),
        (HEAD, ("auth: session", "auth: session\n    require: {role: member}"), "member", None),
    ],
)
async def test_a_new_token_is_asked_about(
    compare: Compare, head: str, change: tuple[str, str], role: str, reason: str | None
) -> None:
    async with compare(ROOM, ROOM.replace(*change), head) as (app, shadow):
        client = await app.connect("/rooms/a", user="ann", claims={"role": "member"})
        assert shadow.tally.refused == {}
        await client.send({"type": "authenticate", "token": renewal(app, role=role)})
        await client.send({"type": "whisper"})
        await app.rest()
        assert client.inbox[-1]["type"] == "whisper"
        told = {} if reason is None else {TallyKey("room", "authenticate", reason): 1}
        assert shadow.tally.refused == told
        assert shadow.tally.messages == (1 if reason is None else 0)
