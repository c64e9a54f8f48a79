import json

import pytest

from channeld.dev.rights import right_words
from channeld.diagnostics.render import Joined
from channeld.diff.render import render_json, render_markdown
from channeld.diff.rights import right_changes
from channeld.diff.text import DiffResult, render_text
from tests.diff.kit import BASE, side


def told(old: str, new: str) -> list[tuple[str, str | None, str | None]]:
    changes = right_changes(side(old, "old.yaml"), side(new))
    return [
        (
            f"{one.channel}: {one.title}",
            None if one.before is None else right_words(one.before),
            None if one.after is None else right_words(one.after),
        )
        for one in changes
    ]


def test_the_same_rights_are_no_change() -> None:
    assert told(BASE, BASE.replace("required: [text]", "required: []")) == []


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        (
            "route: room\n",
            "route: {to: room, except_sender: true}\n",
            (
                "room: may send say",
                "anyone connected → room {params.id}",
                "anyone connected → room {params.id}, not the sender",
            ),
        ),
        ('rooms: "{params.id}"', 'rooms: {join: "{params.id}", subscribe: {allow: [x]}}',
            ("room: may subscribe to x", None, "anyone connected")),
        ("    events:\n", "    presence: true\n    events:\n",
            ("room: sees who is there", None, "members of the room → user ids")),
        ("news:", "olds:",
            ("room: hears olds", None, "as the API or a hook publishes it")),
    ],
)  # fmt: skip
def test_one_change(old: str, new: str, change: tuple[str, str | None, str | None]) -> None:
    assert change in told(BASE, BASE.replace(old, new))


def test_what_is_gone_is_said() -> None:
    changes = told(BASE, BASE.replace("news:", "olds:"))
    assert ("room: hears news", "as the API or a hook publishes it", None) in changes


def test_a_channel_with_another_name_has_the_rights_that_it_had() -> None:
    assert told(BASE, BASE.replace("  room:\n", "  hall:\n")) == []


def test_all_rights_of_a_channel_that_is_gone() -> None:
    more = (
        BASE + "  other: {path: /other, auth: none, messages: {a: {schema: true, route: sender}}}\n"
    )
    assert [(name, after) for name, _, after in told(more, BASE)] == [
        ("other: may connect anonymous", None),
        ("other: may send a", None),
        ("other: hears a", None),
    ]
    assert {before for _, before, _ in told(BASE, more)} == {None}


def outcome() -> DiffResult:
    new = BASE.replace("route: room\n", "route: {to: room, except_sender: true}\n")
    new += "  other: {path: /other, auth: none}\n"
    was, now = side(BASE, "old.yaml"), side(new)
    return DiffResult(old="old.yaml", new="new.yaml", changes=(), rights=right_changes(was, now))


def test_as_text_it_comes_first() -> None:
    text = render_text(outcome(), Joined(()), colour=False)
    assert text.startswith(
        "who may do what:\n"
        "  room\n"
        "    ~ may send say: anyone connected → room {params.id}, not the sender\n"
        "                    before: anyone connected → room {params.id}\n"
        "    ~ hears say: room {params.id}, not the sender\n"
        "                 before: room {params.id}\n"
        "  other\n"
        "    + may connect anonymous: anyone, without a token\n"
    )


def test_as_markdown_it_is_a_table() -> None:
    lines = render_markdown(outcome()).splitlines()
    assert lines[2] == "#### 🔑 Who may do what"
    assert lines[6] == (
        "| `room` | may send `say` | anyone connected → room {params.id} "
        "| anyone connected → room {params.id}, not the sender |"
    )
    assert lines[8] == "| `other` | may connect `anonymous` | — | anyone, without a token |"


def test_as_json() -> None:
    first, _, second = json.loads(render_json(outcome()))["access"]
    assert (first["channel"], first["what"], first["of"]) == ("room", "send", "say")
    assert first["before"]["effect"] == ["room {params.id}"]
    assert first["after"]["effect"] == ["room {params.id}, not the sender"]
    assert second["before"] is None
