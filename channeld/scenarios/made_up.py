"""Generates random values that a schema accepts, and shrinks them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Final, TypeGuard, TypeVar

import attrs
import jsonschema_rs
import orjson

from channeld.plan.plan import MessagePlan
from channeld.protocol.frames import Json
from channeld.schema.cases import Case, Conjunction, Expansion, closure, names_of, pointed
from channeld.schema.compiled import compiled
from channeld.schema.sample import EDGES, bounds, numbers, sample, texts

T = TypeVar("T", bound=Json)

_ODD: Final = (
    " ",
    "0",
    "-1",
    "null",
    "\t\n",
    "'\"\\",
    "<b>",
    "{x}",
    "%s",
    "é",
    "😀",
    "ａ",
    "x" * 64,
)
_SCALARS: Final = (None, False, True, 0, 1, -1, 1.5, "", "text")
_DEEPEST: Final = 6
_TRIES: Final = 20
_LONGEST: Final = 200


class _Nothing(Exception):
    """No value could be generated."""


@attrs.define
class Maker:
    """Generates values. `schemas` are the configuration's named ones, `random` the source of randomness."""

    random: Random
    schemas: Mapping[str, Json] = attrs.field(factory=dict)
    _compiled: dict[bytes, Callable[[Json], bool] | None] = attrs.field(factory=dict, init=False)

    def make(self, schema: Json, accepts: Callable[[Json], bool]) -> Json:
        """A value that fits the schema and satisfies `accepts`, or None."""
        shared: dict[str, Json] = {"schemas": dict(self.schemas)}
        if isinstance(schema, dict):
            shared["$defs"] = schema.get("$defs", {})
        for _ in range(_TRIES):
            try:
                value = self._value((schema,), shared, 0)
            except _Nothing:
                continue
            if accepts(value):
                return value
        found = sample(schema, "text", self.schemas)
        return found if accepts(found) else None

    def messages(
        self, message: MessagePlan, examples: Sequence[Json], count: int
    ) -> list[dict[str, Json]]:
        """Messages that a type accepts: its examples, and generated ones up to a count."""
        generated = (
            self.make(message.validator.schema, message.accepts)
            for _ in range(count - len(examples))
        )
        return [one for one in (*examples, *generated) if isinstance(one, dict)]

    def _value(self, conjunction: Conjunction, shared: Mapping[str, Json], depth: int) -> Json:
        cases = Expansion(lambda ref: pointed({**shared}, ref)).cases(conjunction)
        if not cases or depth > _DEEPEST:
            raise _Nothing
        accepts = self._accepts(conjunction, shared)
        for _ in range(_TRIES):
            value = self._of(self.random.choice(cases), shared, depth)
            if accepts is None or accepts(value):
                return value
        raise _Nothing

    def _accepts(
        self, conjunction: Conjunction, shared: Mapping[str, Json]
    ) -> Callable[[Json], bool] | None:
        key = orjson.dumps([*conjunction])
        if key not in self._compiled:
            try:
                self._compiled[key] = compiled({"allOf": [True, *conjunction], **shared}).accepts
            except (ValueError, jsonschema_rs.ReferencingError):
                self._compiled[key] = None
        return self._compiled[key]

    def _of(self, case: Case, shared: Mapping[str, Json], depth: int) -> Json:
        if case.values is not None:
            return self.random.choice(case.values)
        examples = [
            one
            for schema in case.objects
            if isinstance(listed := schema.get("examples"), list)
            for one in listed
        ]
        if examples and self.random.random() < 0.2:
            return self.random.choice(examples)
        is_object = "object" in case.types and (depth == 0 or bool(names_of([case])))
        kind = "object" if is_object else self.random.choice(sorted(case.types))
        return self._of_type(kind, case, shared, depth)

    def _of_type(self, kind: str, case: Case, shared: Mapping[str, Json], depth: int) -> Json:
        match kind:
            case "string":
                return self._text(case)
            case "array":
                return self._array(case, shared, depth)
            case "object":
                return self._object(case, shared, depth)
            case "boolean":
                return self.random.random() < 0.5
            case "null":
                return None
        multiples = bounds(case, ("multipleOf",))
        known = list(numbers(bounds(case, EDGES), multiples))
        return self.random.choice([*known, self.random.randint(-1000, 1000)])

    def _text(self, case: Case) -> str:
        """A string in a likely format, or of letters, of the schema's length or a little more."""
        least = max(map(int, bounds(case, ("minLength",))), default=0)
        kind = self.random.random()
        if kind < 0.1 and not least:
            return ""  # what is forgotten most often
        if kind < 0.6:
            lengths = map(int, bounds(case, ("minLength", "maxLength")))
            return self.random.choice([*texts(lengths), *_ODD])
        length = min(least + self.random.randrange(12), _LONGEST + least)
        return "".join(self.random.choices("abcXYZ019 -_.äß", k=length))

    def _object(self, case: Case, shared: Mapping[str, Json], depth: int) -> Json:
        needed = closure(case)
        found: dict[str, Json] = {}
        for name in dict.fromkeys((*names_of([case]), *sorted(needed))):
            if name not in needed and (depth >= _DEEPEST or self.random.random() < 0.5):
                continue
            schemas = case.schemas_of(name)
            if schemas is None:
                continue
            try:
                found[name] = self._value(schemas, shared, depth + 1)
            except _Nothing:
                if name in needed:
                    raise
        if case.is_open(unless_said=True) and self.random.random() < 0.1:
            found["undeclared"] = self.random.choice(_SCALARS)
        return found

    def _array(self, case: Case, shared: Mapping[str, Json], depth: int) -> Json:
        items = tuple(schema["items"] for schema in case.objects if "items" in schema)
        least = max(map(int, bounds(case, ("minItems",))), default=0)
        length = min(least + self.random.randrange(4), _LONGEST)
        if not items:
            return [self.random.choice(_SCALARS) for _ in range(length)]
        return [self._value(items, shared, depth + 1) for _ in range(length)]


