"""What a template can render, as a JSON Schema: constants as they are, expressions by the schema of what they name."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence

import attrs

from channeld.auth.authenticator import StandardClaim
from channeld.auth.authenticators import authenticator
from channeld.config.model import Config
from channeld.plan.expressions import Array, Expression, Literal, Node, Object, Text, parse
from channeld.plan.template_scope import Resolved, TemplateScope, resolve
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.protocol.reserved import ROOM, Field
from channeld.schema.cases import pointed
from channeld.schema.definitions import Definitions, Unframeable
from channeld.schema.guarantees import Lookup
from channeld.schema.schemas import Schemas
from channeld.schema.vocabulary import mapping


@attrs.frozen(slots=True, kw_only=True)
class Claims:
    """An authenticator's claims: their schema, if any, and those known without one."""

    schema: Json
    standard: Mapping[str, StandardClaim]

    @classmethod
    def of(cls, names: Iterable[str], config: Config, schemas: Schemas) -> "list[Claims]":
        """The claims of authenticators, by name; invalid authenticators are left out."""
        return [
            cls(
                schema=schemas.resolved(at("/auth", name, "claims")),
                standard=authenticator(config.auth[name]).standard_claims(),
            )
            for name in names
            if name in config.auth
        ]


@attrs.frozen(slots=True, kw_only=True, eq=False)
class Scene:
    """The schemas of what one template may refer to: the message, the params, the user's claims.

    `closed`: objects have only the fields that the template gives them.
    """

    definitions: Definitions
    scope: TemplateScope
    params: Mapping[str, Json]
    query: Mapping[str, Json] = attrs.field(factory=dict)
    claims: Sequence[Claims] = ()
    message: Json = None
    hint: str = ""
    closed: bool = False

    def render(self, value: Json) -> Field:
        """A schema that every value of the template satisfies here, and whether there always is a value."""
        return self._rendered(parse(value, "", []))

    def _rendered(self, node: Node) -> Field:
        match node:
            case Literal(value):
                return Field({"const": value})
            case Expression():
                found = self._resolved(node)
                return Field(self._schema_of(node, found), not found.maybe)
            case Text(parts):
                maybe = any(self._resolved(p).maybe for p in parts if isinstance(p, Expression))
                return Field({"type": "string", **self._lengths(parts)}, not maybe)
            case Object(entries):
                fields = {name: self._rendered(child) for name, child in entries}
                others: dict[str, Json] = {"additionalProperties": False} if self.closed else {}
                return Field({"type": "object", **rendered_fields(fields), **others})
            case Array(elements):
                rendered = [self._rendered(element) for element in elements]
                kinds: list[Json] = []
                kinds.extend(each.schema for each in rendered if each.schema not in kinds)
                items: Json = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
                least = sum(each.required for each in rendered)
                most: dict[str, Json] = {"maxItems": len(rendered)} if self.closed else {}
                return Field({"type": "array", "items": items, "minItems": least, **most})

    def _lengths(self, parts: Sequence[str | Expression]) -> dict[str, Json]:
        """The bounds on a text's length, as far as its parts have any."""
        known = [
            (len(part), len(part))
            if isinstance(part, str)
            else _length(self._schema_of(part, self._resolved(part)))
            for part in parts
        ]
        least, most = sum(low for low, _ in known), sum(high for _, high in known)
        bounds: dict[str, Json] = {"minLength": least} if least else {}
        return bounds if math.isinf(most) else {**bounds, "maxLength": int(most)}

    def _resolved(self, expression: Expression) -> Resolved:
        found = resolve(expression, self.scope)
        # The plan was compiled from this, so there is no error; an unknown value may be anything.
        return found if isinstance(found, Resolved) else Resolved(frozenset(), maybe=True)

    def _schema_of(self, expression: Expression, found: Resolved) -> Json:
        match expression.root, expression.path:
            case "message", ("type",):
                type_ = self.scope.message_type
                return {"const": type_} if type_ else {"type": "string"}
            case "message", path:
                return self._declared(self.message, path) or _typed(found, self._looked_up(path))
            case ("params" | "query") as root, (name,):
                return self._of_url(root, name, found)
            case "claims", path:
                return self._claim(path) or _typed(found)
            case ("user", _) | ("room", _):
                return ROOM
            case root, _:
                return _PLAIN.get(root, {"type": "string"})

    def _of_url(self, root: str, name: str, found: Resolved) -> Json:
        if root == "params":
            return self.params.get(name, {"type": "string"})
        return _both(_typed(found), self.query.get(name, True))

    def _looked_up(self, path: Sequence[str]) -> Lookup | None:
        return self.scope.message.lookup(tuple(path)) if self.scope.message is not None else None

    def _claim(self, path: Sequence[str]) -> Json:
        if len(self.claims) != 1:
            return None
        (claims,) = self.claims
        declared = self._declared(claims.schema, path)
        if declared is None and len(path) == 1 and path[0] in claims.standard:
            # The wider one of `integer` and `number`.
            return {"type": max(claims.standard[path[0]].types)}
        return declared

    def _declared(self, root: Json, path: Sequence[str]) -> Json:
        """The schema at a path of properties. Other keywords about the value only narrow it."""
        schema = root
        for name in path:
            schema = _property(root, schema, name)
            if schema is None:
                return None
        if schema is None or schema is True:
            return None
        try:
            return self.definitions.copy(schema, root, self.hint)
        except Unframeable:
            return None


