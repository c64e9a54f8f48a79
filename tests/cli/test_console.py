from pathlib import Path
from typing import Any

import jwt
import pytest

from channeld.cli.console import describe, follow, make_console, mint
from channeld.plan.load import ValidConfig, check, load_plan
from channeld.plan.plan import Plan

SECRET = "a secret of at least thirty-two bytes"
YAML = f"""\
channeld: 1
auth:
  session: {{type: jwt, algorithms: [HS256], secret: "{SECRET}"}}
  sensors: {{type: tokens, tokens: [{{token: "a-token-of-some-length", user: one}}]}}
channels:
  room:
    path: /rooms/{{room}}/{{rest...}}
    description: A room.
    params: {{room: {{type: string, pattern: "^[a-z]+$"}}}}
    auth: session
    rooms: "{{params.room}}"
    history: {{size: 5, ttl: 1h}}
    messages:
      say:
        description: What is said.
        schema: {{type: object, required: [text], properties: {{text: {{type: string}}}}}}
        route: room
        require: {{role: admin}}
      shown: {{schema: true, examples: [{{a: 1}}], route: none, deprecated: true}}
    events:
      news: {{examples: [{{b: 2}}]}}
  open: {{path: /open, auth: none}}
  sensors: {{path: /sensors, auth: sensors}}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    file = tmp_path / "channels.yaml"
    file.write_text(YAML)
    return load_plan(str(file))


def test_channels_are_told_as_routes_tells_them(plan: Plan) -> None:
    told: list[Any] = describe(plan)
    room, open_, _ = told
    assert (room["name"], room["path"], room["auth"]) == (
        "room",
        "/rooms/{room}/{rest...}",
        "session",
    )
    assert (room["needs_token"], room["history"], room["presence"]) == (True, True, False)
    assert room["params"] == {"room": "general", "rest": "general"}
    assert (open_["needs_token"], open_["types"]) == (False, [])


def test_types_have_senders_receivers_and_an_example(plan: Plan) -> None:
    room: Any = describe(plan)[0]
    say, shown, news = room["types"]
    assert (say["type"], say["direction"], say["senders"]) == ("say", "in", "users with role=admin")
    assert say["receivers"] == ["room {params.room}"]
    assert say["example"] == {"text": "hello"}
    assert (shown["example"], shown["deprecated"]) == ({"a": 1}, True)
    assert (news["direction"], news["example"]) == ("out", {"b": 2})


def test_a_token_for_development(plan: Plan) -> None:
    token = mint(plan, "room", "ann")
    assert jwt.decode(token, SECRET, ["HS256"])["sub"] == "ann"


@pytest.mark.parametrize(
    ("channel", "why"), [("open", "takes no token"), ("sensors", "has a list of tokens")]
)
def test_why_there_is_none(plan: Plan, channel: str, why: str) -> None:
    with pytest.raises(LookupError, match=why):
        mint(plan, channel, "ann")


def unread() -> ValidConfig:
    raise AssertionError


def test_the_console_s_parts() -> None:
    assert make_console(Path(), unread, dev=True).mint is mint
    assert make_console(Path(), unread, dev=False).mint is None


def test_a_message_is_followed_without_its_hooks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "channels.yaml"
    file.write_text(
        "channeld: 1\nchannels:\n  lobby:\n    path: /chat\n    auth: none\n    messages:\n"
        "      say: {schema: {type: object, properties: {pin: {type: string, x-sensitive: true}}},"
        " route: sender, hook: 'no_such:hook'}\n"
    )
    checked = check(str(file), import_hooks=False)
    assert checked.plan is not None
    valid = ValidConfig(checked.plan, checked.sources)
    traced: Any = follow(lambda: valid, "/chat", '{"type": "say", "pin": "4711"}', None)
    assert traced["outcome"] == "delivered"
    assert "`no_such:hook` not run" in [step["words"] for step in traced["steps"]]
    assert "4711" not in str(traced)
    refused: Any = follow(lambda: valid, "/chat", '{"type": "shout"}', None)
    assert refused["refused_by"] == "frame"
    # What the engine that follows it would log is not the server's to say.
    assert capsys.readouterr().err == ""
