import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lsp.editor import Editor, editing
from tests.lsp.parts import CHAT, SCENARIOS, after, write


def place(text: str, words: str) -> tuple[int, int]:
    caret = after(text, words)
    return caret.line, caret.column


def test_it_says_what_it_can_do(editor: Editor) -> None:
    able = editor.capabilities
    assert able["positionEncoding"] == "utf-16"
    assert able["textDocumentSync"]["change"] == 2
    assert able["renameProvider"]
    assert able["codeActionProvider"]["codeActionKinds"] == ["quickfix"]
    assert {"hoverProvider", "definitionProvider", "documentSymbolProvider"} <= able.keys()


def test_findings_come_while_somebody_types(editor: Editor, chat: Path) -> None:
    uri = editor.open(chat)
    line, unit = place(CHAT, "    auth: session")
    editor.change(uri, "s", (line, unit, line, unit))
    editor.until_codes(uri, "CH401")
    finding = editor.finding(uri, "CH401")
    assert finding["range"]["start"] == {"line": line, "character": unit - 7}
    editor.change(uri, "", (line, unit, line, unit + 1))
    editor.until_codes(uri)


def test_the_latest_text_is_what_counts(editor: Editor, chat: Path) -> None:
    uri = editor.open(chat)
    for text in ("channeld: [", "a: b", "", CHAT.replace("rooms: lobby", "roms: lobby")):
        editor.change(uri, text)
    editor.until_codes(uri, "CH103")


def test_a_fix_makes_the_text_right(editor: Editor, chat: Path) -> None:
    wrong = CHAT.replace("rooms: lobby", "roms: lobby")
    uri = editor.open(chat, wrong)
    editor.until_codes(uri, "CH103")
    span = editor.finding(uri, "CH103")["range"]
    params: Any = {"textDocument": {"uri": uri}, "range": span, "context": {"diagnostics": []}}
    [action] = editor.ask("textDocument/codeAction", params)
    [edit] = action["edit"]["changes"][uri]
    assert (action["title"], edit["newText"], edit["range"]) == ("Write `rooms`", "rooms", span)
    start, end = edit["range"]["start"], edit["range"]["end"]
    editor.change(uri, "rooms", (start["line"], start["character"], end["line"], end["character"]))
    editor.until_codes(uri)


def test_questions_are_answered(editor: Editor, chat: Path) -> None:
    uri = editor.open(chat)
    where = place(CHAT, "    auth: sess")
    hover = editor.at("hover", uri, *where)
    assert "Authentication" in hover["contents"]["value"]
    [there] = editor.at("definition", uri, *where)
    assert there["range"]["start"]["line"] == CHAT.splitlines().index("  session:")
    items = editor.at("completion", uri, *where)
    assert [one["label"] for one in items] == ["session", "none"]
    assert items[0]["textEdit"]["range"]["start"]["character"] == 10
    symbols = editor.ask("textDocument/documentSymbol", {"textDocument": {"uri": uri}})
    assert [one["name"] for one in symbols[-1]["children"]] == ["room", "lobby"]


def test_a_type_is_renamed_over_files(editor: Editor, chat: Path) -> None:
    uri = editor.open(chat)
    where = place(CHAT, "{type: sa")
    assert editor.at("prepareRename", uri, *where)["placeholder"] == "said"
    changes = editor.at("rename", uri, *where, newName="heard")["changes"]
    assert {Path(one).name: len(edits) for one, edits in changes.items()} == {
        "channels.yaml": 2,
        "chat.test.yaml": 1,
    }
    refused = editor.at("rename", uri, *where, newName="a b")
    assert "a type is" in refused["message"]


def test_scenarios_and_schemas_are_checked(editor: Editor, chat: Path) -> None:
    path = chat.parent / "chat.test.yaml"
    scenarios = editor.open(path, SCENARIOS.replace("{expect: {type: news}}", "{expct: 1}"))
    editor.until(lambda: bool(editor.codes(scenarios)))
    assert editor.codes(scenarios)[0].startswith("CH8")
    news = editor.open(chat.parent / "schemas/news.json", '{"type": "nothing"}')
    editor.until_codes(news, "CH201")


@pytest.mark.parametrize(("encoding", "unit"), [("utf-8", 8), ("utf-16", 5), ("utf-32", 4)])
def test_columns_are_in_the_units_that_the_client_wants(
    encoding: str, unit: int, chat: Path
) -> None:
    with editing(chat.parent, general={"positionEncodings": [encoding]}) as editor:
        assert editor.capabilities["positionEncoding"] == encoding
        uri = editor.open(chat, "channeld: 1\r\nx-é😀: *b\r\n")
        editor.until(lambda: "CH007" in editor.codes(uri))
        start = editor.finding(uri, "CH007")["range"]["start"]
        assert start == {"line": 1, "character": unit + 2}
        editor.change(uri, "1", (1, unit + 2, 1, unit + 4))
        editor.until(lambda: "CH007" not in editor.codes(uri))


