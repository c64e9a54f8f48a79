"""A marked value is planted, and looked for wherever a frame is shown."""

from collections.abc import Callable
from typing import Any

Compile = Callable[..., Any]
CONFIG = """
channeld: 1
auth:
  session: {type: jwt, algorithms: [HS256], secret: "${CHANNELD_SECRET}", audience: a,
    claims: {type: object, required: [card], properties: {card: {type: string, x-sensitive: true}, name: {type: string}}}}
channels:
  room:
    path: /room
    auth: session
    rooms: main
    presence: {info: {card: "{claims.card}", name: "{claims.name?}"}}
    messages:
      login:
        schema: {type: object, required: [pin, user], properties: {pin: {type: string, x-sensitive: true}, user: {type: string}}}
        route: room
      told:
        schema: {type: object, required: [pin, user], properties: {pin: {type: string, x-sensitive: true}, user: {type: string}}}
        route: room
        emit: {type: heard, who: "{message.user}", text: "pin {message.pin}", by: "{claims.card}"}
    events:
      heard: {schema: true}
"""


def test_frames_are_masked_by_their_type(compile_text: Compile) -> None:
    sensitive = compile_text(CONFIG).compiled.plan.sensitive
    mask = "•••"
    assert sensitive.masked({"type": "login", "pin": "1234", "user": "ann"})["pin"] == mask
    heard = {"type": "heard", "who": "ann", "text": "pin 1234", "by": "42"}
    assert sensitive.masked(heard) == {"type": "heard", "who": "ann", "text": mask, "by": mask}
    history = {"type": "history", "frames": [{"type": "login", "pin": "1234"}]}
    assert sensitive.masked(history) == {
        "type": "history",
        "frames": [{"type": "login", "pin": mask}],
    }
    here = {"type": "presence", "users": [{"user": "a", "info": {"card": "42", "name": "A"}}]}
    assert sensitive.masked(here)["users"] == [{"user": "a", "info": {"card": mask, "name": "A"}}]
    assert sensitive.secrets(history) == ["1234"]


def test_a_presence_state_with_a_mark_is_hidden_whole(compile_text: Compile) -> None:
    state = "state: {type: object, properties: {mood: {type: string, x-sensitive: true}}}, info:"
    sensitive = compile_text(CONFIG.replace("info:", state)).compiled.plan.sensitive
    for frame in (
        {"set": {"mood": "planted"}},
        {"users": [{"user": "a", "state": {"mood": "planted"}}]},
    ):
        assert "planted" not in str(sensitive.masked({"type": "presence", **frame}))


def test_other_frames_are_as_they_were(compile_text: Compile) -> None:
    sensitive = compile_text(CONFIG).compiled.plan.sensitive
    frame = {"type": "other", "pin": "1234"}
    assert sensitive.masked(frame) == frame
    plain = compile_text(CONFIG.replace("x-sensitive: true", "x-note: 1")).compiled.plan.sensitive
    assert plain.by_type == {}


def test_claims_in_which_something_is_marked_are_not_told(compile_text: Compile) -> None:
    sensitive = compile_text(CONFIG).compiled.plan.sensitive
    assert sensitive.told_claims({"card": "42", "name": "Ann", "role": "x"}) == {
        "name": "Ann",
        "role": "x",
    }


def test_no_code_frame_shows_what_is_marked_in_an_example(compile_text: Compile) -> None:
    example = "        examples: [{pin: s3cr3t, user: ann}, {user: [x], pin: [o1, o2]}]\n"
    text = CONFIG.replace("      told:\n", f"{example}      told:\n")
    shown = compile_text(text).sources.text("channels.yaml")
    assert "examples: [{pin: ******, user: ann}, {user: [x], pin: [**, **]}]" in shown
