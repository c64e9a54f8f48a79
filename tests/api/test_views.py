from urllib.parse import quote

import pytest

from channeld.api import answers
from channeld.schema.compiled import compiled
from tests.api.conftest import Start


async def test_channels_and_their_counts(api: Start) -> None:
    async with api() as it:
        await it.member("a", "b")
        await it.member("a")
        channels = (await it.get("/v1/channels"))["channels"]
        assert [(c["name"], c["connections"], c["rooms"]) for c in channels] == [
            ("lobby", 2, 2),
            ("room", 0, 0),
            ("feed", 0, 0),
        ]
        lobby = await it.get("/v1/channels/lobby")
        assert lobby == channels[0]
        assert (lobby["messages"], lobby["events"]) == (["say"], ["note"])
        assert (lobby["presence"], lobby["history"]) == (False, None)
        assert channels[1]["history"] == {"size": 5, "ttl": 3600.0}
        assert channels[1]["events"] is None


@pytest.mark.parametrize(
    "path", ["", "/rooms", "/rooms/a", "/rooms/a/presence", "/rooms/a/history"]
)
@pytest.mark.parametrize("name", ["nowhere", "..", "*", "%2F", "%00", "a%0Ab", "x" * 10_240])
async def test_unknown_channels(api: Start, name: str, path: str) -> None:
    async with api() as it:
        await it.get(f"http://localhost:4001/v1/channels/{name}{path}", 404)


async def test_rooms_are_paged_by_name(api: Start) -> None:
    async with api() as it:
        await it.member(*"dbaec")
        await it.member("b")
        first = await it.get("/v1/channels/lobby/rooms", limit=2)
        assert first["rooms"] == [
            {"room": "a", "connections": 1},
            {"room": "b", "connections": 2},
        ]
        second = await it.get("/v1/channels/lobby/rooms", limit=2, after=first["next"])
        last = await it.get("/v1/channels/lobby/rooms", limit=2, after=second["next"])
        assert [row["room"] for row in second["rooms"] + last["rooms"]] == ["c", "d", "e"]
        assert "next" not in last


async def test_who_is_in_a_room(api: Start) -> None:
    async with api() as it:
        ann = await it.enter("a", "ann")
        room = await it.get("/v1/channels/room/rooms/a")
        assert room == {
            "room": "a",
            "connections": 1,
            "members": [
                {
                    "id": ann.session.connection_id,
                    "user": "ann",
                    "since": "2026-01-01T00:00:00.000Z",
                    "address": "127.0.0.1",
                    "node": it.app.cluster.node_id,
                }
            ],
        }


async def test_members_are_paged(api: Start) -> None:
    async with api() as it:
        for _ in range(3):
            await it.member("a")
        first = await it.get("/v1/channels/lobby/rooms/a", limit=2)
        rest = await it.get("/v1/channels/lobby/rooms/a", limit=2, after=first["next"])
        assert first["connections"] == rest["connections"] == 3
        ids = [row["id"] for row in first["members"] + rest["members"]]
        assert len(set(ids)) == 3


async def test_an_empty_room_is_empty(api: Start) -> None:
    async with api() as it:
        assert (await it.get("/v1/channels/lobby/rooms/nobody"))["members"] == []


@pytest.mark.parametrize("name", ["a/b", "..", "%2F", "*", "a b", "ü€😀", "?x=1", "#x", "'\"<>"])
async def test_hostile_names_are_names(api: Start, name: str) -> None:
    async with api() as it:
        await it.member(name)
        segment = quote(name, safe="") if name != ".." else "%2E%2E"
        room = await it.get(f"http://localhost:4001/v1/channels/lobby/rooms/{segment}")
        assert (room["room"], room["connections"]) == (name, 1)


async def test_a_name_may_be_in_any_form(api: Start) -> None:
    async with api() as it:
        await it.member("é")
        room = await it.get("http://localhost:4001/v1/channels/lobby/rooms/e%CC%81")
        assert (room["room"], room["connections"]) == ("é", 1)


@pytest.mark.parametrize("name", ["a%0Ab", "%00", "x" * 129, "x" * 10_240, ""])
async def test_what_is_no_room_s_name(api: Start, name: str) -> None:
    async with api() as it:
        for path in ("", "/presence", "/history"):
            await it.get(f"http://localhost:4001/v1/channels/room/rooms/{name}{path}", 404)


async def test_presence(api: Start) -> None:
    async with api() as it:
        await it.enter("a", "bob")
        await it.enter("a", "ann")
        await it.enter("a", "ann")
        there = await it.get("/v1/channels/room/rooms/a/presence")
        assert (there["count"], there["connections"]) == (2, 3)
        assert there["users"] == [
            {"user": "ann", "info": {}, "connections": 2},
            {"user": "bob", "info": {}, "connections": 1},
        ]
        page = await it.get("/v1/channels/room/rooms/a/presence", limit=1)
        assert page["next"] == "ann"


