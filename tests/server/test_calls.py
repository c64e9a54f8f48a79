"""What the client of a stream sends by POST, over a whole server."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio
import trio.testing

from channeld.api.metrics import engine_samples
from channeld.auth.authenticator import Denied
from channeld.protocol.places import Places
from tests.server.web_kit import CONFIG, Site, parsed, site


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as made:
        yield made


async def test_frames_are_taken_in_order_and_their_answers_come_back(served: Site) -> None:
    async with served.lobby() as (events, secret):
        posted = await served.post(
            "/lobby",
            secret,
            [
                {"type": "subscribe", "room": "news", "id": 1},
                {"type": "say", "room": "news", "text": "hi", "id": 2},
                {"type": "say", "room": "news", "text": "no answer"},
                {"type": "nope", "id": 3},
                {"type": "say", "room": "elsewhere", "text": "hi"},
            ],
        )
        assert posted.status == 200
        frames = posted.json()["frames"]
        assert [(one["type"], one.get("id")) for one in frames] == [
            ("subscribed", 1),
            ("ack", 2),
            ("error", 3),
            ("error", None),
        ]
        assert [frame["code"] for frame in frames[2:]] == ["UNKNOWN_TYPE", "FORBIDDEN"]
        assert [(await events.frame())["text"] for _ in range(2)] == ["hi", "no answer"]


async def test_what_would_be_answered_with_too_much_is_put_off(served: Site) -> None:
    async with served.lobby() as (_, secret):
        say = {"type": "say", "room": "den", "text": "x" * 900}
        await served.post("/lobby", secret, [{"type": "subscribe", "room": "den"}, *[say] * 50])
        ask = [{"type": "history", "room": "den", "id": number} for number in range(100)]
        posted = await served.post("/lobby", secret, ask)
        frames = posted.json()["frames"]
        assert [frame["id"] for frame in frames] == list(range(100))
        last = frames[-1]
        assert (last["code"], last["retry_after"]) == ("RATE_LIMITED", 1.0)
        assert {frame["type"] for frame in frames[:20]} == {"history"}
        assert 1024 * 1024 < len(posted.body) < 1200 * 1024
        again = (await served.post("/lobby", secret, ask[:1])).json()
        assert len(again["frames"][0]["frames"]) == 50


async def test_one_frame_needs_no_array(served: Site) -> None:
    async with served.lobby() as (_, secret):
        posted = await served.post("/lobby", secret, {"type": "ping", "id": "a"})
        assert posted.json() == {"frames": [{"type": "pong", "id": "a"}]}
        assert posted.fields["cache-control"] == "no-store"


async def test_a_room_that_was_joined_by_post_is_joined_again(served: Site) -> None:
    async with served.lobby() as (events, secret):
        await served.post("/lobby", secret, {"type": "subscribe", "room": "news"})
        await served.post("/lobby", secret, {"type": "say", "room": "news", "text": "1"})
        await events.frame("say")
        place = events.ids[-1]
    async with served.lobby() as (_, secret):
        await served.post("/lobby", secret, {"type": "subscribe", "room": "news"})
        await served.post("/lobby", secret, {"type": "say", "room": "news", "text": "2"})
    for fields in ({"Last_Event_ID": place}, {}):
        target = "/lobby" if fields else f"/lobby?since={place}"
        async with served.events(target, **fields) as events:
            assert (await events.frame("subscribed"))["recovered"] is True
            assert (await events.frame())["text"] == "2"


async def test_a_quiet_room_is_in_the_place_as_soon_as_it_was_joined(served: Site) -> None:
    """The answer goes to the POST, so the stream says the new place by itself; a browser keeps it and tells no page."""
    async with served.lobby() as (events, secret):
        await served.post("/lobby", secret, {"type": "subscribe", "room": "news"})
        joined = await events.until(b"\n\n")
        await served.post("/lobby", secret, {"type": "subscribe", "room": "den", "since": "?"})
        await events.until(b"\n\n")
        await served.post("/lobby", secret, {"type": "unsubscribe", "room": "news"})
        last = await events.until(b"\n\n")
    assert joined.startswith(b"id: ~")
    assert b"data" not in joined
    for place, room in ((joined, "news"), (last, "den")):
        async with served.lobby(Last_Event_ID=place[4:].decode()) as (events, secret):
            assert (await events.frame("subscribed"))["room"] == room
            frames = [{"type": "unsubscribe", "room": one} for one in ("news", "den")]
            answers = (await served.post("/lobby", secret, frames)).json()["frames"]
            left = [answer["room"] for answer in answers if answer["type"] == "unsubscribed"]
            assert left == [room]


async def test_a_room_that_is_joined_from_a_place_is_kept_before_what_was_missed_has_come(
    served: Site,
) -> None:
    async with served.lobby() as (events, secret):
        await served.post("/lobby", secret, {"type": "subscribe", "room": "news"})
        top = (await served.post("/lobby", secret, {"type": "subscribe", "room": "news"})).json()
        await events.until(b"\n\n")
        position = top["frames"][0]["pos"]
    async with served.lobby() as (events, secret):
        frame = {"type": "subscribe", "room": "news", "since": position}
        (answer,) = (await served.post("/lobby", secret, frame)).json()["frames"]
        assert answer["recovered"] is True
        place = (await events.until(b"\n\n"))[4:].decode()
    async with served.events("/lobby", Last_Event_ID=place) as events:
        assert (await events.frame("subscribed"))["recovered"] is False


async def test_rooms_that_one_may_not_come_back_to_are_not_its_errors(tmp_path: Path) -> None:
    rooms = {f"r{number}": "" for number in range(40)}
    config = CONFIG.replace('allow: ["*"]', 'allow: ["news"]')
    async with (
        site(tmp_path, config) as served,
        served.lobby(Last_Event_ID=Places(rooms).text()) as (events, secret),
    ):
        refused = [await events.frame("error") for _ in rooms]
        assert {frame["code"] for frame in refused} == {"FORBIDDEN"}
        assert {frame["room"] for frame in refused} == set(rooms)
        asked = [{"type": "subscribe", "room": "den"}] * 31
        answers = (await served.post("/lobby", secret, asked)).json()["frames"]
        assert [answer["code"] for answer in answers] == ["FORBIDDEN"] * 31
        assert (await events.frame("disconnect"))["code"] == 4429


async def test_rooms_without_a_history_are_joined_again(tmp_path: Path) -> None:
    config = CONFIG.replace("    history: {size: 50, ttl: 1h}\n", "")
    async with site(tmp_path, config) as served:
        async with served.lobby() as (events, secret):
            await served.post("/lobby", secret, {"type": "subscribe", "room": "news"})
            place = (await events.until(b"\n\n"))[4:].decode()
        async with served.events("/lobby", Last_Event_ID=place) as events:
            frame = await events.frame("subscribed")
            assert frame == {"type": "subscribed", "room": "news"}


HOOKS = """
import trio

