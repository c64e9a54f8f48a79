"""One message followed through the engine: which step ends it, and who gets what."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest

from channeld.plan.load import Checked, ValidConfig, check
from channeld.scenarios.trace import Trace, Visitor, trace
from channeld.testing import START

SECRET = "s" * 40
CONFIG = """channeld: 1
auth:
  session:
    type: jwt
    algorithms: [HS256]
    secret: ssssssssssssssssssssssssssssssssssssssss
    token_from: TOKEN_FROM
    claims: {type: object, properties: {zone: {type: string}, team: {}, role: {}}}
channels:
  room:
    path: "/rooms/{id}"
    auth: session
    require: {team: a}
    rooms: "{params.id}"
    hooks: {connect: "trace_hooks:connect"}
    messages:
      say:
        schema: {type: object, required: [text], properties: {text: {type: string}}}
        rate: 5/s
        hook: trace_hooks:say
        route:
          - room
          - {to: user, user: bob}
      rule:
        schema: {type: object, required: [r], properties: {r: {type: string}}}
        require: {role: admin}
        route: {to: room, room: "{message.r}", except_sender: true}
      pay:
        schema: {type: object, properties: {card: {type: string, x-sensitive: true}}}
        hook: trace_hooks:pay
        route: sender
      never: {schema: true, rate: 1/s, route: sender}
  zone: {path: /zone, auth: session, rooms: "{claims.zone?}"}
  open: {path: /open, auth: none, messages: {shout: {schema: true, route: global}}}
"""
HOOKS = """
import trio
from channeld import Reject

async def connect(ctx):
    await trio.sleep(0.5)
    if ctx.user.claims.get("banned"):
        raise Reject("banned", "BANNED")

async def say(ctx, message):
    await trio.sleep(1)
    if message["text"] == "bad":
        raise Reject("no bad words", "BAD")
    if message["text"] == "boom":
        raise ValueError("boom")
    if message["text"] == "slow":
        await trio.sleep(1000)
    if message["text"] == "wrong":
        return {"text": 1}
    if message["text"] == "aside":
        await ctx.to_room("other", {"type": "note"})

def pay(ctx, message):
    raise ValueError("card " + message["card"])
