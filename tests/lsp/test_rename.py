from pathlib import Path

import pytest

from channeld.lsp.buffers import Buffer
from channeld.lsp.rename import RenameRefused, rename, renamed_at
from channeld.plan.load import check
from tests.lsp.parts import CHAT, SCENARIOS, at_mark, opened

OTHER = """\
  other:
    path: /other
    description: Another.
    auth: none
    rooms: other
    messages:
      say:
        schema: {type: object, additionalProperties: false}
        route: {to: global, channel: room}
        emit: {type: said, text: hi}
"""


def renamed(path: Path, old: str, new: str, name: str) -> dict[str, str]:
    """The texts after a rename at the caret, by file name."""
    projects, document, caret = at_mark(path, old, new)
    texts: dict[str, str] = {}
    edits = rename(projects, document, caret, name)
    for one in sorted(edits, key=lambda edit: edit.span.start, reverse=True):
        text = texts.get(one.name) or projects.text(one.name) or ""
        buffer = Buffer.of(text)
        buffer.change(*one.span, one.text)
        texts[one.name] = buffer.text
    return {Path(name).name: text for name, text in texts.items()}


def test_a_type_is_renamed_in_its_channel_and_its_scenarios(chat: Path) -> None:
    texts = renamed(chat, "      said:\n", "      sa|id:\n", "heard")
    assert texts["channels.yaml"] == CHAT.replace("said:\n", "heard:\n").replace(
        "type: said", "type: heard"
    )
    assert texts["chat.test.yaml"] == SCENARIOS.replace("{type: said", "{type: heard")


def test_what_is_valid_stays_valid(chat: Path) -> None:
    for old, new in (("said", "a:b/c"), ("say", "x.y-z")):
        place = f"      {old}:\n"
        for file, text in renamed(chat, place, place.replace("sa", "s|a"), new).items():
            (chat.parent / file).write_text(text)
    assert check(str(chat), import_hooks=False).report.errors == []


def test_what_other_channels_send_here_is_renamed_as_well(chat: Path) -> None:
    chat.write_text(CHAT + OTHER)
    texts = renamed(chat, "      said:\n", "      sa|id:\n", "heard")
    assert "emit: {type: heard, text: hi}" in texts["channels.yaml"]
    texts = renamed(chat, "{type: said, text: hi}", "{type: sa|id, text: hi}", "heard")
    assert "      heard:\n" in texts["channels.yaml"]


def test_another_channel_with_the_same_type_is_left_alone(chat: Path) -> None:
    chat.write_text(CHAT + OTHER)
    old = "route: {to: global, channel: room}"
    texts = renamed(chat, f"      say:\n        schema: {{type: object, additionalProperties: false}}\n        {old}",
                    f"      sa|y:\n        schema: {{type: object, additionalProperties: false}}\n        {old}", "tell")  # fmt: skip
    assert list(texts) == ["channels.yaml"]
    assert texts["channels.yaml"] == CHAT + OTHER.replace("say:", "tell:")


def test_options_that_name_a_type_follow(chat: Path) -> None:
    text = CHAT.replace(
        "      said:\n",
        "      old: {deprecated: {use: said}, clears: [said, 'said']}\n      said:\n",
    )
    chat.write_text(text)
    texts = renamed(chat, "{use: said}", "{use: sa|id}", "heard")
    assert "{deprecated: {use: heard}, clears: [heard, 'heard']}" in texts["channels.yaml"]


def test_a_name_that_would_be_a_number_is_quoted(chat: Path) -> None:
    texts = renamed(chat, "      said:\n", "      sa|id:\n", "1")
    assert '      "1":\n' in texts["channels.yaml"]
    assert 'emit: {type: "1",' in texts["channels.yaml"]


def test_what_is_repeated_by_an_alias_is_renamed_once(chat: Path) -> None:
    text = CHAT.replace("emit: {type: said,", "emit: {type: &t said,").replace(
        "      said:\n", "      old: {deprecated: {use: *t}}\n      said:\n"
    )
    chat.write_text(text)
    texts = renamed(chat, "      said:\n", "      sa|id:\n", "heard")
    assert "{type: &t heard," in texts["channels.yaml"]
    assert "{use: *t}" in texts["channels.yaml"]


def test_scenarios_start_a_rename_as_well(chat: Path) -> None:
    path = chat.parent / "chat.test.yaml"
    texts = renamed(path, "{send: {type: say,", "{send: {type: s|ay,", "tell")
    assert "      tell:\n" in texts["channels.yaml"]
    assert "{send: {type: tell," in texts["chat.test.yaml"]
    assert "type: said" in texts["chat.test.yaml"]


def test_ignored_and_published_frames_follow(chat: Path) -> None:
    path = chat.parent / "chat.test.yaml"
    path.write_text("ignore: [{type: news}]\n" + SCENARIOS)
    texts = renamed(chat, "      news:", "      ne|ws:", "headline")
    assert texts["chat.test.yaml"] == path.read_text().replace("type: news", "type: headline")


@pytest.mark.parametrize(
    ("new", "why"),
    [("a b", "a type is"), ("", "a type is"), ("ping", "protocol"), ("say", "already has")],
)
def test_a_name_that_cannot_be_is_refused(new: str, why: str, chat: Path) -> None:
    with pytest.raises(RenameRefused, match=why):
        renamed(chat, "      said:\n", "      sa|id:\n", new)


def test_only_types_are_renamed(chat: Path) -> None:
    projects, name, caret = at_mark(chat, "auth: session", "auth: ses|sion")
    assert renamed_at(projects, name, caret) is None
    with pytest.raises(RenameRefused, match="no message type"):
        rename(projects, name, caret, "x")


def test_the_editor_is_told_what_is_renamed(chat: Path) -> None:
    projects, name, caret = at_mark(chat, "{type: said,", "{type: 'sa|id',")
    found = renamed_at(projects, name, caret)
    assert found is not None
    span, text = found
    assert text == "said"
    assert span.end.column - span.start.column == 4


def test_a_broken_document_is_not_renamed(chat: Path) -> None:
    projects, name = opened(chat, "a: [")
    assert renamed_at(projects, name, at_mark(chat, "auth: none", "au|th: none")[2]) is None