async def slow(ctx, room_or_message):
    await trio.sleep(0)
"""


async def test_posts_that_come_together_are_taken_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(HOOKS)
    config = CONFIG.replace('route: {to: room, room: "{message.room}"}', "hook: slow:slow")
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(site(tmp_path, config))
        _, secret = await stack.enter_async_context(served.lobby())
        fields = {"Content-Type": "application/json", "Channeld-Connection": secret}
        sent = []
        for number in range(3):
            say = {"type": "say", "room": "den", "text": "hi", "id": f"say {number}"}
            body = json.dumps([say, {"type": "ping", "id": f"ping {number}"}]).encode()
            stream = await stack.enter_async_context(await served.connect())
            head = served.head("POST", "/lobby", body, {"Connection": "close", **fields})
            await stream.send_all(head)
            sent.append((number, stream, body))
        await trio.testing.wait_all_tasks_blocked()
        for _, stream, body in sent:
            os.write(stream.socket.fileno(), body)  # all within one turn of the server
        for number, stream, _ in sent:
            frames = parsed(b"".join([part async for part in stream])).json()["frames"]
            assert [frame["id"] for frame in frames] == [f"say {number}", f"ping {number}"]


async def test_many_rooms_are_joined_again_one_after_the_other(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(HOOKS)
    config = CONFIG.replace('allow: ["*"]}', 'allow: ["*"], hook: "slow:slow"}')
    names = [f"room-{number}" for number in range(90)]
    async with site(tmp_path, config) as served:
        async with served.lobby() as (events, secret):
            asked = [{"type": "subscribe", "room": name} for name in names]
            await served.post("/lobby", secret, asked)
            await served.post("/lobby", secret, {"type": "say", "room": names[-1], "text": "hi"})
            await events.frame("say")
            place = events.ids[-1]
        async with served.lobby(Last_Event_ID=place) as (events, _):
            back = [await events.frame("subscribed") for _ in names]
            assert [frame["room"] for frame in back] == names
            assert {frame["recovered"] for frame in back} == {True, False}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[1,", 400),
        (b"[1 2]", 400),
        (b"[] x", 400),
        (b"\xff", 400),
        (b"[" * 5000, 400),
        (json.dumps([{"type": "ping"}] * 101).encode(), 400),
        (json.dumps({"type": "say", "text": "x" * 2000}).encode(), 413),
        (b" " * (1024 * 1024 + 1), 413),
    ],
)
async def test_a_bad_body_is_refused_and_closes_nothing(
    served: Site, body: bytes, status: int
) -> None:
    async with served.lobby() as (_, secret):
        assert (await served.post("/lobby", secret, body)).status == status
        pong = await served.post("/lobby", secret, {"type": "ping", "id": 1})
        assert pong.json()["frames"][0]["type"] == "pong"


async def test_what_is_no_frame_is_answered_as_over_a_socket(served: Site) -> None:
    async with served.lobby() as (_, secret):
        posted = await served.post("/lobby", secret, b'[1, "x", {}, {"type": 1}, {"type": "ping"}]')
        kinds = [frame.get("code", frame["type"]) for frame in posted.json()["frames"]]
        assert kinds == ["INVALID_JSON"] * 4 + ["pong"]
        assert (await served.post("/lobby", secret, b"[]")).json() == {"frames": []}


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Encoding": "gzip"}, 415),
        ({"Content_Encoding": "Identity"}, 200),
        ({"Channeld_Connection": ""}, 400),
        ({"Transfer_Encoding": "chunked"}, 411),
        ({"Origin": "https://other.example"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
    ],
)
async def test_a_request_is_judged_as_a_handshake_is(
    served: Site, fields: dict[str, str], status: int
) -> None:
    async with served.lobby() as (_, secret):
        posted = await served.post("/lobby", secret, {"type": "ping"}, **fields)
        assert posted.status == status


async def test_a_post_reaches_its_own_users_connection_only(served: Site) -> None:
    path = "/rooms/den"
    ann = {"Authorization": f"Bearer {served.token('ann')}"}
    async with served.events(path, **ann) as events:
        secret = (await events.frame("connection"))["id"]
        frame = {"type": "say", "text": "hi", "id": 1}
        for fields, status in (
            ({"Authorization": f"Bearer {served.token('bob')}"}, 403),
            ({}, 401),
            ({"Authorization": "Bearer nonsense"}, 401),
            (ann, 200),
            ({"Authorization": f"Bearer {served.token('ann', jti='newer')}"}, 200),
        ):
            assert (await served.post(path, secret, frame, **fields)).status == status
        assert (await served.post(path, "nobody's", frame, **ann)).status == 404
        anonymous = await served.post("/lobby", secret, {"type": "ping"})
        assert anonymous.status == 403
    posted = await served.post(path, secret, frame, **ann)
    assert posted.status in (200, 404)


async def test_a_post_to_another_channel_finds_no_stream(tmp_path: Path) -> None:
    """That channel's limits and tokens have judged it, not those of the stream's."""
    other = """\
  large:
    path: /large
    auth: none
    rooms: {subscribe: {allow: ["*"]}}
