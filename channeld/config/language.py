"""The language's JSON Schema as the table of its keys: where each is legal, what it takes, and what was meant.

`LANGUAGE` is `channels.schema.json` with its references expanded, so that a walk needs no lookup. Messages are worded here
from that table; a validator library's messages are never shown.
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final, TypeAlias

from channeld.config.aliases import ALIASES
from channeld.config.environment import SECTIONS
from channeld.config.scalars import parse_size
from channeld.pointer import tokens
from channeld.protocol.frames import Json
from channeld.suggest import folded

Rule: TypeAlias = Mapping[str, Any]
"""One node of the language's schema. Its keywords have the types that draft-07 gives them."""

_Draft: TypeAlias = dict[str, Any]
_VARIABLE: Final = {"type": "string", "pattern": "\\$\\{"}
_ANNOTATIONS: Final = frozenset({"title", "description", "default", "examples"})
_KINDS: Final[Mapping[str, str]] = {
    "duration": "a duration such as `10s`",
    "size": "a size such as `64KiB`",
    "rate": "a rate such as `10/s`",
    "rate_text": "a rate such as `10/s`",
    "address": "an address such as `127.0.0.1:4000`",
    "listen": "an address such as `127.0.0.1:4000`",
    "percentage": "a share such as `20%`",
    "health": "a path such as `/health`, or `none`",
    "network": "an address or a network",
    "call": "`module:function`",
    "path": "a path",
    "day": "a day such as `2027-06-30`",
}
_TYPES: Final[Mapping[str, str]] = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "a boolean",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
_NAMES: Final[Mapping[str, str]] = {
    "auth": "authenticator",
    "backends": "backend",
    "channels": "channel",
    "messages": "message",
    "events": "event",
    "schemas": "schema",
    "params": "param",
}
_FILE: Final = ("channeld.config", "channels.schema.json")
_LONGEST = 64


def read_schema(package: str, file: str) -> _Draft:
    """A JSON Schema among the files of a package."""
    schema: _Draft = json.loads(files(package).joinpath(file).read_text("utf-8"))
    return schema


