"""Differences between two schemas: which keyword, where in the value, and whether more or fewer values are accepted."""

import enum
from collections.abc import Iterator
from typing import Final, TypeAlias

import attrs

from channeld.protocol.frames import Json
from channeld.schema.compare.normal_form import Constraint, Edge, Form
from channeld.schema.compare.normalize import form_of
from channeld.schema.compare.schema_ref import IMPLIED, Node, Part


class Effect(enum.Enum):
    """How a difference changes the set of accepted values. The last four are uncertain."""

    NARROWS = enum.auto()
    WIDENS = enum.auto()
    CHANGES = enum.auto()
    """Some values are lost, others gained."""
    MAY_NARROW = enum.auto()
    """Nothing is gained; perhaps something is lost."""
    MAY_WIDEN = enum.auto()
    UNKNOWN = enum.auto()
    NOTHING = enum.auto()
    """The same values, with another meaning."""


class _Any(enum.Enum):
    ITEM = "[]"
    OTHER = "*"


ITEM: Final = _Any.ITEM
"""The step to the items of an array that have no schemas of their own."""
OTHER: Final = _Any.OTHER
"""The step to a property that nobody declared."""
Step: TypeAlias = str | int | _Any


@attrs.frozen(slots=True, eq=False)
class SchemaPosition:
    """A position in a value, and both schemas there. Without a step: a branch of the position above."""

    above: "SchemaPosition | None"
    step: Step | None
    old: Node
    new: Node

    @property
    def forms(self) -> tuple[Form, Form]:
        """The forms of both."""
        return form_of(self.old), form_of(self.new)

    def steps(self) -> tuple[Step, ...]:
        """The path from the whole value."""
        before = self.above.steps() if self.above is not None else ()
        return before if self.step is None else (*before, self.step)

    def shown(self) -> str:
        """The path in the usual notation: `a.b[].c`; empty for the whole value."""
        text = ""
        for step in self.steps():
            if isinstance(step, str):
                text += f".{step}" if text else step
            elif isinstance(step, int):
                text += f"[{step}]"
            else:
                text += "[]" if step is ITEM else (".*" if text else "*")
        return text

    def subject(self, name: str = "") -> str:
        """What a sentence is about: `text`, or the frame."""
        way = ".".join(filter(None, (self.shown(), name)))
        return f"`{way}`" if way else "the frame"

    def up(self) -> "Iterator[SchemaPosition]":
        """This position and those above."""
        here: SchemaPosition | None = self
        while here is not None:
            yield here
            here = here.above


@attrs.frozen(slots=True)
class Spot:
    """A location in the files: a keyword of a schema (or a pointer in it), or the schema itself; `key`: its key."""

    part: Part
    keyword: str = ""
    key: bool = False

    @classmethod
    def of(cls, held: Constraint | Edge | None) -> "Spot | None":
        """Where a keyword's value stands."""
        return cls(held.part, held.keyword) if held is not None else None

    @classmethod
    def whole(cls, node: Node) -> "Spot | None":
        """The location of a schema, if it is in a file."""
        standing = [p for p in node.parts if not p.document.uri.startswith(IMPLIED)]
        return cls(standing[0]) if standing else None


@attrs.frozen(slots=True, eq=False)
class Fact:
    """One difference. `code` is that of `channeld diff` for messages and events.

    `old` or `new` is None if absent. `name`, `values` and `keyword` say what it is about, for the counterexample. `closed`:
    the object did not allow the field before; `required`: the property was required before; `extensible`: the schema
    announces that more values may be added.
    """

    code: str
    effect: Effect
    position: SchemaPosition
    message: str
    label: str = attrs.field(default="", kw_only=True)
    note: str = attrs.field(default="", kw_only=True)
    old: Spot | None = attrs.field(default=None, kw_only=True)
    new: Spot | None = attrs.field(default=None, kw_only=True)
    keyword: str = attrs.field(default="", kw_only=True)
    name: str = attrs.field(default="", kw_only=True)
    values: tuple[Json, ...] = attrs.field(default=(), kw_only=True)
    closed: bool = attrs.field(default=False, kw_only=True)
    required: bool = attrs.field(default=False, kw_only=True)
    extensible: bool = attrs.field(default=False, kw_only=True)

    def may_lose(self) -> bool:
        """Whether values that were accepted may now be refused."""
        return self.effect not in (Effect.WIDENS, Effect.MAY_WIDEN, Effect.NOTHING)

    def may_win(self) -> bool:
        """Whether values that were refused may now be accepted."""
        return self.effect not in (Effect.NARROWS, Effect.MAY_NARROW, Effect.NOTHING)
