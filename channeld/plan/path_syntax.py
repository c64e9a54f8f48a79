"""Parses a `path` (literals, `{param}`, a final `{rest...}`), and compares how specific two paths are.

`{rest...}` matches one or more segments. A pattern is more specific than another if the other matches all of its URLs.
"""

import re
from typing import Literal
from urllib.parse import unquote_to_bytes

import attrs

MAX_SEGMENTS = 64
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PARAM = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")
_OF_OTHER_ROUTERS = re.compile(
    r"[:$<{]{1,2}(?:params\.|(?P<before>[a-z]+):)?(?P<name>[A-Za-z_][A-Za-z0-9_-]*)"
    r"(?::(?P<behind>[a-z]+))?\??[>}]{0,2}"
)
_OTHER_TYPES = {"int": "integer", "integer": "integer", "float": "number", "bool": "boolean"}
_RESTS = re.compile(r"\{(?:\.\.\.|\*{1,2})?([A-Za-z_][A-Za-z0-9_-]*)[*+]?\}")
_REST = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\.\.\.\}")


@attrs.frozen(slots=True)
class PathParam:
    """A segment that matches anything but the empty segment."""

    name: str


@attrs.frozen(slots=True)
class Rest:
    """The last segment: the remaining one or more segments."""

    name: str


Segment = str | PathParam | Rest


@attrs.frozen(slots=True)
class PathPattern:
    """A parsed path: decoded literals, params, optionally a rest. `text` is the path as written."""

    text: str
    segments: tuple[Segment, ...]

    @property
    def params(self) -> tuple[str, ...]:
        """Its param names, in order."""
        return tuple(s.name for s in self.segments if not isinstance(s, str))

    def offset(self, name: str) -> int:
        """The offset of a param in the text, at its brace."""
        return max(self.text.find(f"{{{name}}}"), self.text.find(f"{{{name}...}}"), 0)


@attrs.frozen(slots=True)
class PathSlip:
    """An error in a path: code, message, location, what to write instead; `fatal`: it can't be matched."""

    code: str
    message: str
    offset: int
    length: int
    help: str
    fatal: bool = True


def parse_path(text: str, mistakes: list[PathSlip]) -> PathPattern | None:
    """Parse a `path`. Errors are added to the list; None after a fatal one."""
    found: list[PathSlip] = []
    pattern = _parse(text, found)
    mistakes += found
    return None if any(mistake.fatal for mistake in found) else pattern


def compare(
    one: PathPattern, other: PathPattern
) -> Literal["equal", "narrower", "wider", "crossed"]:
    """Which of two overlapping patterns is more specific, or neither."""
    inside, around = _within(one, other), _within(other, one)
    if inside and around:
        return "equal"
    if inside:
        return "narrower"
    return "wider" if around else "crossed"


def decode(segment: str) -> str | None:
    """Percent-decode a segment or a query once; None for a bad escape or invalid UTF-8."""
    if "%" not in segment:
        return segment if segment.isascii() or _is_text(segment) else None
    if _ESCAPE.search(segment):
        return None
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except (UnicodeDecodeError, UnicodeEncodeError):
        return None


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _within(one: PathPattern, other: PathPattern) -> bool:
    for position, segment in enumerate(other.segments):
        if isinstance(segment, Rest):
            return len(one.segments) > position
        if position >= len(one.segments):
            return False
        mine = one.segments[position]
        if isinstance(mine, Rest) or (isinstance(segment, str) and mine != segment):
            return False
    return len(one.segments) == len(other.segments)


def _parse(text: str, mistakes: list[PathSlip]) -> PathPattern:
    whole = _slip_of_whole(text)
    if whole is not None:
        mistakes.append(whole)
        return PathPattern(text, ())
    raw = text[1:].split("/")
    if len(raw) > 1 and raw[-1] == "":
        help = f"write `{text.rstrip('/')}`, unless clients really use the slash"
        message, end = "the path ends in a slash", len(text) - 1
        mistakes.append(PathSlip("CH331", message, end, 1, help, fatal=False))
    segments: list[Segment] = []
    offset = 1
    for position, part in enumerate(raw):
        segment = _segment(part, offset, position == len(raw) - 1, mistakes)
        if segment is not None:
            segments.append(segment)
        offset += len(part) + 1
    pattern = PathPattern(text, tuple(segments))
    _refuse_repeats(pattern, mistakes)
    return pattern


