from pathlib import Path

import pytest

from channeld.lsp.definition import definitions
from tests.lsp.parts import CHAT, HOOKS, NEWS, at_mark


def lines(path: Path, old: str, new: str) -> list[tuple[str, str]]:
    """The files' names, and the lines that are gone to."""
    projects, name, caret = at_mark(path, old, new)
    return [
        (Path(one.name).name, projects.text(one.name).splitlines()[one.span.start.line].strip())  # type: ignore[union-attr]
        for one in definitions(projects, name, caret)
    ]


@pytest.mark.parametrize(
    ("old", "new", "file", "line"),
    [
        ("auth: session", "auth: se|ssion", "channels.yaml", "session:"),
        ("hook: hooks:no_shouting", "hook: hooks:no|_shouting", "hooks.py", "def no_shouting(ctx, message):"),
        ('connect: "hooks:welcome"', 'connect: "hooks:w|elcome"', "hooks.py", "def welcome(ctx):"),
        ("schema: schemas/news.json", "schema: schemas/ne|ws.json", "news.json", "{"),
        ("schema: schemas/news.json", "schema: schemas/ne|ws.json#/properties/text", "news.json", NEWS.splitlines()[3].strip()),
        ("{type: said,", "{type: sa|id,", "channels.yaml", "said:"),
        ("{message.text}", "{message.te|xt}", "channels.yaml", CHAT.splitlines()[24].strip()),
        ('rooms: "{params.room_id}"', 'rooms: "{params.ro|om_id}"', "channels.yaml", CHAT.splitlines()[15].strip()),
        ('rooms: "{params.room_id}"', 'rooms: "{claims.na|me}"', "channels.yaml", CHAT.splitlines()[10].strip()),
        ("{file: secret.txt}", "{file: sec|ret.txt}", "secret.txt", "x" * 40),
    ],
)  # fmt: skip
def test_names_lead_to_what_they_name(old: str, new: str, file: str, line: str, chat: Path) -> None:
    assert lines(chat, old, new) == [(file, line)]


def test_a_name_without_a_definition_leads_nowhere(chat: Path) -> None:
    assert lines(chat, "auth: session", "auth: no|body") == []
    assert lines(chat, "hook: hooks:no_shouting", "hook: other:no|body") == []
    assert lines(chat, "description: A lobby.", "description: A lo|bby.") == []
    assert lines(chat, "schema: schemas/news.json", "schema: schemas/no|ne.json") == []


def test_a_name_that_the_module_binds_otherwise_leads_to_the_module(chat: Path) -> None:
    found = lines(chat, "hook: hooks:no_shouting", "hook: hooks:no|body")
    assert found == [("hooks.py", HOOKS.splitlines()[0])]


def test_references_in_schema_files_lead_on(chat: Path) -> None:
    news = chat.parent / "schemas/news.json"
    news.write_text('{"$defs": {"a": {"$ref": "other.json"}},\n"$ref": "#/$defs/a"}')
    (chat.parent / "schemas/other.json").write_text("{}")
    assert lines(news, '"#/$defs/a"', '"#/$defs/|a"') == [
        ("news.json", '{"$defs": {"a": {"$ref": "other.json"}},')
    ]
    assert lines(news, '"other.json"', '"oth|er.json"') == [("other.json", "{}")]
    assert lines(news, '"$defs": {', '"$de|fs": {') == []


def test_what_is_included_is_found(chat: Path) -> None:
    (chat.parent / "more.yaml").write_text("auth:\n  other: {type: tokens, tokens: []}\n")
    chat.write_text(CHAT + "include: [more.yaml]\n")
    found = lines(chat, "auth: session", "auth: ot|her")
    assert found == [("more.yaml", "other: {type: tokens, tokens: []}")]
    assert lines(chat, "[more.yaml]", "[mo|re.yaml]") == [("more.yaml", "auth:")]


def test_what_goes_to_another_channel_is_an_event_of_that_one(chat: Path) -> None:
    chat.write_text(CHAT.replace("route: room\n", "route: {to: global, channel: lobby}\n"))
    found = lines(chat, "{type: said,", "{type: ne|ws,")
    assert found == [("channels.yaml", "news: {schema: schemas/news.json}")]


def test_scenarios_lead_to_the_configuration(chat: Path) -> None:
    path = chat.parent / "chat.test.yaml"
    assert lines(path, "{send: {type: say,", "{send: {type: sa|y,") == [("channels.yaml", "say:")]
    assert lines(path, "{channel: lobby,", "{channel: lo|bby,") == [("channels.yaml", "lobby:")]
    path.write_text("config: channels.yaml\nhooks: {'hooks:welcome': {}}\n" + path.read_text())
    assert lines(path, "'hooks:welcome'", "'hooks:wel|come'") == [("hooks.py", "def welcome(ctx):")]
    assert lines(path, "config: channels", "config: chan|nels") == [
        ("channels.yaml", "channeld: 1")
    ]
