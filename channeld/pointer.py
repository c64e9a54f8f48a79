"""JSON pointers (RFC 6901): made of keys, taken apart into keys, followed into a value."""

from collections.abc import Iterator

from channeld.protocol.frames import Json


def at(pointer: str, *keys: str | int) -> str:
    """The pointer of what lies under `pointer`, keys escaped."""
    for key in keys:
        text = str(key)
        if "~" in text or "/" in text:
            text = text.replace("~", "~0").replace("/", "~1")
        pointer = f"{pointer}/{text}"
    return pointer


def leaves(value: Json, pointer: str = "") -> Iterator[tuple[Json, str]]:
    """Everything in a value that is neither an object nor a list, each with its pointer, in the value's order."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from leaves(child, at(pointer, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from leaves(child, at(pointer, index))
    else:
        yield value, pointer


def tokens(pointer: str) -> list[str]:
    """The keys and indexes of a pointer, unescaped; none for the root."""
    return [unescaped(token) for token in pointer.split("/")[1:]]


def unescaped(token: str) -> str:
    """The key that one part of a pointer stands for."""
    return token.replace("~1", "/").replace("~0", "~")


def value_at(root: Json, pointer: str) -> Json:
    """The value at a pointer, or None."""
    value = root
    for key in tokens(pointer):
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value
