from collections.abc import Callable
from typing import Any

import pytest

Compile = Callable[..., Any]


def channels(*declared: str) -> str:
    lines = "".join(f"  c{i}: {{auth: none, {text}}}\n" for i, text in enumerate(declared))
    return f"channeld: 1\nchannels:\n{lines}"


@pytest.mark.parametrize(
    ("declared", "codes"),
    [
        (['path: "/a/{x}"', "path: /a/b"], []),
        (['path: "/a/{x}"', 'path: "/a/{y}"'], ["CH305"]),
        (['path: "/a/{x}/c"', 'path: "/a/b/{y}"'], ["CH306"]),
        (['path: "/{r...}"', 'path: "/a/{r...}"', 'path: "/a/{x}"'], []),
        (['path: "/{x}/b"', 'path: "/a/{r...}"'], ["CH306"]),
        (['path: "/{x}/b", params: {x: {type: object}}'], ["CH330"]),
        (['path: "/{x}", params: {y: {type: string}}'], ["CH302"]),
        (['path: "/{x}/{y}", params: {y: {type: string}}'], ["CH303"]),
        (["path: a, params: {y: {type: string}}"], ["CH301"]),
        (
            ["path: /a", "path: /b", 'path: "/{x}", params: {x: {enum: [a, b]}}'],
            ["CH307"],
        ),
        (["path: /a", 'path: "/{x}", params: {x: {enum: [a, b]}}'], []),
    ],
)
def test_paths_are_judged_together(
    declared: list[str], codes: list[str], compile_text: Compile
) -> None:
    assert compile_text(channels(*declared)).codes() == codes


def test_an_overlap_shows_both_places_and_a_url(compile_text: Compile) -> None:
    text = channels('path: "/a/{x}/c"', 'path: "/a/b/{y}"')
    found = compile_text(text).finding("CH306")
    assert found.message == "`/a/b/{y}` and `/a/{x}/c` both match `/a/b/c`"
    assert found.place.path == "/channels/c1/path"
    assert [related.place.path for related in found.related] == ["/channels/c0/path"]


def test_a_lost_param_is_compared_with_those_of_the_path(compile_text: Compile) -> None:
    text = channels('path: "/{room_id}", params: {rom_id: {type: string}}')
    found = compile_text(text).finding("CH302")
    assert found.help == "did you mean `room_id`?"
    assert found.place.path == "/channels/c0/params/rom_id"


@pytest.mark.parametrize(
    ("schema", "url", "value"),
    [
        ("{type: integer, minimum: 5}", "/7", 7),
        ("{type: integer, minimum: 5}", "/3", None),
        ("{type: integer}", "/x", None),
        ("{type: number}", "/1.5", 1.5),
        ("{type: boolean}", "/true", True),
        ("{type: string, maxLength: 2}", "/abc", None),
        ('{pattern: "^a"}', "/abc", "abc"),
        ("{enum: [1, 2]}", "/2", 2),
        ("{enum: [1, x]}", "/x", "x"),
    ],
)
def test_params_convert_and_are_checked(
    schema: str, url: str, value: object, compile_text: Compile
) -> None:
    plan = compile_text(channels(f'path: "/{{x}}", params: {{x: {schema}}}')).compiled.plan
    found = plan.match(url)
    assert (found.params["x"] if found else None) == value
    assert found is None or found.channel is plan.channels["c0"]


def test_a_converted_param_is_no_list_in_templates(compile_text: Compile) -> None:
    text = channels('path: "/{x}", params: {x: {type: boolean}}, rooms: "{params.x}"')
    assert compile_text(text).codes() == ["CH311"]


def test_params_of_a_path_that_cannot_be_read_are_no_second_finding(compile_text) -> None:  # type: ignore[no-untyped-def]
    text = """channeld: 1
channels:
  room:
    path: PATH
    auth: none
    params: {a: {type: integer}}
    rooms: "{params.b}"
    events: {}
"""
    assert compile_text(text.replace("PATH", "/rooms/:a/:b")).codes() == ["CH301", "CH301"]
    assert compile_text(text.replace("PATH", '"/rooms/{a}/{a}"')).codes() == ["CH304"]
