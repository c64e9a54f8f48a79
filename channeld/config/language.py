"""The language's JSON Schema as the one table of its keys: which are legal where, what each takes, what one meant.

`LANGUAGE` is `channels.schema.json` with its references in place, so that a walk needs no lookup. Words for people are
made here from that table, so that no message shows what a validator library would say.
"""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final, TypeAlias

from channeld.pointer import tokens
from channeld.protocol.frames import Json

__all__ = [
    "ALIASES",
    "LANGUAGE",
    "NESTED",
    "Rule",
    "dotted",
    "elsewhere",
    "got",
    "has_key",
    "joined",
    "names_place",
    "schema_text",
    "wanted",
]

Rule: TypeAlias = Mapping[str, Any]
"""One node of the language's schema. Its keywords have the types that draft-07 gives them."""

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "acl": ("require", "allow"),
    "alg": ("algorithms",),
    "algo": ("algorithms",),
    "algorithm": ("algorithms",),
    "address": ("bind",),
    "allow_origins": ("allowed_origins",),
    "authenticator": ("auth", "use"),
    "authenticators": ("auth",),
    "authentication": ("auth",),
    "aud": ("audience",),
    "backlog": ("history",),
    "body": ("schema",),
    "broadcast": ("route",),
    "buffer_size": ("outbox",),
    "cert": ("certificate",),
    "claim": ("claims", "require"),
    "cors": ("allowed_origins",),
    "count": ("size", "limit"),
    "desc": ("description",),
    "doc": ("description",),
    "deflate": ("compression",),
    "disconnect": ("close",),
    "endpoint": ("path",),
    "event": ("events",),
    "exclude_self": ("except_sender",),
    "exclude_sender": ("except_sender",),
    "exp": ("expiry",),
    "expires": ("expiry", "ttl"),
    "frame": ("emit",),
    "function": ("call", "hook"),
    "handler": ("hook",),
    "heartbeat": ("ping",),
    "host": ("bind",),
    "iss": ("issuer",),
    "jwks_uri": ("jwks",),
    "jwks_url": ("jwks",),
    "keepalive": ("ping",),
    "length": ("size",),
    "listen": ("bind",),
    "logging": ("log",),
    "max_connections": ("connections", "connections_per_user"),
    "max_message_size": ("message_size",),
    "max_payload": ("message_size",),
    "max_rooms": ("rooms_per_connection",),
    "max_size": ("message_size", "size"),
    "msgs": ("messages",),
    "name": ("user",),
    "on_connect": ("connect",),
    "on_disconnect": ("close",),
    "origin": ("allowed_origins",),
    "origins": ("allowed_origins",),
    "output": ("emit",),
    "parameters": ("params",),
    "payload": ("schema",),
    "pem": ("public_key", "certificate"),
    "permissions": ("require",),
    "permessage_deflate": ("compression",),
    "ping_interval": ("interval",),
    "ping_timeout": ("timeout",),
    "port": ("bind",),
    "processes": ("workers",),
    "proxies": ("trusted_proxies",),
    "rate_limit": ("rate", "messages"),
    "redis": ("broker",),
    "role": ("require",),
    "roles": ("require",),
    "room": ("rooms", "join"),
    "scopes": ("require",),
    "send_queue": ("outbox",),
    "send_to": ("route",),
    "skip_sender": ("except_sender",),
    "ssl": ("tls",),
    "target": ("route", "to"),
    "throttle": ("rate",),
    "timeout": ("hook_timeout",),
    "threads": ("workers",),
    "to": ("route",),
    "token": ("tokens",),
    "topic": ("rooms", "room"),
    "topics": ("rooms",),
    "url": ("path", "jwks"),
    "version": ("channeld",),
}

NESTED: Final[Mapping[str, tuple[str, str]]] = {
    "connections": ("limits", "connections"),
    "heartbeat_interval": ("ping", "interval"),
    "history_size": ("history", "size"),
    "history_ttl": ("history", "ttl"),
    "max_connections": ("limits", "connections"),
    "max_message_size": ("limits", "message_size"),
    "max_payload": ("limits", "message_size"),
    "message_size": ("limits", "message_size"),
    "outbox": ("limits", "outbox"),
    "ping_interval": ("ping", "interval"),
    "ping_timeout": ("ping", "timeout"),
    "rate_limit": ("limits", "messages"),
    "ssl_cert": ("tls", "certificate"),
    "ssl_key": ("tls", "key"),
}
"""Flat keys of other tools, lower case with `_`, and the key of the mapping that holds them here."""

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
_LONGEST = 64


def schema_text() -> str:
    """The JSON Schema of the language, as it stands in the file."""
    return files("channeld.config").joinpath("channels.schema.json").read_text("utf-8")


def _expanded(rule: Rule, definitions: Rule) -> Rule:
    """A rule with its `$ref` and `allOf` merged in, the nearer keyword winning, all the way down."""
    merged: dict[str, Any] = {}
    if "$ref" in rule:
        merged.update(_expanded(definitions[rule["$ref"].rpartition("/")[2]], definitions))
    for part in rule.get("allOf", ()):
        merged.update(_expanded(part, definitions))
    merged.update({key: value for key, value in rule.items() if key not in {"$ref", "allOf"}})
    if "properties" in rule:
        merged["properties"] = {
            key: _expanded(value, definitions) for key, value in rule["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(rule.get(key), dict):
            merged[key] = _expanded(rule[key], definitions)
    if "anyOf" in rule:
        merged["anyOf"] = [_expanded(branch, definitions) for branch in rule["anyOf"]]
    return merged


def _load() -> Rule:
    schema = json.loads(schema_text())
    definitions = schema.pop("definitions")
    return _expanded(schema, definitions)


LANGUAGE: Final[Rule] = _load()


def _mappings(rule: Rule, where: str) -> Iterator[tuple[str, str]]:
    """Each key of the language with the dotted place it is legal at."""
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
    """The dotted places where a key is legal, such as `channels.NAME`; empty text for the top level."""
    return _ELSEWHERE.get(key, ())


def has_key(rule: Rule, *keys: str) -> bool:
    """Whether a rule takes a mapping with this key, which takes one with the next, and so on."""
    if not keys:
        return True
    first, *rest = keys
    branches = [rule, *rule.get("anyOf", ())]
    return any(
        first in branch.get("properties", {}) and has_key(branch["properties"][first], *rest)
        for branch in branches
    )


def wanted(rule: Rule) -> str:
    """What a rule takes, in words: `text, a list or a mapping`."""
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
    """What kind of value was written, in words; never the value itself, which may be a secret."""
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


def dotted(pointer: str) -> str:
    """A pointer as people write it: `server.limits.outbox`."""
    return ".".join(tokens(pointer))


def names_place(pointer: str) -> str:
    """What stands at a pointer, in words: `channel `room``, `message `say``, ``server.limits``, `the file`."""
    parts = tokens(pointer)
    if not parts:
        return "the file"
    if len(parts) in {2, 4} and parts[-2] in _NAMES and parts[0] in _NAMES:
        return f"{_NAMES[parts[-2]]} `{parts[-1][:_LONGEST]}`"
    if parts[0] in {"channels", "auth"} and len(parts) > 2:
        kept = 4 if len(parts) > 4 and parts[2] in {"messages", "events"} else 2
        return f"`{'.'.join(parts[kept:])}` of {names_place('/' + '/'.join(parts[:kept]))}"
    return f"`{'.'.join(parts)}`"
