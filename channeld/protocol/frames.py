"""JSON text to frame, strictly, and frames to bytes: the meaning of what travels, before any declaration is asked.

What a client sends is refused here unless it is one JSON object (RFC 8259), not nested too deep, with numbers that fit
(finite as a double, integers within 64 bits) and a string `type`. What goes out is always encoded from a decoded
value, never a client's own bytes, so a receiver parses exactly what was checked.
"""

import json
import re
from typing import Any, TypeAlias

import attrs
import orjson

__all__ = ["DEEPEST", "BadFrame", "Frame", "Json", "decode", "encode"]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
# Decoded frames are dicts whose values were checked by a schema, not by a type checker.
Frame: TypeAlias = dict[str, Any]

# orjson encodes 254 levels and decodes 1,024; what was accepted must go out again, in an `emit` or a `history` frame.
DEEPEST = 200

_MAY_OVERFLOW = re.compile(rb"[0-9]{19}")
_LOWEST, _HIGHEST = -(2**63), 2**64 - 1


@attrs.frozen(slots=True)
class BadFrame:
    """Why a text is no frame, in words for its sender; `id` is what it gave as one, if that could be read."""

    message: str
    id: Any = None


def decode(text: bytes, depth: int) -> Frame | BadFrame:
    """Decode one client frame.

    Args:
        text: the UTF-8 payload of a text message.
        depth: how many objects and lists may be nested, at most `DEEPEST`; a bare `{}` has depth 1.

    Returns:
        The object, its `type` a string; or why it is none.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return BadFrame(f"Not valid JSON: {error.msg} at character {error.pos}")
    if type(value) is not dict:
        return BadFrame("A frame is one JSON object")
    for child in value.values():
        if type(child) is not str:
            # Something that may nest, or a number: most chat messages have neither, and need no second look.
            reason = _reason_against(value, text, min(depth, DEEPEST))
            if reason is not None:
                return BadFrame(reason, value.get("id"))
            break
    if type(value.get("type")) is not str:
        return BadFrame("A frame needs a string `type`", value.get("id"))
    return value


def _reason_against(value: Frame, text: bytes, depth: int) -> str | None:
    # Both checks need a look at the value only for texts that could fail them.
    if text.count(b"{") + text.count(b"[") > depth and _depth(value) > depth:
        return f"Nested deeper than {depth}"
    if _MAY_OVERFLOW.search(text) and not _integers_fit(text):
        return "An integer is out of range (64 bits)"
    return None


def encode(frame: Frame) -> bytes:
    """Encode a frame as compact JSON.

    Raises:
        TypeError: for what JSON cannot say (only a hook's frame can hold such a thing).
    """
    return orjson.dumps(frame)


def _depth(value: object) -> int:
    deepest, level = 0, [value]
    while level:
        below: list[object] = []
        for container in level:
            if isinstance(container, dict):
                below.extend(container.values())
            elif isinstance(container, list):
                below.extend(container)
        if any(isinstance(container, dict | list) for container in level):
            deepest += 1
        level = [child for child in below if isinstance(child, dict | list)]
    return deepest


def _integers_fit(text: bytes) -> bool:
    # orjson turns a larger integer into a float without a word, so these rare texts are read a second time.
    def fits(digits: str) -> int:
        number = int(digits)
        if not _LOWEST <= number <= _HIGHEST:
            raise OverflowError
        return number

    try:
        json.loads(text, parse_int=fits)
    except (OverflowError, ValueError, RecursionError):
        return False
    return True
