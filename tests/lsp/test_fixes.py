from pathlib import Path

import pytest

from channeld.diagnostics.catalogue import CATALOGUE
from channeld.lsp.buffers import Buffer, Caret, TextSpan
from channeld.lsp.checking import whole
from channeld.lsp.fixes import Fix, fixes
from channeld.lsp.projects import Projects
from tests.lsp.parts import CHAT, opened

EXAMPLES = [
    code
    for code, entry in CATALOGUE.items()
    if code.startswith("CH") and entry.wrong and not entry.wrong.startswith("#")
]


def offered(path: Path, text: str, code: str) -> list[Fix]:
    projects, name = opened(path, text)
    finding = next((one for one in projects.shown[name] if one.code == code), None)
    if finding is None:
        return []  # its example needs other files
    return [
        fix for fix in fixes(projects, name, TextSpan.of(finding.place)) if fix.finding == finding
    ]


def applied(text: str, fix: Fix) -> str:
    buffer = Buffer.of(text)
    buffer.change(*fix.span, fix.text)
    return buffer.text


def fixed(path: Path, text: str, code: str) -> str:
    """The text after the first fix for a code."""
    return applied(text, offered(path, text, code)[0])


@pytest.mark.parametrize(
    ("right", "wrong", "code"),
    [
        ("    auth: session\n", "    auth: sesion\n", "CH401"),
        ("    rooms: lobby\n", "    roms: lobby\n", "CH103"),
        ('"{message.text}"', '"{message.txt}"', "CH309"),
        ('"{message.text}"', "{message.text}", "CH013"),
        ("        route: room\n", "        route: rom\n", "CH106"),
        ("{type: said,", "{type: sad,", "CH328"),
        ("  lobby:\n", "  lobby:\n    rooms: lobby\n", "CH004"),
        ('connect: "hooks:welcome"', 'connect: "hooks:welcme"', "CH503"),
        ("maxLength: 200", "maxLenght: 200", "CH202"),
        ("channeld: 1\n", "", "CH101"),
    ],
)
def test_a_fix_is_the_edit_that_the_help_asks_for(
    right: str, wrong: str, code: str, chat: Path
) -> None:
    text = CHAT.replace(right, wrong, 1)
    if code == "CH004":
        assert offered(chat, text, code) == []
        return
    assert fixed(chat, text, code) == CHAT


def test_an_entry_is_removed_with_its_lines(chat: Path) -> None:
    option = "        key:\n          x: 1\n"
    text = CHAT.replace("        route: room\n", f"        route: room\n{option}")
    assert [fix.title for fix in offered(chat, text, "CH105")] == []
    text = CHAT.replace("        hook: hooks:no_shouting\n", "        hook:\n")
    removed = CHAT.replace("        hook: hooks:no_shouting\n", "")
    assert fixed(chat, text, "CH110") == removed


def test_a_finding_can_be_silenced_unless_it_is_an_error(chat: Path) -> None:
    text = CHAT.replace("    description: A lobby.\n", "")
    [fix] = offered(chat, text, "CH701")
    assert fix.title == "Ignore CH701 here"
    assert "  # channeld: ignore[CH701]\n  lobby:\n" in applied(text, fix)
    wrong = CHAT.replace("auth: session", "auth: sesion")
    assert not any("Ignore" in fix.title for fix in offered(chat, wrong, "CH401"))


def test_an_unused_comment_is_removed(chat: Path) -> None:
    comment = "  # channeld: ignore[CH701]\n"
    text = CHAT.replace("  lobby:\n", f"{comment}  lobby:\n")
    assert fixed(chat, text, "CH090") == CHAT
    text = CHAT.replace("  lobby:\n", "  lobby: # channeld: ignore[CH701]\n")
    assert fixed(chat, text, "CH090") == CHAT


def test_scenario_files_have_fixes_as_well(chat: Path) -> None:
    path = chat.parent / "chat.test.yaml"
    right = path.read_text()
    wrong = right.replace("{expect: {type: news}}", "{expct: {type: news}}")
    code = next(one.code for one in opened(path, wrong)[0].of_document(str(path)))
    assert fixed(path, wrong, code) == right


@pytest.mark.parametrize("code", EXAMPLES)
def test_a_fix_ends_its_finding(code: str, tmp_path: Path) -> None:
    path = tmp_path / ("chat.test.yaml" if code > "CH8" else "channels.yaml")
    text = CATALOGUE[code].wrong
    for fix in offered(path, text, code):
        projects = Projects()
        name = projects.open(path.as_uri(), Buffer.of(applied(text, fix)))
        left = [one for one in whole(name, projects.texts).findings if one.code == code]
        before = [one for one in whole(name, {name: text}).findings if one.code == code]
        assert len(left) < len(before)


def test_all_mistakes_of_one_word_have_a_fix(tmp_path: Path) -> None:
    path = tmp_path / "channels.yaml"
    meant = [
        code
        for code in EXAMPLES
        for one in whole(str(path), {str(path): CATALOGUE[code].wrong}).findings
        if one.code == code and "did you mean" in one.help
    ]
    assert len(meant) > 12
    assert [code for code in meant if not offered(path, CATALOGUE[code].wrong, code)] == []


def test_where_nothing_is_wrong_nothing_is_fixed(chat: Path) -> None:
    projects, name = opened(chat)
    everywhere = TextSpan(Caret(0, 0), Caret(99, 0))
    assert fixes(projects, name, everywhere) == []
    assert fixes(projects, "nowhere", everywhere) == []
