"""What a live connection may, asked again: after a new token, and after a reload."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio

from channeld.broker.broker import BrokerUnavailable
from channeld.later import resolved
from channeld.plan.load import load_plan
from channeld.testing import Client, TestApp, running
from tests.engine import conftest
from tests.engine.conftest import Serve

HEAD = conftest.HEAD.replace("leeway", "claims: {properties: {team: {type: string}}}, leeway")

TEAMS = """
  board:
    path: /board
    auth: session
    rooms: {join: "team-{claims.team?}", subscribe: {allow: ["topic-{claims.team?}", free]}}
    presence: {info: {name: "{claims.name?}"}, grace: 0s}
    history: {size: 5, ttl: 60s}
"""


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """As the engine's, with an authenticator that says what a team is."""

    def start(channels: str) -> AbstractAsyncContextManager[TestApp]:
        file = tmp_path / "channels.yaml"
        file.write_text(HEAD + "channels:\n" + channels)
        return running(file)

    return start


async def enter(app: TestApp, path: str, user: str, **claims: Any) -> Client:
    client = await app.connect(path, user=user, claims=claims)
    await client.received()
    return client


async def renew(app: TestApp, client: Client, user: str, **claims: Any) -> list[dict[str, Any]]:
    payload = {"sub": user, "exp": app.runtime.clock.wall() + 600, **claims}
    token = jwt.encode(payload, "a secret of at least thirty-two bytes", algorithm="HS256")
    await client.send({"type": "authenticate", "token": token, "id": "r"})
    return await client.received()


def rooms_told(frames: list[dict[str, Any]]) -> list[tuple[str, str, object]]:
    told = [f for f in frames if f["type"] in ("subscribed", "unsubscribed")]
    return [(frame["type"], frame["room"], frame.get("reason")) for frame in told]


