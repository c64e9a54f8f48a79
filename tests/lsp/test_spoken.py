from pathlib import Path

import pytest

from channeld.lsp.completion import offers
from tests.lsp.parts import at_mark

SEND = "{send: {type: say, text: hi}}"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (SEND, "{send: {type: |}}", {"say"}),
        (SEND, "{send: {type: say, |}}", {"text", "tone"}),
        (SEND, "{send: {|}}", {"type"}),
        ("{type: said, text: hi}", "{type: |}", {"said", "say"}),
        ("{type: said, text: hi}", "{type: said, |}", {"text", "from"}),
        ("channel: lobby,", "channel: |,", {"room", "lobby"}),
        ("{type: news, text: said}", "{type: |}", {"news"}),
        ("eve: {path: /lobby}", "eve: {path: |}", {"/lobby", "/rooms/{room_id}"}),
        (f"- ann: {SEND}", "- |", {"ann", "eve", "advance", "publish"}),
        (f"- ann: {SEND}", "- {|}", {"ann", "eve"}),
        ("scenarios:\n", "hooks: {|}\nscenarios:\n", {"hooks:welcome", "hooks:no_shouting"}),
        ("scenarios:\n", "config: |\nscenarios:\n", {"channels.yaml"}),
    ],
)
def test_names_of_the_configuration_are_offered(
    old: str, new: str, expected: set[str], chat: Path
) -> None:
    found = offers(*at_mark(chat.parent / "chat.test.yaml", old, new))
    assert found is not None
    assert expected - {one.label for one in found[1]} == set()


def test_what_is_sent_is_a_message(chat: Path) -> None:
    found = offers(*at_mark(chat.parent / "chat.test.yaml", SEND, "{send: {type: |}}"))
    assert found is not None
    assert "said" not in {one.label for one in found[1]}


def test_a_path_with_a_param_is_quoted(chat: Path) -> None:
    old = "eve: {path: /lobby}"
    found = offers(*at_mark(chat.parent / "chat.test.yaml", old, "eve: {path: |}"))
    assert found is not None
    [room] = [one for one in found[1] if one.label == "/rooms/{room_id}"]
    assert room.text == '"/rooms/{room_id}"'
