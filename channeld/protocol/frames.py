"""Decodes JSON text to frames, strictly, and encodes frames, before any declaration is applied.

What a client sends is refused here unless it is one JSON object (RFC 8259), not nested too deep, with numbers that fit
(finite as a double, integers within 64 bits) and a string `type`. Output is always encoded from a decoded value, never
copied from a client's bytes, so a receiver parses exactly what was checked.
"""

import itertools
import math
import re
from collections.abc import Mapping
from json import loads as loads_by_grammar
from typing import Any, TypeAlias

import attrs
import orjson

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
CheckedJson: TypeAlias = Any
"""JSON whose form a schema checks, and not a type checker: the only reason to name `Any` for a value."""
Frame: TypeAlias = dict[str, CheckedJson]

# orjson encodes 254 levels and decodes 1,024; what was accepted must be encodable in an `emit` or a `history` frame.
DEEPEST = 200

# Every digit as `0`, what may stand before a number in an object as a space, what makes it no integer as a point. A number with
# 19 digits is then found by one search for a text, and one that is a whole string, as long ids are, is not.
_AS_ZEROS = bytes(
    ord("0") if byte in b"0123456789"
    else ord(" ") if byte in b"[:,- \t\r\n"
    else ord(".") if byte in b".eE"
    else ord("x")
    for byte in range(256)
)  # fmt: skip
_NINETEEN = b" " + b"0" * 19
_LONG_NUMBER = re.compile(rb" 0{19}0*+(?!\.)")
# Maps all brackets to one kind and keeps quotes; everything else may be left out.
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NOT_NESTING = bytes(byte for byte in range(256) if byte not in b'{[}]"')
# Opening brackets count 1, closing ones -1 (255 as a signed byte).
_AS_STEPS = bytes.maketrans(b"[]", b"\x01\xff")
LOWEST, HIGHEST = -(2**63), 2**64 - 1
"""The integers that a frame may contain."""
_LOWEST, _HIGHEST, _MINUS = str(-LOWEST).encode(), str(HIGHEST).encode(), ord("-")


@attrs.frozen(slots=True)
class BadFrame:
    """Why a text is not a frame, worded for its sender; `id` is the frame's, if it could be read."""

    message: str
    id: CheckedJson = None


def decode(text: bytes, depth: int) -> Frame | BadFrame:
    """Decode one client frame.

    Args:
        text: the UTF-8 payload of a text message.
        depth: how many objects and lists may be nested, at most `DEEPEST`; a bare `{}` has depth 1.

    Returns:
        The object, with a string `type`, or why the text is not a frame.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return BadFrame(
            f"Not valid JSON: {error.msg} at character {error.pos}", _id_of_refused(text)
        )
    if type(value) is not dict:
        return BadFrame("A frame is one JSON object")
    for child in value.values():
        if type(child) is not str:
            # Finds nesting and long numbers. Most chat messages have neither and skip the checks.
            reason = _reason_against(text, min(depth, DEEPEST))
            if reason is not None:
                return BadFrame(reason, value.get("id"))
            break
    if type(value.get("type")) is not str:
        return BadFrame("A frame needs a string `type`", value.get("id"))
    return value


def id_of(text: bytes) -> CheckedJson:
    """The `id` of a text that is not decoded further; None if it has none or is not a JSON object."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value.get("id") if type(value) is dict else None


def _id_of_refused(text: bytes) -> CheckedJson:
    # JSON's grammar allows what orjson refuses, numbers beyond a double and half a surrogate pair: the `id` is found even so.
    try:
        value = loads_by_grammar(text.decode())
        id = value.get("id") if type(value) is dict else None
        orjson.dumps(id)
    except (ValueError, TypeError, RecursionError):
        return None
    return id


def _reason_against(text: bytes, depth: int) -> str | None:
    # Both checks examine the value only if the text could fail them.
    if text.count(b"{") + text.count(b"[") > depth and _depth(text) > depth:
        return f"Nested deeper than {depth}"
    if not integers_fit(text):
        return "An integer is out of range (64 bits)"
    return None


def encode(frame: Frame) -> bytes:
    """Encode a frame as compact JSON. The result uses no more memory than its bytes, so it may be kept.

    Raises:
        TypeError: a value is not JSON (possible only in a hook's frame).
    """
    # A copy, for 0.08 µs: orjson does not shrink its buffer, which has 4 KiB for a short text and 14 times a long one.
    return b"%b" % orjson.dumps(frame)


def with_id(frame: bytes, id: str | int | None) -> bytes:
    """Add an `id` to a frame's JSON, if there is one. The frame has at least its `type`, so a comma is correct."""
    return frame if id is None else b'%b,"id":%b}' % (frame[:-1], orjson.dumps(id))


def is_finite(value: object) -> bool:
    """Whether all numbers in a value are finite, as JSON requires (RFC 8259 section 6)."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(map(is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_finite, value))
    return True


def _depth(text: bytes) -> int:
    """How deeply valid JSON is nested."""
    nesting = _without_escapes(text).translate(_ONE_KIND, _NOT_NESTING)
    # Two quotes side by side: the ends of a string without brackets, or of two, one after the other.
    nesting = nesting.replace(b'""', b"")
    if b'"' in nesting:
        nesting = b"".join(nesting.split(b'"')[::2])
    # Wide and flat, as large values are, it is half as long or less without its innermost level. What is not is counted.
    levels, is_flat = 0, True
    while nesting and is_flat:
        size, nesting = len(nesting), nesting.replace(b"[]", b"")
        levels, is_flat = levels + 1, 2 * len(nesting) <= size
    steps = memoryview(nesting.translate(_AS_STEPS)).cast("b")
    return levels + max(itertools.accumulate(steps), default=0)


def _without_escapes(text: bytes) -> bytes:
    """Valid JSON without escaped backslashes and quotes: the quotes that remain begin and end its strings."""
    return text.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in text else text


def integers_fit(text: bytes) -> bool:
    """Whether every integer in a JSON text fits into 64 bits."""
    # orjson turns a larger one into a float without a word, so the rare numbers that may be are looked at again.
    if _all_fit(text):
        return True
    return _all_fit(b'"'.join(_without_escapes(text).split(b'"')[::2]))


def _all_fit(text: bytes) -> bool:
    """The same, where strings are taken for numbers as well."""
    zeros = text.translate(_AS_ZEROS)
    first = zeros.find(_NINETEEN)
    for found in _LONG_NUMBER.finditer(zeros, first) if first >= 0 else ():
        start, end = found.span()
        digits, largest = text[start + 1 : end], _HIGHEST
        if text[start] == _MINUS:
            if text[start - 1] in b"eE":
                continue
            largest = _LOWEST
        # Numbers of equally many digits are ordered as texts.
        if len(digits) > len(largest) or (len(digits) == len(largest) and digits > largest):
            return False
    return True
