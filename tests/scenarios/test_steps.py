import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Diagnostic, Report
from channeld.scenarios.model import (
    Absent,
    Advance,
    Close,
    Connect,
    Expect,
    ExpectClose,
    PublishStep,
    SendRaw,
    SendStep,
    Step,
)
from channeld.scenarios.structure import structure

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas/scenario.schema.json").read_text())
VALID = jsonschema.Draft7Validator(SCHEMA)


def read(steps: str, client: str = "path: /a") -> tuple[list[Step], list[Diagnostic], Any]:
    report = Report()
    text = f"scenarios: [{{name: it, clients: {{ann: {{{client}}}}}, steps: [{steps}]}}]"
    tree = parse(text.encode(), "it.test.yaml", report)
    assert tree is not None
    found = structure(tree, report)
    return list(found.scenarios[0].steps) if found else [], list(report), tree.value


def step(text: str) -> Any:
    found, report, value = read(text)
    assert report == []
    VALID.validate(value)
    return found[0]


def test_sends() -> None:
    one = step("ann: {send: {type: a}}")
    assert isinstance(one, SendStep)
    assert (one.client, one.frame) == ("ann", {"type": "a"})
    raw = step("ann: {send_raw: '{'}")
    assert isinstance(raw, SendRaw)
    assert raw.text == "{"


def test_expectations() -> None:
    one = step("ann: {expect: {type: a}, within: 2s}")
    assert isinstance(one, Expect)
    assert (one.within, one.ordered, len(one.patterns)) == (2.0, True, 1)
    several = step("ann: {expect_unordered: [{type: a}, {type: b}]}")
    assert not several.ordered
    assert [p.pointer for p in several.patterns] == [f"{several.pointer}/{n}" for n in (0, 1)]


def test_absence() -> None:
    assert step("ann: absent") == Absent(client="ann", pointer="/scenarios/0/steps/0/ann")
    assert step("ann: {absent: true, for: 1s}").seconds == 1.0
    assert step("ann: {absent: {type: a}}").pattern.value == {"type": "a"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ann: expect_close", {}),
        ("ann: {expect_close: 4401}", {"code": 4401}),
        ("ann: {expect_close: {reason: {$regex: a}}}", {"reason": {"$regex": "a"}}),
    ],
)
def test_closes_by_the_server(text: str, value: object) -> None:
    found = step(text)
    assert isinstance(found, ExpectClose)
    assert found.pattern.value == value


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        ("ann: close", 1000, ""),
        ("ann: {close: 4000}", 4000, ""),
        ("ann: {close: {code: 4000, reason: bye}}", 4000, "bye"),
        ("ann: {close: true}", 1000, ""),
    ],
)
def test_closes_by_the_client(text: str, code: int, reason: str) -> None:
    found = step(text)
    assert isinstance(found, Close)
    assert (found.code, found.reason) == (code, reason)


def test_connecting_again_keeps_what_is_not_said() -> None:
    steps, _, value = read(
        "{ann: connect}, {ann: {connect: {since: last, path: /b}}}, {ann: {connect: {token: t}}}",
        "path: /a, user: ann, claims: {a: 1}, refused: 4401, since: x, expires: 5s",
    )
    VALID.validate(value)
    specs = [one.spec for one in steps if isinstance(one, Connect)]
    assert [one.path for one in specs] == ["/a", "/b", "/a"]
    assert [one.since for one in specs] == [None, "last", None]
    assert [one.user for one in specs] == ["ann", "ann", None]
    assert {one.refused for one in specs} == {None}
    assert specs[0].expires == 5.0


def test_time_and_publishing() -> None:
    assert step("advance: 1h") == Advance(pointer="/scenarios/0/steps/0/advance", seconds=3600.0)
    one = step("publish: {channel: c, room: r, event: {type: e}, refused: true}")
    assert isinstance(one, PublishStep)
    assert (one.channel, one.to, one.room, one.refused) == ("c", "room", "r", True)
    assert step("publish: {channel: c, user: u, event: {type: e}}").to == "user"
    assert step("publish: {channel: c, event: {type: e}}").to == "global"


