from pathlib import Path

from channeld.scenarios.outcome import FileResult
from channeld.scenarios.secrets import value_texts, without
from channeld.scenarios.suite import Options, Runs, read_file
from channeld.scenarios.text import render_outcome

CONFIG = """
channeld: 1
channels:
  room:
    path: /room
    auth: none
    rooms: main
    messages:
      login: {schema: {type: object, required: [pin], properties: {pin: {type: string, x-sensitive: true, maxLength: 30}}}, route: room}
"""
SCENARIOS = """
config: channels.yaml
scenarios:
  - name: it
    clients: {ann: {path: /room}, bob: {path: /room}}
    steps:
      - ann: {send: {type: login, pin: hunter2-planted}}
      - bob: {expect: {type: login, pin: another-planted}}
"""


def test_a_marked_value_is_nowhere_in_the_report(tmp_path: Path) -> None:
    (tmp_path / "channels.yaml").write_text(CONFIG)
    file = tmp_path / "a.test.yaml"
    file.write_text(SCENARIOS)
    result = Runs(Options()).run(read_file(str(file)))
    (outcome,) = result.outcomes
    text = render_outcome(outcome, result.text)
    assert "received another frame" in text or "did not receive" in text, text
    assert "•••" in text
    assert "planted" not in text
    assert "planted" not in repr(result) + result.text + repr(outcome)


def test_texts_by_which_a_value_is_told() -> None:
    assert set(value_texts({"a": ["long", 12345, True, None, "abc"], "b": 'qu"o'})) == {
        "long",
        "12345",
        'qu"o',
        'qu\\"o',
    }


def test_a_result_without_secrets_is_itself() -> None:
    result = FileResult(file="a", text="pin: 12345")
    assert without(result, ()) is result
    assert without(result, ["12345"]).text == "pin: •••••"