def _slip_of_whole(text: str) -> PathSlip | None:
    if not text.startswith("/"):
        message, help = _without_slash(text)
        return PathSlip("CH301", message, 0, len(text), help)
    for sign, what in (("?", "query"), ("#", "fragment")):
        start = text.find(sign)
        if start >= 0:
            help = f"write `{text[:start]}`"
            return PathSlip(
                "CH301", f"a path cannot contain a {what}", start, len(text) - start, help
            )
    message = f"a path has at most {MAX_SEGMENTS} segments"
    is_long = text.count("/") > MAX_SEGMENTS
    return PathSlip("CH301", message, 0, len(text), "shorten it") if is_long else None


def _segment(part: str, offset: int, last: bool, mistakes: list[PathSlip]) -> Segment | None:
    if found := _PARAM.fullmatch(part):
        return PathParam(found[1])
    if found := _REST.fullmatch(part):
        if last:
            return Rest(found[1])
        help = "move it to the end, or write a plain param"
        mistakes.append(PathSlip("CH301", f"`{part}` must end the path", offset, len(part), help))
        return None
    mistake = _literal_mistake(part, last)
    if mistake is not None:
        message, help = mistake
        mistakes.append(PathSlip("CH301", message, offset, max(len(part), 1), help))
        return None
    if part in (".", ".."):
        help = "use another name for the segment"
        message = f"clients resolve a `{part}` segment before they connect"
        mistakes.append(PathSlip("CH307", message, offset, len(part), help))
    return decode(part)


def _literal_mistake(part: str, last: bool) -> tuple[str, str] | None:
    if not part:
        return (
            None if last else ("a segment of the path is empty", "write one `/` between segments")
        )
    if part.startswith((":", "<", "*")) or part.endswith("*") or re.fullmatch(r"\$[a-z_]\w*", part):
        return f"`{part}` is not a param", _as_param(part, "write `{name}`")
    if "{" in part or "}" in part:
        return _brace_slip(part)
    if decode(part) is None:
        return f"`{part}` is not percent-encoded UTF-8", "write `%25` for `%`"
    if any(character.isspace() or ord(character) < 32 for character in part):
        return "a path cannot contain spaces", "write `%20` for a space"
    return None


def _brace_slip(part: str) -> tuple[str, str]:
    if part == "{}":
        return "a param has no name", "write `{name}`"
    if re.fullmatch(r"\{[^{}]*\}", part):
        help = _as_param(part, "use letters, digits, `_` and `-`")
        return f"`{part[1:-1]}` is not a valid param name", help
    help = _as_param(part, "write `{name}` between slashes")
    return f"a param is a whole segment; `{part}` is not", help


def _as_param(part: str, otherwise: str) -> str:
    """The correct form of a param in another router's syntax: `:id`, `<int:id>`, `{id:int}`, `{{id}}`, `${id}`, `{id*}`."""
    if every := _RESTS.fullmatch(part):
        return f"write `{{{every[1]}...}}`"
    found = _OF_OTHER_ROUTERS.fullmatch(part)
    if part.strip("*") == "":
        return "write `{name}`, or `{rest...}` at the end for all that follows"
    if found is None:
        return otherwise
    name, kind = found["name"], found["before"] or found["behind"] or ""
    if found["before"] and name in _OTHER_TYPES.keys() | {"path", "str", "string", "uuid", "slug"}:
        name, kind = kind, name
    type_ = _OTHER_TYPES.get(kind)
    typed = f", and `params: {{{name}: {{type: {type_}}}}}`" if type_ else ""
    rest = "..." if kind == "path" else ""
    return f"write `{{{name}{rest}}}`{typed}"


def _without_slash(text: str) -> tuple[str, str]:
    example = "write segments between slashes, such as `/rooms/{room_id}`"
    url = re.match(r"(?:wss?|https?)://[^/]*(/.*)?$", text)
    if url is not None:
        return "a path has no scheme and no host", f"write `{url[1] or '/'}`"
    if text.startswith("^") or text.endswith("$"):
        return "a path is not a regular expression", example
    bare = text.strip("\u201c\u201d\u2018\u2019\u00ab\u00bb")
    if bare != text:
        return "the quotes around the path are not YAML's", f"write `{bare}`, or straight quotes"
    return "a path starts with `/`", example if ":" in text or "*" in text else f"write `/{text}`"


def _refuse_repeats(pattern: PathPattern, mistakes: list[PathSlip]) -> None:
    seen: set[str] = set()
    offset = 1
    for part, segment in zip(pattern.text[1:].split("/"), pattern.segments, strict=False):
        if not isinstance(segment, str):
            if segment.name in seen:
                help = "give each param its own name"
                message = f"the param `{segment.name}` appears twice in the path"
                mistakes.append(PathSlip("CH304", message, offset, len(part), help))
            seen.add(segment.name)
        offset += len(part) + 1
