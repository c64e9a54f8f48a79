"""What a template can render, as a JSON Schema: constants as they are, expressions as what they name is declared."""

from collections.abc import Mapping, Sequence

import attrs

from channeld.auth.authenticator import StandardClaim
from channeld.export.definitions import Definitions, Unframeable
from channeld.plan.expressions import Array, Expression, Literal, Node, Object, Text, parse
from channeld.plan.template_scope import Resolved, TemplateScope, resolve
from channeld.protocol.frames import Json
from channeld.protocol.reserved import ROOM, Field
from channeld.schema.cases import pointed
from channeld.schema.guarantees import Lookup

__all__ = ["Claims", "Scene", "rendered_fields"]


@attrs.frozen(slots=True, kw_only=True)
class Claims:
    """An authenticator's claims: its schema (None without one), and those that it knows without."""

    schema: Json
    standard: Mapping[str, StandardClaim]


@attrs.frozen(slots=True, kw_only=True, eq=False)
class Scene:
    """What one template may name, as declared: the message, the params, the claims of whoever is connected."""

    definitions: Definitions
    scope: TemplateScope
    params: Mapping[str, Json]
    claims: Sequence[Claims] = ()
    message: Json = None
    hint: str = ""

    def render(self, value: Json) -> Field:
        """A schema that every value of the template satisfies here, and whether there always is one."""
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
                return Field({"type": "string"}, not maybe)
            case Object(entries):
                fields = {name: self._rendered(child) for name, child in entries}
                return Field({"type": "object", **rendered_fields(fields)})
            case Array(elements):
                rendered = [self._rendered(element) for element in elements]
                kinds: list[Json] = []
                kinds.extend(each.schema for each in rendered if each.schema not in kinds)
                items: Json = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
                least = sum(each.required for each in rendered)
                return Field({"type": "array", "items": items, "minItems": least})

    def _resolved(self, expression: Expression) -> Resolved:
        found = resolve(expression, self.scope)
        # A plan was made of this, so there is no error; and if there were, nothing would be known.
        return found if isinstance(found, Resolved) else Resolved(frozenset(), maybe=True)

    def _schema_of(self, expression: Expression, found: Resolved) -> Json:
        match expression.root, expression.path:
            case "message", ("type",):
                return {"type": "string"}
            case "message", path:
                return self._declared(self.message, path) or _typed(found, self._looked_up(path))
            case "params", (name,):
                return self.params.get(name, {"type": "string"})
            case "claims", path:
                return self._claim(path) or _typed(found)
            case ("user", _) | ("room", _):
                return ROOM
            case root, _:
                return _PLAIN.get(root, {"type": "string"})

    def _looked_up(self, path: Sequence[str]) -> Lookup | None:
        return self.scope.message.lookup(tuple(path)) if self.scope.message is not None else None

    def _claim(self, path: Sequence[str]) -> Json:
        if len(self.claims) != 1:
            return None
        (claims,) = self.claims
        declared = self._declared(claims.schema, path)
        if declared is None and len(path) == 1 and path[0] in claims.standard:
            # Of `integer` and `number`, the wider one.
            return {"type": max(claims.standard[path[0]].types)}
        return declared

    def _declared(self, root: Json, path: Sequence[str]) -> Json:
        """The schema that stands at a path of properties. Whatever else speaks of the value only narrows it."""
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


def _property(root: Json, schema: Json, name: str) -> Json:
    for _ in range(32):
        if not isinstance(schema, dict):
            return None
        properties = schema.get("properties")
        if isinstance(properties, dict) and name in properties:
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


_PLAIN: Mapping[str, Json] = {
    "connection": {"type": "string"},
    "now": {"type": "string", "format": "date-time"},
    "now_ms": {"type": "integer"},
    "uuid": {"type": "string", "format": "uuid"},
}
