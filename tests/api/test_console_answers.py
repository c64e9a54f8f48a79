import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio

from channeld.api.app import make_app
from channeld.api.console_answers import _names
from channeld.api.control import Console
from channeld.api.problems import Problem
from channeld.broker.broker import BrokerUnavailable
from channeld.protocol.frames import Json
from channeld.telemetry import Sample
from tests.api.conftest import KEY, YAML, Api, Start

URLS = ["ws://127.0.0.1:4000", "ws://0.0.0.0:4002", "wss://[::]:4003"]
CONSOLE = Console(
    urls=lambda: URLS,
    describe=lambda _plan: [{"name": "lobby"}],
    mint=lambda _plan, channel, user: f"token-of-{user}-on-{channel}",
)


async def test_the_page_trusts_only_itself_and_the_server(api: Start) -> None:
    async with api(YAML, console=CONSOLE) as it:
        response = await it.http.get("/")
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        sockets = "ws://127.0.0.1:4000 ws://localhost:4002 wss://localhost:4003"
        assert f"connect-src 'self' {sockets};" in policy
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"


async def test_an_old_link_is_explained_to_browsers_as_a_page(api: Start) -> None:
    async with api(YAML, console=CONSOLE) as it:
        page = await it.http.get("/go/old", headers={"accept": "text/html,*/*"})
        assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "an earlier run of <code>channeld run --dev</code>" in page.text
        assert "unsafe" not in page.headers["content-security-policy"]
        told = await it.http.get("/go/old")
        assert (told.status_code, told.json()["status"]) == (404, 404)


@pytest.mark.parametrize("host", ["evil.example; script-src *", "a b", "localhost:4001'", "x,y"])
async def test_a_host_is_no_part_of_the_policy_unless_it_is_one(api: Start, host: str) -> None:
    async with api(YAML, console=CONSOLE) as it:
        response = await it.http.get("/", headers={"host": host})
        policy = response.headers["content-security-policy"]
        assert "ws://0.0.0.0:4002" in policy
        assert host not in policy


async def test_files_and_their_types(api: Start) -> None:
    async with api() as it:
        for name in _names():
            response = await it.http.get(f"/console/files/{name}")
            assert response.status_code == 200
            tag = response.headers["etag"]
            for known in (tag, "*", f'"other", W/{tag}'):
                header = {"if-none-match": known}
                again = await it.http.get(f"/console/files/{name}", headers=header)
                assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "name",
    ["nosuch.js", "..%2Fapp.py", "%2e%2e%2fapp.py", "..%2F..%2F__init__.py", "%2Fetc%2Fpasswd", ""],
)
async def test_no_other_file_is_served(api: Start, name: str) -> None:
    async with api() as it:
        response = await it.http.get(f"http://localhost:4001/console/files/{name}")
        assert response.status_code == 404


async def test_the_page_names_no_other_host_and_has_nothing_inline(api: Start) -> None:
    async with api() as it:
        page = (await it.http.get("/")).text
        texts = [page] + [(await it.http.get(f"/console/files/{n}")).text for n in _names()]
        assert not [text for text in texts if "://" in text.replace("http://www.w3.org", "")]
        assert "<style" not in page
        assert " style=" not in page
        assert " onclick" not in page


async def test_setup_and_pulse(api: Start) -> None:
    async with api(YAML, console=CONSOLE) as it:
        setup = await it.get("/console/setup")
        assert setup["channels"] == [{"name": "lobby"}]
        assert setup["urls"][0] == "ws://127.0.0.1:4000"
        assert setup["mints"]
        await it.member("a")
        pulse = await it.get("/console/pulse")
        assert pulse["channels"]["lobby"] == {"connections": 1, "rooms": 1}
        assert (pulse["totals"]["connections"], pulse["broker"], pulse["draining"]) == (
            1,
            True,
            False,
        )
        assert pulse["shadow"] is None


async def test_the_pulse_tells_what_a_shadow_would_refuse(api: Start) -> None:
    async with api(YAML, console=CONSOLE, shadow_since=1700000000.0) as it:
        it.app.cluster.here.samples = lambda: [
            Sample("channeld_shadow_asked_total", 2, ("handshake",)),
            Sample("channeld_shadow_asked_total", 12431, ("message",)),
            Sample("channeld_shadow_refused_total", 1, ("lobby", "", "404")),
            Sample("channeld_shadow_refused_total", 3, ("lobby", "say", "INVALID_MESSAGE")),
        ]
        told = (await it.get("/console/pulse"))["shadow"]
    assert (told["since"], told["messages"], told["handshakes"]) == (1700000000.0, 12431, 2)
    assert told["refused"] == [
        {"channel": "lobby", "type": "say", "reason": "INVALID_MESSAGE", "count": 3},
        {"channel": "lobby", "type": "", "reason": "404", "count": 1},
    ]


@pytest.mark.parametrize(
    ("message", "paths"),
    [
        ({"type": "say", "id": 1, "text": "hi"}, []),
        ({"text": "too long"}, ["/text"]),
        ({}, [""]),
    ],
)
async def test_a_message_is_checked(api: Start, message: dict[str, Any], paths: list[str]) -> None:
    async with api() as it:
        asked = {"channel": "lobby", "type": "say", "message": message}
        told = await it.post("/console/check", asked)
        assert [one["path"] for one in told["errors"]] == paths
        await it.post("/console/check", {**asked, "type": "nosuch"}, 404)