def presence_told(frames: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    told = [f for f in frames if f["type"] == "presence"]
    return [(f["event"], f.get("user"), f.get("info")) for f in told]


async def test_a_renewal_moves_a_connection_to_the_rooms_of_its_new_claims(serve: Serve) -> None:
    async with serve(TEAMS) as app:
        ann = await enter(app, "/board", "ann", team="a")
        for room in ("topic-a", "free"):
            await ann.send({"type": "subscribe", "room": room})
        await app.engine.join(ann.session.connection_id, "given")
        await ann.received()
        frames = await renew(app, ann, "ann", team="b")
        assert (frames[0]["type"], frames[0]["id"]) == ("authenticated", "r")
        assert rooms_told(frames) == [
            ("unsubscribed", "team-a", "renewed"),
            ("unsubscribed", "topic-a", "renewed"),
            ("subscribed", "team-b", None),
        ]
        assert set(ann.session.rooms) == {"free", "given", "team-b"}
        await app.publish("board", {"type": "news"}, room="team-a")
        assert await ann.received() == []
        await ann.send({"type": "history", "room": "team-a"})
        assert (await ann.receive())["code"] == "FORBIDDEN"


async def test_a_renewal_with_the_same_claims_moves_nobody(serve: Serve) -> None:
    async with serve(TEAMS) as app:
        ann, bob = [await enter(app, "/board", user, team="a") for user in ("ann", "bob")]
        await ann.received()
        assert [frame["type"] for frame in await renew(app, ann, "ann", team="a")] == [
            "authenticated"
        ]
        assert await bob.received() == []


async def test_a_renewal_with_another_name_is_told_to_the_others(serve: Serve) -> None:
    async with serve(TEAMS) as app:
        ann = await enter(app, "/board", "ann", team="a", name="Ann")
        bob = await enter(app, "/board", "bob", team="a")
        await ann.received()
        await renew(app, ann, "ann", team="a", name="Anna")
        assert presence_told(await bob.received()) == [("update", "ann", {"name": "Anna"})]


async def test_a_second_connection_with_another_info_is_told_as_an_update(serve: Serve) -> None:
    async with serve(TEAMS) as app:
        bob = await enter(app, "/board", "bob", team="a")
        await enter(app, "/board", "ann", team="a", name="Ann")
        await enter(app, "/board", "ann", team="a", name="Anna")
        await enter(app, "/board", "ann", team="a", name="Anna")
        assert presence_told(await bob.received()) == [
            ("join", "ann", {"name": "Ann"}),
            ("update", "ann", {"name": "Anna"}),
        ]


HOOKED = """
channeld: 1
auth: {app: {type: hook, hook: "renewhooks:who"}}
channels:
  board:
    path: /board
    auth: app
    rooms: {subscribe: {allow: "*", hook: "renewhooks:may"}}
"""

RENEW_HOOKS = """
from channeld import Reject, User

def who(request):
    token = request.token or request.query.get("token")
    return User("ann", claims={"rooms": token.split(",")}) if token else None

def may(ctx, room):
    if room not in ctx.claims["rooms"]:
        raise Reject("not yours")
"""


async def test_an_authenticator_hook_is_asked_again_and_so_is_the_one_of_rooms(
    tmp_path: Path,
) -> None:
    (tmp_path / "renewhooks.py").write_text(RENEW_HOOKS)
    (tmp_path / "channels.yaml").write_text(HOOKED)
    async with running(tmp_path / "channels.yaml") as app:
        ann = await app.connect("/board?token=x,y")
        for room in ("x", "y"):
            await ann.send({"type": "subscribe", "room": room})
        await ann.received()
        await ann.send({"type": "authenticate", "token": "y,z"})
        frames = await ann.received()
        assert frames[0]["type"] == "authenticated"
        assert rooms_told(frames) == [("unsubscribed", "x", "renewed")]


async def test_a_token_may_renew_wherever_it_came_from_at_first(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(HEAD.replace("leeway", "token_from: [query], leeway") + "channels:\n" + TEAMS)
    async with running(file) as app:
        ann = await enter(app, "/board", "ann", team="a")
        assert (await renew(app, ann, "ann", team="a"))[0]["type"] == "authenticated"


def reload(app: TestApp, tmp_path: Path, old: str, new: str) -> int:
    assert old in TEAMS
    file = tmp_path / "channels.yaml"
    file.write_text(HEAD + "channels:\n" + TEAMS.replace(old, new))
    return app.engine.reload(load_plan(str(file)), {})


async def test_a_reload_moves_connections_to_the_rooms_of_the_new_file(
    serve: Serve, tmp_path: Path
) -> None:
    async with serve(TEAMS) as app:
        ann, bob = [await enter(app, "/board", user, team="a") for user in ("ann", "bob")]
        await ann.received()
        assert reload(app, tmp_path, "team-{", "group-{") == 0
        for client in (ann, bob):
            frames = await client.received()
            assert rooms_told(frames) == [
                ("unsubscribed", "team-a", "reloaded"),
                ("subscribed", "group-a", None),
            ]
        await app.publish("board", {"type": "news"}, room="group-a")
        assert [frame["type"] for frame in await bob.received()] == ["news"]


async def test_a_reload_that_narrows_what_may_be_subscribed_takes_out_who_had(
    serve: Serve, tmp_path: Path
) -> None:
    async with serve(TEAMS) as app:
        ann = await enter(app, "/board", "ann", team="a")
        for room in ("topic-a", "free"):
            await ann.send({"type": "subscribe", "room": room})
        await ann.received()
        reload(app, tmp_path, ", free]", "]")
        assert rooms_told(await ann.received()) == [("unsubscribed", "free", "reloaded")]


async def test_a_reload_turns_presence_on_and_off(serve: Serve, tmp_path: Path) -> None:
    shown = 'presence: {info: {name: "{claims.name?}"}, grace: 0s}'
    async with serve(TEAMS.replace(shown, "presence: {scope: channel}")) as app:
        ann, bob = [await enter(app, "/board", user, team="a") for user in ("ann", "bob")]
        await ann.received()
        reload(app, tmp_path, "grace: 0s", "grace: 0s")
        for client in (ann, bob):
            assert "state" in [event for event, *_ in presence_told(await client.received())]
        await ann.send({"type": "presence", "room": "team-a"})
        assert {one["user"] for one in (await ann.receive("presence"))["users"]} == {"ann", "bob"}
        await enter(app, "/board", "eve", team="a")
        assert presence_told(await bob.received()) == [("join", "eve", {})]
        await ann.received()
        reload(app, tmp_path, shown, "x-none: 1")
        nobody = {"type": "presence", "room": "team-a", "event": "state", "users": []}
        assert [*await bob.received(), *await ann.received()] == [nobody, nobody]
        await enter(app, "/board", "joe", team="a")
        assert [*await bob.received(), *await ann.received()] == []


async def test_a_reload_turns_history_on_and_off(serve: Serve, tmp_path: Path) -> None:
    kept = "history: {size: 5, ttl: 60s}"
    async with serve(TEAMS.replace(kept, "")) as app:
        ann = await enter(app, "/board", "ann", team="a")
        reload(app, tmp_path, "size: 5", "size: 5")
        (told,) = await ann.received()
        assert told == {"type": "subscribed", "room": "team-a", "pos": told["pos"]}
        await app.publish("board", {"type": "news"}, room="team-a")
        (news,) = await ann.received()
        bob = await app.connect(f"/board?since={told['pos']}", user="bob", claims={"team": "a"})
        assert news in await bob.received()
        await ann.received()
        reload(app, tmp_path, kept, "x-none: 1")
        assert {"type": "subscribed", "room": "team-a"} in await ann.received()


async def test_a_reload_that_changes_nothing_of_a_channel_tells_nobody(
    serve: Serve, tmp_path: Path
) -> None:
    async with serve(TEAMS) as app:
        ann = await enter(app, "/board", "ann", team="a")
        reload(app, tmp_path, "size: 5", "size: 6")
        assert await ann.received() == []


@pytest.mark.parametrize(("error", "is_logged"), [(BrokerUnavailable, False), (KeyError, True)])
async def test_where_the_broker_fails_a_reload_sends_connections_away(
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: type[Exception],
    is_logged: bool,
) -> None:
    def away(*_args: object) -> None:
        raise error

    async with serve(TEAMS) as app:
        ann = await enter(app, "/board", "ann", team="a")
        monkeypatch.setattr(app.engine.hub.broker, "since", away)
        reload(app, tmp_path, "team-{", "group-{")
        assert (await ann.wait_closed())[0] == 1012
        logged = '"event":"task_failed","task":"revise"' in capsys.readouterr().err
        assert logged is is_logged


async def test_a_reload_moves_connections_also_where_the_broker_takes_its_time(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(TEAMS) as app:
        ann = await enter(app, "/board", "ann", team="a")
        broker = app.engine.hub.broker
        at_once = broker.since

        async def later(*asked: Any) -> object:
            await trio.lowlevel.checkpoint()
            return await resolved(at_once(*asked))

        monkeypatch.setattr(broker, "since", later)
        reload(app, tmp_path, "team-{", "group-{")
        assert rooms_told(await ann.received()) == [
            ("unsubscribed", "team-a", "reloaded"),
            ("subscribed", "group-a", None),
        ]


BOARD = """
  board:
    path: /board
    auth: session
    rooms: board
    presence: {grace: 0s, state: {type: object}, rate: {limit: 1/s, burst: 1}}
    messages:
      move: {schema: {type: object}, route: room, conflate: 10s}
      turn: {schema: {type: object}, route: room, rate: {limit: 1/m, burst: 1, over: latest}}
"""


def take(app: TestApp, tmp_path: Path, old: str, new: str) -> None:
    assert old in BOARD
    file = tmp_path / "channels.yaml"
    file.write_text(HEAD + "channels:\n" + BOARD.replace(old, new))
    app.engine.reload(load_plan(str(file)), {})


def states_told(frames: list[dict[str, Any]]) -> list[tuple[object, ...]]:
    return [(f["event"], f.get("user"), f.get("state")) for f in frames if f["type"] == "presence"]


@pytest.mark.parametrize(
    "new",
    ["", ", state: {type: object, properties: {away: {type: integer}}}"],
    ids=["none", "other"],
)
async def test_a_reload_does_away_with_a_state_that_may_not_be_any_more(
    serve: Serve, tmp_path: Path, new: str
) -> None:
    async with serve(BOARD) as app:
        ann, bob = [await enter(app, "/board", user) for user in ("ann", "bob")]
        for away in ("first", "held"):
            await ann.send({"type": "presence", "room": "board", "set": {"away": away}})
        await ann.received()
        assert states_told(await bob.received()) == [("update", "ann", {"away": "first"})]
        take(app, tmp_path, ", state: {type: object}", new)
        assert states_told(await ann.received()) == [("update", "ann", None)]
        assert states_told(await bob.received()) == [("update", "ann", None)]
        await app.advance(2)
        assert [*await ann.received(), *await bob.received()] == []
        await bob.send({"type": "presence", "room": "board"})
        users = (await bob.receive("presence"))["users"]
        assert [one.get("state") for one in users] == [None, None]


async def test_a_reload_keeps_a_state_that_may_still_be(serve: Serve, tmp_path: Path) -> None:
    async with serve(BOARD) as app:
        ann, bob = [await enter(app, "/board", user) for user in ("ann", "bob")]
        for away in (True, False):
            await ann.send({"type": "presence", "room": "board", "set": {"away": away}})
        for client in (ann, bob):
            await client.received()
        take(app, tmp_path, "state: {type: object}", "state: {required: [away]}")
        assert [*await ann.received(), *await bob.received()] == []
        await app.advance(2)
        assert states_told(await bob.received()) == [("update", "ann", {"away": False})]


@pytest.mark.parametrize(
    ("type_", "option"),
    [("move", ", conflate: 10s"), ("turn", ", rate: {limit: 1/m, burst: 1, over: latest}")],
)
async def test_what_is_held_back_goes_at_a_reload_and_not_after_what_is_newer(
    serve: Serve, tmp_path: Path, type_: str, option: str
) -> None:
    async with serve(BOARD) as app:
        ann, bob = [await enter(app, "/board", user) for user in ("ann", "bob")]
        for n in range(3):
            await ann.send({"type": type_, "n": n})
        assert [f["n"] for f in await bob.received() if f["type"] == type_] == [0]
        take(app, tmp_path, option, "")
        await ann.send({"type": type_, "n": 3})
        assert [f["n"] for f in await bob.received() if f["type"] == type_] == [2, 3]
        await app.advance(90)
        assert [f["n"] for f in await bob.received() if f["type"] == type_] == []


@pytest.mark.parametrize(
    ("place", "new"),
    [
        ("auth: {use: s}", "type: object, required: [role]"),
        ('auth: {use: s}\n    query: {q: {$ref: "#/schemas/one"}}', "type: string, minLength: 9"),
    ],
)
async def test_a_reload_looks_through_references(tmp_path: Path, place: str, new: str) -> None:
    head, file = conftest.HEAD.replace("session:", "s:"), tmp_path / "channels.yaml"
    if "query" not in place:
        head = head.replace("leeway", 'claims: {$ref: "#/schemas/one"}, leeway')
    rest = f"schemas: {{one: {{type: [object, string]}}}}\nchannels:\n  board:\n    path: /board\n    {place}\n"
    file.write_text(head + rest)
    async with running(file) as app:
        ann = await app.connect("/board", user="ann", claims={})
        await ann.received()
        assert app.engine.reload(load_plan(str(file)), {}) == 0
        file.write_text(head + rest.replace("type: [object, string]", new))
        assert app.engine.reload(load_plan(str(file)), {}) == 1


async def test_who_renews_while_the_broker_is_away_stays_if_nothing_changes(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(TEAMS) as app:
        ann = await enter(app, "/board", "ann", team="red", name="Ann")

        def is_away(*_: object) -> None:
            raise BrokerUnavailable

        monkeypatch.setattr(app.engine.hub.broker, "enter", is_away)
        monkeypatch.setattr(app.engine.hub.broker, "since", is_away)
        told = await renew(app, ann, "ann", team="red", name="Ann")
        assert [frame["type"] for frame in told] == ["authenticated"]
        told = await renew(app, ann, "ann", team="red", name="Anna")
        assert told[-1]["code"] == 1013


async def test_who_renews_while_the_broker_is_away_is_answered_once_and_asked_to_come_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve(TEAMS) as app:
        ann = await enter(app, "/board", "ann", team="red")

        def is_away(*_: object) -> None:
            raise BrokerUnavailable

        monkeypatch.setattr(app.engine.hub.broker, "enter", is_away)
        monkeypatch.setattr(app.engine.hub.broker, "since", is_away)
        told = await renew(app, ann, "ann", team="blue")
        assert [frame["type"] for frame in told if "id" in frame] == ["authenticated"]
        assert (told[-1]["type"], told[-1]["code"], told[-1]["reconnect"]) == (
            "disconnect",
            1013,
            True,
        )
        assert (await ann.wait_closed())[0] == 1013
