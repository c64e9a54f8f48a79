"""A schema in the form in which two can be compared: the types it allows, and for each what holds of its values.

`$ref`, `allOf`, and `anyOf` or `oneOf` of different types are worked in. Other forms that exclude each other are kept as
branches. What is left (`not`, `if`, `contains`, ...) is only ever compared as it is written.
"""

import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import attrs

from channeld.plan.guarantees import type_of
from channeld.plan.pointers import at
from channeld.plan.validators import compiled
from channeld.plan.vocabulary import FORMATS, TYPES
from channeld.protocol.frames import Json
from channeld.tools.diff.nodes import Node, Part

__all__ = ["COUNTS", "Edge", "Form", "Held", "form_of", "identity"]

ALL: Final = frozenset(TYPES)
NUMBERS: Final = frozenset({"integer", "number"})
COUNTS: Final[Mapping[str, tuple[str, bool]]] = {
    "maxLength": ("string", True),
    "minLength": ("string", False),
    "maxItems": ("array", True),
    "minItems": ("array", False),
    "maxProperties": ("object", True),
    "minProperties": ("object", False),
}
"""Keyword → the type it speaks of, and whether it is an upper limit."""

_OPAQUE: Final[Mapping[str, str]] = {
    "not": "not",
    "if": "if",
    "then": "if",
    "else": "if",
    "contains": "contains",
    "minContains": "contains",
    "maxContains": "contains",
    "dependentRequired": "dependentRequired",
    "dependentSchemas": "dependentSchemas",
    "propertyNames": "propertyNames",
    "patternProperties": "patternProperties",
}
"""Keywords that are compared as they are written → the keyword that stands for their group."""
WHOLE: Final = frozenset({"unevaluatedProperties", "unevaluatedItems", "$dynamicRef"})
MAX_PARTS: Final = 200


@attrs.frozen(slots=True)
class Held:
    """A keyword's value, and the schema that holds it."""

    value: Json
    part: Part
    keyword: str


@attrs.frozen(slots=True)
class Edge:
    """An end of a range of numbers; `open` when the number itself is outside."""

    value: float
    open: bool
    part: Part
    keyword: str


@attrs.define(eq=False)
class Form:
    """See the module. `types` has `number` for numbers that are no integers. `whole` says why nothing but the text counts."""

    node: Node
    types: frozenset[str] = ALL
    values: list[Json] | None = None
    values_at: Held | None = None
    types_at: Held | None = None
    counts: dict[str, Held] = attrs.field(factory=dict)
    upper: Edge | None = None
    lower: Edge | None = None
    multiples: list[Held] = attrs.field(factory=list)
    unique: Held | None = None
    texts: dict[tuple[str, str], Held] = attrs.field(factory=dict)
    required: dict[str, Held] = attrs.field(factory=dict)
    objects: list[Part] = attrs.field(factory=list)
    arrays: list[Part] = attrs.field(factory=list)
    branches: list[tuple[Held, list[Node]]] = attrs.field(factory=list)
    opaque: list[Held] = attrs.field(factory=list)
    default: Held | None = None
    extensible: bool = False
    whole: str = ""

    def properties(self) -> dict[str, Part]:
        """The names that are declared, each with the schema that declares it."""
        found: dict[str, Part] = {}
        for part in self.objects:
            for name in _mapping(part, "properties"):
                found.setdefault(name, part)
        return found

    def child(self, name: str) -> Node:
        """What the property must satisfy."""
        return self._node(found for part in self.objects for found in _property(part, name))

    def others(self) -> Node:
        """What properties must satisfy that nobody declares."""
        return self._node(_below(part, "additionalProperties") for part in self.objects)

    def item(self, index: int) -> Node:
        """What the item at an index must satisfy."""
        return self._node(_item(part, index) for part in self.arrays)

    def items(self) -> Node:
        """What items must satisfy after those that have schemas of their own."""
        return self._node(_below(part, "items") for part in self.arrays)

    def prefix(self) -> int:
        """How many items have schemas of their own."""
        return max((len(_list(part, "prefixItems")) for part in self.arrays), default=0)

    def is_simple(self) -> bool:
        """Whether it is only types and what holds of each."""
        return self.values is None and not (self.branches or self.opaque or self.whole)

    def _node(self, parts: Iterable[Part | None]) -> Node:
        return Node(self.node.book, tuple(part for part in parts if part is not None))


def form_of(node: Node) -> Form:
    """The form of a node; one that is asked for while it is being made counts as one that can't be compared."""
    forms = node.book.forms
    known = forms.get(node.key)
    if not isinstance(known, Form):
        forms[node.key] = Form(node, whole="it contains itself")
        known = forms[node.key] = _made(node)
    return known


def _made(node: Node) -> Form:
    form = Form(node)
    seen: set[tuple[str, str]] = set()
    for part in node.parts:
        _add(form, part, seen)
    if form.values is not None:
        form.values = [value for value in form.values if node.accepts(value)]
    if form.types <= {"integer"} or not form.types & {"number"}:
        form.upper, form.lower = _whole_edge(form.upper, True), _whole_edge(form.lower, False)
    return form


