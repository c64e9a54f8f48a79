"""What every page is written with: tables, fenced blocks, and where the repository is."""

import re
from pathlib import Path

HERE = Path(__file__).parents[1]
ROOT = HERE.parents[1]
MADE = "<!-- Made by docs/reference/generate.py; do not edit. -->"


def cell(text: str) -> str:
    """Text that fits into a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(map(cell, row)) + " |" for row in rows)])


def fenced(text: str, tag: str = "text") -> str:
    """A fenced block; control characters are shown as they are escaped."""
    shown = re.sub(r"[^\n\t -~\u00a0-\U0010ffff]", lambda found: repr(found[0])[1:-1], text)
    return f"```{tag}\n" + shown.strip("\n") + "\n```"
