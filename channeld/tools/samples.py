"""A small value that a JSON Schema accepts, for links and examples; simple schemas only, and checked before it is given."""

from collections.abc import Mapping

from jsonschema import Draft202012Validator
from referencing.exceptions import Unresolvable

from channeld.protocol.frames import Json

__all__ = ["sample"]


def sample(schema: Json, preferred: str = "text") -> Json:
    """A value that the schema accepts, with `preferred` for strings where it fits; None where none was found."""
    value = _value(schema, preferred)
    try:
        checkable = schema if isinstance(schema, dict | bool) else True
        valid = Draft202012Validator(checkable).is_valid(value)
    except Unresolvable:
        return value
    return value if valid else None


def _value(schema: Json, preferred: str) -> Json:
    if not isinstance(schema, dict):
        return preferred
    if "const" in schema:
        return schema["const"]
    for key in ("enum", "examples"):
        choices = schema.get(key)
        if isinstance(choices, list) and choices:
            return choices[0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    number = schema.get("minimum", 1)
    simple: Mapping[object, Json] = {
        "object": _object(schema, preferred),
        "array": [],
        "boolean": True,
        "null": None,
        "integer": number,
        "number": number,
    }
    return simple.get(kind, preferred)


def _object(schema: Mapping[str, Json], preferred: str) -> Json:
    required, properties = schema.get("required"), schema.get("properties")
    names = required if isinstance(required, list) else []
    known = properties if isinstance(properties, dict) else {}
    return {str(name): _value(known.get(str(name)), preferred) for name in names}
