"""The guides' PHP is run, on stand-ins for Laravel; skipped where PHP is not installed."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from channeld.engine.ports import BackendAnswer
from channeld.engine.publishing import check_publication
from channeld.plan.plan import RemoteHook
from channeld.testing import running
from tests.docs.blocks import ROOT, blocks
from tests.npm_parts import skip

GUIDES = ROOT / "docs" / "guides"
SECRET = "for-tests-only-0123456789abcdef-0123"
# As much of Laravel as the guide uses; a route is asked by its path, with the request's JSON on standard input.
LARAVEL = """<?php
class Request {
    public function __construct(private array $body) {}
    public function input(string $path) {
        return array_reduce(explode(".", $path), fn ($at, $name) => $at[$name] ?? null, $this->body);
    }
}
class Route { public static array $routes = []; public static function post($path, $run) { self::$routes[$path] = $run; } }
class Http {
    public static function withToken($token) { return new Http; }
    public function post($url, $body) { if ($GLOBALS["argv"][1] === "http") echo json_encode($body); }
}
class User {
    public function __construct(public int $id, public string $name) {}
    public static function find($id) { return $id === "7" ? new User(7, "Ann") : null; }
    public function canJoin($room) { return $room === "general"; }
}
function config($name) { return "key"; }
function sessionUser($cookie) { return $cookie === "session=good" ? User::find("7") : null; }
GUIDE
if ($argv[1] !== "http") {
    echo json_encode(Route::$routes[$argv[1]](new Request(json_decode(stream_get_contents(STDIN), true))));
}
"""


def after(page: str, language: str) -> str:
    """The last block of a language in a guide: how it is done with channeld."""
    return [block.text for block in blocks(GUIDES / page) if block.language == language][-1]


def run_php(program: Path, path: str, body: bytes = b"") -> bytes:
    done = subprocess.run(["php", program, path], input=body, capture_output=True, check=True)
    return done.stdout


class PhpBackend:
    """The guide's routes as the backend of a channel."""

    def __init__(self, program: Path) -> None:
        self._program = program

    async def ask(self, remote: RemoteHook, body: bytes, seconds: float) -> BackendAnswer:
        path = f"/channeld{remote.path}"
        return BackendAnswer(200, run_php(self._program, path, body))

    def note_bad(self, hook: str, reason: str) -> None:
        raise AssertionError(f"{hook}: {reason}")


async def test_the_routes_for_laravel_let_in_whom_they_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("php") is None:
        skip("php is not here")
    for name in ("HOOK_SECRET", "API_KEY"):
        monkeypatch.setenv(f"CHANNELD_{name}", SECRET)
    page = "coming-from-pusher.md"
    program = tmp_path / "program.php"
    program.write_text(LARAVEL.replace("GUIDE", after(page, "php")))
    file = tmp_path / "channels.yaml"
    file.write_text(after(page, "yaml"))
    async with running(file) as app:
        app.engine.backends = PhpBackend(program)
        ann = await app.connect("/chat", headers={"cookie": "session=good"})
        await ann.send({"type": "subscribe", "room": "general"})
        assert (await ann.receive("subscribed"))["room"] == "general"
        await ann.send({"type": "subscribe", "room": "board", "id": 1})
        assert (await ann.receive("error"))["message"] == "You may not join this room"
        await ann.send({"type": "message", "room": "general", "text": "hi"})
        said = await ann.receive("message")
        assert (said["from"], said["name"]) == ("7", "Ann")
        eve = await app.connect("/chat", headers={"cookie": "session=bad"})
        assert (await eve.wait_closed())[0] == 4401
        published: Mapping[str, Any] = json.loads(run_php(program, "http"))
        check_publication(app.engine.plan, published["channel"], published["event"], "general")
