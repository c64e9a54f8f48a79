"""Messages for YAML syntax errors: turns libyaml's terse problems into findings."""

import re
from collections.abc import Callable

import yaml

from channeld.config.tree import Lines
from channeld.diagnostics.catalogue import diagnose
from channeld.diagnostics.diagnostic import Diagnostic, Place

# How many characters of a line are searched for an unquoted template.
_LOOKED_AT = 1000

# (what the loader says, in C or in Python; our message; what to do; whether to locate it at the construct's start)
_WORDING: tuple[tuple[str, str, str, bool], ...] = (
    (
        r"mapping values are not allowed",
        "a `:` where no key can be",
        "quote the text if it contains `: `; otherwise check the indentation of this line and the one above",
        False,
    ),
    (
        r"did not find expected ',' or|expected ',' or",
        "this bracket is not closed, or a comma is missing in it",
        "close it, separate the parts with commas, and quote text that contains `{`, `}`, `[`, `]` or `,`",
        True,
    ),
    (
        r"could not find expected ':'",
        "this line has no `:` after its key",
        "write `key: value`, or indent the line if it continues the text above",
        True,
    ),
    (
        r"unexpected end of stream",
        "this quoted text is not closed",
        "add the closing quote",
        True,
    ),
    (
        r"unknown escape character|escape sequence|escape character",
        "not a valid escape in a double-quoted string",
        "use single quotes, where `\\` is an ordinary character",
        False,
    ),
    (
        r"alphabetic or numeric character",
        "`*` and `&` start an alias or an anchor here",
        'quote the text, such as `"*"`',
        True,
    ),
    (
        r"cannot start any token|expected node content",
        "a value cannot start with this character",
        "quote the text, or add the missing value",
        False,
    ),
    (
        r"did not find expected key|expected <block end>|did not find expected '-'|block end",
        "this line does not fit the lines above it",
        "indent it like the keys next to it; check the line above for a missing `:`, quote or bracket",
        False,
    ),
)
# The parser reports two problems alike: at the end of the file, a bracket is open.
_UNCLOSED, _UNSTARTED = 1, 6
# Two of these messages mean something else within a line.
_WITHIN_LINE = {
    _WORDING[0][1]: (
        "a second `: ` on this line",
        "quote the text that contains it, or break the line",
    ),
    _WORDING[-1][1]: (
        "unexpected text after the value on this line",
        "quote the whole text, or remove the rest",
    ),
}
_BARE_TEMPLATE = re.compile(
    r"(?:^|[\s:\[,-])(?![\"'#])([^\s\"'#,]*\{[a-z_]+(?:\.[\w.]+)?\??\}[^\s\"'#,}\]]*)"
)
_BARE_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)[^}\n]*\}?")
# `path:/chat`, though not `https://…`; and a key alone.
_GLUED = re.compile(r"([A-Za-z_][\w-]*)(?::(?!//)[^\S ]*|\s*=\s*)([^ \t:=].*)")
_WORD = re.compile(r"[A-Za-z_][\w.-]*")


def syntax_error(
    problem: yaml.MarkedYAMLError, lines: Lines, offset: Callable[[int], int]
) -> Diagnostic:
    """CH002 for a tab, CH010 for too many levels, else CH001, at the offending character or construct."""
    text = problem.problem or problem.context or "this is not YAML"
    at = min(offset(problem.problem_mark.index), len(lines.text)) if problem.problem_mark else 0
    if "tab character" in text or lines.text[at : at + 1] == "\t":
        help = "replace the tab with spaces"
        return diagnose("CH002", "tab used for indentation", _character(lines, at), help=help)
    if "nesting depth" in text:
        # Newer parsers have a limit of their own, and look far ahead.
        help = "flatten the structure"
        return diagnose("CH010", "nested too deeply to be read", _character(lines, at), help=help)
    variable = _BARE_VARIABLE.match(lines.text, max(at - 1, 0))
    if variable is not None:
        # Its default may be a secret.
        place, help = lines.place(*variable.span()), f'put it in quotes: `"${{{variable[1]}}}"`'
        return diagnose("CH001", "a variable within brackets needs quotes", place, help=help)
    fitting = (wording[1:] for wording in _WORDING if re.search(wording[0], text))
    message, help, opener = next(fitting, (text, "", False))
    if opener and problem.context_mark is not None:
        at = min(offset(problem.context_mark.index), len(lines.text))
    if message == _WORDING[_UNSTARTED][1] and not lines.text[at:].strip():
        message, help = _WORDING[_UNCLOSED][1:3]
    place = _character(lines, at)
    start = lines.offset(place.line)
    line = lines.text[start : start + _LOOKED_AT].split("\n", 1)[0]
    before = lines.text[start:at].strip(" -")
    if (": " in before) if message == _WORDING[0][1] else before:
        message, help = _WITHIN_LINE.get(message, (message, help))
    template = _BARE_TEMPLATE.search(line)
    if template is not None:
        message = "a template without quotes is not text"
        help = f'put the whole text in quotes, as in `"{template[1]}"`'
    elif message == _WORDING[0][1]:
        return _misplaced_colon(lines, place, line)
    elif _comment_of_json(line.lstrip()):
        message, help = "a comment starts with `#` in YAML", "write `#` before the comment"
    return diagnose("CH001", message, place, help=help)


def _misplaced_colon(lines: Lines, place: Place, line: str) -> Diagnostic:
    """A `:` that YAML can't read as a key's; often the actual mistake is in the line above.

    The line is not quoted: any file can be named as a schema, and a value may be a secret.
    """
    number, above = place.line - 1, ""
    while number > 0 and not (above := _line(lines, number)).strip():
        number -= 1
    text = above.strip().removeprefix("- ").strip()
    start = lines.offset(number) + len(above) - len(above.lstrip()) if number else 0
    here = lines.place(start, start + len(above.strip())) if number else place
    if _comment_of_json(text):
        help = "write `#` before the comment"
        return diagnose("CH001", "a comment starts with `#` in YAML", here, help=help)
    if _GLUED.fullmatch(text):
        help = "write `:` and a space after the key"
        return diagnose("CH001", "there is no `:` and space after the key", here, help=help)
    if _WORD.fullmatch(text):
        return diagnose("CH001", "this line has no `:` after its key", here, help="end it with `:`")
    if _indent(line) > _indent(above) and ": " in text:
        message = "the key above has a value already, so nothing can be under it"
        return diagnose("CH001", message, place, help="indent this line like the one above")
    return diagnose("CH001", _WORDING[0][1], place, help=_WORDING[0][2])


def _comment_of_json(text: str) -> bool:
    return text.startswith(("//", "/*"))


def _line(lines: Lines, number: int) -> str:
    start = lines.offset(number)
    return lines.text[start : start + _LOOKED_AT].split("\n", 1)[0].rstrip("\r")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _character(lines: Lines, at: int) -> Place:
    """One character, or empty at the end of a line."""
    empty = lines.text[at : at + 1] in ("", "\n", "\r")
    return lines.place(at, at if empty else at + 1)
