from pathlib import Path

import pytest

from channeld.lsp.completion import Offer, is_quoted, offers, quoted
from channeld.lsp.cursor import cursor_at
from tests.lsp.parts import at_mark

ROUTE = "        route: room\n"
LOBBY = "    rooms: lobby\n"


def offered(path: Path, old: str, new: str) -> list[Offer]:
    found = offers(*at_mark(path, old, new))
    return [] if found is None else found[1]


def labels(path: Path, old: str, new: str) -> set[str]:
    return {offer.label for offer in offered(path, old, new)}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (ROUTE, "        |\n", {"route", "rate", "require", "history"}),
        (LOBBY, "    |\n", {"rooms", "presence", "limits"}),
        (LOBBY, LOBBY + "se|", {"server", "channels"} - {"channels"}),
        ("auth: none", "auth: |", {"session", "none"}),
        ("auth: none", "auth: {use: |}", {"session"}),
        (ROUTE, "        route: {to: user, user: '{message.|}'}\n", {"text", "tone?", "type"}),
        (ROUTE, "        route: {to: room, channel: |}\n", {"room", "lobby"}),
        (ROUTE, "        route: |\n", {"room", "user", "global", "sender", "none"}),
        ("{type: said,", "{type: |,", {"said", "say"}),
        ('rooms: "{params.room_id}"', 'rooms: "{|}"', {"params", "claims", "user.id", "now"}),
        ('rooms: "{params.room_id}"', 'rooms: "{claims.|}"', {"name", "role?", "exp"}),
        ('rooms: "{params.room_id}"', 'rooms: "{params.|}"', {"room_id"}),
        ("params: {room_id", "params: {|room", {"room_id"}),
        ("hook: hooks:no_shouting", "hook: |", {"hooks:welcome", "hooks:no_shouting"}),
        ("schema: schemas/news.json", "schema: schemas/|", {"schemas/news.json"}),
        ("schemas/news.json", "schemas/news.json#/|", {"schemas/news.json#/properties/text"}),
        (ROUTE, "        require: {|}\n", {"name", "role", "sub"}),
        ("tone: {type: string", "tone: {type: |", {"string", "integer", "object"}),
        ("tone: {type: string", "tone: {|, type: string", {"minLength", "pattern", "$ref"}),
        ("    type: jwt", "    type: |", {"jwt", "tokens", "hook"}),
        ("[HS256]", "[|]", {"HS256", "ES256"}),
        ("description: A lobby.", "description: A lobby. # channeld: ignore[|", {"CH701", "CH412"}),
    ],
)  # fmt: skip
def test_what_fits_is_offered(old: str, new: str, expected: set[str], chat: Path) -> None:
    assert expected - labels(chat, old, new) == set()


def test_what_is_there_already_is_not_offered(chat: Path) -> None:
    found = labels(chat, ROUTE, "        |\n")
    assert "emit" not in found
    assert "schema" not in found


def test_required_keys_come_first_with_their_words(chat: Path) -> None:
    found = offered(chat, "    path: /lobby\n", "    |\n")
    path = next(one for one in found if one.label == "path")
    assert path.rank < min(one.rank for one in found if one.label != "path")
    assert (path.text, path.detail) == ("path: ", "URL path (required)")
    assert "segments" in path.documentation


def test_a_word_in_a_template_replaces_its_last_part(chat: Path) -> None:
    found = offers(*at_mark(chat, "{message.text}", "{message.te|}"))
    assert found is not None
    span, _ = found
    assert span.end.column - span.start.column == 2


def test_errors_are_not_offered_to_be_ignored(chat: Path) -> None:
    old = "description: A lobby."
    assert "CH401" not in labels(chat, old, f"{old} # channeld: ignore[CH4|")


def test_codes_that_are_found_there_come_first(chat: Path) -> None:
    chat.write_text(chat.read_text().replace("    description: A lobby.\n", ""))
    found = offered(chat, "  lobby:\n", "  lobby: # channeld: ignore[|\n")
    assert min(found, key=lambda one: one.rank).label == "CH701"


