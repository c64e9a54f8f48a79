"""Matches patterns with JSON values: objects as subsets, everything else exactly, and `$` keys as matchers.

`compare` gives every difference with its path in the pattern, so that a report can point at it. Captured values are put
into the caller's mapping, which is kept only if everything matched.
"""

import json
import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Final, TypeAlias

import attrs

from channeld.pointer import at
from channeld.protocol.frames import CheckedJson, Json
from channeld.schema.cases import identity
from channeld.schema.compiled import compiled
from channeld.schema.vocabulary import as_number

LONGEST = 120


class _NotThere:
    __slots__ = ()

    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = _NotThere()
"""In place of a value that is not there."""


@attrs.frozen(slots=True)
class Deviation:
    """One difference; `path` is its path in the pattern, both sides are described."""

    path: str
    expected: str
    got: str


@attrs.frozen(slots=True, kw_only=True)
class Env:
    """What patterns may refer to: captured values, those of this match, and the configuration's schemas."""

    captured: Mapping[str, Json] = attrs.field(factory=dict)
    taken: MutableMapping[str, Json] = attrs.field(factory=dict)
    schemas: Mapping[str, Json] = attrs.field(factory=dict)

    def value(self, name: str) -> CheckedJson:
        """A captured value, or MISSING."""
        return self.taken.get(name, self.captured.get(name, MISSING))


def shown(value: object, longest: int = LONGEST) -> str:
    """A value as one line of JSON, truncated if long."""
    if value is MISSING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, separators=(", ", ": "), default=str)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def same(one: CheckedJson, other: CheckedJson) -> bool:
    """JSON equality: 1 is 1.0, but true is not 1."""
    if one is MISSING or other is MISSING:
        return one is other
    return identity(one) == identity(other)


def compare(
    pattern: Json, value: object, env: Env, path: str = "", *, exact: bool = False
) -> list[Deviation]:
    """All differences between a pattern that `structure.py` checked and a value (or MISSING); empty if it matches.

    `path` is the pattern's within the whole one. If `exact`, objects may have no other keys than the pattern's.
    """
    if isinstance(pattern, str) and pattern in ("$any", "$absent"):
        pattern = {pattern: True}
    if isinstance(pattern, dict):
        return _compare_mapping(pattern, value, env, path, exact)
    if isinstance(pattern, list) and isinstance(value, list):
        return _compare_list(pattern, value, env, path, exact)
    return [] if same(pattern, value) else [Deviation(path, shown(pattern), shown(value))]


def _compare_mapping(
    pattern: dict[str, Json], value: object, env: Env, path: str, exact: bool
) -> list[Deviation]:
    matchers = [key for key in pattern if key.startswith("$")]
    found: list[Deviation] = []
    for key in matchers:
        found += MATCHERS[key](pattern[key], value, env, at(path, key))
    if matchers and len(matchers) == len(pattern):
        return found
    plain = {key: expected for key, expected in pattern.items() if not key.startswith("$")}
    if not isinstance(value, dict):
        return [*found, Deviation(path, shown(plain), shown(value))]
    for key, expected in plain.items():
        found += compare(expected, value.get(key, MISSING), env, at(path, key), exact=exact)
    if exact:
        more = {key: value[key] for key in value if key not in plain}
        found += [Deviation(path, f"no `{key}`", shown(more[key])) for key in more]
    return found


def _compare_list(
    pattern: list[Json], value: list[Json], env: Env, path: str, exact: bool
) -> list[Deviation]:
    if len(pattern) != len(value):
        return [Deviation(path, f"a list of {len(pattern)}", f"{len(value)}: {shown(value)}")]
    found: list[Deviation] = []
    for index, (expected, got) in enumerate(zip(pattern, value, strict=True)):
        found += compare(expected, got, env, at(path, index), exact=exact)
    return found


# -------------------------------------------------------------------------------------------------------- matchers

Matcher: TypeAlias = Callable[[CheckedJson, CheckedJson, Env, str], list[Deviation]]
"""`(argument, value, env, path)` → how the value differs; empty when it matches."""

TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def _unless(matches: bool, path: str, expected: str, value: object) -> list[Deviation]:
    return [] if matches else [Deviation(path, expected, shown(value))]


