import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Report
from channeld.scenarios.model import Rejection, ScenarioFile, Stub
from channeld.scenarios.structure import structure

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "channeld/scenarios/scenario.schema.json").read_text())


ANN = "clients: {ann: {path: /a}}"


def read(text: str, file: str = "tests/it.test.yaml") -> tuple[ScenarioFile | None, Report, Any]:
    report = Report()
    tree = parse(text.encode(), file, report)
    assert tree is not None
    return structure(tree, report), report, tree.value


def content(text: str) -> ScenarioFile:
    found, report, value = read(text)
    assert found is not None, [one.message for one in report]
    jsonschema.Draft7Validator(SCHEMA).validate(value)
    return found


ONE = "scenarios: [{name: it, clients: {ann: {path: /a}}, steps: [%s]}]"


def test_the_schema_is_one_and_its_copy_is_the_same() -> None:
    copy = (ROOT / "schemas/scenario.schema.json").read_text()
    assert copy == (ROOT / "channeld/scenarios/scenario.schema.json").read_text()
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def test_everything_in_the_schema_is_described() -> None:
    def undescribed(node: Any, path: str) -> list[str]:
        found = []
        for name, rule in node.get("properties", {}).items():
            described = "description" in rule or "$ref" in rule
            found += [] if described else [f"{path}/{name}"]
            found += undescribed(rule, f"{path}/{name}")
        return found

    places = [("", SCHEMA), *SCHEMA["definitions"].items()]
    assert [one for path, node in places for one in undescribed(node, path)] == []


def test_the_configuration_is_relative_to_the_file() -> None:
    assert content("config: ../channels.yaml\n" + ONE % "").config == "channels.yaml"
    assert content(ONE % "").config == ""


def test_env_hooks_and_ignore_hold_for_all_and_a_scenario_adds_its_own() -> None:
    found = content(
        "env: {A: b}\nhooks: {'a:b': {reject: nay}}\nignore: [{type: x}]\n"
        "scenarios: [{name: it, steps: [], ignore: [{type: z}], hooks: {'c:d': {delay: 2s}, 'a:b': {}}}]"
    )
    scenario = found.scenarios[0]
    assert found.env == {"A": "b"}
    assert [one.value for one in scenario.ignore] == [{"type": "x"}, {"type": "z"}]
    assert scenario.stubs["c:d"].delay == 2.0
    assert scenario.stubs["a:b"] == Stub(hook="a:b", pointer="/scenarios/0/hooks/a:b")


def test_a_stub_rejects_raises_or_returns() -> None:
    found = content(
        "hooks: {a: {reject: {message: m, code: C, close: 4901, fields: {x: 1}}}, b: {raises: r}, c: {returns: [1]}, d: {nothing: true}}\n"
        + ONE % ""
    )
    stubs = found.scenarios[0].stubs
    assert stubs["a"].reject == Rejection(message="m", code="C", close=4901, fields={"x": 1})
    assert (stubs["b"].raises, stubs["c"].returns, stubs["d"].returns) == ("r", [1], None)


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        ("- 1", "CH801", (1, 1)),
        ("scenarios: {a: 1}", "CH801", (1, 12)),
        ("scenarios: []", "CH813", (1, 1)),
        ("x: 1", "CH802", (1, 1)),
        ("config: x", "CH803", (1, 1)),
        ("scenarios: [{name: a}]", "CH803", (1, 13)),
        ("scenarios: [{nam: a, name: b, steps: []}]", "CH802", (1, 14)),
        ("scenarios: [{name: 1, steps: []}]", "CH801", (1, 20)),
        ("scenarios: [{name: a, steps: [], skip: true}]", "CH801", (1, 40)),
        ("scenarios: [{name: a, steps: []}, {name: a, steps: []}]", "CH809", (1, 42)),
        ("scenarios: [{name: a, steps: [], clients: {advance: {path: /}}}]", "CH804", (1, 44)),
        ("scenarios: [{name: a, steps: [], clients: {a: {}}}]", "CH803", (1, 44)),
        ("env: {A: 1}\nscenarios: [{name: a, steps: []}]", "CH801", (1, 10)),
        ("ignore: [x]\nscenarios: [{name: a, steps: []}]", "CH801", (1, 10)),
        ("hooks: {a: {reject: x, raises: y}}\nscenarios: [{name: a, steps: []}]", "CH805", (1, 24)),
        ("hooks: {a: {reject: {code: y}}}\nscenarios: [{name: a, steps: []}]", "CH803", (1, 13)),
        ("hooks: {a: {reject: {message: m, close: 1}}}\nscenarios: [{name: a, steps: []}]", "CH810", (1, 41)),
    ],
)  # fmt: skip
def test_a_mistake_has_its_code_and_place(text: str, code: str, place: tuple[int, int]) -> None:
    found, report, value = read(text)
    assert found is None
    first = report.sorted()[0]
    assert (first.code, (first.place.line, first.place.column)) == (code, place)
    # What one file's values say of each other is nothing that a JSON Schema can check.
    assert code == "CH809" or not jsonschema.Draft7Validator(SCHEMA).is_valid(value)


def test_all_mistakes_are_told_at_once() -> None:
    _, report, _ = read(
        "config: 1\nscenarios:\n  - {nam: x, steps: [1]}\n  - {name: b, steps: [{bob: close}]}"
    )
    assert [one.code for one in report.sorted()] == ["CH801", "CH802", "CH804"]


def test_unknown_keys_suggest_what_was_meant() -> None:
    _, report, _ = read("scenario: []")
    assert [one.help for one in report] == ["did you mean `scenarios`?"]


@pytest.mark.parametrize(
    ("text", "help"),
    [
        ("- {name: a, steps: []}", "write `scenarios:`, and under it"),
        ("scenarios: {a: {steps: []}}", "write `scenarios:`, and under it"),
        ("scenarios: [{name: a, clients: [ann], steps: []}]", "make each name a key: `clients:"),
        ("scenarios: [{name: a, clients: {ann: /a}, steps: []}]", "write `ann: {path: /chat}`"),
        (f"scenarios: [{{name: a, {ANN}, steps: {{}}}}]", "write a list: `steps:"),
        (
            f"scenarios: [{{name: a, {ANN}, steps: [{{send: {{}}}}]}}]",
            "name the client first: `ann: {send: …}`",
        ),
        (
            f"scenarios: [{{name: a, {ANN}, steps: [{{client: ann, send: {{}}}}]}}]",
            "write `ann: {send: …}`",
        ),
        (
            f"scenarios: [{{name: a, {ANN}, steps: [{{sleep: 5}}]}}]",
            "let time pass with `advance: 5s`",
        ),
        (
            f"scenarios: [{{name: a, {ANN}, steps: [{{ann: {{receive: {{}}}}}}]}}]",
            "did you mean `expect`?",
        ),
    ],
)
def test_a_guess_at_the_form_leads_to_the_form(text: str, help: str) -> None:
    _, report, _ = read(text)
    (found,) = report
    assert found.help.startswith(help)
