from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channeld.lsp.answers import Answers
from channeld.lsp.buffers import Buffer, Caret, uri_of
from channeld.lsp.rename import RenameRefused
from tests.lsp.parts import CHAT, after, opened, write


def answers(chat: Path, text: str = CHAT) -> tuple[Answers, str]:
    projects, name = opened(chat, text)
    return Answers(projects, uri_of), name


def test_completions_replace_what_is_written(chat: Path) -> None:
    asked, name = answers(chat)
    found: Any = asked.completion(name, *after(CHAT, "    auth: no"))
    [item] = [one for one in found if one["label"] == "none"]
    line = after(CHAT, "    auth: no").line
    assert item == {
        "label": "none",
        "kind": 12,
        "sortText": "2none",
        "filterText": "none",
        "detail": "let everyone in",
        "textEdit": {
            "newText": "none",
            "range": {
                "start": {"line": line, "character": 10},
                "end": {"line": line, "character": 14},
            },
        },
    }


def test_hovers_are_markdown(chat: Path) -> None:
    asked, name = answers(chat)
    found: Any = asked.hover(name, *after(CHAT, "    rooms: lob"))
    assert found["contents"]["kind"] == "markdown"
    assert found["range"]["start"]["character"] == 11
    assert asked.hover(name, 0, 99) is not None


def test_actions_name_their_finding(chat: Path) -> None:
    text = CHAT.replace("rooms: lobby", "roms: lobby")
    asked, name = answers(chat, text)
    where = after(text, "    roms")
    found: Any = asked.actions(name, where, where)
    [action] = found
    assert action["diagnostics"][0]["code"] == "CH103"
    assert action["isPreferred"] is True
    assert action["edit"]["changes"][uri_of(name)][0]["newText"] == "rooms"


def test_a_rename_lists_its_edits_by_file(chat: Path) -> None:
    asked, name = answers(chat)
    where = after(CHAT, "{type: sa")
    found: Any = asked.rename(name, *where, "heard")
    assert [len(edits) for edits in found["changes"].values()] == [2, 1]
    with pytest.raises(RenameRefused):
        asked.rename(name, *where, "a b")


def test_what_is_not_there_has_no_answer(chat: Path) -> None:
    asked, _ = answers(chat)
    assert asked.completion("nowhere", 0, 0) == []
    assert asked.hover("nowhere", 0, 0) is None
    assert asked.definition("nowhere", 0, 0) == []
    assert asked.prepare_rename("nowhere", 0, 0) is None
    assert asked.rename("nowhere", 0, 0, "x") == {"changes": {}}
    assert asked.actions("nowhere", (0, 0), (0, 0)) == []
    assert asked.symbols("nowhere") == []


ODD = [
    "",
    "\n",
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    "- ",
    "'",
    '"',
    "|",
    "&a ",
    "*a",
    "<<: ",
    "#",
    "\t",
    "{params.",
    "ü😀",
    "\u2028",
    "$ref: ",
    "x",
]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["channels.yaml", "chat.test.yaml", "schemas/news.json"]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.sampled_from(ODD)), max_size=4),
    st.floats(0, 1),
)
def test_every_question_has_an_answer_whatever_the_text(
    file: str, edits: list[tuple[float, int, str]], share: float
) -> None:
    with TemporaryDirectory() as folder:
        chat = write(Path(folder))
        projects, _ = opened(chat)
        path = chat.parent / file
        name = projects.open(path.as_uri(), Buffer.of(path.read_text()))
        for where, length, text in edits:
            buffer = projects.buffers[name]
            start, end = _caret(buffer, where, 0), _caret(buffer, where, length)
            projects.edit(name, start, end, text)
            projects.quick(name)
        asked = Answers(projects, uri_of)
        line, column = _caret(projects.buffers[name], share, 0)
        for question in (asked.completion, asked.hover, asked.definition, asked.prepare_rename):
            question(name, line, column)
        asked.actions(name, (line, column), (line, column))
        asked.symbols(name)
        if asked.prepare_rename(name, line, column) is not None:
            asked.rename(name, line, column, "another")


def _caret(buffer: Buffer, share: float, more: int) -> Caret:
    offset = min(int(share * len(buffer.text)) + more, len(buffer.text))
    before = buffer.text[:offset]
    return Caret(before.count("\n"), offset - before.rfind("\n") - 1)