async def test_a_message_is_followed(api: Start) -> None:
    asked: list[tuple[str, str | None, str | None]] = []

    def follow(path: str, frame: str | None, token: str | None) -> Json:
        asked.append((path, frame, token))
        return {"outcome": "delivered"}

    async with api(YAML, console=attrs.evolve(CONSOLE, trace=follow)) as it:
        assert (await it.get("/console/setup"))["traces"]
        told = await it.post("/console/trace", {"path": "/lobby", "frame": "{}", "token": "t"})
        assert told == {"outcome": "delivered"}
        await it.post("/console/trace", {"path": "/lobby"})
        await it.post("/console/trace", {"path": "lobby"}, 400)
    assert asked == [("/lobby", "{}", "t"), ("/lobby", None, None)]


async def test_where_nobody_follows_messages(api: Start) -> None:
    async with api(YAML, console=CONSOLE) as it:
        assert not (await it.get("/console/setup"))["traces"]
        await it.post("/console/trace", {"path": "/lobby"}, 404)


async def test_tokens_only_for_development(api: Start) -> None:
    asked = {"channel": "feed", "user": "ann"}
    async with api(YAML, console=CONSOLE) as it:
        assert (await it.post("/console/token", asked)) == {"token": "token-of-ann-on-feed"}
        await it.post("/console/token", {**asked, "channel": "nowhere"}, 404)
    async with api() as it:
        await it.post("/console/token", asked, 404)


async def test_why_there_is_no_token(api: Start) -> None:
    def mint(*_: object) -> str:
        raise LookupError("nothing signs")

    async with api(YAML, console=Console(mint=mint)) as it:
        told = await it.post("/console/token", {"channel": "feed", "user": "ann"}, 422)
        assert told["detail"] == "nothing signs"


class Watcher:
    """A client of the tail, at the ASGI boundary."""

    def __init__(self) -> None:
        self.gone = trio.Event()
        self.messages: list[Any] = []

    async def receive(self) -> dict[str, str]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.messages.append(message)

    def text(self) -> str:
        return b"".join(m.get("body", b"") for m in self.messages).decode()


@asynccontextmanager
async def watching(it: Api, path: str) -> AsyncIterator[Watcher]:
    watcher = Watcher()
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {KEY}".encode())],
        "client": None,
    }
    async with trio.open_nursery() as nursery:
        nursery.start_soon(make_app(it.control), scope, watcher.receive, watcher.send)
        await trio.testing.wait_all_tasks_blocked()
        yield watcher
        watcher.gone.set()


async def test_a_tail_shows_frames_as_they_come(api: Start) -> None:
    async with api() as it:
        async with watching(it, "/console/tail/room/a") as watcher:
            await it.publish(channel="room", to="room", room="a", event={"type": "x"})
            await it.app.rest()
            start = watcher.messages[0]
            assert (b"content-type", b"text/event-stream; charset=utf-8") in start["headers"]
            line = watcher.text().split("\n\n")[1]
            frame = json.loads(line.removeprefix("data: "))
            assert (frame["type"], frame["room"]) == ("x", "a")
        assert it.app.engine.hub.statistics().rooms == 0


async def test_a_tail_masks_what_is_sensitive(api: Start) -> None:
    marked = YAML.replace("text: {type: string,", "text: {x-sensitive: true, type: string,")
    async with api(marked) as it, watching(it, "/console/tail/lobby/a") as watcher:
        event = {"type": "note", "text": "plant"}
        await it.publish(channel="lobby", to="room", room="a", event=event)
        await it.app.rest()
        assert '"text":"•••"' in watcher.text()
        assert "plant" not in watcher.text()


async def test_a_quiet_tail_says_that_it_is_there(api: Start, autojump_clock: object) -> None:
    async with api() as it, watching(it, "/console/tail/lobby/a") as watcher:
        await trio.sleep(16)
        assert "still here" in watcher.text()


async def test_a_tail_of_nothing(api: Start) -> None:
    async with api() as it:
        await it.get("/console/tail/nowhere/a", 404)
        await it.get("/console/tail/lobby/a%0Ab", 404)


async def test_a_tail_while_the_broker_is_away(api: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    async with api() as it:

        async def fail(*_: object) -> None:
            raise BrokerUnavailable

        monkeypatch.setattr(it.app.engine.hub, "watch", fail)
        await it.get("/console/tail/lobby/a", 503)


async def test_a_place_that_is_taken_meanwhile(api: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    async with api() as it:
        answers = iter([None, Problem(503, "too many")])

        def demand() -> None:
            if (problem := next(answers)) is not None:
                raise problem

        monkeypatch.setattr(it.control.tails, "demand_place", demand)
        await it.get("/console/tail/lobby/a", 503)


async def test_too_many_tails(api: Start) -> None:
    async with api() as it:
        it.control.tails._most = 1
        async with watching(it, "/console/tail/lobby/a"):
            await it.get("/console/tail/lobby/a", 503)