def schema_text() -> str:
    """The language's JSON Schema for editors, which also accepts `${NAME}` where variables are replaced."""
    schema = read_schema(*_FILE)
    for section in sorted(SECTIONS):
        _take_variables(schema["properties"][section], schema["definitions"])
    for rule in _rules(schema):
        _spell_out(rule)
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _rules(value: object) -> Iterator[_Draft]:
    """Each mapping in a schema, whether it is a rule or holds rules."""
    if isinstance(value, dict):
        yield value
    for inner in (
        (*value.values(),) if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from _rules(inner)


def _spell_out(rule: _Draft) -> None:
    """Say with keywords of JSON Schema what the checker reads otherwise; changes the rule in place."""
    for edge in ("minimum", "maximum"):
        size = parse_size(rule.get(f"x-{edge}"))
        if isinstance(size, int):
            rule[edge] = size
    if "minProperties" in rule and "^x-" in rule.get("patternProperties", ()):
        rule["not"] = {"propertyNames": {"pattern": "^x-"}}


def _take_variables(rule: _Draft, definitions: _Draft) -> None:
    """Allow a variable for each scalar in a rule and below it; changes the rule in place."""
    if "$ref" in rule:
        _take_variables(definitions[rule["$ref"].rpartition("/")[2]], definitions)
    below = [*rule.get("properties", {}).values(), *rule.get("allOf", ()), *rule.get("anyOf", ())]
    below += [
        rule[key] for key in ("items", "additionalProperties") if isinstance(rule.get(key), dict)
    ]
    for child in below:
        _take_variables(child, definitions)
    is_closed = "\\$" not in rule.get("pattern", "\\$") or "enum" in rule
    if (is_closed or rule.get("type") in ("integer", "boolean")) and _VARIABLE not in rule.get(
        "anyOf", ()
    ):
        asked = {key: rule.pop(key) for key in [*rule] if key not in _ANNOTATIONS}
        rule["anyOf"] = [asked, _VARIABLE]


def expanded(rule: Rule, definitions: Rule) -> Rule:
    """A rule with its `$ref` and `allOf` merged in recursively, down to any `then`; the nearer keyword wins."""
    merged: _Draft = {}
    if "$ref" in rule:
        merged.update(expanded(definitions[rule["$ref"].rpartition("/")[2]], definitions))
    for part in rule.get("allOf", ()):
        merged.update(expanded(part, definitions))
    merged.update({key: value for key, value in rule.items() if key not in {"$ref", "allOf"}})
    if "properties" in rule:
        merged["properties"] = {
            key: expanded(value, definitions) for key, value in rule["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(rule.get(key), dict):
            merged[key] = expanded(rule[key], definitions)
    if "anyOf" in rule:
        merged["anyOf"] = [expanded(branch, definitions) for branch in rule["anyOf"]]
    return merged


_SCHEMA: Final = read_schema(*_FILE)
LANGUAGE: Final[Rule] = expanded(_SCHEMA, _SCHEMA.pop("definitions"))


def _mappings(rule: Rule, where: str) -> Iterator[tuple[str, str]]:
    """Each key of the language with the dotted path where it is legal."""
    for key, child in rule.get("properties", {}).items():
        yield key, where
        yield from _mappings(child, f"{where}.{key}" if where else key)
    more = rule.get("additionalProperties")
    if isinstance(more, dict):
        yield from _mappings(more, f"{where}.NAME")
    for branch in (*rule.get("anyOf", ()), *([rule["items"]] if "items" in rule else ())):
        yield from _mappings(branch, where)


def _places() -> Mapping[str, tuple[str, ...]]:
    places: dict[str, dict[str, None]] = {}
    for key, where in _mappings(LANGUAGE, ""):
        places.setdefault(key, {})[where] = None
    return {key: tuple(where) for key, where in places.items()}


_ELSEWHERE: Final = _places()


def elsewhere(key: str) -> tuple[str, ...]:
    """The dotted paths where a key is legal, such as `channels.NAME`; empty string: the top level."""
    return _ELSEWHERE.get(key, ())


def has_key(rule: Rule, *keys: str) -> bool:
    """Whether a rule accepts nested mappings with these keys."""
    if not keys:
        return True
    first, *rest = keys
    branches = [rule, *rule.get("anyOf", ())]
    return any(
        first in branch.get("properties", {}) and has_key(branch["properties"][first], *rest)
        for branch in branches
    )


def wanted(rule: Rule) -> str:
    """Describes what a rule accepts: `text, a list or a mapping`."""
    words = list(dict.fromkeys(_wants(rule)))
    return "`true` or `false`" if words == ["a boolean"] else joined(words)


def _wants(rule: Rule) -> Iterator[str]:
    if rule.get("x-kind") in _KINDS:
        yield _KINDS[rule["x-kind"]]
    elif "enum" in rule:
        yield from (f"`{value}`" for value in rule["enum"])
    elif "anyOf" in rule:
        for branch in rule["anyOf"]:
            yield from _wants(branch)
    elif "type" in rule:
        yield _TYPES[rule["type"]]


def got(value: Json) -> str:
    """Describes the type of a written value; never the value itself, which may be a secret."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "`true`" if value else "`false`"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "a mapping"


def joined(words: list[str], last: str = "or") -> str:
    """`a, b or c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def last_key(pointer: str) -> str:
    """The key of a value; empty for the whole file."""
    return tokens(pointer)[-1] if pointer else ""


def homes_of(key: str, pointer: str) -> list[tuple[str, str]]:
    """Describes where a key unknown at a pointer is legal nearby (at most two), with its name there."""
    here = ".".join(_generic(tokens(pointer)))
    for name in (key, *ALIASES.get(folded(key), ())):
        if here in elsewhere(name):
            return []
        homes = [home for home in elsewhere(name) if _is_near(home, pointer)]
        if homes:
            return [(name, _home_in_words(home, pointer)) for home in homes[:2]]
    return []


def kinds_with(key: str, pointer: str) -> list[str]:
    """The authenticator types that have a key which the one at a pointer does not."""
    if tokens(pointer)[:1] != ["auth"] or len(tokens(pointer)) != 2:
        return []
    kinds = LANGUAGE["properties"]["auth"]["additionalProperties"]["anyOf"]
    return [kind["properties"]["type"]["const"] for kind in kinds if key in kind["properties"]]


def _is_near(home: str, pointer: str) -> bool:
    """Whether a key at a pointer may have been meant for a given place in another mapping."""
    here, there = tokens(pointer), home.split(".") if home else []
    is_wider = len(there) < 2 or there == ["channels", "NAME"]
    is_wider = is_wider or (there == ["backends", "NAME"] and here[-1:] == ["hook"])
    return is_wider or here[:1] == there[:1] or here[-1:] == there[-1:]


def _generic(parts: list[str]) -> list[str]:
    """A path with `NAME` for user-chosen names."""
    named = {"channels": {1, 3}, "auth": {1}, "backends": {1}}.get("".join(parts[:1]), set())
    return ["NAME" if index in named else part for index, part in enumerate(parts)]


def _home_in_words(home: str, pointer: str) -> str:
    if not home:
        return "at the top level"
    here, there = tokens(pointer), home.split(".")
    same = zip(there, here, _generic(here), strict=False)
    known = [own for _, own, _ in itertools.takewhile(lambda parts: parts[0] == parts[2], same)]
    if len(known) == len(there):
        return f"in {names_place('/' + '/'.join(known))}"
    return f"under `{'.'.join([*known, *there[len(known) :]])}`"


def names_place(pointer: str) -> str:
    """Describes what is at a pointer: `channel `room``, `message `say``, ``server.limits``, `the file`."""
    parts = tokens(pointer)
    if not parts:
        return "the file"
    is_name = len(parts) == 2 or (len(parts) == 4 and parts[2] != "auth")
    if is_name and parts[-2] in _NAMES and parts[0] in _NAMES:
        return f"{_NAMES[parts[-2]]} `{parts[-1][:_LONGEST]}`"
    if len(parts) > 1 and parts[-1].isdecimal():
        return f"entry {int(parts[-1]) + 1} of {names_place(pointer.rpartition('/')[0])}"
    if parts[0] in {"channels", "auth"} and len(parts) > 2:
        kept = 4 if len(parts) > 4 and parts[2] in {"messages", "events"} else 2
        return f"`{'.'.join(parts[kept:])}` of {names_place('/' + '/'.join(parts[:kept]))}"
    return f"`{'.'.join(parts)}`"
