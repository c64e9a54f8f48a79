"""Whole frames as JSON Schema: a declared schema with `type`, `id`, stamped fields and a position around it."""

from collections.abc import Mapping, Sequence
from typing import Final

from channeld.plan.rendered import rendered_fields
from channeld.protocol.frames import Json
from channeld.protocol.reserved import ID, ROOM, Features, Field, ReservedFrame
from channeld.schema.definitions import Definitions, Schema, Unframeable
from channeld.schema.vocabulary import listed, mapping

POSITION: Final[Json] = {"description": "The frame's position in its room.", "type": "string"}


def frame_of(type: str, fields: Mapping[str, Field], *, closed: bool = False) -> Schema:
    """The schema of a frame with these fields; unless `closed`, others are allowed."""
    every = {"type": Field({"const": type}), **fields}
    frame: Schema = {"type": "object", **rendered_fields(every)}
    return {**frame, "additionalProperties": False} if closed else frame


def frame_around(
    definitions: Definitions, root: Json, type: str, fields: Mapping[str, Field], hint: str
) -> Schema:
    """The schema of a frame that `root` describes, with these fields added.

    If `root` uses `$dynamicRef`, only the fields are known, and a comment says so.
    """
    frame = frame_of(type, fields)
    try:
        body = definitions.around(root, frame_names(frame), hint)
    except Unframeable:
        return {
            **frame,
            "$comment": "The declared schema uses $dynamicRef, which is not shown here.",
        }
    rest = {k: v for k, v in body.items() if k not in ("type", "required", "properties")}
    return {
        **{k: rest.pop(k) for k in ("title", "description") if k in rest},
        "type": "object",
        "required": [*listed(frame, "required"), *listed(body, "required")],
        "properties": {
            **mapping(frame, "properties"),
            **mapping(body, "properties"),
            **mapping(frame, "properties"),
        },
        **rest,
    }


def reserved_frame(frame: ReservedFrame, features: Features) -> Schema:
    """The complete schema of one of the protocol's own frames on a channel with these features."""
    id = {"id": Field(ID, required=False)} if frame.id else {}
    kinds = [
        frame_of(frame.type, {**fields, **id}, closed=frame.side == "client")
        for fields in frame.kinds(features)
    ]
    return kinds[0] if len(kinds) == 1 else {"anyOf": [*kinds]}


def position(*, room: bool | None, pos: bool | None) -> dict[str, Field]:
    """The fields that frames of a channel with history have: True always, False sometimes, None never."""
    found: dict[str, Field] = {}
    if room is not None:
        found["room"] = Field(ROOM, room)
    if pos is not None:
        found["pos"] = Field(POSITION, pos)
    return found


def one_of(schemas: Sequence[Schema]) -> Schema:
    """A union of schemas, without duplicates."""
    kinds: list[Schema] = []
    for schema in schemas:
        if schema not in kinds:
            kinds.append(schema)
    return kinds[0] if len(kinds) == 1 else {"anyOf": [*kinds]}


def frame_names(frame: Schema) -> list[str]:
    """The names of a frame's fields."""
    return [*mapping(frame, "properties")]
