"""`channeld connect --record`."""

from collections.abc import AsyncIterator
from pathlib import Path

import jwt
import pytest
import trio

from channeld.cli.main import run
from channeld.plan.load import check
from channeld.plan.plan import Plan
from tests.serving import served

SECRET = "a secret of at least thirty-two bytes"
CONFIG = f"""
channeld: 1
auth: {{session: {{type: jwt, algorithms: [HS256], secret: {SECRET}, token_from: [query]}}}}
channels:
  room:
    path: "/rooms/{{id}}"
    auth: session
    rooms: "{{params.id}}"
    messages:
      say:
        schema: {{type: object, required: [text], properties: {{text: {{type: string}}, pin: {{type: string, x-sensitive: true}}}}}}
        route: room
"""


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.chdir(tmp_path)
    Path("channels.yaml").write_text(CONFIG)
    found = check("channels.yaml").plan
    assert found is not None
    return found


@pytest.fixture
async def base(plan: Plan) -> AsyncIterator[str]:
    async with served(plan) as url:
        yield url


async def connect(*arguments: str) -> tuple[int, str]:
    """The status of `connect`, and what it recorded."""

    def call() -> tuple[int, str]:
        status = run(["connect", *arguments, "--record", "it.test.yaml"])
        return status, Path("it.test.yaml").read_text()

    return await trio.to_thread.run_sync(call)


async def test_what_was_said_passes_as_a_scenario(base: str) -> None:
    status, text = await connect(
        *(f"{base}/rooms/a", "--user", "ann", "--claim", "name=Ann"),
        *("--send", '{"type":"say","text":"hi"}', "--send", '{"type":"say"}'),
    )
    assert status == 1  # an error was among the answers
    assert text.startswith('config: "channels.yaml"\n')
    assert '"user": "ann", "claims": {"name": "Ann"}' in text
    assert "INVALID_MESSAGE" in text
    assert "eyJ" not in text
    assert await trio.to_thread.run_sync(run, ["test", "it.test.yaml"]) == 0


async def test_neither_tokens_nor_secrets_are_written(base: str) -> None:
    token = jwt.encode({"sub": "bob", "exp": 4_102_444_800}, SECRET, algorithm="HS256")
    said = '{"type":"say","text":"x","pin":"4711-0815"}'
    _, text = await connect(f"{base}/rooms/a?token={token}", "--send", said)
    assert token not in text
    assert "4711" not in text
    assert '{"path": "/rooms/a", "user": "bob"}' in text


async def test_a_refusal(base: str) -> None:
    status, text = await connect(f"{base}/nowhere", "--wait", "1")
    assert status == 1
    assert '"refused": 404' in text
    assert await trio.to_thread.run_sync(run, ["test", "it.test.yaml"]) == 0


@pytest.mark.parametrize("file", ["there.test.yaml", "no/such/folder.test.yaml"])
def test_nothing_is_overwritten(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.test.yaml").write_text("mine")
    assert run(["connect", "ws://127.0.0.1:1/", "--wait", "1", "--record", file]) == 2
    assert f"--record {file}" in capsys.readouterr().err
    assert Path("there.test.yaml").read_text() == "mine"
