"""English as a native engineer writes it: turns of phrase that read as translated are not in what people read."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from channeld.cli.main import cli
from tests.docs.blocks import PAGES, ROOT, name_of

PATTERNS = re.compile(
    r"(?<![Tt]here\s)\b(?:is|are|was) no (?!longer\b|more\b|less\b)[A-Za-z]+"
    r"|\b[Bb]eside (?:an?|each|its?|the|th(?:at|em|is)|other)\b|\bas it stands\b|\b[Ss]ees? to it\b"
    r"|\bbroker (?:that )?(?:is|was) away\b|\b(?:[Nn]one|empty) where\b|\bkey strokes?\b"
    r"|\blets? (?:any(?:one|body)|(?:the|a) client|nobody) in\b|\bwho comes and goes\b"
    r"|\b[Ww]hoever\b|\b[Ss]o many\b|\bunless it is given\b|\b[Mm]end(?:s|ed|ing)?\b|\banew\b|, too[.;:)]"
)
# More of the same in pages, where people read whole paragraphs.
IN_PAGES = re.compile(
    r"\b[Ll]ikewise\b|\bas well[.;:,)]|\b(?:is|are) told `|\bgoodbyes?\b|\b[Ww]hat is left\b"
    r"|\b[Tt]he same holds\b|\b(?:is|are) answered with `|^(?:- )?Who (?:has|reads|never|comes)\b"
    r"|\bnothing of (?:it|them) is\b|\bor are none\b|\bkeep no rules\b",
    re.MULTILINE,
)
# Places that are still allowed. Nothing may be added.
LEFT_IN_CODE = 0


def findings(where: str, text: str, patterns: re.Pattern[str] = PATTERNS) -> Iterator[str]:
    for match in patterns.finditer(text):
        around = text[max(0, match.start() - 40) : match.end() + 30]
        yield f"{where}: …{' '.join(around.split())}…"


def texts_of(module: Path) -> Iterator[str]:
    """Every text of a module but for docstrings: messages, help, words for people."""
    tree = ast.parse(module.read_text())
    docs = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docs:
            yield node.value


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages(page: Path) -> None:
    text = page.read_text()
    assert [*findings(name_of(page), text), *findings(name_of(page), text, IN_PAGES)] == []


@pytest.mark.parametrize("name", ["channels", "scenario"])
def test_descriptions_in_schemas(name: str) -> None:
    schema = json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text())
    assert list(findings(name, json.dumps(schema, ensure_ascii=False))) == []


def test_explanations_of_diagnostics() -> None:
    pages = sorted((ROOT / "channeld" / "diagnostics" / "codes").glob("*.md"))
    assert [one for page in pages for one in findings(page.name, page.read_text())] == []


def test_help() -> None:
    context = cli.make_context("channeld", ["--help"], resilient_parsing=True)
    found = [one for name in cli.list_commands(context) for one in _help_of(name)]
    assert found == []


def _help_of(name: str) -> Iterator[str]:
    context = cli.make_context("channeld", [], resilient_parsing=True)
    command = cli.get_command(context, name)
    assert command is not None
    yield from findings(f"channeld {name}", command.get_help(context))


def test_messages() -> None:
    found = [
        one
        for module in sorted((ROOT / "channeld").rglob("*.py"))
        for text in texts_of(module)
        for one in findings(name_of(module), text)
    ]
    assert len(found) <= LEFT_IN_CODE, "\n".join(found)


def test_comments_and_docstrings() -> None:
    modules = sorted((ROOT / "channeld").rglob("*.py"))
    assert [one for m in modules for one in findings(name_of(m), m.read_text())] == []


def test_pages_of_the_package() -> None:
    folders = ("api/console", "dev/templates", "export/templates")
    files = [f for name in folders for f in (ROOT / "channeld" / name).rglob("*.*")]
    assert [one for f in files for one in findings(name_of(f), f.read_text())] == []


@pytest.mark.parametrize(
    "text",
    [
        "it is no valid URL",
        "whoever asks",
        "so many a second",
        "empty unless it is given",
        "mend it",
        "there, too.",
    ],
)
def test_a_phrase_is_found(text: str) -> None:
    assert list(findings("here", text))


@pytest.mark.parametrize(
    "text", ["and so likewise is this", "this one as well.", "clients are told `recovered: false`"]
)
def test_a_phrase_of_a_page_is_found(text: str) -> None:
    assert list(findings("here", text, IN_PAGES))


@pytest.mark.parametrize(
    "text", ["there is no room", "it is no longer kept", "recommended", "too many"]
)
def test_a_usual_phrase_is_not(text: str) -> None:
    assert list(findings("here", text)) == []
