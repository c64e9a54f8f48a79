"""Golden cases: an old file, a new one, and the report about them; each code has one at least."""

from pathlib import Path

import pytest

from channeld.diagnostics.catalogue import CATALOGUE
from tests.diff.kit import BASE, codes, compared, diff, instead

CASES = sorted((Path(__file__).parent / "cases").glob("*.txt"))
BETWEEN = "----------\n"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_the_report_is_as_it_is_written(path: Path) -> None:
    old, new, expected = path.read_text(encoding="utf-8").split(BETWEEN)
    assert compared(old, new, everything=path.stem.startswith("D702")) == expected


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_configuration_and_itself_do_not_differ(path: Path) -> None:
    for text in path.read_text(encoding="utf-8").split(BETWEEN)[:2]:
        assert diff(text, text, everything=True) == []


@pytest.mark.parametrize("code", [code for code in CATALOGUE if code.startswith("D")])
def test_each_code_has_a_case_that_shows_it(code: str) -> None:
    shown = [path for path in CASES if path.stem.startswith(code)]
    assert shown != []
    assert all(f"[{code}]" in path.read_text(encoding="utf-8") for path in shown)


def test_words_are_told_only_if_asked_for() -> None:
    new = instead("route: room", "route: room\n        description: Talk.")
    assert diff(BASE, new) == []
    assert [change.code for change in diff(BASE, new, everything=True)] == ["D702"]


def test_changes_come_in_the_order_of_the_new_file() -> None:
    new = instead("title: {type: string}", "title: {type: integer}").replace(
        "text: {type: string}", "text: {type: integer}"
    )
    lines = [change.place.line for change in diff(BASE, new)]
    assert lines == sorted(lines)
    assert len(lines) == 2


def test_a_renamed_channel_is_compared_with_what_it_was() -> None:
    new = instead("  room:\n", "  chat:\n").replace(
        "auth: none", "auth: none\n    history: {size: 9, ttl: 1h}"
    )
    assert codes(BASE, new) == [("D108", "dangerous"), ("D508", "safe")]


OPEN = """channeld: 1
server: {tls: {certificate: c.pem, key: k.pem}}
auth:
  s: {type: jwt, algorithms: [RS256], jwks: "https://a.example/keys", audience: x, token_from: [header]}
channels:
  c:
    path: /c/{id}
    auth: s
    rooms: {join: ["{params.id}"], subscribe: {allow: ["a-*"], hook: "m:sub"}}
    hooks: {connect: "m:con", close: "m:clo"}
    history: {size: 5, ttl: 1h}
    messages:
      m: {schema: {type: object, additionalProperties: false}, route: room, hook: "m:h"}
      g: {schema: {type: object, additionalProperties: false}, route: {to: room, room: r, except_sender: true}}
      a: {schema: {type: object, additionalProperties: false}, route: global}
"""


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        ('connect: "m:con", ', "", ("D701", True)),
        ('connect: "m:con"', 'connect: {call: "m:con", on_failure: accept}', ("D701", True)),
        ('connect: "m:con"', 'connect: "m:other"', ("D701", False)),
        (', close: "m:clo"', "", ("D701", False)),
        (', hook: "m:sub"', "", ("D701", True)),
        (', hook: "m:h"', "", ("D701", True)),
        ("route: room,", "route: global,", ("D601", True)),
        ("route: room,", "route: [room, {to: user, user: bob}],", ("D601", True)),
        ("route: room,", "route: sender,", ("D601", False)),
        ("route: global", "route: {to: room, room: b}", ("D601", False)),
        ("route: global", 'route: {to: global, channel: "*"}', ("D601", True)),
        (", except_sender: true", ", except_sender: true, members_only: false", ("D601", True)),
        (", except_sender: true", "", ("D601", False)),
        ("room: r,", "room: q,", ("D601", True)),
        ("server: {tls: {certificate: c.pem, key: k.pem}}\n", "", ("D408", True)),
        ("a.example", "b.example", ("D413", True)),
        ("[header]", "[header, message]", ("D407", True)),
        ('"{params.id}"]', '"{params.id}", all]', ("D606", True)),
        ("ttl: 1h}", "ttl: 1h, replay: 3}", ("D513", True)),
        ("    history:", "    presence: true\n    history:", ("D509", True)),
    ],
)
def test_what_opens_something_is_marked(was: str, now: str, expected: tuple[str, bool]) -> None:
    assert was in OPEN
    [change] = diff(OPEN, OPEN.replace(was, now))
    assert (change.code, change.security) == expected
    back = diff(OPEN.replace(was, now), OPEN)
    if expected[0] != "D413" and was != "room: r,":
        assert [one for one in back if one.security and expected[1]] == []


@pytest.mark.parametrize(
    "route", ['{to: room, room: "{params.id}"}', "{to: room, channel: room, members_only: true}"]
)
def test_a_route_written_in_full_is_the_same(route: str) -> None:
    full = instead("route: room", f"route: {route}")
    assert codes(BASE, full) == codes(full, BASE) == []


def test_hooks_of_a_channel_are_listed() -> None:
    new = instead("auth: none", "auth: none\n    hooks: {connect: chat.hooks:welcome}")
    assert codes(BASE, new) == [("D701", "dangerous")]