def identity(value: Json) -> str:
    """A text that is equal for equal JSON values: 1 and 1.0 are, 1 and true are not."""
    match value:
        case bool() | None:
            return str(value)
        case int() | float():
            number = value
            return f"{int(number)}" if math.isfinite(number) and number == int(number) else repr(number)
        case str():
            return repr(value)
        case list():
            return f"[{','.join(map(identity, value))}]"
        case _:
            return f"{{{','.join(f'{key!r}:{identity(value[key])}' for key in sorted(value))}}}"


def _whole_edge(edge: Edge | None, up: bool) -> Edge | None:
    """The edge of a range of integers: never open."""
    if edge is None or not math.isfinite(edge.value):
        return edge
    value = math.floor(edge.value) if up else math.ceil(edge.value)
    if edge.open and value == edge.value:
        value += -1 if up else 1
    return attrs.evolve(edge, value=value, open=False)


def _add(form: Form, part: Part, seen: set[tuple[str, str]]) -> None:
    if part.key in seen:
        return
    seen.add(part.key)
    if len(seen) > MAX_PARTS:
        form.whole = form.whole or "it is too large"
        return
    schema = part.schema
    if schema is False:
        form.types, form.types_at = frozenset(), Held(False, part, "")
    if not isinstance(schema, dict):
        return
    for keyword in WHOLE & schema.keys():
        form.whole = f"`{keyword}` looks at all of it"
    if part.document.is_dynamic:
        form.whole = "its document uses `$dynamicRef`"
    _add_types(form, part, schema)
    _add_limits(form, part, schema)
    _add_shape(form, part, schema)
    _add_more(form, part, schema, seen)


def _add_types(form: Form, part: Part, schema: Mapping[str, Json]) -> None:
    named = schema.get("type")
    if named is not None:
        types = {str(each) for each in (named if isinstance(named, list) else [named])}
        wider = types | {"integer"} if "number" in types else types
        form.types &= wider
        form.types_at = Held(named, part, "type")
    for keyword in ("enum", "const"):
        if keyword not in schema:
            continue
        value = schema[keyword]
        values = value if keyword == "enum" and isinstance(value, list) else [value]
        known = None if form.values is None else {identity(each) for each in form.values}
        form.values = [each for each in values if known is None or identity(each) in known]
        form.values_at = Held(value, part, keyword)
        form.types &= {kind for each in values for kind in _types_of(each)}
    form.extensible = form.extensible or bool(schema.get("x-extensible-enum"))


def _types_of(value: Json) -> set[str]:
    kind = type_of(value)
    return {"integer"} if kind == "number" and float(str(value)).is_integer() else {kind}


def _add_limits(form: Form, part: Part, schema: Mapping[str, Json]) -> None:
    for keyword, (_, is_upper) in COUNTS.items():
        value = schema.get(keyword)
        if not _is_number(value) or (not is_upper and value == 0):
            continue
        known = form.counts.get(keyword)
        if known is None or (_number(value) < _number(known.value)) == is_upper:
            form.counts[keyword] = Held(value, part, keyword)
    for keyword, is_open in (("maximum", False), ("exclusiveMaximum", True)):
        if _is_number(schema.get(keyword)):
            edge = Edge(_number(schema[keyword]), is_open, part, keyword)
            form.upper = edge if form.upper is None else min(form.upper, edge, key=_from_above)
    for keyword, is_open in (("minimum", False), ("exclusiveMinimum", True)):
        if _is_number(schema.get(keyword)):
            edge = Edge(_number(schema[keyword]), is_open, part, keyword)
            form.lower = edge if form.lower is None else max(form.lower, edge, key=_from_below)
    if "multipleOf" in schema:
        form.multiples.append(Held(schema["multipleOf"], part, "multipleOf"))
    if schema.get("uniqueItems") is True:
        form.unique = Held(True, part, "uniqueItems")
    for keyword in ("pattern", "format"):
        text = schema.get(keyword)
        if isinstance(text, str) and (keyword == "pattern" or text in FORMATS):
            form.texts[keyword, text] = Held(text, part, keyword)


def _from_above(edge: Edge) -> tuple[float, bool]:
    return edge.value, not edge.open


def _from_below(edge: Edge) -> tuple[float, bool]:
    return edge.value, edge.open


def _add_shape(form: Form, part: Part, schema: Mapping[str, Json]) -> None:
    required = schema.get("required")
    for index, name in enumerate(required if isinstance(required, list) else ()):
        form.required.setdefault(str(name), Held(name, part, at("", "required", index)[1:]))
    if schema.keys() & {"properties", "additionalProperties", "patternProperties"}:
        form.objects.append(part)
    if schema.keys() & {"items", "prefixItems"}:
        form.arrays.append(part)
    if "default" in schema:
        form.default = Held(schema["default"], part, "default")