def test_headers_have_lower_case_names() -> None:
    steps, report, _ = read("{ann: connect}", "path: /a, headers: {X-Y: z}, origin: 'http://x'")
    assert report == []
    assert isinstance(steps[0], Connect)
    assert steps[0].spec.headers == {"x-y": "z"}
    assert steps[0].spec.origin == "http://x"


SEMANTIC = {"CH804", "CH808"}


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("1", "CH801", "the step takes a mapping; got a number"),
        ("{ann: close, advance: 1s}", "CH805", "a step is about one client"),
        ("{bob: close}", "CH804", "no client `bob`"),
        ("{ann: clos}", "CH805", "`clos` is not a step"),
        ("{ann: {}}", "CH805", "the step is empty"),
        ("{ann: {sed: {type: a}}}", "CH802", "unknown key `sed`"),
        ("{ann: {send: hi}}", "CH801", "`send` takes a frame"),
        ("{ann: {send: {type: a}, expect: {type: b}}}", "CH805", "a step does one thing"),
        ("{ann: {send: {type: a}, within: 1s}}", "CH802", "unknown key `within`"),
        ("{ann: {expect: []}}", "CH805", "nothing is expected"),
        ("{ann: {expect: [a]}}", "CH801", "takes a frame; got text"),
        ("{ann: {expect: {type: a}, within: 2}}", "CH806", "`2` is not a valid duration"),
        ("{ann: {expect: {a: {$regx: b}}}}", "CH807", "there is no matcher `$regx`"),
        ("{ann: {expect: {a: {$regex: '('}}}}", "CH807", "takes a regular expression (missing )"),
        ("{ann: {expect: {a: {$type: text}}}}", "CH807", "`$type` takes `string`"),
        ("{ann: {expect: {a: {$gt: true}}}}", "CH807", "`$gt` takes a number or text"),
        ("{ann: {expect: {a: {$any: 1}}}}", "CH807", "`$any` takes `true`"),
        ("{ann: {expect: {a: {$schema: text}}}}", "CH807", "takes a JSON Schema"),
        ("{ann: {expect: {a: {$schema: {type: text}}}}}", "CH807", "takes a JSON Schema"),
        ("{ann: {expect: {a: {$capture: 1}}}}", "CH807", "`$capture` takes a name"),
        ("{ann: {expect: {a: {$ref: 1}}}}", "CH807", "`$ref` takes the name"),
        ("{ann: {expect: {a: {$ref: x}}}}", "CH808", "nothing was captured as `x`"),
        ("{ann: {send: {a: [{$ref: x}]}}}", "CH808", "nothing was captured as `x`"),
        ("{ann: {absent: 1}}", "CH801", "a frame that must not come"),
        ("{ann: {expect_close: 200}}", "CH810", "takes a close code"),
        ("{ann: {close: 99}}", "CH810", "takes a close code"),
        ("{ann: {connect: {past: /}}}", "CH802", "unknown key `past`"),
        ("{ann: {connect: {path: a}}}", "CH812", "a path starts with `/`"),
        ("{ann: {connect: {refused: 500}}}", "CH810", "or one of the statuses"),
        ("{ann: {connect: {headers: {a: é}}}}", "CH812", "printable ASCII"),
        ("{ann: {connect: {user: a, token: b}}}", "CH805", "not both"),
        ("{advance: soon}", "CH806", "`soon` is not a valid duration"),
        ("{advance: -1s}", "CH806", "takes from 0s to 366d"),
        ("{publish: {channel: a}}", "CH803", "`publish` has no `event`"),
        ("{publish: {channel: a, event: b}}", "CH801", "`event` takes a frame"),
        ("{publish: {channel: a, event: {}, to: all}}", "CH805", "`to` is `room`, `user` or `global`"),
        ("{publish: {channel: a, event: {}, to: user}}", "CH803", "takes its name"),
        ("{publish: {channel: a, event: {}, refused: 1}}", "CH801", "takes `true` or `false`"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_code_and_words(text: str, code: str, words: str) -> None:
    steps, report, value = read(text)
    assert steps == []
    assert report[0].code == code
    assert words in report[0].message
    unseen = code in SEMANTIC or "$regex" in text or "{type: text}" in text or "-1s" in text
    assert VALID.is_valid(value) == (unseen and "-1s" not in text)
