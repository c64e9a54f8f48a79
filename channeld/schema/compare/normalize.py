"""Converts a schema to the normal form for comparison.

`$ref`, `allOf`, and `anyOf` or `oneOf` of different types are merged in. Other alternatives that exclude each other are
kept as branches. The rest (`not`, `if`, `contains`, ...) is only compared textually.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import attrs

from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.schema.cases import declared_types, identity, type_of
from channeld.schema.compare.normal_form import COUNTS, NUMBERS, Constraint, Edge, Form
from channeld.schema.compare.schema_ref import Node, Part, below, number
from channeld.schema.vocabulary import FORMATS, as_number, listed

_OPAQUE: Final[Mapping[str, str]] = {
    "not": "not",
    **dict.fromkeys(("if", "then", "else"), "if"),
    **dict.fromkeys(("contains", "minContains", "maxContains"), "contains"),
    "dependentRequired": "dependentRequired",
    "dependentSchemas": "dependentSchemas",
    "propertyNames": "propertyNames",
    "patternProperties": "patternProperties",
}
"""Keywords that are compared as they are written → the keyword that stands for their group."""
WHOLE: Final = frozenset({"unevaluatedProperties", "unevaluatedItems", "$dynamicRef"})
MAX_PARTS: Final = 200


def form_of(node: Node) -> Form:
    """The normal form of a node; while it is being computed, it counts as not comparable."""
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
        form.types, form.types_at = frozenset(), Constraint(False, part, "")
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
        form.types &= declared_types(schema)
        form.types_at = Constraint(named, part, "type")
    for keyword in ("enum", "const"):
        if keyword not in schema:
            continue
        value = schema[keyword]
        values = value if keyword == "enum" and isinstance(value, list) else [value]
        known = None if form.values is None else {identity(each) for each in form.values}
        form.values = [each for each in values if known is None or identity(each) in known]
        form.values_at = Constraint(value, part, keyword)
        form.types &= {type_of(each) for each in values}
    form.extensible = form.extensible or bool(schema.get("x-extensible-enum"))


def _add_limits(form: Form, part: Part, schema: Mapping[str, Json]) -> None:
    for keyword, (_, is_upper) in COUNTS.items():
        value = as_number(schema.get(keyword))
        if value is None or (not is_upper and value == 0):
            continue
        known = form.counts.get(keyword)
        if known is None or (value < number(known.value)) == is_upper:
            form.counts[keyword] = Constraint(value, part, keyword)
    _add_edges(form, part, schema)
    if "multipleOf" in schema:
        form.multiples.append(Constraint(schema["multipleOf"], part, "multipleOf"))
    if schema.get("uniqueItems") is True:
        form.unique = Constraint(True, part, "uniqueItems")
    for keyword in ("pattern", "format"):
        text = schema.get(keyword)
        if isinstance(text, str) and (keyword == "pattern" or text in FORMATS):
            form.texts[keyword, text] = Constraint(text, part, keyword)


def _add_edges(form: Form, part: Part, schema: Mapping[str, Json]) -> None:
    def edges(*keywords: str) -> Iterator[Edge]:
        for keyword in keywords:
            if (value := as_number(schema.get(keyword))) is not None:
                yield Edge(value, keyword.startswith("exclusive"), part, keyword)

    _narrow(form, edges("maximum", "exclusiveMaximum"), edges("minimum", "exclusiveMinimum"))


def _narrow(form: Form, uppers: Iterable[Edge], lowers: Iterable[Edge]) -> None:
    """Narrow ranges of numbers."""
    highest = [edge for edge in (form.upper, *uppers) if edge is not None]
    form.upper = min(highest, key=lambda edge: (edge.value, not edge.open), default=None)
    lowest = [edge for edge in (form.lower, *lowers) if edge is not None]
    form.lower = max(lowest, key=lambda edge: (edge.value, edge.open), default=None)


def _add_shape(form: Form, part: Part, schema: Mapping[str, Json]) -> None:
    for index, name in enumerate(listed(schema, "required")):
        form.required.setdefault(str(name), Constraint(name, part, at("", "required", index)[1:]))
    if schema.keys() & {"properties", "additionalProperties", "patternProperties"}:
        form.objects.append(part)
    if schema.keys() & {"items", "prefixItems"}:
        form.arrays.append(part)
    if "default" in schema:
        form.default = Constraint(schema["default"], part, "default")


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
    for index, _ in enumerate(listed(part.schema, "allOf")):
        found = below(part, "allOf", index)
        if found is not None:
            _add(form, found, seen)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            _add_branches(form, part, keyword)
    for group in dict.fromkeys(_OPAQUE[keyword] for keyword in schema if keyword in _OPAQUE):
        form.opaque.append(_group(form, part, group))


def _add_branches(form: Form, part: Part, keyword: str) -> None:
    held = Constraint(None, part, keyword)
    found = [below(part, keyword, index) for index, _ in enumerate(listed(part.schema, keyword))]
    nodes = [Node(form.node.book, (each,)) for each in found if each is not None]
    forms = [form_of(node) for node in nodes]
    form.types &= {kind for each in forms for kind in each.types}
    pairs = list(itertools.combinations(forms, 2))
    apart = not any(one.types & other.types for one, other in pairs)
    if apart and all(each.is_simple() for each in forms):
        for each in forms:
            _absorb(form, each)
    elif keyword == "anyOf" or all(_exclude(*pair) for pair in pairs):
        form.branches.append((held, nodes))
    else:
        form.opaque.append(_group(form, part, "oneOf"))


def _exclude(one: Form, other: Form) -> bool:
    """Whether no value satisfies both: disjoint types, or a required field with different constants."""
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
    """Merge a branch that has types of its own: its constraints apply to all values of those types."""
    for keyword, held in branch.counts.items():
        kind, is_upper = COUNTS[keyword]
        known = form.counts.get(keyword)
        if kind in branch.types and (
            known is None or (number(held.value) < number(known.value)) == is_upper
        ):
            form.counts[keyword] = held
    if branch.types & NUMBERS:
        form.multiples += branch.multiples
        _narrow(form, filter(None, [branch.upper]), filter(None, [branch.lower]))
    if "string" in branch.types:
        form.texts |= branch.texts
    if "array" in branch.types:
        form.arrays += branch.arrays
        form.unique = form.unique or branch.unique
    if "object" in branch.types:
        form.objects += branch.objects
        form.required = branch.required | form.required


def _group(form: Form, part: Part, group: str) -> Constraint:
    """A group of keywords as it is written, to be compared with another's."""
    schema = part.schema if isinstance(part.schema, dict) else {}
    keywords = [key for key in schema if _OPAQUE.get(key, key) == group]
    return Constraint(form.node.book.group(part, keywords), part, group)
