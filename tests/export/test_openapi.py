"""The OpenAPI document of the hooks that backends answer."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import schemathesis

from channeld.cli.main import run

CONFIG = """\
channeld: 1
backends:
  app: {url: "https://app.example/hooks/", secret: "${CHANNELD_SECRET}"}
  other: {url: "https://other.example", secret: "${CHANNELD_SECRET}"}
auth: {who: {type: hook, hook: {backend: app, path: /who}}}
schemas: {word: {type: string, maxLength: 9}}
channels:
  room:
    path: /rooms/{id}
    params: {id: {type: integer}}
    auth: who
    rooms: {join: lobby, subscribe: {hook: {backend: app, path: /may}}}
    hooks: {connect: {backend: app, path: /in}, close: {backend: app, path: /out}}
    messages:
      say:
        schema: {type: object, required: [text], properties: {text: {$ref: "#/schemas/word"}}, additionalProperties: false}
        route: room
        hook: {backend: app, path: /say}
      ask: {schema: {type: object, additionalProperties: false}, hook: {backend: other, path: /say}}
"""


@pytest.fixture
def document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHANNELD_SECRET", "a secret of more than thirty-two bytes")
    Path("channels.yaml").write_text(CONFIG)
    assert run(["export", "hooks", "--title", "Hooks of the chat"]) == 0
    return json.loads(capsys.readouterr().out)


def body_of(document: Any, path: str) -> Any:
    """The schema of a request, with what it refers to."""
    content = document["paths"][path]["post"]["requestBody"]["content"]
    return {**content["application/json"]["schema"], "components": document["components"]}


def test_it_is_an_openapi_document(document: Any) -> None:
    schemathesis.openapi.from_dict(document).validate()
    assert document["info"] == {"title": "Hooks of the chat", "version": "1.0.0"}
    assert list(document["paths"]) == ["/who", "/in", "/out", "/may", "/say", "/say#other"]
    assert document["paths"]["/say"]["servers"][0]["url"] == "https://app.example/hooks"
    assert "secret" not in json.dumps(document)


def test_neither_secrets_nor_urls_need_to_be_set_where_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("channels.yaml").write_text("""
channeld: 1
backends:
  app: {url: "https://app.example/hooks/", secret: "${HOOK_SECRET}"}
  other: {url: "${OTHER_URL}", secret: "${HOOK_SECRET}"}
channels:
  room:
    path: /room
    description: A room.
    auth: none
    hooks: {connect: {backend: app, path: /in}, close: {backend: other, path: /out}}
""")
    written = []
    for secret in (None, "a secret of more than thirty-two bytes"):
        if secret is not None:
            monkeypatch.setenv("HOOK_SECRET", secret)
        assert run(["export", "hooks"]) == 0
        written.append(json.loads(capsys.readouterr().out))
    assert written[0] == written[1]
    servers = [path["servers"][0]["url"] for path in written[0]["paths"].values()]
    assert servers == ["https://app.example/hooks", "/"]


def test_a_message_is_described_by_its_own_schema(document: Any) -> None:
    asked: dict[str, Any] = {
        "hook": "message", "channel": "room", "connection": "c", "user": None, "params": {"id": 5}, "rooms": [],
        "message": {"type": "say", "text": "hi"},
    }  # fmt: skip
    accepts = jsonschema.Draft202012Validator(body_of(document, "/say")).is_valid
    assert accepts(asked)
    assert not accepts({**asked, "message": {"type": "say", "text": "far too long"}})
    assert not accepts({**asked, "params": {"id": "x"}})
    assert not accepts({**asked, "hook": "connect"})


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/who", {"user", "reject"}),
        ("/in", {"publish", "reject"}),
        ("/out", {"publish"}),
        ("/may", {"publish", "reject"}),
        ("/say", {"message", "reply", "publish", "reject"}),
    ],
)
def test_each_kind_says_what_may_be_answered(document: Any, path: str, keys: set[str]) -> None:
    responses = document["paths"][path]["post"]["responses"]
    schema = responses["200"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == keys
    assert ("401" in responses) is (path == "/who")


def test_it_has_the_schemas_that_it_refers_to_and_no_others(document: Any) -> None:
    assert set(document["components"]["schemas"]) == {
        "HookHandshake", "HookPublication", "HookRejection", "HookUser", "RoomSendAsk", "RoomSendSay", "Word",
    }  # fmt: skip


def test_requests_are_signed(document: Any) -> None:
    names = [one["name"] for one in document["paths"]["/in"]["post"]["parameters"]]
    assert names == ["webhook-id", "webhook-timestamp", "webhook-signature"]
