"""The content and format of log lines: no tokens, and no values that begin a new line or control the terminal.

These are structlog processors, in the order `stamped`, `with_traceback`, `cleaned`, and then `as_json` or `Console` (threats:
CWE-532, a secret in a log; CWE-117, a forged line).
"""

import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeAlias

import orjson

_Fields: TypeAlias = MutableMapping[str, object]

_LONGEST = 256
_LONGEST_TRACEBACK = 8192
_WIDEST = 32
_REDACTED = "[redacted]"
_SECRET_NAMES = re.compile(
    r"(^|[_-])(tokens?|authorization|cookies?|set-cookie|secrets?|keys?|password|sec-websocket-protocol)$",
    re.IGNORECASE,
)
_PATH_NAMES = frozenset({"path", "url", "target", "uri", "referer", "origin", "location"})
# What tokens look like anywhere: a JWT, a bearer, a named parameter, a URL's user and password.
_SECRET_TEXT = (
    (re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*)*"), _REDACTED),
    (re.compile(r"(?i)\b(bearer[ .])[^\s\"',;]+"), rf"\1{_REDACTED}"),
    (
        re.compile(r"(?i)\b((?:\w+_)?(?:token|secret|password|api_?key)=)[^\s&\"']+"),
        rf"\1{_REDACTED}",
    ),
    (re.compile(r"://[^/\s@]+@"), f"://{_REDACTED}@"),
)


# Of fields that are written as they are.
_PLAIN_TYPES = frozenset({str, int, float, bool, type(None)})
_APART = frozenset({"timestamp", "level", "event", "exception", "exc_info"})


def usual_line(event: str, level: str, fields: Mapping[str, object]) -> str | None:
    """The line for machines, if there is nothing to clean in it: what the processors make of it, in a quarter of the time.

    None: they have to look at each field.
    """
    values = fields.values()
    if not (_are_usual(tuple(fields)) and _PLAIN_TYPES.issuperset(map(type, values))):
        return None
    line: dict[str, object] = {"timestamp": datetime.now(UTC), "level": level, "event": event}
    line.update(fields)
    try:
        text = orjson.dumps(line, option=orjson.OPT_UTC_Z).decode()
    except TypeError:  # a number or a text that JSON cannot hold
        return None
    if len(text) > _LONGEST and any(type(one) is str and len(one) > _LONGEST for one in values):
        return None
    return text if _has_no_signs(text) and text.isprintable() else None


def with_traceback(_logger: object, _name: str, fields: _Fields) -> _Fields:
    """Put the traceback of `exc_info=` (structlog's way) or `exception=` into `exception`."""
    raised = fields.pop("exc_info", None)
    if raised is True:
        raised = sys.exc_info()[1]
    elif isinstance(raised, tuple):
        raised = raised[1]
    if isinstance(fields.get("exception"), BaseException):
        raised = fields["exception"]
    if isinstance(raised, BaseException):
        fields["exception"] = "".join(traceback.format_exception(raised))
    return fields


def stamped(_logger: object, _name: str, fields: _Fields) -> _Fields:
    """The fields with the `timestamp`, in UTC."""
    fields["timestamp"] = datetime.now(UTC).isoformat()[: -len("+00:00")] + "Z"
    return fields


def cleaned(_logger: object, _name: str, fields: _Fields) -> _Fields:
    """The fields without secrets, truncated, with the three that every line has first."""
    first = {name: fields.pop(name) for name in ("timestamp", "level", "event") if name in fields}
    first["event"] = _clean_text(str(first.get("event", "")))
    for name, value in fields.items():
        first[name] = _clean(name, value)
    return first


def _clean(name: str, value: object, depth: int = 3) -> object:
    """A value for JSON: short, shallow, without secrets. `name` is the field that holds it."""
    if type(value) is str:  # most are
        return _REDACTED if _is_secret(name[-64:]) else _clean_leaf(name, value)
    # Numbers are not secrets: `keys` in key set events is a count.
    if value is None or isinstance(value, bool | int | float):
        return value if not isinstance(value, int) or -(2**63) <= value < 2**64 else repr(value)
    if _is_secret(name[-64:]):
        return _REDACTED
    if isinstance(value, Mapping) and depth:
        pairs = list(value.items())[:_WIDEST]
        return {_clean_text(str(key)): _clean(str(key), held, depth - 1) for key, held in pairs}
    if isinstance(value, list | tuple | set | frozenset) and depth:
        return [_clean(name, held, depth - 1) for held in list(value)[:_WIDEST]]
    return _clean_leaf(name, value if isinstance(value, str) else repr(value))


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    """Whether a field of this name is always a secret."""
    return _SECRET_NAMES.search(name) is not None


@lru_cache(maxsize=1024)
def _are_usual(names: tuple[str, ...]) -> bool:
    """Whether what is in the fields with these names is cleaned as any other."""
    return not any(
        name in _PATH_NAMES or name in _APART or _is_secret(name[-64:]) for name in names
    )


def _has_no_signs(text: str) -> bool:
    """Whether it is ASCII without what no secret can do without: a look that takes a twentieth of cleaning."""
    has_signs = "eyJ" in text or "=" in text or "@" in text or "bearer" in text.lower()
    return text.isascii() and not has_signs


def _clean_leaf(name: str, text: str) -> str:
    if name in _PATH_NAMES:
        text = text.partition("?")[0].partition("#")[0]
    if name == "exception":
        return _clean_text(text[-_LONGEST_TRACEBACK:], _LONGEST_TRACEBACK)
    return _clean_text(text)


def _clean_text(text: str, longest: int = _LONGEST) -> str:
    if len(text) <= _LONGEST and _has_no_signs(text):
        return text
    # The cut comes last, so that it cannot leave half a secret; the first one bounds the work.
    if len(text) > longest:
        text = text[: 16 * longest]
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode()
    for pattern, instead in _SECRET_TEXT:
        text = pattern.sub(instead, text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def one_line(value: object) -> str:
    """A JSON value as one line of JSON that is safe for terminals: unprintable characters are escaped."""
    return escaped(orjson.dumps(value, default=repr).decode())


def escaped(text: str) -> str:
    """The text with everything that is not printable as JSON escapes it, line ends included (RFC 8259 section 7)."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def as_json(_logger: object, _name: str, fields: _Fields) -> str:
    """The line for machines: one JSON object."""
    return one_line(fields)


_PLAIN = re.compile(r"[^\s\"'=\\]+")
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "31"}


class ConsoleRenderer:
    """Lines for people: `12:00:00.000 info  connection_opened channel=room user=ann`, a traceback below, indented."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def __call__(self, _logger: object, _name: str, fields: _Fields) -> str:
        """The line, and those of a traceback."""
        moment = str(fields.pop("timestamp", ""))[11:23]
        level = str(fields.pop("level", "info"))
        event = escaped(str(fields.pop("event")))
        exception = str(fields.pop("exception", ""))
        pairs = [
            f"{self._paint('2', escaped(key) + '=')}{_shown(held)}" for key, held in fields.items()
        ]
        painted = self._paint(_COLOURS.get(level, "0"), f"{level:<7}")
        line = " ".join([self._paint("2", moment), painted, self._paint("1", event), *pairs])
        below = [f"    | {escaped(text)}" for text in exception.splitlines()]
        return "\n".join([line, *below])

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text


def _shown(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.isprintable():
        return value
    return one_line(value)
