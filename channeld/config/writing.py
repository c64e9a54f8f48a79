"""Writes values as YAML, on one line or as a block; reading it back gives the same value."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from channeld.protocol.frames import Json

_UNPRINTABLE: Final = re.compile(
    "[^\\t\\n\\r\\x20-\\x7e\\xa0-\\u2027\\u202a-\\ud7ff\\ue000-\\ufefe\\uff00-\\ufffd\\U00010000-\\U0010ffff]"
)
_PLAIN: Final = re.compile(
    r"[A-Za-z_][A-Za-z0-9_.-]*(?::[A-Za-z_][A-Za-z0-9_.]*)?|/[A-Za-z0-9_./-]*|\$(?:ref|defs)"
    r"|(?:[0-9]{1,3}\.){3}[0-9]{1,3}:[0-9]+|[0-9]+(?:ms|[smhd]|KiB|MiB|/[smh])|https?://[A-Za-z0-9_./:-]*[A-Za-z0-9_/-]"
)
# Other YAML parsers read these as values, in any case.
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_WIDTH: Final = 100


def flow(value: Json) -> str:
    """A JSON value on one line, which YAML reads as the same value."""
    text = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def comment(text: str) -> str:
    """Any text as a one-line comment."""
    return "# " + _UNPRINTABLE.sub(" ", " ".join(text.split()))


def block(value: Mapping[str, Json], indent: int = 0) -> Iterator[str]:
    """The lines of a mapping: flow style if it fits on a line, and quotes only if needed."""
    for key, held in value.items():
        yield from _entry(f"{' ' * indent}{short(key)}:", held, indent + 2)


def _entry(head: str, value: Json, indent: int) -> Iterator[str]:
    line = f"{head} {short(value)}"
    if len(line) <= _WIDTH or not value or not isinstance(value, dict | list):
        yield line
    elif isinstance(value, dict):
        yield head
        yield from block(value, indent)
    else:
        yield head
        for held in value:
            yield from _entry(f"{' ' * indent}-", held, indent + 2)


def short(value: Json) -> str:
    """A JSON value on one line, with quotes only if needed."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{short(k)}: {short(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(short, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return flow(value)
