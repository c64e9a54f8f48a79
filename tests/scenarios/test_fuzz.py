"""Message hooks tried with made-up messages."""

import os
from pathlib import Path

import pytest

from channeld.plan.load import check, load_plan
from channeld.scenarios.fuzz import Fuzzed, fuzz
from channeld.scenarios.suite import Options, Runs, read_text

CONFIG = """
channeld: 1
backends: {{own: {{url: "http://127.0.0.1:9", secret: "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}}}}
auth: {{session: {{type: jwt, algorithms: [HS256], secret: ssssssssssssssssssssssssssssssssssssssss}}}}
channels:
  room:
    path: "/rooms/{{id}}"
    auth: session
    require: {{team: "{{params.id}}"}}
    rooms: "{{params.id}}"
    messages:
      it: {{schema: {schema}, route: room, require: {{role: admin}}, rate: 1/h, hook: {hook}}}
      other: {{schema: true, route: room}}
"""
N = "{type: object, required: [n], properties: {n: {type: integer, minimum: -10, maximum: 10}}}"
TAGS = (
    "{type: object, properties: {text: {type: string}, tags: {type: array, items: {type: string}}}}"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = Path(__file__).with_name("fuzz_hooks.py").read_text()
    tmp_path.joinpath("fuzz_hooks.py").write_text(text)
    monkeypatch.chdir(tmp_path)


def fuzzed(hook: str, schema: str = "true", count: int = 60, **options: object) -> Fuzzed:
    written = hook if hook.startswith("{") else f'"fuzz_hooks:{hook}"'
    Path("channels.yaml").write_text(CONFIG.format(hook=written, schema=schema))
    checked = check("channels.yaml", environ=os.environ, fresh=frozenset({"fuzz_hooks"}))
    assert checked.plan is not None, [one.message for one in checked.report]
    found = list(fuzz(checked.plan, count, **options))  # type: ignore[arg-type]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("hook", ["right", "picky"])
def test_a_hook_that_never_raises(hook: str) -> None:
    found = fuzzed(hook)
    assert (found.channel, found.message, found.hook) == ("room", "it", f"fuzz_hooks:{hook}")
    assert (found.sent, found.failure, found.reason) == (60, None, "")


def test_the_smallest_message_that_makes_it_raise() -> None:
    failure = fuzzed("first_letter", TAGS, 300).failure
    assert failure is not None
    assert failure.words == (
        "hook fuzz_hooks:first_letter raised IndexError: string index out of range"
    )
    assert failure.at.startswith("fuzz_hooks.py:")
    assert failure.frame == {"type": "it", "tags": ["", ""]}


def test_the_scenario_fails_as_the_hook_did() -> None:
    failure = fuzzed("first_letter", TAGS, 300).failure
    assert failure is not None
    result = Runs(Options()).run(read_text(failure.scenario, "it.test.yaml"))
    assert result.outcomes[0].problems[0].headline == failure.words


def test_a_hook_that_waits_too_long() -> None:
    failure = fuzzed("slow", N).failure
    assert failure is not None
    assert failure.words == "hook fuzz_hooks:slow took longer than its `hook_timeout`"
    assert failure.frame == {"type": "it", "n": 6}


def test_what_cannot_be_repeated_alone_is_said_to_be_so() -> None:
    failure = fuzzed("forgetful").failure
    assert failure is not None
    assert (failure.words, failure.scenario) == ("raised only after other messages", "")


def test_a_closed_connection_is_not_the_end() -> None:
    assert fuzzed("leaving", N, 30).failure is None


def test_a_backend_is_not_asked() -> None:
    assert fuzzed("{backend: own, path: /x}").reason.startswith(
        "a backend answers it: --backend own=URL"
    )


def test_a_message_that_nobody_can_make_up() -> None:
    schema = '{type: object, required: [a], properties: {a: {type: string, pattern: "^zq{7}$"}}}'
    assert fuzzed("right", schema, 3).reason == "no message was found that its schema accepts"


def test_hooks_are_selected_by_channel_and_type() -> None:
    fuzzed("right", count=1, options=Options(select="room/it"))
    Path("channels.yaml").write_text(CONFIG.format(hook='"fuzz_hooks:right"', schema="true"))
    plan = load_plan("channels.yaml")
    assert list(fuzz(plan, 1, options=Options(select="room/other"))) == []


def test_messages_are_made_up_from_a_schema_in_a_file() -> None:
    tags = '{"type": "object", "properties": {"tags": {"items": {"$ref": "#/$defs/tag"}}}, "$defs": {"tag": {"type": "string"}}}'
    Path("it.json").write_text(tags)
    assert fuzzed("right", "it.json", 60).sent == 60
