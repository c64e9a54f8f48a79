"""JSON pointers (RFC 6901) to the values of a configuration, and the nearest of the names somebody may have meant."""

import difflib
from collections.abc import Iterable

from channeld.protocol.frames import Json

__all__ = ["at", "closest", "did_you_mean", "value_at"]


def at(pointer: str, *keys: str | int) -> str:
    """The pointer of what lies under `pointer`, keys escaped."""
    for key in keys:
        text = str(key)
        if "~" in text or "/" in text:
            text = text.replace("~", "~0").replace("/", "~1")
        pointer = f"{pointer}/{text}"
    return pointer


def value_at(root: Json, pointer: str) -> Json:
    """What stands at a pointer; None where nothing does."""
    value = root
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def closest(name: str, names: Iterable[str]) -> str | None:
    """The one of `names` that `name` may be a slip of, or None."""
    matches = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return matches[0] if matches else None


def did_you_mean(name: str, names: Iterable[str], otherwise: str = "") -> str:
    """A help line that names the closest of `names`; `otherwise` where none is close."""
    match = closest(name, names)
    return f"did you mean `{match}`?" if match else otherwise
