"""`config.md`: every key of the language, from its JSON Schema."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pages.markdown import MADE, ROOT, table

Schema = Mapping[str, Any]

LANGUAGE: Schema = json.loads((ROOT / "channeld/config/channels.schema.json").read_text())

CONFIG_HEAD = f"""{MADE}
# The configuration language

This page lists every key of `channels.yaml`. `channeld schema` prints the same as a JSON Schema, which editors use to
complete and check ([how](../guides/editors.md)). [A whole example](../../channels.yaml) is in the repository.

**Notations.** Durations: `250ms`, `10s`, `5m`, `1h`, `7d`. Sizes: a number of bytes, or `64KiB`, `1MiB`. Rates: `10/s`,
`100/m`, `1000/h`, or `{{limit: 10/s, burst: 30}}`; a rate is a token bucket, and the burst defaults to the
rate's count.

**YAML** is read with the core rules of version 1.2: only `true` and `false` are booleans, `yes`, `no`, `on` and `off` are
text. Duplicate keys and tags are errors. Anchors and merge keys work, within bounds.

**Environment.** `${{NAME}}` and `${{NAME:-default}}` are replaced in the values under `server`, `auth`, `broker`, `api`,
`log`, `webhooks` and `backends`; `$$` is a literal `$`. If a variable is not set, `channeld run` refuses it, and `channeld
validate` warns.

**Paths** of files are relative to the file that names them. **Unknown keys** are errors everywhere; keys that start with
`x-` are allowed everywhere and ignored.

[Templates and guarantees](../topics/templates.md) describes templates.
"""


def resolved(schema: Schema) -> Schema:
    """A schema with its reference followed; its own words win over those of what it refers to."""
    parts = [schema]
    if "$ref" in schema:
        parts.append(LANGUAGE["definitions"][schema["$ref"].rpartition("/")[2]])
    parts += schema.get("allOf", [])
    if len(parts) == 1:
        return schema
    together: dict[str, Any] = {}
    for part in parts[1:]:
        together |= resolved(part)
    return together | {key: value for key, value in schema.items() if key not in ("$ref", "allOf")}


KINDS = {
    "address": "address",
    "listen": "address, or `systemd`",
    "percentage": "share such as `20%`",
    "health": "path, or `none`",
    "authenticator": "a mapping with `type`",
    "call": "`module:function`",
    "duration": "duration",
    "file_text": "text or `{file: PATH}`",
    "hook": "`module:function`, `{call: …, thread: true}`, or `{backend: NAME, path: /…}`",
    "jwks": "https URL or `{file: PATH}`",
    "network": "address or network",
    "path": "path",
    "private": "text",
    "rate": "rate",
    "rate_text": "rate",
    "secret": "text or `{file: PATH}`",
    "secrets": "text, `{file: PATH}`, or a list of them",
    "size": "size",
    "tokens": "list, or `{file: PATH}`",
}
SIMPLE = {"string": "text", "boolean": "`true` or `false`", "integer": "whole number"}


def takes(schema: Schema) -> str:
    """What a key takes, in a few words."""
    schema = resolved(schema)
    kind = schema.get("x-kind", "")
    if kind in KINDS:
        return KINDS[kind] + bounds(schema)
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return ", or ".join(dict.fromkeys(takes(one) for one in schema["anyOf"]))
    if schema.get("type") == "object":
        return "mapping"
    inner = takes(schema["items"]) if schema.get("type") == "array" else ""
    if inner:
        return "list of mappings" if inner == "mapping" else f"list of: {inner}"
    return SIMPLE.get(schema.get("type", ""), "any value") + bounds(schema)


def bounds(schema: Schema) -> str:
    """The range of a number or a duration."""
    least = schema.get("x-minimum", schema.get("minimum"))
    most = schema.get("x-maximum", schema.get("maximum"))
    if least is not None and most is not None:
        return f", {least} to {most}"
    return (
        ""
        if least is None and most is None
        else f", at least {least}"
        if most is None
        else f", at most {most}"
    )


def default(schema: Schema, *, required: bool) -> str:
    """A key's default as YAML."""
    if required:
        return "**required**"
    value = resolved(schema).get("default")
    if value in (None, {}, [], ""):
        return ""
    return "`" + (value if isinstance(value, str) else yaml_like(value)) + "`"


def yaml_like(value: object) -> str:
    """A value in YAML's flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {yaml_like(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(yaml_like, value)) + "]"
    return json.dumps(value) if isinstance(value, bool) else str(value)


def mappings(schema: Schema) -> Iterator[Schema]:
    """The forms of a schema that are mappings with known keys."""
    schema = resolved(schema)
    if "properties" in schema:
        yield schema
    for one in schema.get("anyOf", []):
        yield from mappings(one)


def section(name: str, schema: Schema) -> Iterator[str]:
    """The section of one mapping, then those of the mappings in it."""
    properties: Schema = schema["properties"]
    needed = schema.get("required", [])
    rows = []
    for key, one in properties.items():
        said = resolved(one)
        text = said.get("description", "")
        shown = [f"`{yaml_like(example)}`" for example in said.get("examples", [])[:3]]
        if shown:
            text += f" For example {', '.join(shown)}."
        rows.append([f"`{key}`", takes(one), default(one, required=key in needed), text])
    yield f"## {name}\n"
    if schema.get("description"):
        yield schema["description"] + "\n"
    yield table(["key", "takes", "default", "meaning"], rows) + "\n"
    for key, one in properties.items():
        yield from below(key if name == "The file" else f"{name}.{key}", resolved(one))


# Their short words in the tables, or the page's head, say all of it.
PLAIN = frozenset({"file_text", "hook", "jwks", "rate", "secret", "secrets"})


def below(name: str, schema: Schema) -> Iterator[str]:
    """The sections of what a key's value holds."""
    if schema.get("x-kind") in PLAIN:
        return
    for form in mappings(schema):
        yield from section(name, form)
    many = schema.get("additionalProperties")
    if isinstance(many, dict) and not schema.get("properties"):
        yield from named(f"{name}.NAME", resolved(many))
    items = resolved(schema.get("items", {}))
    if "properties" in items:
        yield from section(f"{name}[]", items)


def named(name: str, schema: Schema) -> Iterator[str]:
    """The sections of what a name stands for; one for each `type` where that decides."""
    if "x-tag" not in schema:
        yield from below(name, schema)
        return
    for form in schema["anyOf"]:
        known = resolved(form)
        yield from section(f"{name}, type: {known['properties']['type']['const']}", known)


def config_page() -> str:
    """`config.md`."""
    top = {**LANGUAGE, "description": ""}
    return CONFIG_HEAD + "\n" + "\n".join(section("The file", top))
