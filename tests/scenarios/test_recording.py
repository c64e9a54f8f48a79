"""Conversations as scenarios."""

import base64
import json
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from channeld.plan.load import check
from channeld.plan.plan import Plan
from channeld.protocol.frames import Json
from channeld.scenarios.outcome import FileResult, Status
from channeld.scenarios.recording import Recording, client_of
from channeld.scenarios.suite import Options, Runs, read_text
from channeld.testing import running

WALL = 1_767_225_600.0
CONFIG = """
channeld: 1
auth: {session: {type: jwt, algorithms: [HS256], secret: ssssssssssssssssssssssssssssssssssssssss}}
channels:
  room:
    path: "/rooms/{id}"
    auth: session
    rooms: "{params.id}"
    history: {size: 10, ttl: 1h}
    messages:
      say:
        schema: {type: object, required: [text], properties: {text: {type: string}, pin: {type: string, x-sensitive: true}}}
        stamp: {at: "{now}", by: "{user.id}"}
        route: room
"""


@attrs.define
class Clock:
    """Stands until it is moved."""

    now: float = 0.0

    def __call__(self) -> tuple[float, float]:
        return self.now, WALL + self.now


def recording(**client: Json) -> Recording:
    return Recording({"path": "/rooms/a", **client}, Clock())


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.chdir(tmp_path)
    Path("channels.yaml").write_text(CONFIG)
    found = check("channels.yaml").plan
    assert found is not None
    return found


async def played(text: str, config: str = CONFIG) -> FileResult:
    """Run a scenario, in a thread since it has a trio of its own."""

    def play() -> FileResult:
        Path("channels.yaml").write_text(config)
        return Runs(Options()).run(read_text(text, "it.test.yaml"))

    return await trio.to_thread.run_sync(play)


def token(**claims: Json) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{body}.signature"


async def talk(plan: Plan, made: Recording, *frames: dict[str, Any]) -> None:
    """Send frames to the real engine, and record them and what comes."""
    async with running(plan) as app:
        ann = await app.connect("/rooms/a", user="ann", claims={"name": "Ann"})
        for frame in frames:
            made.sent(frame)
            await ann.send(frame)
            for one in await ann.received():
                made.received(one)


async def test_a_recording_passes_as_a_scenario(plan: Plan) -> None:
    made = recording(user="ann", claims={"name": "Ann"})
    await talk(plan, made, {"type": "say", "text": "hi", "id": 1}, {"type": "say"})
    result = await played(made.text())
    assert result.diagnostics == ()
    assert [one.problems for one in result.outcomes] == [()]


async def test_a_recording_fails_when_the_server_changes(plan: Plan) -> None:
    made = recording(user="ann")
    await talk(plan, made, {"type": "say", "text": "hi"})
    result = await played(made.text(), CONFIG.replace("{user.id}", "nobody"))
    assert [one.status for one in result.outcomes] == [Status.FAIL]


async def test_a_sensitive_value_is_written_nowhere(plan: Plan) -> None:
    made = attrs.evolve(recording(user="ann"), sensitive=plan.sensitive)
    await talk(plan, made, {"type": "say", "text": "hi", "pin": "4711-0815"})
    assert "4711" not in made.text()
    assert made.text().count('"pin": "$any"') == 1


def test_what_is_of_one_run_may_be_anything() -> None:
    made = recording()
    made.received(
        {
            "type": "x",
            "pos": "00000000000-1",
            "id": "6f1c1c1e-6a0b-4d0a-9c57-0d1f5a3f2b11",
            "seconds": WALL + 5,
            "ms": int(WALL * 1000),
            "when": "2026-01-01T00:00:00Z",
            "price": "$5",
            "n": 7,
            "of": [None, True, "text"],
        }
    )
    step = made.text().splitlines()[-1]
    assert step == (
        '      - client: {expect: {"type": "x", "pos": "$any", "id": "$any", "seconds": "$any", "ms": "$any", '
        '"when": "$any", "price": "$any", "n": 7, "of": [null, true, "text"]}}'
    )


def test_tokens_are_left_out() -> None:
    made = attrs.evolve(recording(), secrets={"s3cr3t-token"})
    made.sent({"type": "authenticate", "token": "another-token"})
    made.received({"type": "authenticated", "user": "ann"})
    made.sent("text with s3cr3t-token in it")
    text = made.text()
    assert 'token"' not in text
    assert "s3cr3t" not in text
    assert "# an `authenticate` frame was sent here" in text
    assert 'send_raw: "text with ••• in it"' in text
    assert read_text(text, "it.test.yaml").content is not None


def test_time_passes_between_frames() -> None:
    clock = Clock()
    made = Recording({"path": "/a"}, clock)
    made.sent({"type": "a"})
    clock.now = 0.5
    made.sent({"type": "b"})
    clock.now = 3.0
    made.sent({"type": "c"})
    assert [line.strip() for line in made.text().splitlines() if "advance" in line] == [
        "- advance: 2.5s"
    ]


def test_the_servers_close_is_expected() -> None:
    made = recording()
    made.sent({"type": "bye"})
    made.ended(4410)
    assert made.text().endswith("      - client: {expect_close: 4410}\n")


@pytest.mark.parametrize("code", [404, 4401])
def test_a_refusal_is_the_clients(code: int) -> None:
    made = recording()
    made.received({"type": "error", "code": "UNAUTHORIZED"})
    made.ended(code)
    assert f'client: {{"path": "/rooms/a", "refused": {code}}}\n    steps: []\n' in made.text()


def test_nothing_was_said() -> None:
    assert read_text(recording().text("channels.yaml"), "it.test.yaml").content is not None


@pytest.mark.parametrize(
    ("url", "with_token", "client"),
    [
        ("ws://h/a", None, {"path": "/a"}),
        ("ws://h", None, {"path": "/"}),
        ("ws://h/a?x=1", "opaque", {"path": "/a?x=1", "user": "somebody"}),
        ("ws://h/a?x=1&token=t&key=u", None, {"path": "/a?x=1", "user": "somebody"}),
        ("ws://h/a", token(sub="ann", exp=1), {"path": "/a", "user": "ann"}),
        ("ws://h/a", token(sub="ann", r=1), {"path": "/a", "user": "ann", "claims": {"r": 1}}),
        ("ws://h/a", "a.b.c", {"path": "/a", "user": "somebody"}),
    ],
)
def test_the_client(url: str, with_token: str | None, client: dict[str, Json]) -> None:
    assert client_of(url, with_token, {"key"}) == client