"""
    async with site(tmp_path, CONFIG + other) as served, served.lobby() as (_, secret):
        frame = {"type": "ping", "id": 1, "padding": "x" * 2000}
        assert (await served.post("/lobby", secret, frame)).status == 413
        assert (await served.post("/large", secret, frame)).status == 404


async def test_a_stream_that_took_the_last_place_leaves_room_for_its_posts(tmp_path: Path) -> None:
    limits = "server: {limits: {connections: 2, connections_per_address: 1}, "
    async with site(tmp_path, CONFIG.replace("server: {", limits)) as served:
        async with served.lobby() as (_, secret):
            for _ in range(3):
                posted = await served.post("/lobby", secret, {"type": "ping"})
                assert posted.status == 200
            preflight = await served.ask("OPTIONS", "/lobby", Origin="https://listed.example")
            assert preflight.status == 204
            refused = await served.ask("GET", "/rooms/den?offset=-1")
            assert refused.status == 429
            # Posts are bounded by themselves.
            async with await served.connect() as stream:
                head = served.head(
                    "POST",
                    "/lobby",
                    b"{}",
                    {"Content_Type": "application/json", "Channeld_Connection": secret},
                )
                await stream.send_all(head)
                while not served.app.server._admission.calls:
                    await trio.lowlevel.checkpoint()
                assert (await served.post("/lobby", secret, {"type": "ping"})).status == 429
        admission = served.app.server._admission
        while admission.open or admission.calls:
            await trio.lowlevel.checkpoint()
        assert admission.callers == {}


async def test_the_secret_is_of_no_use_as_the_connections_id(served: Site) -> None:
    async with served.lobby() as (_, secret):
        assert secret not in served.app.engine.sessions
        (session,) = served.app.engine.sessions
        assert (await served.post("/lobby", session, {"type": "ping"})).status == 404


async def test_a_post_whose_authenticator_is_away_may_be_tried_again(
    served: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> Denied:
        return Denied("no key yet", is_final=False)

    monkeypatch.setattr(served.app.engine, "find_user", away)
    posted = await served.post("/rooms/den", "anybody's", {"type": "ping"})
    assert (posted.status, posted.json()["code"]) == (503, "UNAVAILABLE")
    assert posted.fields["retry-after"] == "1"


async def test_a_renewal_by_post_is_answered_there(served: Site) -> None:
    ann = {"Authorization": f"Bearer {served.token('ann')}"}
    async with served.events("/rooms/den", **ann) as events:
        secret = (await events.frame("connection"))["id"]
        frame = {"type": "authenticate", "token": served.token("ann"), "id": 1}
        posted = await served.post("/rooms/den", secret, frame, **ann)
        assert posted.json()["frames"][0]["type"] == "authenticated"


async def test_a_preflight_says_what_a_page_may_do(served: Site) -> None:
    answer = await served.ask("OPTIONS", "/lobby", Origin="https://listed.example")
    assert answer.status == 204
    assert answer.fields["access-control-allow-origin"] == "https://listed.example"
    assert answer.fields["access-control-allow-credentials"] == "true"
    for name in ("channeld-connection", "if-none-match", "last-event-id"):
        assert name in answer.fields["access-control-allow-headers"].lower()
    assert answer.fields["vary"] == "Origin"
    assert (await served.ask("OPTIONS", "/lobby", Origin="https://x.example")).status == 403
    assert (await served.ask("OPTIONS", "/nowhere")).status == 404


@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        ("GET", "/nowhere", {}, 404),
        ("GET", "/lobby", {}, 426),
        ("PUT", "/lobby", {}, 405),
        ("POST", "/lobby", {"Content_Type": "text/plain"}, 415),
        ("GET", "/lobby?offset=", {}, 400),
    ],
)
async def test_a_page_of_an_allowed_origin_can_read_why_it_is_refused(
    served: Site, method: str, path: str, fields: dict[str, str], status: int
) -> None:
    for origin, may in (("https://listed.example", True), ("https://x.example", False)):
        answer = await served.ask(method, path, b"", Origin=origin, **fields)
        assert (answer.status == status) or not may
        assert ("access-control-allow-origin" in answer.fields) is may
        assert (answer.fields.get("vary") == "Origin") is may


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_not_allowed(served: Site, method: str) -> None:
    answer = await served.ask(method, "/lobby")
    assert answer.status == 405
    assert answer.fields["allow"] == "GET, HEAD, POST, OPTIONS"


async def test_another_node_takes_what_is_posted_for_its_stream(served: Site) -> None:
    asked = []

    async def forward(
        secret: str, channel: str, user: str | None, texts: list[bytes]
    ) -> list[bytes] | int:
        asked.append((secret, channel, user, texts))
        streams: dict[str, list[bytes] | int] = {"there": [b'{"type":"pong"}'], "silent": 504}
        return streams.get(secret, 404)

    class Shared:
        is_shared = True

    served.app.calls.forward = forward
    served.app.engine.cluster = Shared()  # type: ignore[assignment]
    posted = await served.post("/lobby", "there", {"type": "ping"})
    assert posted.json() == {"frames": [{"type": "pong"}]}
    assert asked == [("there", "lobby", None, [b'{"type": "ping"}'])]
    silent = await served.post("/lobby", "silent", {"type": "ping"})
    assert (silent.status, silent.json()["outcome"]) == (503, "unknown")
    assert (await served.post("/lobby", "nowhere", {"type": "ping"})).status == 404


async def test_the_answer_to_head_has_no_body(served: Site) -> None:
    refused = await served.ask("HEAD", "/lobby")
    assert (refused.status, refused.body) == (404, b"")


def counted(served: Site) -> dict[tuple[str, ...], object]:
    return {
        (name, *labels): value
        for name, value, labels in engine_samples(served.app.engine)
        if "lobby" in labels or "room" in labels
    }


async def test_connections_and_messages_are_counted_by_transport(served: Site) -> None:
    async with served.lobby() as (events, secret):
        frames = [{"type": "subscribe", "room": "a"}, {"type": "say", "room": "a", "text": "x"}]
        await served.post("/lobby", secret, [*frames, {"type": "say", "room": "a"}])
        found = counted(served)
        assert found["channeld_connections", "lobby", "sse"] == 1
        assert found["channeld_connections", "lobby", "websocket"] == 0
        assert found["channeld_messages_total", "lobby", "say", "sse", "accepted"] == 1
        assert found["channeld_messages_total", "lobby", "say", "sse", "invalid"] == 1
        assert found["channeld_messages_total", "lobby", "say", "websocket", "accepted"] == 0
        await events.stream.aclose()
    while served.app.engine.over_http:
        await trio.lowlevel.checkpoint()
    assert counted(served)["channeld_connections", "lobby", "sse"] == 0


async def test_a_read_counts_while_it_lasts(served: Site) -> None:
    key = ("channeld_connections", "room", "streams")
    path = f"/rooms/den?token={served.token('ann')}&offset=now&live=sse"
    async with served.events(path):
        assert counted(served)[key] == 1
    while counted(served)[key]:
        await trio.lowlevel.checkpoint()
    assert counted(served)["channeld_connections", "room", "websocket"] == 0
