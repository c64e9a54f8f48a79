"""YAML's lexical level: bytes to text, and what a plain scalar means in the 1.2 core schema (and in 1.1)."""

import json
import re
from bisect import bisect_right
from collections.abc import Mapping
from typing import Final

from channeld.config.tree import Lines
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Place, Report
from channeld.protocol.frames import Json

MAX_BYTES = 2 * 1024 * 1024

_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)

_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
BOOLEAN_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("yes", "y", "on", "true", "1"), "true"),
    **dict.fromkeys(("no", "n", "off", "false", "0"), "false"),
}
"""Words that are booleans in YAML 1.1, or without the quotes around them, in lower case."""
# Python refuses to convert more digits than this (CVE-2020-10735); no setting needs such a number.
_LONGEST_INTEGER = 4000

# YAML 1.1 also lists `y` and `n`, but common parsers read them as strings, and coordinates have these names.
_YAML11 = (
    (re.compile(r"(?i:yes|on)"), "`true`"),
    (re.compile(r"(?i:no|off)"), "`false`"),
    (re.compile(r"[-+]?0[0-7]+|[-+]?0b[01_]+"), "a number in another base"),
    (re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?"), "a number"),
    (re.compile(r"[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"), "a number in base 60"),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?"), "a date"),
)


def readable(source: bytes | str, file: str, report: Report) -> Lines | None:
    """Decode a file, without its byte order mark; None (CH009, CH011) if it is not valid YAML text.

    Two MiB at most, UTF-8, and no control characters.
    """
    data = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    if len(data) > MAX_BYTES:
        line = data.count(b"\n", 0, MAX_BYTES) + 1
        message = f"the file is larger than {MAX_BYTES >> 20} MiB"
        help = "split it with `include:`, or move schemas to files of their own"
        report.add(diagnose("CH009", message, Place(file, line, 1, line, 1), help=help))
        return None
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as problem:
        before = data[: problem.start].decode("utf-8").removeprefix("\ufeff")
        place = Lines(file, before).place(len(before), len(before))
        message = f"byte 0x{data[problem.start]:02x} at offset {problem.start} is not UTF-8"
        report.add(diagnose("CH011", message, place, help="save the file as UTF-8"))
        return None
    lines = Lines(file, text)
    bad = _UNPRINTABLE.search(text)
    if bad is None:
        return lines
    message = f"control character U+{ord(bad[0]):04X} is not allowed in YAML"
    help = 'remove it, or write it as an escape in double quotes, such as `"\\x07"`'
    report.add(diagnose("CH011", message, lines.place(bad.start(), bad.end()), help=help))
    return None


def resolve(raw: str) -> Json:
    """The value of a plain scalar; infinities and NaN, which JSON lacks, become floats."""
    if raw in _WORDS:
        return _WORDS[raw]
    if _INTEGER.fullmatch(raw):
        return int(raw) if len(raw) < _LONGEST_INTEGER else raw
    if _OCTAL.fullmatch(raw):
        return int(raw, 0)
    if _HEXADECIMAL.fullmatch(raw):
        return int(raw, 0)
    if _FLOAT.fullmatch(raw):
        return float(raw)
    return float(raw.replace(".", "")) if _INFINITE.fullmatch(raw) else raw


def yaml11_reading(raw: str) -> str | None:
    """What YAML 1.1 would read a plain scalar as (`a date`), if that differs from 1.2, else None."""
    return next((meaning for pattern, meaning in _YAML11 if pattern.fullmatch(raw)), None)


def boolean_word(value: Json) -> str:
    """`true` or `false` for a text that is one in YAML 1.1, or in quotes; empty for anything else."""
    return BOOLEAN_WORDS.get(value.lower(), "") if isinstance(value, str) else ""


def boolean_help(value: Json) -> str:
    """What to write for such a text where a boolean belongs; empty for anything else."""
    word = boolean_word(value)
    return f"write `{word}`, without quotes; `yes` and `on` are strings in YAML 1.2" if word else ""


_ESCAPE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|.)|[\x85\u2028\u2029]", re.DOTALL)
_SUSPICIOUS = re.compile(r"\\u[dD][89abAB]|[\x85\u2028\u2029]")
_AS_YAML = {"\x85": "\\N", "\u2028": "\\L", "\u2029": "\\P"}


class Rewritten:
    """A JSON text rewritten where libyaml would read it differently; any other text unchanged.

    A surrogate pair (RFC 8259 section 7) is one escape in YAML, and three characters that JSON allows within strings
    would be line breaks. `offset` maps an index in `text` back to the original.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._at: list[int] = []
        self._shift: list[int] = []
        if _SUSPICIOUS.search(text) and text.lstrip()[:1] in ("{", "[", '"') and _is_json(text):
            self._rewrite()

    def offset(self, index: int) -> int:
        """Map an index in `text` to the original."""
        passed = bisect_right(self._at, index)
        return index + (self._shift[passed - 1] if passed else 0)

    def _rewrite(self) -> None:
        parts: list[str] = []
        last = length = shift = 0
        for match in _ESCAPE.finditer(self.text):
            old = match[0]
            pair = len(old) == 12
            new = _one_escape(old) if pair else _AS_YAML.get(old, old)
            parts += (self.text[last : match.start()], new)
            length += match.start() - last + len(new)
            last = match.end()
            if len(new) != len(old):
                shift += len(old) - len(new)
                self._at.append(length)
                self._shift.append(shift)
        self.text = "".join((*parts, self.text[last:]))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _one_escape(pair: str) -> str:
    character = json.loads(f'"{pair}"')
    return f"\\U{ord(character):08x}"
