"""Prints what a room hears, with the exported types. From the project's folder, with `pip install websockets`:

channeld export python --output examples/clients/frames.py
channeld run --dev                                   (in another terminal)
python examples/clients/listen.py ws://127.0.0.1:4000/rooms/general "$(channeld token --user ann --claim name=Ann)"
"""

import json
import sys
from collections.abc import Iterator
from urllib.parse import quote

from frames import RoomReceive
from websockets.sync.client import connect


def frames(url: str, token: str) -> Iterator[RoomReceive]:
    with connect(f"{url}?token={quote(token)}") as socket:
        for text in socket:
            yield json.loads(text)


def line(frame: RoomReceive) -> str:
    """The frame in words; a type checker knows the fields of each type."""
    if frame["type"] == "message":
        return f"{frame['at'][11:19]} {frame['name']}: {frame['text']}"
    if frame["type"] == "presence" and frame["event"] == "state":
        return "here: " + ", ".join(user["info"]["name"] for user in frame["users"])
    if frame["type"] == "error":
        return f"{frame['code']}: {frame['message']}"
    return f"({frame['type']})"


if __name__ == "__main__":
    for each in frames(*sys.argv[1:3]):
        print(line(each), flush=True)  # noqa: T201 - a program for a terminal
