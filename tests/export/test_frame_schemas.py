from typing import Any

from channeld.export.frame_schemas import frame_around, frame_names, frame_of, one_of, position
from channeld.export.identifiers import Identifiers
from channeld.protocol.reserved import ID, Field
from channeld.schema.definitions import Definitions

CLOSED: Any = {
    "title": "T",
    "type": "object",
    "required": ["a"],
    "properties": {"a": {"type": "integer"}, "type": {"const": "ignored"}},
    "additionalProperties": False,
}


def test_a_frame_of_fields() -> None:
    frame = frame_of("say", {"id": Field(ID, False)}, closed=True)
    assert frame["required"] == ["type"]
    assert frame["additionalProperties"] is False
    assert frame_names(frame) == ["type", "id"]


def test_a_frame_around_a_schema_reads_well() -> None:
    frame = frame_around(
        Definitions(Identifiers().give), CLOSED, "say", {"id": Field(ID, False)}, "say"
    )
    assert list(frame) == ["title", "type", "required", "properties", "additionalProperties"]
    assert frame["required"] == ["type", "a"]
    assert frame["properties"] == {"type": {"const": "say"}, "id": ID, "a": {"type": "integer"}}


def test_a_dynamic_schema_is_not_framed() -> None:
    frame = frame_around(Definitions(Identifiers().give), {"$dynamicRef": "#x"}, "say", {}, "say")
    assert frame["properties"] == {"type": {"const": "say"}}
    assert "$comment" in frame


def test_positions() -> None:
    assert position(room=None, pos=None) == {}
    assert position(room=True, pos=False).keys() == {"room", "pos"}
    assert not position(room=False, pos=None)["room"].required


def test_equal_schemas_count_once() -> None:
    assert one_of([{"type": "object"}, {"type": "object"}]) == {"type": "object"}
    assert one_of([{"a": 1}, {"b": 1}]) == {"anyOf": [{"a": 1}, {"b": 1}]}