"""


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ValidConfig:
    return checked_in(tmp_path, monkeypatch, "[query]")


def checked_in(folder: Path, monkeypatch: pytest.MonkeyPatch, token_from: str) -> ValidConfig:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    folder.joinpath("trace_hooks.py").write_text(HOOKS)
    folder.joinpath("channels.yaml").write_text(CONFIG.replace("TOKEN_FROM", token_from))
    found = check("channels.yaml", fresh={"trace_hooks"})
    return valid_of(found)


def valid_of(found: Checked) -> ValidConfig:
    assert found.plan is not None, [str(one) for one in found.report.errors]
    return ValidConfig(found.plan, found.sources)


def run(
    checked: ValidConfig,
    path: str = "/rooms/x",
    frame: str | None = None,
    *,
    run_hooks: bool = True,
    token: str | None = None,
    user: str | None = "ann",
    **claims: Any,
) -> Trace:
    visitor = Visitor(user=user, claims={"team": "a", **claims} if user else {}, token=token)
    return trace(checked, path, frame, visitor, wall=time.time(), run_hooks=run_hooks)


def line_of(text: str) -> str:
    lines = CONFIG.splitlines()
    return f"channels.yaml:{next(n for n, line in enumerate(lines, 1) if text in line)}"


def test_a_handshake_alone(checked: ValidConfig) -> None:
    found = run(checked)
    assert found.refused is None
    assert [step.name for step in found.steps] == ["path", "who", "require", "hook", "rooms"]
    assert found.steps[2].place == line_of("require: {team: a}")
    assert found.deliveries == ()


@pytest.mark.parametrize(
    ("path", "who", "step", "words"),
    [
        ("/nowhere", {}, "path", "404"),
        ("/rooms/" + "x" * 200, {}, "path", "the params of `room` do not allow id=xxx"),
        ("/rooms/x", {"user": None}, "who", "no token"),
        ("/rooms/x", {"user": None, "token": "nonsense"}, "who", "the token is not a JWT"),
        ("/rooms/x", {"team": "b"}, "require", "claim `team`"),
        ("/rooms/x", {"banned": True}, "hook", "BANNED"),
        ("/zone", {"zone": "x" * 200}, "rooms", "not a valid room name"),
    ],
)
def test_where_a_handshake_ends(
    checked: ValidConfig, path: str, who: Mapping[str, Any], step: str, words: str
) -> None:
    refused = run(checked, path, **who).refused
    assert refused is not None
    assert refused.name == step
    assert words in refused.words
    assert refused.place.startswith("channels.yaml:")


@pytest.mark.parametrize(
    ("frame", "step", "words", "line"),
    [
        ("no json", "frame", "INVALID_JSON", "messages:"),
        ('{"type":"zzz"}', "frame", "UNKNOWN_TYPE", "messages:"),
        ('{"type":"say"}', "schema", "INVALID_MESSAGE", "required: [text]"),
        ('{"type":"rule","r":"x"}', "require", "claim `role`", "require: {role: admin}"),
        ('{"type":"say","text":"bad"}', "hook", "no bad words", "hook: trace_hooks:say"),
        ('{"type":"say","text":"boom"}', "hook", "ValueError: boom (trace_hooks.py:", "s:say"),
        ('{"type":"say","text":"slow"}', "hook", "longer than its `hook_timeout`", "s:say"),
        ('{"type":"say","text":"wrong"}', "hook", "cannot be routed", "s:say"),
    ],
)
def test_where_a_message_ends(
    checked: ValidConfig, frame: str, step: str, words: str, line: str
) -> None:
    found = run(checked, frame=frame)
    refused = found.refused
    assert refused is not None
    assert refused is found.steps[-1]
    assert (refused.name, refused.place) == (step, line_of(line))
    assert words in refused.words
    assert [one.frame["type"] for one in found.deliveries] == ["error"]


def test_what_a_schema_refuses_is_told_in_full(checked: ValidConfig) -> None:
    refused = run(checked, frame='{"type":"say"}').refused
    assert refused is not None
    assert refused.details == ('/: "text" is required (required)',)


def test_each_target_and_who_gets_what(checked: ValidConfig) -> None:
    found = run(checked, frame='{"type":"say","text":"hi","id":1}')
    assert found.refused is None
    routes = [step for step in found.steps if step.name == "route"]
    assert [step.place for step in routes] == [line_of("- room"), line_of("- {to: user")]
    assert [(one.topic, one.to) for one in found.deliveries] == [
        ("room:room:x", "members of room `x` on `room`"),
        ("user:room:bob", "connections of user `bob` on `room`"),
        ("", "the sender"),
        ("", "the sender"),
    ]
    assert found.deliveries[0].frame == {"type": "say", "text": "hi"}
    assert found.deliveries[3].frame == {"type": "ack", "id": 1}


def test_a_room_that_the_sender_is_not_in(checked: ValidConfig) -> None:
    refused = run(checked, frame='{"type":"rule","r":"y"}', role="admin").refused
    assert refused is not None
    assert (refused.name, refused.words) == ("route", "the sender is not in room `y`")
    found = run(checked, frame='{"type":"rule","r":"x"}', role="admin")
    assert [one.to for one in found.deliveries] == ["members of room `x` on `room`, not the sender"]


def test_what_a_hook_publishes_is_its_own(checked: ValidConfig) -> None:
    found = run(checked, frame='{"type":"say","text":"aside"}')
    assert [(one.topic, one.by) for one in found.deliveries if one.by] == [
        ("room:room:other", "trace_hooks:say")
    ]


def test_hooks_that_are_not_run_agree(checked: ValidConfig) -> None:
    found = run(checked, frame='{"type":"say","text":"boom"}', run_hooks=False)
    assert found.refused is None
    assert [step.outcome for step in found.steps if step.name == "hook"] == ["skipped", "skipped"]


def test_frames_of_the_protocol_and_open_channels(checked: ValidConfig) -> None:
    found = run(checked, frame='{"type":"ping"}')
    assert [one.frame for one in found.deliveries] == [{"type": "pong"}]
    found = run(checked, "/open", '{"type":"shout"}', user=None)
    assert found.deliveries[0].to == "everyone on `open`"


@pytest.mark.parametrize(
    "place", ["query", "query:t", "header", "cookie:session", "subprotocol", "message"]
)
def test_a_token_comes_wherever_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    checked = checked_in(tmp_path, monkeypatch, f"[{place}]")
    now = int(time.time())
    good = jwt.encode({"sub": "ann", "team": "a", "exp": now + 60}, SECRET, "HS256")
    late = jwt.encode({"sub": "ann", "team": "a", "exp": now - 3600}, SECRET, "HS256")
    assert run(checked, user=None, token=good).refused is None
    refused = run(checked, user=None, token=late).refused
    assert refused is not None
    assert refused.name == "who"


def test_nothing_sensitive_is_told(checked: ValidConfig) -> None:
    found = run(checked, frame='{"type":"pay","card":"4111-2222"}')
    assert found.refused is not None
    assert found.refused.name == "hook"
    assert "4111-2222" not in repr(found)


def test_an_unknown_type_is_told_which_was_meant(checked: ValidConfig) -> None:
    for type, words in (("sya", "did you mean `say`?"), ("zzz", "its messages: `say`, `rule`")):
        refused = run(checked, frame=f'{{"type":"{type}"}}').refused
        assert refused is not None
        assert refused.details[0].startswith(words)


def test_kept_frames_have_their_position(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("channels.yaml").write_text(
        "channeld: 1\nchannels:\n  a:\n    path: /a\n    auth: none\n    rooms: main\n"
        "    history: {size: 5, ttl: 1m}\n    messages:\n      say: {schema: true, route: room}\n"
    )
    found = trace(valid_of(check("channels.yaml")), "/a", '{"type":"say"}', Visitor(), wall=START)
    assert [one.frame["pos"][-1] for one in found.deliveries] == ["1", "1"]