def test_hooks_that_start_with_an_underscore_are_not_offered(chat: Path) -> None:
    (chat.parent / "hooks.py").write_text("def _own(ctx): ...\ndef other(ctx): ...\n")
    assert labels(chat, "hook: hooks:no_shouting", "hook: hooks:|") == {"hooks:other"}


def test_a_broken_hook_module_offers_nothing(chat: Path) -> None:
    (chat.parent / "hooks.py").write_text("def (")
    assert labels(chat, "hook: hooks:no_shouting", "hook: hooks:|") == set()


def test_values_that_would_be_something_else_are_quoted(chat: Path) -> None:
    text = chat.read_text() + "schemas: {line: {type: string}}\n"
    chat.write_text(text)
    old, new = "tone: {type: string, maxLength: 20}", "tone: {$ref: |}"
    [reference] = [one for one in offered(chat, old, new) if one.kind == "reference"]
    assert reference.text == '"#/schemas/line"'
    [reference] = [
        one for one in offered(chat, old, "tone: {$ref: '|'}") if one.kind == "reference"
    ]
    assert (reference.label, reference.text) == ("#/schemas/line", "#/schemas/line")


def test_scenario_files_have_keys_of_their_own(chat: Path) -> None:
    path = chat.parent / "chat.test.yaml"
    assert {"path", "claims", "refused"} - labels(path, "eve: {path: /lobby}", "eve: {|}") == set()
    assert "expect" in labels(path, "eve: {expect: {type: news}}", "eve: {|}")
    assert "config" in labels(path, "scenarios:", "|\nscenarios:")


def test_a_schema_file_has_the_words_of_json_schema(chat: Path) -> None:
    news = chat.parent / "schemas/news.json"
    found = labels(news, '"additionalProperties": false', '"|')
    assert "additionalProperties" in found
    assert found.isdisjoint({"channels", "server", "type"})
    assert {"string", "array"} <= labels(news, '"type": "object"', '"type": "|"')
    assert labels(news, '{"text":', '{"|":') == set()


def test_files_of_other_programs_have_no_completions(chat: Path) -> None:
    other = chat.parent / "compose.yaml"
    other.write_text("services:\n  a: 1\n")
    assert offered(other, "  a: 1", "  |") == []


def test_a_key_that_has_its_colon_gets_no_other(chat: Path) -> None:
    [route] = [
        one for one in offered(chat, ROUTE, "        ro|ute: room\n") if one.label == "route"
    ]
    assert route.text == "route"


def test_in_comments_nothing_is_offered(chat: Path) -> None:
    assert offered(chat, ROUTE, ROUTE + "        # ro|\n") == []
    assert offered(chat, ROUTE, "        route: room # ro|\n") == []


def test_beyond_the_text_nothing_is_offered(chat: Path) -> None:
    projects, name, caret = at_mark(chat, LOBBY, "    |\n")
    assert offers(projects, "nowhere", caret) is None
    assert offers(projects, name, caret._replace(line=999)) is None


@pytest.mark.parametrize(
    ("new", "word", "written"),
    [
        ("rooms: |", "lobby", "lobby"),
        ("rooms: |", "{params.x}", '"{params.x}"'),
        ("rooms: |", "a-{params.x}", '"a-{params.x}"'),
        ("rooms: |", "#/schemas/x", '"#/schemas/x"'),
        ("rooms: '|'", "{params.x}", "{params.x}"),
        ('rooms: "|', "{params.x}", "{params.x}"),
    ],
)
def test_words_are_quoted_where_they_would_be_something_else(
    new: str, word: str, written: str, chat: Path
) -> None:
    cursor = cursor_at(*at_mark(chat, "rooms: lobby", new))
    assert cursor is not None
    assert quoted(word, cursor) == written
    assert is_quoted(cursor) == (new[7] in "'\"")


def test_an_offer_is_its_label_unless_it_says_otherwise() -> None:
    assert Offer("x", "value") == Offer("x", "value", text="", rank=5)


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
