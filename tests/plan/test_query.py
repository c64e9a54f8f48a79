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
    ],
)
def test_what_templates_may_name(
    compile_text: Compile, query: str, rooms: str, auth: str, code: str | None
) -> None:
    errors = [d.code for d in compile_text(text(query, rooms, auth)).compiled.report.errors]
    assert errors == ([] if code is None else [code])


def test_without_a_declaration_there_is_nothing_to_name(compile_text: Compile) -> None:
    outcome = compile_text(text("{}"))
    assert "CH320" in outcome.codes()