def _any(argument: bool, value: object, env: Env, path: str) -> list[Deviation]:
    return _unless(value is not MISSING, path, "anything", value)


def _absent(argument: bool, value: object, env: Env, path: str) -> list[Deviation]:
    expected = "no such key" if argument else "anything"
    return _unless((value is MISSING) is argument, path, expected, value)


def _type(argument: str, value: object, env: Env, path: str) -> list[Deviation]:
    # JSON Schema's integer: 1.0 is one.
    whole = argument == "integer" and isinstance(value, float) and value.is_integer()
    return _unless(type(value) in TYPES[argument] or whole, path, f"type {argument}", value)


def _regex(argument: str, value: object, env: Env, path: str) -> list[Deviation]:
    matches = isinstance(value, str) and re.search(argument, value) is not None
    return _unless(matches, path, f"text that matches {argument}", value)


def _len(argument: Json, value: object, env: Env, path: str) -> list[Deviation]:
    if not isinstance(value, str | list | dict):
        return _unless(False, path, "something that has a length", value)
    found = compare(argument, len(value), env, path)
    return [attrs.evolve(one, expected=f"length {one.expected}") for one in found]


def _gt(argument: CheckedJson, value: CheckedJson, env: Env, path: str) -> list[Deviation]:
    is_more = _comparable(argument, value) and value > argument
    return _unless(is_more, path, f"more than {shown(argument)}", value)


def _lt(argument: CheckedJson, value: CheckedJson, env: Env, path: str) -> list[Deviation]:
    is_less = _comparable(argument, value) and value < argument
    return _unless(is_less, path, f"less than {shown(argument)}", value)


def _comparable(one: CheckedJson, other: CheckedJson) -> bool:
    are_numbers = as_number(one) is not None and as_number(other) is not None
    return are_numbers or (isinstance(one, str) and isinstance(other, str))


def _schema(argument: Json, value: CheckedJson, env: Env, path: str) -> list[Deviation]:
    if value is MISSING:
        return _unless(False, path, "a value that the schema accepts", value)
    named: dict[str, Json] = {"schemas": dict(env.schemas)}
    schema = argument
    if isinstance(argument, str):
        schema = {"$ref": argument, **named}
    elif isinstance(argument, dict):
        schema = {**named, **argument}
    try:
        violations = compiled(schema).explain(value)
    except (TypeError, ValueError) as error:
        # Whether `#/schemas/NAME` exists is only known with the configuration.
        if isinstance(argument, str):
            return [Deviation(path, f"the configuration to have `{argument}`", "none of this name")]
        words = " ".join(str(error).split())[:LONGEST]
        return [Deviation(path, "a schema that can be used", words)]
    wanted = [f"`{one.path}` {one.message}" if one.path else one.message for one in violations[:3]]
    return [Deviation(path, f"what the schema accepts ({each})", shown(value)) for each in wanted]


def _exact(argument: Json, value: object, env: Env, path: str) -> list[Deviation]:
    return compare(argument, value, env, path, exact=True)


def _capture(argument: str, value: CheckedJson, env: Env, path: str) -> list[Deviation]:
    if value is not MISSING:
        env.taken[argument] = value
    return _unless(value is not MISSING, path, "anything", value)


def _ref(argument: str, value: object, env: Env, path: str) -> list[Deviation]:
    captured = env.value(argument)
    return _unless(
        same(captured, value), path, f"{shown(captured)} (captured as `{argument}`)", value
    )


MATCHERS: Final[Mapping[str, Matcher]] = {
    "$any": _any,
    "$type": _type,
    "$regex": _regex,
    "$len": _len,
    "$gt": _gt,
    "$lt": _lt,
    "$schema": _schema,
    "$exact": _exact,
    "$absent": _absent,
    "$capture": _capture,
    "$ref": _ref,
}


def fill(template: Json, env: Env) -> CheckedJson:
    """Fill a value to send: each `{$ref: NAME}` becomes the value captured under that name."""
    if isinstance(template, dict):
        if template.keys() == {"$ref"}:
            captured = env.value(str(template["$ref"]))
            return None if captured is MISSING else captured
        return {key: fill(value, env) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, env) for value in template]
    return template
