"""The contract served without its back end."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import jwt
import pytest
import trio

from channeld.app import App
from channeld.plan.load import check
from channeld.scenarios.mock import agreeing, make_up, mock_app, samples_of
from channeld.server.sockets import bind
from tests.server.web_kit import Events, Site

CONFIG = """
channeld: 1
hooks: {lifespan: "no_such_module:life"}
auth:
  session:
    type: jwt
    algorithms: [HS256]
    secret: ${MOCK_SECRET}
    claims: {type: object, required: [name], properties: {name: {type: string}}}
  own: {type: hook, hook: "no_such_module:who"}
broker: {redis: {url: "redis://127.0.0.1:1"}}
channels:
  room:
    path: /rooms/{id}
    auth: session
    rooms: "{params.id}"
    messages:
      say: {schema: {type: object, required: [text], properties: {text: {type: string}}}, route: room, hook: "no_such_module:refuse"}
      rule: {schema: true, route: room, require: {role: admin}}
    events:
      say: {schema: true}
      rule: {schema: true}
      news: {schema: {type: object, required: [n], properties: {n: {type: integer, minimum: 7}}}}
      told: {schema: true, examples: [{text: "an example"}]}
  mine: {path: /mine, auth: own}
"""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    file = tmp_path / "channels.yaml"
    file.write_text(CONFIG)
    plan = check(str(file), environ={"MOCK_SECRET": "s" * 40}, import_hooks=False).plan
    assert plan is not None
    ready = trio.Event()
    app = mock_app(agreeing(plan), lambda _addresses: ready.set())
    sockets = bind(["127.0.0.1:0"])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app.run, sockets)
        await ready.wait()
        nursery.start_soon(make_up, app, 0.01)
        yield Site(app, sockets[0].getsockname()[1])
        nursery.cancel_scope.cancel()


async def user_of(events: Events) -> str:
    return str((await events.frame("authenticated"))["user"])


async def test_any_token_and_any_user_is_let_in(site: Site) -> None:
    token = jwt.encode({"sub": "bob", "name": "Bob"}, "x" * 40, algorithm="HS256")
    for target, user in (
        ("/rooms/den?user=ann", "ann"),
        (f"/rooms/den?token={token}", "bob"),
        ("/rooms/den?token=anything", "anything"),
        ("/mine?user=eve", "eve"),
    ):
        async with site.events(target) as events:
            assert await user_of(events) == user
    assert (await site.ask("GET", "/rooms/den", Accept="text/event-stream")).status == 401
    for claims in ("[", "[1]", "7"):
        target = f"/rooms/den?user=ann&claims={claims}"
        assert (await site.ask("GET", target, Accept="text/event-stream")).status == 401


async def test_what_the_server_would_refuse_is_refused_and_hooks_agree(site: Site) -> None:
    claims = json.dumps({"role": "admin"}).replace(" ", "").replace('"', "%22")
    for target, rules in (
        ("/rooms/den?user=ann", "error"),
        (f"/rooms/den?user=ann&claims={claims}", "ack"),
    ):
        async with site.events(target) as events:
            secret = (await events.frame("connection"))["id"]
            frames = [
                {"type": "say", "text": "HI", "id": 1},
                {"type": "say", "id": 2},
                {"type": "rule", "id": 3},
            ]
            answered = (await site.post(target, secret, frames)).json()["frames"]
            assert [frame["type"] for frame in answered] == ["ack", "error", rules]


async def test_declared_events_are_made_up_for_who_is_there(site: Site) -> None:
    async with site.events("/rooms/den?user=ann") as events:
        assert (await events.frame("news"))["n"] >= 7
        assert (await events.frame("told"))["text"] == "an example"


async def test_samples_are_examples_or_made_from_the_schema(site: Site) -> None:
    found = {frame["type"]: frame for frame in samples_of(site.app.engine.plan, "room")}
    assert found["told"] == {"type": "told", "text": "an example"}
    assert isinstance(site.app, App)
