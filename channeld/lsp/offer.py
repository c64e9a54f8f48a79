"""One completion item, and how a word is written at the cursor."""

import attrs

from channeld.lsp.cursor import Cursor


@attrs.frozen(slots=True)
class Offer:
    """One completion: label, inserted text if different, kind, and Markdown."""

    label: str
    kind: str
    text: str = attrs.field(default="", kw_only=True)
    detail: str = attrs.field(default="", kw_only=True)
    documentation: str = attrs.field(default="", kw_only=True)
    rank: int = attrs.field(default=5, kw_only=True)


def quoted(word: str, cursor: Cursor) -> str:
    """A value as written here: quoted if necessary and not quoted yet."""
    is_odd = word[:1] in "{[*&#!|>%@`" or "{" in word
    return f'"{word}"' if is_odd and not is_quoted(cursor) else word


def is_quoted(cursor: Cursor) -> bool:
    """Whether a quote precedes the word at the cursor."""
    line = cursor.view.tree.lines
    start = line.offset(cursor.span.start.line + 1) + cursor.span.start.column
    return line.text[start - 1 : start] in ("'", '"')
