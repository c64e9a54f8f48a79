"""A running engine from a few lines of YAML."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from channeld.testing import Client, TestApp, running

ROOM = """
  room:
    path: /rooms/{id}
    auth: session
    rooms: "{params.id}"
    presence: {info: {name: "{claims.name?}"}}
    history: {size: 3, ttl: 60s}
    messages:
      say: {schema: true, route: room}
      blip: {schema: true, route: room, history: false}
"""

Serve = Callable[[str], AbstractAsyncContextManager[TestApp]]

HEAD = """
channeld: 1
auth:
  session: {type: jwt, algorithms: [HS256], secret: "a secret of at least thirty-two bytes", leeway: 0s}
"""


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """`async with serve(channels) as app`: the text under `channels:`, with a jwt authenticator `session`."""

    def start(channels: str) -> AbstractAsyncContextManager[TestApp]:
        file = tmp_path / "channels.yaml"
        file.write_text(HEAD + "channels:\n" + channels)
        return running(file)

    return start


async def joined(app: TestApp, user: str, since: str | None = None) -> Client:
    return await app.connect("/rooms/a", user=user, claims={"name": user.title()}, since=since)
