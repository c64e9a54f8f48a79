"""Hover texts: the finding, the meaning of a key, or what a template expression is."""

import re
from collections.abc import Iterator
from typing import Final

from channeld.diagnostics.catalogue import CATALOGUE, CatalogueEntry
from channeld.lsp.buffers import Caret, TextSpan
from channeld.lsp.fields import fields_of, roots
from channeld.lsp.projects import Projects
from channeld.lsp.references import channel_of, is_template
from channeld.lsp.rules import described, rules_at
from channeld.lsp.view import Found, View, at_caret, expression_at

_CODES: Final = re.compile(r"#\s*channeld:\s*ignore\[([^\]]*)\]")
_CODE: Final = re.compile(r"CH\d{3}")


def hover(projects: Projects, name: str, caret: Caret) -> tuple[TextSpan | None, str] | None:
    """Markdown about what is at a caret, and its range; None if there is nothing to show."""
    buffer = projects.buffer(name)
    if buffer is None or caret.line >= len(buffer.lines):
        return None
    ignored = _ignored(buffer.lines[caret.line], caret)
    if ignored is not None:
        return ignored
    parts = [explanation(CATALOGUE[code]) for code in _codes_at(projects, name, caret)]
    here = at_caret(projects, name, caret)
    if here is not None and not here[0].is_schema_file:
        parts.extend(part for part in (_word(*here), _meaning(*here)) if part)
    span = here[1].span if here is not None else None
    return (span, "\n\n---\n\n".join(parts)) if parts else None


def explanation(entry: CatalogueEntry) -> str:
    """An entry of the catalogue as Markdown."""
    return f"**{entry.code}: {entry.title}**\n\n{entry.explanation}"


def _ignored(line: str, caret: Caret) -> tuple[TextSpan, str] | None:
    """The explanation of a code in an ignore comment."""
    comment = _CODES.search(line)
    if comment is None:
        return None
    for code in _CODE.finditer(line, comment.start(1), comment.end(1)):
        if code.start() <= caret.column <= code.end() and code[0] in CATALOGUE:
            span = TextSpan.within(caret.line, code.start(), code.end())
            return span, explanation(CATALOGUE[code[0]])
    return None


def _codes_at(projects: Projects, name: str, caret: Caret) -> Iterator[str]:
    found = [
        one.code
        for one in projects.of_document(name)
        if (span := TextSpan.of(one.place)).start <= caret <= span.end and one.code in CATALOGUE
    ]
    yield from dict.fromkeys(found)


def _meaning(view: View, found: Found) -> str:
    """The language's description of a key or value; a value without its own has its key's."""
    rules = rules_at(found.pointer, view.tree.value, scenarios=view.is_scenarios)
    words = next((described(rule) for rule in rules if rule.get("description")), "")
    if words or not rules:
        return words
    return described(rules[0])


def _word(view: View, found: Found) -> str:
    """Describes the expression at the caret."""
    if found.is_key or view.is_scenarios or not is_template(found.pointer):
        return ""
    expression = expression_at(found)
    return "" if expression is None else _told(view, found.pointer, expression)


def _told(view: View, pointer: str, expression: str) -> str:
    known = roots(pointer)
    root, *path = expression.split(".")
    meaning = known.get(expression) or known.get(root)
    if meaning is None:
        return ""
    certain = fields_of(view, pointer, root, tuple(path[:-1])).get(path[-1]) if path else None
    if certain is None:
        return f"`{expression}`: {meaning}"
    where = f" of channel `{channel_of(pointer)}`" if channel_of(pointer) else ""
    surely = "always present" if certain else "may be missing"
    return f"`{expression}`: {meaning}{where}; {surely}"