# ----------------------------------------------------------------------------------------------------- smaller


def shrunk(value: T, is_still: Callable[[Json], TypeGuard[T]], most: int = 200) -> T:
    """Shrink `value` to a smaller one for which `is_still` holds, in at most `most` calls."""
    left = most
    found = value
    progress = True
    while progress:
        progress = False
        for smaller in _smaller(found):
            if left <= 0:
                return found
            left -= 1
            if is_still(smaller):
                found, progress = smaller, True
                break
    return found


def _smaller(value: Json) -> Iterator[Json]:
    """Simpler values, simplest first; empty for the simplest of a type, so that shrinking ends."""
    match value:
        case dict():
            yield from _smaller_objects(value)
        case list():
            yield from _smaller_lists(value)
        case str() if value:
            middle = len(value) // 2
            simpler = ("", "a", value[:middle], value[middle:], value[1:], value[:-1])
            yield from (one for one in dict.fromkeys(simpler) if len(one) < len(value))
        case bool() | None:
            return
        case int() | float() if value != 0:
            nearer = (0, 1, int(value / 2), int(value), int(value) - (1 if value > 0 else -1))
            yield from (one for one in dict.fromkeys(nearer) if _size(one) < _size(value))


def _smaller_objects(value: dict[str, Json]) -> Iterator[Json]:
    for name in value:
        yield {key: held for key, held in value.items() if key != name}
    for name, held in value.items():
        yield from ({**value, name: one} for one in _smaller(held))


def _smaller_lists(value: list[Json]) -> Iterator[Json]:
    if value:
        yield []
    for index in range(len(value)):
        yield value[:index] + value[index + 1 :]
    for index, held in enumerate(value):
        yield from ([*value[:index], one, *value[index + 1 :]] for one in _smaller(held))


def _size(number: float) -> tuple[float, bool]:
    return abs(number), isinstance(number, float)
