from collections.abc import Callable
from typing import Any

import pytest

Compile = Callable[..., Any]

CHANNEL = """channeld: 1
auth: {{t: {{type: tokens, token_from: ["query:key"], tokens: [{{token: "${{CHANNELD_SECRET}}", user: ann}}]}}}}
channels:
  c:
    path: /c
    auth: {auth}
    query: {query}
    rooms: {rooms}
    messages:
      query: {{schema: {{additionalProperties: false}}, route: sender, stamp: {{view: "{{query.view?}}"}}}}
"""


def text(query: str, rooms: str = "lobby", auth: str = "none") -> str:
    return CHANNEL.format(query=query, rooms=rooms, auth=auth)


VIEW = "{view: {type: string, enum: [map, list], default: map}, zoom: {type: integer, minimum: 1}}"


def test_what_a_url_says_is_converted_and_judged(compile_text: Compile) -> None:
    outcome = compile_text(text(VIEW))
    read = outcome.compiled.plan.channels["c"].read_query
    assert read({"view": "list", "zoom": "3", "other": "x"}) == {"view": "list", "zoom": 3}
    assert read({}) == {"view": "map"}
    assert read({"zoom": "0"}) == "zoom"
    assert read({"view": "globe"}) == "view"


@pytest.mark.parametrize(
    ("query", "rooms", "auth", "code"),
    [
        (VIEW, '"{query.view}"', "none", None),
        (VIEW, '"r-{query.zoom?}"', "none", None),
        (VIEW, '"r-{query.zoom}"', "none", "CH310"),
        (VIEW, '"{query.veiw?}"', "none", "CH309"),
        (VIEW, '"{query}"', "none", "CH309"),
        ("{view: {type: string}, since: {type: string}}", "lobby", "none", "CH353"),
        ("{view: {type: string}, key: {type: string}}", "lobby", "t", "CH353"),
        ("{view: {type: string}, key: {type: string}}", "lobby", "none", None),
        ("{view: {type: object}}", "lobby", "none", "CH330"),
        ("{view: {type: string, enum: [map], default: globe}}", "lobby", "none", "CH355"),
        ("{view: {type: integer, default: map}}", "lobby", "none", "CH355"),
        ('{view: {type: integer, default: "3"}}', "lobby", "none", "CH355"),
        ("{view: {default: {}}}", "lobby", "none", "CH355"),
        ("{view: {type: [string, 'null'], default: null}}", "lobby", "none", "CH355"),
        ("{view: {type: number, default: .inf}}", "lobby", "none", "CH355"),
        ('{view: {type: string, default: "a\\u202eb"}}', "lobby", "none", "CH355"),
        ("{view: {type: integer, default: true}}", "lobby", "none", "CH355"),
        ("{view: {type: number, default: 1}}", "lobby", "none", None),
        ("{view: {type: integer, default: 1.0}}", "lobby", "none", None),
        ("{view: {type: boolean, default: false}}", "lobby", "none", None),
        ("{view: {default: map}}", "lobby", "none", None),
    ],
)
def test_what_templates_may_name(
    compile_text: Compile, query: str, rooms: str, auth: str, code: str | None
) -> None:
    errors = [d.code for d in compile_text(text(query, rooms, auth)).compiled.report.errors]
    assert errors == ([] if code is None else [code])


def test_without_a_declaration_there_is_nothing_to_name(compile_text: Compile) -> None:
    outcome = compile_text(text("{}"))
    [error] = outcome.compiled.report.errors
    expected = ("CH320", "add `query: {view: {type: string}}` to the channel")
    assert (error.code, error.help) == expected


@pytest.mark.parametrize(
    ("query", "event", "code"),
    [
        ("{type: string, maxLength: 5}", "{type: string, maxLength: 5}", None),
        ("{type: string, maxLength: 5}", "{type: string, maxLength: 4}", "CH316"),
        ("{type: integer, minimum: 1}", "{type: integer, minimum: 1}", None),
        ("{type: integer, minimum: 1}", "{type: integer, minimum: 2}", "CH316"),
        ("{}", "{type: integer}", "CH316"),
    ],
)
def test_what_is_delivered_of_it_is_proven_by_its_schema(
    compile_text: Compile, query: str, event: str, code: str | None
) -> None:
    events = f"    events: {{query: {{schema: {{properties: {{view: {event}}}}}}}}}\n"
    outcome = compile_text(text(f"{{view: {query}}}") + events)
    errors = [d.code for d in outcome.compiled.report.errors]
    assert errors == ([] if code is None else [code])