def test_a_client_that_watches_files_is_asked_to(chat: Path) -> None:
    watching = {"didChangeWatchedFiles": {"dynamicRegistration": True}}
    with editing(chat.parent, workspace=watching) as editor:
        uri = editor.open(chat, CHAT.replace("welcome", "welcme"))
        editor.until_codes(uri, "CH503")
        editor.until(lambda: bool(editor.requests))
        [registration] = editor.requests[0]["params"]["registrations"]
        assert registration["method"] == "workspace/didChangeWatchedFiles"
        hooks = chat.parent / "hooks.py"
        hooks.write_text(hooks.read_text().replace("welcome", "welcme"))
        change = {"uri": hooks.as_uri(), "type": 2}
        editor.notify("workspace/didChangeWatchedFiles", {"changes": [change]})
        editor.until_codes(uri)


# ------------------------------------------------------------------------------------------------------- hostile


def test_unknown_documents_have_no_answers(editor: Editor, chat: Path) -> None:
    uri = (chat.parent / "nowhere.yaml").as_uri()
    editor.change(uri, "x")
    editor.close(uri)
    assert editor.at("hover", uri, 3, 3) is None
    assert editor.at("completion", uri, 3, 3) == []
    assert editor.at("definition", "untitled:1", 0, 0) == []
    assert editor.at("rename", uri, 0, 0, newName="x") == {"changes": {}}
    assert editor.ask("textDocument/documentSymbol", {"textDocument": {"uri": uri}}) == []


def test_a_document_without_a_file_is_a_configuration_if_it_says_so(editor: Editor) -> None:
    uri = editor.open("untitled:Untitled-1", "channeld: 1\nchannels: {}\n")
    editor.until_codes(uri, "CH121")
    editor.change(uri, "", (0, 0, 0, 0))
    assert editor.at("completion", uri, 1, 0) != []


def test_documents_of_other_programs_are_left_alone(editor: Editor, chat: Path) -> None:
    other = editor.open(chat.parent / "compose.yaml", "services: {}\nservices: [\n")
    uri = editor.open(chat, "channeld: 2")
    editor.until_codes(uri, "CH102")
    assert other not in editor.findings


def test_garbage_does_not_end_it(editor: Editor, chat: Path) -> None:
    editor.raw(b"Content-Length: 5\r\n\r\n{oops")
    editor.raw(b"Content-Length: 2\r\n\r\n[]")
    editor.send(id="x", method="textDocument/hover", params={"textDocument": 3})
    editor.send(id="y", method="no/such/method", params={})
    editor.notify("textDocument/didOpen", {"textDocument": None})
    uri = editor.open(chat, "\x00\x01\ud800 }{ &*")
    editor.until(lambda: bool(editor.codes(uri)))
    editor.change(uri, "x", (10**9, 10**9, 10**9, 10**9))
    editor.change(uri, CHAT)
    editor.until_codes(uri)


def test_a_huge_file_is_answered(editor: Editor, chat: Path) -> None:
    lines = "".join(f"  c{i}: {{path: /c{i}}}\n" for i in range(60_000))
    uri = editor.open(chat, f"channeld: 1\nchannels:\n{lines}")
    assert editor.at("completion", uri, 5, 4) is not None
    editor.until_codes(uri, "CH009")


def test_a_deleted_file_is_still_open(editor: Editor, chat: Path) -> None:
    uri = editor.open(chat)
    chat.unlink()
    editor.change(uri, "# gone\n", (0, 0, 0, 0))
    editor.change(uri, "x: 1\n", (0, 0, 0, 0))
    editor.until_codes(uri, "CH103")
    editor.close(uri)
    editor.until_codes(uri)


def test_hook_modules_are_never_imported(editor: Editor, chat: Path) -> None:
    (chat.parent / "hooks.py").write_text("import os\nos._exit(3)\ndef welcome(ctx): ...\n")
    uri = editor.open(chat)
    editor.until_codes(uri, "CH503")
    assert editor.at("completion", uri, *place(CHAT, "hook: hooks:")) != []


def test_modules_of_the_folder_are_not_taken_for_ours(tmp_path: Path) -> None:
    chat = write(tmp_path)
    for name in ("yaml", "attrs", "click", "channeld"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(9)")
    root = str(Path(__file__).parents[2])
    command = [str(Path(sys.executable).parent / "channeld"), "lsp"]
    with editing(tmp_path, command, environ={**os.environ, "PYTHONPATH": root}) as editor:
        uri = editor.open(chat, "channeld: 2")
        editor.until_codes(uri, "CH102")


def test_an_editor_that_vanishes_ends_it(chat: Path) -> None:
    with editing(chat.parent) as editor:
        editor.open(chat)
        process: Any = editor.process
        process.stdin.close()
        assert process.wait(100) == 1
        editor.ended = True
