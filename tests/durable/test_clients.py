"""Other people's Durable Streams clients read a room: the ones of npm and of PyPI."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest
from durable_streams import stream

from tests.docs.blocks import ROOT, blocks
from tests.durable.shim import KEY, serving
from tests.npm_parts import npm_folder, skip

pytestmark = [pytest.mark.wide]

PROGRAM = """
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
const { stream } = await import(pathToFileURL(createRequire(process.argv[2]).resolve("@durable-streams/client")));
const [url, live] = process.argv.slice(3);
const pick = (frame) => frame.value;
const caughtUp = await stream({ url, live: false, offset: "-1" });
const items = await caughtUp.json();
console.log(JSON.stringify({ items: items.map(pick), offset: caughtUp.offset }));
const going = await stream({ url, live, offset: caughtUp.offset });
const unsubscribe = going.subscribeJson(async (batch) => {
  for (const frame of batch.items) {
    console.log(JSON.stringify({ item: pick(frame), offset: batch.offset }));
    if (frame.value === "last") { unsubscribe(); going.cancel(); process.exit(0); }
  }
});
console.log(JSON.stringify({ listening: true }));
"""


class Room:
    """A room of a running server."""

    def __init__(self, folder: Path, base: str) -> None:
        self.url = f"{base}/streams/den"
        self._api = httpx2.Client(
            base_url=(folder / "api.txt").read_text(), headers={"Authorization": f"Bearer {KEY}"}
        )

    def say(self, value: object) -> None:
        event = {"type": "item", "value": value}
        publish = {"channel": "streams", "to": "room", "room": "den", "event": event}
        self._api.post("/v1/publish", json=publish).raise_for_status()

    def close(self) -> None:
        self._api.close()


@pytest.mark.parametrize("live", ["long-poll", "sse"])
def test_the_client_of_npm(tmp_path: Path, live: str) -> None:
    modules = npm_folder("npm-streams")
    program = tmp_path / "read.mjs"
    program.write_text(PROGRAM)
    with serving(tmp_path) as base:
        room = Room(tmp_path, base)
        room.say("first")
        room.say({"a": [1]})
        arguments = ["node", str(program), str(modules / "any.js"), room.url, live]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            lines: list[dict[str, Any]] = []
            lines.extend(json.loads(process.stdout.readline()) for _ in range(2))
            room.say("next")
            lines.append(json.loads(process.stdout.readline()))
            room.say("last")
            lines.extend(json.loads(line) for line in process.stdout)
        room.close()
    assert process.returncode == 0
    assert lines[0]["items"] == ["first", {"a": [1]}]
    assert [line["item"] for line in lines[2:]] == ["next", "last"]
    assert len({line["offset"] for line in (lines[0], *lines[2:])}) == 3


@pytest.mark.parametrize("live", ["long-poll", "sse"])
def test_the_client_of_pypi(tmp_path: Path, live: Any) -> None:
    with serving(tmp_path) as base:
        room = Room(tmp_path, base)
        room.say("first")
        room.say({"a": [1]})
        with stream(room.url, offset="-1", live=False) as reading:
            items = [frame["value"] for frame in reading.iter_json()]
            offset = reading.offset
        assert items == ["first", {"a": [1]}]
        room.say("next")
        with stream(room.url, offset=offset, live=live) as reading:
            found = []
            for frame in reading.iter_json():
                found.append(frame["value"])
                if frame["value"] == "last":
                    break
                room.say("last")
        room.close()
    assert found == ["next", "last"]


def test_the_go_program_of_the_guide(tmp_path: Path) -> None:
    if shutil.which("go") is None:
        skip("go is not here")
    page = ROOT / "docs" / "guides" / "without-websocket.md"
    (program,) = (block.text for block in blocks(page) if block.language == "go")
    tmp_path.joinpath("read.go").write_text(program)
    build = ["go", "build", "-o", "read", "read.go"]
    environ = {**os.environ, "GOCACHE": str(ROOT / ".cache" / "go")}
    subprocess.run(build, cwd=tmp_path, env=environ, check=True)
    with serving(tmp_path) as base:
        room = Room(tmp_path, base)
        room.say("first")
        arguments = [str(tmp_path / "read"), room.url]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert "first" in process.stdout.readline()
            room.say("next")
            line = process.stdout.readline()
            process.kill()
        room.close()
    assert line.startswith("item ")
    assert "next" in line