async def test_presence_of_a_whole_channel(api: Start) -> None:
    yaml = """
channeld: 1
api: {keys: ["a-key-of-exactly-thirty-two-char"]}
auth:
  session: {type: jwt, algorithms: [HS256], secret: "a secret of at least thirty-two bytes"}
channels:
  all: {path: /all, auth: session, presence: {scope: channel}}
"""
    async with api(yaml) as it:
        await it.app.connect("/all", user="ann")
        there = await it.get("/v1/channels/all/rooms/any/presence")
        assert [row["user"] for row in there["users"]] == ["ann"]


async def test_what_a_channel_does_not_keep(api: Start) -> None:
    async with api() as it:
        for what in ("presence", "history"):
            told = await it.get(f"/v1/channels/lobby/rooms/a/{what}", 404)
            assert what in told["detail"]


async def test_history_backwards(api: Start) -> None:
    async with api() as it:
        for number in range(5):
            event = {"type": "x", "n": number}
            await it.publish(channel="room", to="room", room="a", event=event)
        last = await it.get("/v1/channels/room/rooms/a/history", limit=2)
        assert ([f["n"] for f in last["frames"]], last["more"]) == ([3, 4], True)
        before = last["frames"][0]["pos"]
        rest = await it.get("/v1/channels/room/rooms/a/history", limit=50, before=before)
        assert ([f["n"] for f in rest["frames"]], rest["more"]) == ([0, 1, 2], False)


async def test_history_before_nonsense(api: Start) -> None:
    async with api() as it:
        told = await it.get("/v1/channels/room/rooms/a/history", 400, before="nonsense")
        assert told["errors"][0]["path"] == "/before"


async def test_a_user(api: Start) -> None:
    async with api() as it:
        await it.enter("a", "ann")
        await it.app.connect("/feed", user="ann")
        ann = await it.get("/v1/users/ann")
        assert ann["online"]
        found = {row["channel"]: row["rooms"] for row in ann["connections"]}
        assert found == {"room": ["a"], "feed": []}
        assert await it.get("/v1/users/bob") == {"user": "bob", "online": False, "connections": []}
        await it.get(f"/v1/users/{'x' * 129}", 404)


async def test_nodes_with_other_plans_are_told_by_readiness_and_metrics(api: Start) -> None:
    async with api() as it:
        assert "channeld_nodes_with_another_plan 0.0" in (await it.http.get("/metrics")).text
        it.control.cluster.plans.differing = {"n2": ("lobby",)}
        ready = (await it.http.get("/health/ready")).json()
        assert ready == {"status": "ready", "other_plans": {"n2": ["lobby"]}}
        assert compiled(answers.HEALTH).explain(ready) == []
        assert "channeld_nodes_with_another_plan 1.0" in (await it.http.get("/metrics")).text


async def test_other_versions_are_told_by_readiness_and_metrics(api: Start) -> None:
    async with api() as it:
        assert "channeld_other_versions 0.0" in (await it.http.get("/metrics")).text
        it.control.cluster.plans.versions = frozenset({"2", "1"})
        ready = (await it.http.get("/health/ready")).json()
        assert ready == {"status": "ready", "other_versions": ["1", "2"]}
        assert compiled(answers.HEALTH).explain(ready) == []
        assert "channeld_other_versions 2.0" in (await it.http.get("/metrics")).text


async def test_health(api: Start) -> None:
    away: set[str] = set()
    shards: dict[str, bool] = {}
    options = {
        "shards": lambda: shards,
        "is_draining": lambda: "draining" in away,
        "is_broker_up": lambda: "broker" not in away,
    }
    async with api(**options) as it:
        assert await it.get("/health/ready") == {"status": "ready"}
        shards |= {"a:6379": True, "b:6379": False}
        told = {"status": "ready", "shards": {"a:6379": "up", "b:6379": "away"}}
        assert await it.get("/health/ready") == told
        for what in ("draining", "broker"):
            away.add(what)
            response = await it.http.get("/health/ready")
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) > 0
            assert what in response.json()["detail"]
            away.clear()
            away.add(what)
            assert (await it.get("/health/live")) == {"status": "live"}
            away.clear()


async def test_presence_shows_states_as_members_see_them(api: Start) -> None:
    yaml = """
channeld: 1
api: {keys: ["a-key-of-exactly-thirty-two-char"]}
auth:
  session: {type: jwt, algorithms: [HS256], secret: "a secret of at least thirty-two bytes"}
channels:
  room: {path: "/rooms/{r}", auth: session, rooms: "{params.r}", presence: {state: {type: object}}}
"""
    async with api(yaml) as it:
        ann = await it.app.connect("/rooms/a", user="ann")
        await it.app.connect("/rooms/a", user="bob")
        await ann.send({"type": "presence", "room": "a", "set": {"away": True}})
        there = await it.get("/v1/channels/room/rooms/a/presence")
        assert [(row["user"], row["info"], row.get("state")) for row in there["users"]] == [
            ("ann", {}, {"away": True}),
            ("bob", {}, None),
        ]
