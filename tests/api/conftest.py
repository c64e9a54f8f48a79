"""The API over a running engine, in memory: `async with api() as it`, then `it.http` asks and `it.app` has clients."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx2
import pytest

from channeld.api.app import make_app
from channeld.api.control import Console, Control
from channeld.api.metrics import engine_samples, own_samples
from channeld.testing import Client, TestApp, running

KEY = "a-key-of-exactly-thirty-two-char"
YAML = f"""
channeld: 1
api: {{keys: ["{KEY}", "another-key-of-thirty-two-chars-x"]}}
auth:
  session: {{type: jwt, algorithms: [HS256], secret: "a secret of at least thirty-two bytes"}}
channels:
  lobby:
    path: /chat
    description: For everybody.
    auth: none
    rooms: {{subscribe: {{allow: ["*"], max: 100}}}}
    messages:
      say:
        schema:
          type: object
          required: [text]
          properties: {{text: {{type: string, maxLength: 5}}}}
        route: sender
    events:
      note:
        schema:
          type: object
          required: [text]
          properties: {{text: {{type: string, maxLength: 5}}}}
  room:
    path: /rooms/{{room}}
    auth: session
    rooms: "{{params.room}}"
    presence: true
    history: {{size: 5, ttl: 1h}}
  feed:
    path: /feed
    auth: session
"""


@attrs.define(eq=False)
class Api:
    app: TestApp
    control: Control
    http: httpx2.AsyncClient

    async def get(self, path: str, status: int = 200, **query: str | int) -> Any:
        response = await self.http.get(path, params=query or None)
        assert response.status_code == status, response.text
        return response.json()

    async def post(self, path: str, body: object, status: int = 200) -> Any:
        response = await self.http.post(path, json=body)
        assert response.status_code == status, response.text
        return response.json()

    async def publish(self, status: int = 200, /, **body: Any) -> Any:
        return await self.post("/v1/publish", body, status)

    async def member(self, *rooms: str) -> Client:
        """Somebody in the lobby who has subscribed."""
        client = await self.app.connect("/chat")
        for room in rooms:
            await client.send({"type": "subscribe", "room": room})
        await client.received()
        return client

    async def enter(self, room: str, user: str) -> Client:
        client = await self.app.connect(f"/rooms/{room}", user=user)
        await client.received()
        return client


Start = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture
def api(tmp_path: Path) -> Start:
    """The file's configuration, or another one; further arguments are the control's."""

    @asynccontextmanager
    async def start(yaml: str = YAML, **options: Any) -> AsyncIterator[Api]:
        file = tmp_path / "channels.yaml"
        file.write_text(yaml)
        async with running(file) as app:
            app.cluster.here.samples = lambda: engine_samples(app.engine)
            options.setdefault("samples", lambda: own_samples(app.engine.hub.broker))
            options.setdefault("console", Console())
            control = Control(engine=app.engine, cluster=app.cluster, **options)
            async with httpx2.AsyncClient(
                transport=httpx2.ASGITransport(make_app(control)),
                base_url="http://localhost:4001",
                headers={"authorization": f"Bearer {KEY}"},
            ) as http:
                yield Api(app, control, http)

    return start