def _add_more(
    form: Form, part: Part, schema: Mapping[str, Json], seen: set[tuple[str, str]]
) -> None:
    schemas = form.node.book.schemas
    if isinstance(schema.get("$ref"), str):
        referred = schemas.referred(part)
        if referred is None:
            form.whole = f"`{schema['$ref']}` can't be followed"
        else:
            _add(form, referred, seen)
    for index, _ in enumerate(_list(part, "allOf")):
        below = _below(part, "allOf", index)
        if below is not None:
            _add(form, below, seen)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            _add_branches(form, part, keyword)
    for group in dict.fromkeys(_OPAQUE[keyword] for keyword in schema if keyword in _OPAQUE):
        form.opaque.append(_group(form, part, group))


def _add_branches(form: Form, part: Part, keyword: str) -> None:
    held = Held(None, part, keyword)
    below = [_below(part, keyword, index) for index, _ in enumerate(_list(part, keyword))]
    nodes = [Node(form.node.book, (each,)) for each in below if each is not None]
    forms = [form_of(node) for node in nodes]
    form.types &= {kind for each in forms for kind in each.types}
    if all(each.is_simple() for each in forms) and _differ_in_type(forms):
        for each in forms:
            _absorb(form, each)
    elif keyword == "anyOf" or all(_exclude(*pair) for pair in itertools.combinations(forms, 2)):
        form.branches.append((held, nodes))
    else:
        form.opaque.append(_group(form, part, "oneOf"))


def _differ_in_type(forms: list[Form]) -> bool:
    return not any(one.types & other.types for one, other in itertools.combinations(forms, 2))


def _exclude(one: Form, other: Form) -> bool:
    """Whether no value satisfies both: other types, or a field that both require and whose constants differ."""
    if not one.types & other.types:
        return True
    if one.types & other.types != {"object"}:
        return False
    for name in one.required.keys() & other.required.keys():
        mine, theirs = form_of(one.child(name)).values, form_of(other.child(name)).values
        if mine is not None and theirs is not None:
            known = {identity(value) for value in mine}
            if not any(identity(value) in known for value in theirs):
                return True
    return False


def _absorb(form: Form, branch: Form) -> None:
    """Work in a branch that speaks of types of its own: what it says of them holds wherever such a value is."""
    for keyword, held in branch.counts.items():
        kind, is_upper = COUNTS[keyword]
        known = form.counts.get(keyword)
        if kind in branch.types and (
            known is None or (_number(held.value) < _number(known.value)) == is_upper
        ):
            form.counts[keyword] = held
    if branch.types & NUMBERS:
        form.multiples += branch.multiples
        edges = [edge for edge in (form.upper, branch.upper) if edge is not None]
        form.upper = min(edges, key=_from_above, default=None)
        edges = [edge for edge in (form.lower, branch.lower) if edge is not None]
        form.lower = max(edges, key=_from_below, default=None)
    if "string" in branch.types:
        form.texts |= branch.texts
    if "array" in branch.types:
        form.arrays += branch.arrays
        form.unique = form.unique or branch.unique
    if "object" in branch.types:
        form.objects += branch.objects
        form.required = branch.required | form.required


def _group(form: Form, part: Part, group: str) -> Held:
    """A group of keywords as it is written, to be compared with another's."""
    schema = part.schema if isinstance(part.schema, dict) else {}
    keywords = [key for key in schema if _OPAQUE.get(key, key) == group]
    return Held(form.node.book.group(part, keywords), part, group)


def _mapping(part: Part, keyword: str) -> Mapping[str, Json]:
    found = part.schema.get(keyword) if isinstance(part.schema, dict) else None
    return found if isinstance(found, dict) else {}


def _list(part: Part, keyword: str) -> list[Json]:
    found = part.schema.get(keyword) if isinstance(part.schema, dict) else None
    return found if isinstance(found, list) else []


def _property(part: Part, name: str) -> Iterator[Part]:
    found = [_below(part, "properties", name)]
    for pattern in _mapping(part, "patternProperties"):
        if _matches(pattern, name):
            found.append(_below(part, "patternProperties", pattern))
    if found == [None]:
        found = [_below(part, "additionalProperties")]
    yield from (each for each in found if each is not None)


@functools.lru_cache(maxsize=4096)
def _matches(pattern: str, name: str) -> bool:
    """Whether the engine that serves would say that a name matches."""
    return compiled({"pattern": pattern}).accepts(name)


def _item(part: Part, index: int) -> Part | None:
    if index < len(_list(part, "prefixItems")):
        return _below(part, "prefixItems", index)
    return _below(part, "items")


def _below(part: Part, *keys: str | int) -> Part | None:
    value: Json = part.schema
    for key in keys:
        if isinstance(value, dict) and isinstance(key, str) and key in value:
            value = value[key]
        elif isinstance(value, list) and isinstance(key, int):
            value = value[key]
        else:
            return None
    return Part(part.document, at(part.pointer, *keys), value)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Json) -> float:
    return value if isinstance(value, int | float) else 0.0
