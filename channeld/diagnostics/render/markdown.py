"""Pieces of Markdown that hold whatever text they are given: code spans, tables, their cells."""

from collections.abc import Sequence


def code(text: str) -> str:
    """A code span that a table can hold: longer fences around backticks (CommonMark 6.1), pipes escaped; "" for ""."""
    flat = " ".join(text.split()).replace("|", "\\|")
    fence = "`"
    while fence in flat:
        fence += "`"
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{pad}{flat}{pad}{fence}" if flat else ""


def cell(text: str) -> str:
    """A text on one line that ends no cell and begins no HTML."""
    flat = " ".join(text.split())
    return flat.replace("|", "\\|").replace("<", "&lt;")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; "" for one without rows."""
    if not rows:
        return ""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines.extend("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join(lines)