def rendered_fields(fields: Mapping[str, Field]) -> dict[str, Json]:
    """The keywords `required` and `properties` of an object with these fields."""
    required: list[Json] = [name for name, field in fields.items() if field.required]
    return {
        **({"required": required} if required else {}),
        "properties": {name: field.schema for name, field in fields.items()},
    }


def _length(schema: Json) -> tuple[int, float]:
    """The shortest and longest text of a schema's values, as far as the schema itself says."""
    if not isinstance(schema, dict):
        return 0, math.inf
    if "const" in schema or isinstance(schema.get("enum"), list):
        listed = schema.get("enum")
        sizes = [
            size
            for each in (listed if isinstance(listed, list) else [schema.get("const")])
            for size in _spelled(each)
        ]
        return min(sizes, default=0), max(sizes, default=0)
    kind, least, most = (schema.get(key) for key in ("type", "minLength", "maxLength"))
    if kind == "string":
        low = int(least) if isinstance(least, int | float) else 0
        return low, int(most) if isinstance(most, int | float) else math.inf
    return _LENGTHS.get(str(kind), (0, math.inf))


def _spelled(value: Json) -> tuple[int, int]:
    """The possible lengths of one value as text: 1 may be written 1.0."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _LENGTHS["number"]
    size = len(value if isinstance(value, str) else json.dumps(value))
    return size, size


def _property(root: Json, schema: Json, name: str) -> Json:
    for _ in range(32):
        if not isinstance(schema, dict):
            return None
        properties = mapping(schema, "properties")
        if name in properties:
            return properties[name]
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        schema = pointed(root, reference)
    return None


def _typed(found: Resolved, looked_up: Lookup | None = None) -> Json:
    if looked_up is not None and looked_up.values is not None:
        return {"enum": [*looked_up.values]}
    types = found.types - {"integer"} if "number" in found.types else found.types
    names: list[Json] = [*sorted(types)]
    if not names or len(names) >= 6:
        return True
    return {"type": names[0] if len(names) == 1 else names}


def _both(typed: Json, declared: Json) -> Json:
    if isinstance(declared, dict) and "type" in declared:
        return declared
    return typed if declared is True else {"allOf": [typed, declared]}


# As JSON: 64 bits, or the shortest digits that identify a double.
_LENGTHS: Mapping[str, tuple[int, int]] = {
    "integer": (1, 24),
    "number": (1, 24),
    "boolean": (4, 5),
    "null": (4, 4),
}
_PLAIN: Mapping[str, Json] = {
    "connection": {"type": "string"},
    "now": {"type": "string", "format": "date-time"},
    "now_ms": {"type": "integer"},
    "uuid": {"type": "string", "format": "uuid"},
}
