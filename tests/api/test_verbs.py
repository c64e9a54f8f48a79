from typing import Any

import pytest

from channeld.auth import revocations
from channeld.testing import START
from tests.api.conftest import Api, Start


async def test_a_user_is_kicked_everywhere(api: Start) -> None:
    async with api() as it:
        ann, feed = await it.enter("a", "ann"), await it.app.connect("/feed", user="ann")
        bob = await it.enter("a", "bob")
        answer = await it.post("/v1/disconnect", {"user": "ann", "reason": "behave"})
        assert answer == {"connections": 2}
        assert await ann.wait_closed() == await feed.wait_closed() == (4410, "behave")
        assert bob.closed is None


async def test_one_connection_is_closed_with_a_code(api: Start) -> None:
    async with api() as it:
        one, other = await it.member(), await it.member()
        asked = {"connection": one.session.connection_id, "code": 4950}
        assert await it.post("/v1/disconnect", asked) == {"connections": 1}
        assert (await one.wait_closed())[0] == 4950
        assert other.closed is None


async def test_nobody_to_disconnect(api: Start) -> None:
    async with api() as it:
        assert await it.post("/v1/disconnect", {"user": "nobody"}) == {"connections": 0}


async def test_into_a_room_and_out_of_it(api: Start) -> None:
    async with api() as it:
        ann = await it.app.connect("/feed", user="ann")
        asked = {"user": "ann", "channel": "feed", "room": "r"}
        assert await it.post("/v1/subscribe", asked) == {"connections": 1}
        assert (await ann.receive("subscribed"))["room"] == "r"
        await it.publish(channel="feed", to="room", room="r", event={"type": "x"})
        assert (await ann.receive())["type"] == "x"
        assert await it.post("/v1/unsubscribe", asked) == {"connections": 1}
        assert (await ann.receive("unsubscribed"))["room"] == "r"
        assert await it.post("/v1/unsubscribe", asked) == {"connections": 0}


async def test_membership_of_an_unknown_channel(api: Start) -> None:
    async with api() as it:
        asked = {"user": "ann", "channel": "nowhere", "room": "r"}
        await it.post("/v1/subscribe", asked, 404)
        await it.post("/v1/unsubscribe", asked, 404)
        await it.post("/v1/subscribe", {**asked, "room": "a\tb"}, 400)


KEPT = """
channeld: 1
api: {keys: ["a-key-of-exactly-thirty-two-char"]}
auth:
  session: {type: jwt, algorithms: [HS256], secret: "a secret of at least thirty-two bytes"}
channels:
  room:
    path: /rooms/{room}
    auth: session
    rooms: "{params.room}"
    history: {size: 9, ttl: 1h}
    events:
      x: {}
      gauge: {schema: {required: [m], properties: {m: {type: string}}}, key: "{event.m}", history: latest}
      light: {history: latest}
  feed: {path: /feed, auth: session}
"""


async def delete(it: Api, path: str, status: int = 200) -> Any:
    response = await it.http.delete(path)
    assert response.status_code == status, response.text
    return response.json()


@pytest.mark.parametrize(
    ("query", "gone", "left"),
    [
        ("", 4, []),
        ("?key=cpu", 1, ["x", "gauge", "light"]),
        ("?key=light", 1, ["x", "gauge", "gauge"]),
        ("?key=x", 0, ["x", "gauge", "gauge", "light"]),
    ],
)
async def test_kept_frames_are_taken_away(
    api: Start, query: str, gone: int, left: list[str]
) -> None:
    async with api(KEPT) as it:
        for event in (
            {"type": "x"},
            {"type": "gauge", "m": "cpu"},
            {"type": "gauge", "m": "ram"},
            {"type": "light"},
        ):
            await it.publish(channel="room", to="room", room="a", event=event)
        path = "/v1/channels/room/rooms/a/history"
        assert await delete(it, path + query) == {"room": "a", "frames": gone}
        assert [frame["type"] for frame in (await it.get(path))["frames"]] == left


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("room/rooms/a/history?key=", 400),
        ("room/rooms/a/history?keys=x", 400),
        ("room/rooms/%01/history", 404),
        ("nowhere/rooms/a/history", 404),
        ("feed/rooms/a/history", 404),
    ],
)
async def test_kept_frames_that_are_asked_for_in_vain(api: Start, path: str, status: int) -> None:
    async with api(KEPT) as it:
        await delete(it, f"/v1/channels/{path}", status)


