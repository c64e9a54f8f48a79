"""JSON documents as text that is the same each time and reads well in a diff."""

import json

from channeld.protocol.frames import Json

__all__ = ["as_json"]


def as_json(document: Json) -> str:
    """The document, indented, with its keys in their order and a line end at the end."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"
