from pathlib import Path

import pytest

from channeld.lsp.hover import hover
from tests.lsp.parts import CHAT, after, at_mark, opened


def told(chat: Path, old: str, new: str) -> str:
    found = hover(*at_mark(chat, old, new))
    return "" if found is None else found[1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    rooms: lobby", "    roo|ms: lobby", "Rooms"),
        ("    rooms: lobby", "    rooms: lo|bby", "Rooms"),
        ("{message.text}", "{message.te|xt}", "`message.text`: the message as it was sent of channel `room`; always present"),
        ("{message.text}", "{message.to|ne?}", "may be missing"),
        ("{user.id}", "{user.i|d}", "`user.id`: the user's ID"),
        ("    type: jwt", "    ty|pe: jwt", "Type"),
    ],
)  # fmt: skip
def test_a_place_says_what_it_means(old: str, new: str, words: str, chat: Path) -> None:
    assert words in told(chat, old, new)


def test_a_finding_is_explained(chat: Path) -> None:
    text = told(chat, "auth: session", "auth: ses|sio")
    assert text.startswith("**CH401: unknown authenticator**\n\n")
    assert "---" in text


def test_a_code_in_a_comment_is_explained(chat: Path) -> None:
    old = "description: A lobby."
    assert told(chat, old, f"{old} # channeld: ignore[CH7|01, CH412]").startswith("**CH701: ")
    assert told(chat, old, f"{old} # channeld: ignore[CH701, CH41|2]").startswith("**CH412: ")


def test_the_span_is_that_of_the_word(chat: Path) -> None:
    projects, name = opened(chat)
    caret = after(CHAT, "rooms: lob")
    found = hover(projects, name, caret)
    assert found is not None
    assert found[0] is not None
    assert (found[0].start.column, found[0].end.column) == (11, 16)


def test_where_nothing_stands_nothing_is_said(chat: Path) -> None:
    projects, name = opened(chat)
    caret = after(CHAT, "rooms: lob")
    assert hover(projects, "nowhere", caret) is None
    assert hover(projects, name, caret._replace(line=999)) is None
    assert hover(projects, name, caret._replace(column=0)) is None


def test_a_broken_text_still_explains_its_finding(chat: Path) -> None:
    assert "CH001" in told(chat, "    rooms: lobby", "    rooms: |[lobby")


def test_scenario_files_are_explained(chat: Path) -> None:
    path = chat.parent / "chat.test.yaml"
    assert "Path of the URL" in told(path, "eve: {path", "eve: {pa|th")
