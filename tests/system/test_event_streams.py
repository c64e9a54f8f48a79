"""Server-sent events with other people's clients, and behind nginx with its defaults."""

import contextlib
import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.npm_parts import npm_folder, skip
from tests.ports import free_port
from tests.system.kit import (
    PATIENCE,
    Client,
    Output,
    Served,
    command,
    environment,
    eventually,
    process_of,
)
from tests.system_parts import PATH

pytestmark = pytest.mark.wide

CONFIG = """
channeld: 1
server: {allowed_origins: any, drain: 200ms}
channels:
  room:
    path: /rooms/{room_id}
    auth: none
    rooms: {join: "{params.room_id}"}
    history: {size: 50, ttl: 1h, rooms: 10, bytes: 1MiB}
    messages:
      say: {schema: {type: object, required: [text], properties: {text: {type: string, maxLength: 100}}, additionalProperties: false}, route: room}
"""
# Nothing about buffers: nginx buffers what it passes on unless the server says otherwise.
NGINX = """
USERdaemon off; pid FOLDER/pid; error_log stderr; worker_processes 1;
events {}
http {
  access_log off;
  client_body_temp_path FOLDER/body; proxy_temp_path FOLDER/proxy; fastcgi_temp_path FOLDER/f; uwsgi_temp_path FOLDER/u; scgi_temp_path FOLDER/s;
  server {
    listen 127.0.0.1:PORT;
    location / { proxy_pass http://127.0.0.1:UPSTREAM; proxy_http_version 1.1; }
  }
}
"""
PROGRAM = """
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
const { EventSource } = await import(pathToFileURL(createRequire(process.argv[2]).resolve("eventsource")));
const source = new EventSource(process.argv[3]);
setInterval(() => {}, 1000); // its own timers don't keep Node going
source.onmessage = ({ data, lastEventId }) => console.log(JSON.stringify({ ...JSON.parse(data), lastEventId }));
"""


class Room:
    """A server on one port, to be restarted, and a folder for what is run against it."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder
        self.port = free_port()
        self._stack = stack
        folder.joinpath("channels.yaml").write_text(CONFIG)
        self.served = self.start()

    def start(self) -> Served:
        run = command("run", "--bind", f"127.0.0.1:{self.port}", "--log-format", "json")
        return self._stack.enter_context(process_of(run, self.folder, environment())).wait_ready()

    def say(self, text: str) -> None:
        with Client(f"ws://127.0.0.1:{self.port}/rooms/den") as client:
            assert client.ask("say", text=text)["type"] == "ack"

    def run(self, *arguments: str) -> Output:
        """A program's output; it is ended with the test."""
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, encoding="utf-8")
        self._stack.callback(process.wait, PATIENCE)
        self._stack.callback(process.kill)
        return Output(process.stdout)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with contextlib.ExitStack() as stack:
        yield Room(tmp_path, stack)


def program(name: str) -> str:
    found = shutil.which(name, path=PATH)
    if found is None:
        skip(f"{name} is not here")
    return found or ""


def test_curl_shows_a_channel(room: Room) -> None:
    url = f"http://127.0.0.1:{room.port}/rooms/den"
    out = room.run(program("curl"), "-sN", "-H", "Accept: text/event-stream", url)
    out.wait_for(lambda line: '"connection"' in line)
    room.say("hello")
    assert '"text":"hello"' in out.wait_for(lambda line: '"say"' in line)


def frames(out: Output) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.lines]


def test_an_event_source_in_node_comes_back_for_what_it_missed(room: Room) -> None:
    modules = npm_folder("npm-streams")
    script = room.folder / "read.mjs"
    script.write_text(PROGRAM)
    url = f"http://127.0.0.1:{room.port}/rooms/den"
    out = room.run(program("node"), str(script), str(modules / "any.js"), url)
    out.wait_for(lambda line: '"subscribed"' in line)
    room.say("one")
    out.wait_for(lambda line: '"one"' in line)
    place = frames(out)[-1]["lastEventId"]
    assert place
    # Killed, the server has forgotten the room's history; it says so to who comes back.
    room.served.process.kill()
    room.served.wait()
    room.served = room.start()
    eventually(lambda: sum(frame["type"] == "subscribed" for frame in frames(out)) == 2)
    last = [frame for frame in frames(out) if frame["type"] == "subscribed"][-1]
    assert last["recovered"] is False
    room.say("two")
    out.wait_for(lambda line: '"two"' in line)


def test_nginx_passes_events_on_as_they_come(room: Room) -> None:
    port = free_port()
    user = "user root; " if Path("/root").owner() == "root" else ""
    text = NGINX.replace("USER", user).replace("FOLDER", str(room.folder))
    text = text.replace("PORT", str(port)).replace("UPSTREAM", str(room.port))
    room.folder.joinpath("nginx.conf").write_text(text)
    run = [program("nginx"), "-p", str(room.folder), "-c", "nginx.conf"]
    url = f"http://127.0.0.1:{port}/rooms/den"
    with (
        process_of(run, room.folder, environment()) as proxy,
        httpx2.Client(timeout=PATIENCE) as http,
    ):
        eventually(lambda: _answers(http, f"{url}?offset=-1"))
        with http.stream("GET", url, headers={"Accept": "text/event-stream"}) as stream:
            lines = stream.iter_lines()
            first = json.loads(next(line for line in lines if "connection" in line)[6:])
            headers = {"Channeld-Connection": first["id"]}
            said = {"type": "say", "text": "by way of nginx", "id": 1}
            answer = http.post(url, json=said, headers=headers)
            assert answer.json()["frames"] == [{"type": "ack", "id": 1}]
            # It comes while the stream stays open, though so little would stay in a buffer.
            assert "by way of nginx" in next(line for line in lines if '"say"' in line)
        page = http.get(url, params={"offset": "-1"})
        assert [frame["text"] for frame in page.json()] == ["by way of nginx"]
        offset = page.headers["Stream-Next-Offset"]
        room.say("later")
        poll = http.get(url, params={"offset": offset, "live": "long-poll"})
        assert [frame["text"] for frame in poll.json()] == ["later"]
        # The workers hold its streams open until they have ended as well.
        proxy.tell(signal.SIGTERM)
        proxy.wait()


def _answers(http: httpx2.Client, url: str) -> bool:
    try:
        return http.get(url).status_code == 200
    except httpx2.TransportError:
        return False
