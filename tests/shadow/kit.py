"""One room, and what is said in it."""

import json
from collections.abc import Mapping
from typing import Any

from channeld.testing import TestApp

ROOM = """
  room:
    path: /rooms/{id}
    auth: session
    rooms: {join: "{params.id}", subscribe: {allow: ["side-*"]}}
    messages:
      say:
        schema: {type: object, properties: {text: {type: string, maxLength: 50}, pin: {type: string, x-sensitive: true}}}
        route: room
      whisper: {schema: {type: object}, route: sender}
"""


def events(text: str, name: str) -> list[Mapping[str, Any]]:
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


async def said(app: TestApp, *frames: dict[str, Any], path: str = "/rooms/a") -> list[Any]:
    client = await app.connect(path, user="ann", claims={"role": "member"})
    for frame in frames:
        await client.send(frame)
    await app.rest()
    return list(client.inbox)


class Watch:
    """A clock that stands until it is set."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now
