"""Who gets in: tokens in every place, first-message authentication, optional and anonymous channels, renewal."""

import json
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import jwt
import pytest
import structlog

from channeld.auth.authenticator import Denied
from channeld.testing import START, TestApp, running
from tests.engine.conftest import Serve

SECRET = "a secret of at least thirty-two bytes"

CHANNELS = """
  private: {path: /private, auth: session, messages: {who: {schema: true, route: sender, emit: {user: "{user.id}"}}}}
  maybe:
    path: /maybe
    auth: {use: session, optional: true}
    messages: {who: {schema: true, route: sender, emit: {user: "{user.id?}"}}}
  open: {path: /open, auth: none, messages: {who: {schema: true, route: sender}}}
"""


def token(app: TestApp, sub: str = "ann", expires: float = 600.0, **claims: object) -> str:
    exp = app.runtime.clock.wall() + expires
    return jwt.encode({"sub": sub, "exp": exp, **claims}, SECRET, algorithm="HS256")


async def test_token_in_the_query_lets_its_user_in_and_authenticated_comes_first(
    serve: Serve,
) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/private", token=token(app))
        assert await client.receive() == {"type": "authenticated", "user": "ann", "expires": 600}
        await client.send({"type": "who"})
        assert await client.receive() == {"type": "who", "user": "ann"}


async def test_bearer_header_and_subprotocol_are_looked_at_too(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        headers = {"authorization": f"Bearer {token(app, 'bob')}"}
        client = await app.connect("/private", headers=headers)
        assert (await client.receive())["user"] == "bob"


@pytest.mark.parametrize("bad", ["nonsense", "a.b.c", "x" * 5000, "é"])
async def test_bad_token_is_unauthorized_4401_and_never_says_why(serve: Serve, bad: str) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/private", token=bad)
        error = await client.receive()
        assert error == {"type": "error", "code": "UNAUTHORIZED", "message": "Unauthorized"}
        assert (await client.wait_closed())[0] == 4401


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": 7},
        {"sub": ""},
        {"sub": "x" * 129},
        {"exp": "soon"},
        {"exp": None},
        {"exp": START - 1},
        {"exp": True},
        {"nbf": START + 999},
        {"sub": None},
        {"sub": "\ud83d"},
        {"exp": 1e300},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"name": "hi \ud83d"},
        {"n": 2**70},
        {"deep": json.loads("[" * 300 + "]" * 300)},
    ],
)
async def test_signed_token_with_bad_claims_is_unauthorized(
    serve: Serve, claims: dict[str, object]
) -> None:
    async with serve(CHANNELS) as app:
        payload = {"sub": "ann", "exp": START + 60, **claims}
        payload = {key: value for key, value in payload.items() if value is not None}
        client = await app.connect("/private", token=_sign(payload))
        assert (await client.receive())["code"] == "UNAUTHORIZED"


def _sign(payload: dict[str, object]) -> str:
    # Past PyJWT's own checks of what is encoded.
    return jwt.PyJWS().encode(json.dumps(payload).encode(), SECRET, algorithm="HS256")


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("algorithm", ["none", "HS384"])
async def test_other_algorithms_are_refused(serve: Serve, algorithm: str) -> None:
    async with serve(CHANNELS) as app:
        claims = {"sub": "ann", "exp": START + 60}
        forged = jwt.encode(claims, "" if algorithm == "none" else SECRET, algorithm=algorithm)
        client = await app.connect("/private", token=forged)
        assert (await client.receive())["code"] == "UNAUTHORIZED"


