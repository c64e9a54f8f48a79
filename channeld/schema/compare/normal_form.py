"""The normal form for comparison: the allowed types, and the constraints on each."""

from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from channeld.protocol.frames import Json
from channeld.schema.cases import ALL
from channeld.schema.compare.schema_ref import Node, Part, below, item_part, property_parts
from channeld.schema.vocabulary import listed, mapping

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


@attrs.frozen(slots=True)
class Constraint:
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
    """A schema's normal form. `types` has `number` for non-integers. `whole` says why only the text can be compared."""

    node: Node
    types: frozenset[str] = ALL
    values: list[Json] | None = None
    values_at: Constraint | None = None
    types_at: Constraint | None = None
    counts: dict[str, Constraint] = attrs.field(factory=dict)
    upper: Edge | None = None
    lower: Edge | None = None
    multiples: list[Constraint] = attrs.field(factory=list)
    unique: Constraint | None = None
    texts: dict[tuple[str, str], Constraint] = attrs.field(factory=dict)
    required: dict[str, Constraint] = attrs.field(factory=dict)
    objects: list[Part] = attrs.field(factory=list)
    arrays: list[Part] = attrs.field(factory=list)
    branches: list[tuple[Constraint, list[Node]]] = attrs.field(factory=list)
    opaque: list[Constraint] = attrs.field(factory=list)
    default: Constraint | None = None
    extensible: bool = False
    whole: str = ""

    def properties(self) -> dict[str, Part]:
        """The names that are declared, each with the schema that declares it."""
        found: dict[str, Part] = {}
        for part in self.objects:
            for name in mapping(part.schema, "properties"):
                found.setdefault(name, part)
        return found

    def child(self, name: str) -> Node:
        """What the property must satisfy."""
        return self._node(found for part in self.objects for found in property_parts(part, name))

    def others(self) -> Node:
        """What undeclared properties must satisfy."""
        return self._node(below(part, "additionalProperties") for part in self.objects)

    def item(self, index: int) -> Node:
        """What the item at an index must satisfy."""
        return self._node(item_part(part, index) for part in self.arrays)

    def items(self) -> Node:
        """What items must satisfy after those that have schemas of their own."""
        return self._node(below(part, "items") for part in self.arrays)

    def prefix(self) -> int:
        """How many items have schemas of their own."""
        return max((len(listed(part.schema, "prefixItems")) for part in self.arrays), default=0)

    def is_simple(self) -> bool:
        """Whether it consists only of types and their constraints."""
        return self.values is None and not (self.branches or self.opaque or self.whole)

    def _node(self, parts: Iterable[Part | None]) -> Node:
        return Node(self.node.book, tuple(part for part in parts if part is not None))
