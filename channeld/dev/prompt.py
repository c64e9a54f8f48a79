"""The interactive client's input and output: typed lines to frames, frames to lines."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import attrs
import orjson

from channeld.protocol.frames import Json
from channeld.telemetry import escaped, one_line


@attrs.frozen(slots=True)
class SendCommand:
    """Send this text."""

    text: str


@attrs.frozen(slots=True)
class Say:
    """Tell the user this."""

    text: str


@attrs.frozen(slots=True)
class Quit:
    """Close and leave."""


Typed: TypeAlias = SendCommand | Say | Quit | None

HELP: Final = """\
{"type": …}            send a frame
/ping                  ask for a pong
/sub ROOM [POS]        subscribe, and get what was missed since POS
/unsub ROOM            unsubscribe
/who ROOM              who is there
/history ROOM [LIMIT]  earlier frames
/auth TOKEN            authenticate, or renew
/raw TEXT              send any text, to see what the server says
/quit                  close and leave; so do Ctrl-D and Ctrl-C"""


def _number(text: str) -> Json:
    return int(text) if text.isascii() and text.isdigit() else text


_SHORT: Final[Mapping[str, tuple[str, tuple[str, ...], int]]] = {
    "/ping": ("ping", (), 0),
    "/sub": ("subscribe", ("room", "since"), 1),
    "/unsub": ("unsubscribe", ("room",), 1),
    "/who": ("presence", ("room",), 1),
    "/history": ("history", ("room", "limit"), 1),
    "/auth": ("authenticate", ("token",), 1),
}
"""Short form → the frame's type, the fields that its words fill, and how many of them it needs."""


def parse_line(line: str) -> Typed:
    """What a typed line means; None for an empty one."""
    line = line.strip()
    command, _, rest = line.partition(" ")
    match command:
        case "":
            return None
        case "/quit" | "/exit" | "/q":
            return Quit()
        case "/help" | "/?" | "/h":
            return Say(HELP)
        case "/raw":
            return SendCommand(rest)
    return _parse_short(command, rest.split()) if line.startswith("/") else _parse_json(line)


def _parse_short(command: str, words: Sequence[str]) -> Typed:
    short = _SHORT.get(command)
    if short is None:
        return Say(f"there is no {escaped(command)}; /help lists the short forms")
    kind, fields, needed = short
    if not needed <= len(words) <= len(fields):
        wanted = " ".join(name.upper() for name in fields)
        return Say(f"write {command} {wanted}".rstrip())
    filled: dict[str, Json] = dict(zip(fields, words, strict=False))
    if "limit" in filled:
        filled["limit"] = _number(str(filled["limit"]))
    return SendCommand(one_line({"type": kind, **filled}))


def _parse_json(line: str) -> Typed:
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        if line[0] not in '{["':
            return Say('that is not JSON: write {"type": "message", "text": "hi"}, or /help')
        return Say(f"that is not JSON: {error.msg}, at character {error.pos + 1}")
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return Say('a frame is an object with a string "type"; /raw sends anything')
    return SendCommand(line)


_TOKENS = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*")(?=: )|(?P<string>"(?:[^"\\]|\\.)*")|(?P<number>-?\d[\d.eE+-]*)|(?P<word>true|false|null)'
)
_COLOURS = {"key": "36", "string": "32", "number": "33", "word": "35"}


def paint(arrow: str, value: Json, *, colour: bool, moment: str = "") -> str:
    """One line: time, direction, frame; errors have a red arrow."""
    text = _spaced(value)
    moment = moment or f"{time.strftime('%H:%M:%S')}.{time.time_ns() // 1_000_000 % 1000:03}"
    if not colour:
        return f"{moment} {arrow} {text}"
    is_error = isinstance(value, dict) and value.get("type") == "error"
    tone = "31;1" if is_error else {"→": "34;1", "←": "32;1"}.get(arrow, "0")
    painted = _TOKENS.sub(
        lambda found: f"\x1b[{_COLOURS[str(found.lastgroup)]}m{found[0]}\x1b[0m", text
    )
    return f"\x1b[2m{moment}\x1b[0m \x1b[{tone}m{arrow}\x1b[0m {painted}"


def _spaced(value: Json) -> str:
    if isinstance(value, dict):
        pairs = (f"{one_line(key)}: {_spaced(held)}" for key, held in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_spaced, value)) + "]"
    return one_line(value)