async def test_after_a_large_token_others_have_a_turn_before_its_rooms_are_looked_at(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/private")
        turns: list[str | None] = []

        async def give_way() -> None:
            assert client.session is not None
            turns.append(client.session.user_id)

        monkeypatch.setattr(app.runtime, "give_way", give_way)
        await client.send({"type": "authenticate", "token": token(app, more="x" * 9000)})
        assert (await client.receive("authenticated"))["user"] == "ann"
        assert turns == [None]


async def test_first_message_may_authenticate_and_its_id_is_repeated(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/private")
        assert await client.received() == []
        await client.send({"type": "authenticate", "token": token(app), "id": 1})
        answer = await client.receive()
        assert (answer["type"], answer["user"], answer["id"]) == ("authenticated", "ann", 1)


async def test_any_other_first_frame_is_unauthorized(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/private")
        await client.send({"type": "who", "id": 5})
        error = await client.receive()
        assert (error["code"], error["id"]) == ("UNAUTHORIZED", 5)
        assert (await client.wait_closed())[0] == 4401


async def test_silence_ends_at_auth_timeout(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/private")
        await app.advance(9.9)
        assert client.closed is None
        await app.advance(0.2)
        assert (await client.receive())["code"] == "UNAUTHORIZED"
        assert (await client.wait_closed())[0] == 4401


async def test_optional_without_token_is_anonymous_with_a_bad_one_refused(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/maybe")
        await client.send({"type": "who"})
        assert await client.receive() == {"type": "who"}
        refused = await app.connect("/maybe", token="nonsense")
        assert (await refused.wait_closed())[0] == 4401


async def test_token_end_warns_a_minute_before_then_closes(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/private", token=token(app, expires=90))
        await app.advance(29.9)
        assert [f["type"] for f in await client.received()] == ["authenticated"]
        await app.advance(0.2)
        assert await client.receive() == {"type": "token_expiring", "in": 60}
        await app.advance(60)
        assert (await client.receive())["code"] == "TOKEN_EXPIRED"
        assert (await client.wait_closed())[0] == 4401


async def test_renewal_moves_the_end(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/private", token=token(app, expires=90))
        await app.advance(60)
        await client.send({"type": "authenticate", "token": token(app, expires=600), "id": "r"})
        answer = await client.receive("authenticated")
        answer = await client.receive("authenticated") if "id" not in answer else answer
        assert (answer["expires"], answer["id"]) == (600, "r")
        await app.advance(500)
        assert client.closed is None


async def test_renewal_for_another_user_is_refused(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/private", token=token(app))
        await client.send({"type": "authenticate", "token": token(app, "mallory")})
        assert (await client.receive("error"))["code"] == "UNAUTHORIZED"
        assert (await client.wait_closed())[0] == 4401


async def test_tokens_are_compared_with_the_wall_clock_that_was_handed_in(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        real = jwt.encode({"sub": "ann", "exp": time.time() + 60}, SECRET, algorithm="HS256")
        await app.advance(400 * 86400)
        client = await app.connect("/private", token=real)
        assert (await client.wait_closed())[0] == 4401


async def test_channel_without_auth_takes_no_token(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        client = await app.connect("/open")
        await client.send({"type": "authenticate", "token": "x"})
        assert (await client.receive())["code"] == "FORBIDDEN"


REQUIRE = """
  staff:
    path: /staff/{team}
    auth: session
    require: {teams: "{params.team}"}
    messages:
      say: {schema: true, route: sender, require: {role: [admin, owner]}}
      into:
        schema: {type: object, required: [room], properties: {room: {type: string}}}
        route: sender
        require: {rooms: "{message.room}"}
"""


async def test_channel_requirement_not_met_is_forbidden_4403(serve: Serve) -> None:
    async with serve(REQUIRE) as app:
        client = await app.connect("/staff/blue", user="ann", claims={"teams": ["red"]})
        assert [f.get("code", f["type"]) for f in await client.received()][-1] == "FORBIDDEN"
        assert (await client.wait_closed())[0] == 4403


@pytest.mark.parametrize("teams", [["red", "blue"], "red blue", "blue"])
async def test_claim_may_be_a_list_a_spaced_string_or_the_value(
    serve: Serve, teams: object
) -> None:
    async with serve(REQUIRE) as app:
        client = await app.connect("/staff/blue", user="ann", claims={"teams": teams})
        assert client.closed is None


@pytest.mark.parametrize(("role", "answer"), [("admin", "say"), ("owner", "say"), ("x", "error")])
async def test_message_requirement_is_answered_and_the_connection_stays(
    serve: Serve, role: str, answer: str
) -> None:
    async with serve(REQUIRE) as app:
        client = await app.connect("/staff/a", user="ann", claims={"teams": "a", "role": role})
        await client.send({"type": "say"})
        assert (await client.received())[-1]["type"] == answer
        assert client.closed is None


@pytest.mark.parametrize(("room", "answer"), [("a", "into"), ("b", "into"), ("c", "FORBIDDEN")])
async def test_a_requirement_may_compare_with_the_message(
    serve: Serve, room: str, answer: str
) -> None:
    async with serve(REQUIRE) as app:
        claims = {"teams": "a", "rooms": ["a", "b"]}
        client = await app.connect("/staff/a", user="ann", claims=claims)
        await client.send({"type": "into", "room": room})
        last = (await client.received())[-1]
        assert last.get("code", last["type"]) == answer


async def test_renewal_with_claims_that_no_longer_meet_the_channel_ends_the_connection(
    serve: Serve,
) -> None:
    async with serve(REQUIRE) as app:
        client = await app.connect("/staff/a", token=token(app, teams="a"))
        await client.send({"type": "authenticate", "token": token(app, teams="b"), "id": 1})
        error = await client.receive("error")
        assert (error["code"], error["id"]) == ("FORBIDDEN", 1)
        assert (await client.wait_closed())[0] == 4403


class NoKeysYet:
    """A verifier whose key set could not be read."""

    token_from = ("query",)

    async def verify(self, token: str, wall: float) -> Denied:
        return Denied("no key set could be read yet", is_final=False)

    def vouch(self, user: str, claims: object, wall: float) -> Denied:
        return Denied("no")


async def test_while_nothing_can_be_verified_the_client_is_told_to_come_again(serve: Serve) -> None:
    async with serve(CHANNELS) as app:
        app.engine.verifiers = {"session": NoKeysYet()}
        client = await app.connect("/private", token=token(app))
        error = await client.receive()
        assert error == {
            "type": "error",
            "code": "UNAVAILABLE",
            "message": "Try again later",
            "retry_after": 5.0,
        }
        assert (await client.wait_closed())[0] == 1013


HOOKED = """channeld: 1
auth: {{web: {{type: hook, hook: {module}:who}}}}
hooks: {{lifespan: {module}:life}}
channels:
  private: {{path: /private, auth: web, messages: {{who: {{schema: true, route: sender}}}}}}
"""
WHO = """
import contextlib
from channeld import User

@contextlib.asynccontextmanager
async def life(server):
    yield {"ends": %s}

def who(request):
    ends = request.state["ends"]
    return ends if ends == "a name" else User("ann", {"a": 1}, expires=ends)
"""


@pytest.fixture
def hooked(tmp_path: Path) -> Callable[[str], AbstractAsyncContextManager[TestApp]]:
    """An app whose authenticator is a hook that says when its user ends, by the lifespan's value."""

    def start(ends: str) -> AbstractAsyncContextManager[TestApp]:
        module = f"who_{uuid.uuid4().hex}"
        (tmp_path / f"{module}.py").write_text(WHO % ends)
        (tmp_path / "channels.yaml").write_text(HOOKED.format(module=module))
        return running(tmp_path / "channels.yaml")

    return start


async def test_a_user_of_a_hook_ends_as_a_token_does(
    hooked: Callable[[str], AbstractAsyncContextManager[TestApp]],
) -> None:
    async with hooked(str(START + 600)) as app:
        client = await app.connect("/private")
        assert await client.receive() == {"type": "authenticated", "user": "ann", "expires": 600}
        await app.advance(541)
        assert await client.receive() == {"type": "token_expiring", "in": 60}
        await app.advance(60)
        assert (await client.receive())["code"] == "TOKEN_EXPIRED"
        assert (await client.wait_closed())[0] == 4401


async def test_an_end_that_is_over_lets_nobody_in(
    hooked: Callable[[str], AbstractAsyncContextManager[TestApp]],
) -> None:
    async with hooked("0") as app:
        client = await app.connect("/private")
        assert (await client.receive())["code"] == "UNAUTHORIZED"
        assert (await client.wait_closed())[0] == 4401


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        ("'soon'", "expires"),
        ("True", "expires"),
        ("float('nan')", "expires"),
        ("'a name'", "of type str"),
    ],
)
async def test_a_hook_s_wrong_result_is_its_own_failure_and_not_the_client_s(
    hooked: Callable[[str], AbstractAsyncContextManager[TestApp]],
    ends: str,
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with hooked(ends) as app:
        client = await app.connect("/private")
        error = await client.receive()
        assert error["code"] == "INTERNAL_ERROR"
        assert (await client.wait_closed())[0] == 1011
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (failed,) = [line for line in lines if line["event"] == "hook_failed"]
    assert failed["ref"] == error["ref"]
    assert reason in failed["reason"]


REQUIRING = """
  members:
    path: /members
    auth: session
    require: {realm_access.roles: member}
    messages: {say: {schema: true, route: sender, require: [{role: admin}, {level: {minimum: 3}}]}}
"""


async def test_the_log_says_which_claim_a_requirement_missed(serve: Serve) -> None:
    async with serve(REQUIRING) as app:
        with structlog.testing.capture_logs() as lines:
            stranger = await app.connect("/members", token=token(app))
            assert (await stranger.wait_closed())[0] == 4403
            roles: dict[str, Any] = {"realm_access": {"roles": ["member"]}}
            ann = await app.connect("/members", token=token(app, level=2, **roles))
            await ann.send({"type": "say", "id": 1})
            assert (await ann.receive("error"))["code"] == "FORBIDDEN"
            high = await app.connect("/members", token=token(app, level=3, **roles))
            await high.send({"type": "say", "id": 1})
            assert (await high.receive("say"))["type"] == "say"
        unmet = [line for line in lines if line["event"] == "require_unmet"]
        assert [(line["claim"], line.get("message")) for line in unmet] == [
            ("realm_access.roles", None),
            ("level", "say"),
        ]
