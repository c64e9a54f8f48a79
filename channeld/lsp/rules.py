"""The language's rules at a location: its schema along a pointer, for configurations and scenario files.

A rule is a node of a JSON Schema with its `$ref` and `allOf` merged in. If several branches are possible, all that fit the
text so far apply.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

from channeld.config.language import LANGUAGE, Rule, expanded, read_schema, wanted
from channeld.pointer import tokens
from channeld.protocol.frames import Json

_KEPT: Final = ("title", "description", "default", "examples")


@cache
def _scenarios() -> Rule:
    schema = read_schema("channeld.scenarios", "scenario.schema.json")
    return expanded(schema, schema["definitions"])


def rules_at(pointer: str, value: Json, *, scenarios: bool) -> list[Rule]:
    """The rules for a pointer in a document's value."""
    rules = [_scenarios() if scenarios else LANGUAGE]
    for token in tokens(pointer):
        rules = [below for rule in _branches(rules, value) for below in _step(rule, token)]
        value = _child(value, token)
    return list(_branches(rules, value))


def _child(value: Json, token: str) -> Json:
    if isinstance(value, dict):
        return value.get(token)
    if isinstance(value, list) and token.isdecimal() and int(token) < len(value):
        return value[int(token)]
    return None


def _branches(rules: list[Rule], value: Json) -> Iterator[Rule]:
    """The possible rules: branches of `anyOf`, with the parent's description if they have none."""
    for rule in rules:
        if "then" in rule and "else" in rule:
            # Patterns of scenarios nest, so they are expanded where they are asked for.
            yield from _branches([expanded(rule["then"], _scenarios()["definitions"])], value)
            continue
        branches: list[Rule] = rule.get("anyOf", [])
        if not branches:
            yield rule
            continue
        tag = rule.get("x-tag")
        chosen = value.get(tag) if tag is not None and isinstance(value, dict) else None
        tagged = [b for b in branches if tag and b["properties"][tag].get("const") == chosen]
        fitting = tagged or branches
        if isinstance(value, dict):
            fitting = [b for b in fitting if takes_mapping(b)] or fitting
            if tag is None or tagged:
                fitting = _knowing(fitting, value)
        elif isinstance(value, list):
            fitting = [b for b in fitting if "items" in b] or fitting
        kept = {key: rule[key] for key in _KEPT if key in rule}
        kind = {"x-kind": rule["x-kind"]} if "x-kind" in rule else {}
        yield from _branches([{**kind, **kept, **branch} for branch in fitting], value)


def _knowing(rules: list[Rule], value: Mapping[str, Json]) -> list[Rule]:
    """The rules that know most of the written keys."""
    most = max((len(_properties(rule).keys() & value) for rule in rules), default=0)
    return [rule for rule in rules if len(_properties(rule).keys() & value) == most]


def _properties(rule: Rule) -> Mapping[str, Rule]:
    properties: Mapping[str, Rule] = rule.get("properties", {})
    return properties


def _step(rule: Rule, token: str) -> Iterator[Rule]:
    if token in _properties(rule):
        yield _properties(rule)[token]
    elif isinstance(rule.get("additionalProperties"), dict):
        yield rule["additionalProperties"]
    elif token.isdecimal() and isinstance(rule.get("items"), dict):
        yield rule["items"]


def takes_mapping(rule: Rule) -> bool:
    """Whether a rule is for a mapping."""
    return "properties" in rule or rule.get("type") == "object"


def keys_of(rules: list[Rule]) -> dict[str, Rule]:
    """The keys that a mapping takes, each with its rule."""
    found: dict[str, Rule] = {}
    for rule in rules:
        for key, child in _properties(rule).items():
            found.setdefault(key, child)
    return found


def words_of(rule: Rule) -> list[str]:
    """The scalars that a rule lists: all allowed ones, or examples."""
    if "const" in rule:
        return [_scalar(rule["const"])]
    if "enum" in rule:
        return [_scalar(word) for word in rule["enum"] if word is not None]
    if rule.get("type") == "boolean":
        return ["true", "false"]
    found = [*rule.get("examples", ()), *([rule["default"]] if "default" in rule else [])]
    return list(
        dict.fromkeys(_scalar(one) for one in found if isinstance(one, str | int) and one != "")
    )


def _scalar(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def described(rule: Rule) -> str:
    """A rule as Markdown: description, accepted values, default and examples."""
    lines = []
    if rule.get("title"):
        lines.append(f"**{rule['title']}**")
    if rule.get("description"):
        lines.append(rule["description"])
    facts = []
    if any(key in rule for key in ("type", "enum", "anyOf", "x-kind")) and _is_plain(rule):
        facts.append(f"Takes {wanted(rule)}.")
    if "default" in rule:
        facts.append(f"Default: `{_flow(rule['default'])}`.")
    if rule.get("examples"):
        facts.append(
            "For example " + ", ".join(f"`{_flow(one)}`" for one in rule["examples"][:3]) + "."
        )
    if facts:
        lines.append(" ".join(facts))
    return "\n\n".join(lines)


def _is_plain(rule: Rule) -> bool:
    """Whether its `type` is one word, as in the language; scenario files also have lists and references."""
    branches = rule.get("anyOf", [rule])
    return all(isinstance(b.get("type", ""), str) and "$ref" not in b for b in branches)


def _flow(value: Json) -> str:
    """A value on one line, as YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    text = _scalar(value)
    return f'"{text}"' if isinstance(value, str) and text[:1] in "{[#*&" else text