async def test_a_users_tokens_are_refused_and_connections_closed(api: Start) -> None:
    async with api() as it:
        ann, bob = await it.enter("a", "ann"), await it.enter("a", "bob")
        answer = await it.post("/v1/revoke", {"user": "ann"})
        assert answer["connections"] == 1
        assert await ann.wait_closed() == (4401, "token revoked")
        assert bob.closed is None
        again = await it.app.connect("/feed", user="ann")
        assert (await again.receive("error"))["code"] == "UNAUTHORIZED"
        fresh = await it.app.connect("/feed", user="ann", claims={"iat": START + 60})
        assert fresh.closed is None


async def test_what_is_revoked_is_shown_and_taken_back(api: Start) -> None:
    async with api() as it:
        one = await it.post("/v1/revoke", {"user": "ann", "before": 5, "for": "1h"})
        until = "2099-01-01T00:00:00Z"
        other = await it.post("/v1/revoke", {"token_id": "t1", "until": until})
        rows = {
            one["id"]: {"id": one["id"], "user": "ann", "before": "1970-01-01T00:00:05Z", "until": one["until"]},
            other["id"]: {"id": other["id"], "token_id": "t1", "until": until},
        }  # fmt: skip
        assert await it.get("/v1/revocations") == {"revocations": [rows[id] for id in sorted(rows)]}
        page = await it.get("/v1/revocations", limit=1)
        assert page["next"] == page["revocations"][0]["id"]
        deleted = await it.http.delete(f"/v1/revocations/{one['id']}")
        assert (deleted.status_code, deleted.json()) == (200, {"id": one["id"]})
        assert (await it.http.delete(f"/v1/revocations/{one['id']}")).status_code == 404
        assert (await it.app.connect("/feed", user="ann")).closed is None


async def test_the_answer_tells_the_end_that_is_in_force(api: Start) -> None:
    async with api() as it:
        longer = await it.post("/v1/revoke", {"user": "ann", "for": "30d"})
        shorter = await it.post("/v1/revoke", {"user": "ann", "for": "1h"})
        assert shorter["until"] == longer["until"]
        [row] = (await it.get("/v1/revocations"))["revocations"]
        assert row["until"] == shorter["until"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user": "ann", "token_id": "t", "until": 5},
        {"token_id": "t"},
        {"user": "ann", "until": 5},
        {"user": "ann", "for": "soon"},
        {"user": "ann", "for": "0s"},
        {"user": "ann", "before": "yesterday"},
        {"user": "ann", "before": "2026-01-01T00:00:00"},
        {"user": "ann", "before": True},
        {"user": "ann", "before": -1},
        {"user": ""},
        {"user": "ann", "extra": 1},
    ],
)
async def test_bodies_of_another_form(api: Start, body: dict[str, Any]) -> None:
    async with api() as it:
        await it.post("/v1/revoke", body, 400)
        assert (await it.get("/v1/revocations")) == {"revocations": []}


async def test_there_is_an_end_to_how_many(api: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations, "MOST", 1)
    async with api() as it:
        await it.post("/v1/revoke", {"user": "ann"})
        await it.post("/v1/revoke", {"user": "ann"})
        problem = await it.post("/v1/revoke", {"user": "bob"}, 409)
        assert problem["detail"].startswith("there are 1 revocations already")
