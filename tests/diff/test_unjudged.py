"""Every key of the language is compared, or argued not to matter: changed, it gives a finding, or a reason."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from channeld.config.language import LANGUAGE, Rule
from channeld.diff.unjudged import UNJUDGED
from channeld.plan.options.table import OPTIONS
from tests.diff.kit import diff

PEM = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEy3rFxNWuHcaYeYJltWcihmVt4cfX
9EUvNBbUSWpCXsCAsajJuK7oYGhcOHBMOr6rv9lBDA/O6xKqnSrjcqfHIA==
-----END PUBLIC KEY-----
"""
TOKEN = "sha256:" + "a" * 64
FIELDS = {"text": {"type": "string", "maxLength": 80}}
SCHEMA = {
    "type": "object",
    "required": ["text"],
    "additionalProperties": False,
    "properties": FIELDS,
}
WHOLE: dict[str, Any] = {
    "channeld": 1,
    "server": {
        "allowed_origins": ["https://a.example"],
        "trusted_proxies": ["10.0.0.0/8"],
        "ping": {"interval": "20s", "timeout": "20s"},
        "limits": {"connections_per_address": 10},
    },
    "auth": {
        "keys": {
            "type": "jwt",
            "algorithms": ["HS256"],
            "secret": ["s" * 40],
            "issuer": "i",
            "audience": "a",
            "token_from": ["query", "header"],
        },
        "pems": {"type": "jwt", "algorithms": ["ES256"], "audience": "a", "jwks": "https://a.example/k"},
        "fixed": {"type": "tokens", "tokens": [{"token": TOKEN, "user": "ann", "claims": {"r": 1}}]},
        "asked": {"type": "hook", "hook": {"call": "m:f"}},
    },
    "schemas": {"word": {"type": "string", "maxLength": 9}},
    "backends": {"app": {"url": "https://a.example", "secret": ["s" * 40]}},
    "channels": {
        "room": {
            "path": "/rooms/{id}",
            "params": {"id": {"type": "string"}},
            "auth": {"use": ["keys", "pems", "fixed", "asked"]},
            "require": {"role": "admin"},
            "rooms": {"join": ["{params.id}"], "subscribe": {"allow": ["a-*"], "max": 9}},
            "presence": {"info": {"at": "{now}"}, "events": True, "state": {"type": "object"}},
            "history": {"size": 10, "ttl": "1h"},
            "limits": {"connections_per_user": 3},
            "hooks": {"connect": "m:f"},
            "messages": {
                "say": {
                    "schema": SCHEMA,
                    "route": {"to": "room", "room": "{params.id}"},
                    "stamp": {"at": "{now}"},
                    "rate": {"limit": "10/s", "burst": 20},
                },
                "tell": {"schema": SCHEMA, "route": "room", "emit": {"type": "told", "a": "{now}"}},
                "ask": {"schema": SCHEMA, "route": {"to": "user", "user": "{message.text}"}},
                "word": {"schema": {"$ref": "#/schemas/word"}, "hook": "m:f"},
            },
            "events": {
                "told": {"schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
                "ask": {}, "say": {},
            },
        },
        "other": {"path": "/other", "auth": "none", "events": {}},
    },
}  # fmt: skip
SAY = "channels.room.messages.say"
TOLD = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}
# Key of the language → where it stands in the file above, and what it is changed to (None: taken out).
CHANGED: dict[str, tuple[str, Any]] = {
    "server.tls": ("server.tls", {"certificate": "a.pem", "key": "k.pem"}),
    "server.allowed_origins": ("server.allowed_origins", ["https://b.example"]),
    "server.trusted_proxies": ("server.trusted_proxies", None),
    "server.ping.interval": ("server.ping.interval", "10s"),
    "server.ping.timeout": ("server.ping.timeout", "10s"),
    "server.connection_age": ("server.connection_age", {"max": "1h"}),
    "server.connection_age.max": ("server.connection_age", {"max": "1h"}),
    "server.health": ("server.health", "/up"),
    "server.limits.message_size": ("server.limits.message_size", "1KiB"),
    "server.limits.json_depth": ("server.limits.json_depth", 5),
    "server.limits.connections": ("server.limits.connections", 5),
    "server.limits.connections_per_address": ("server.limits.connections_per_address", 5),
    "server.limits.handshake_timeout": ("server.limits.handshake_timeout", "5s"),
    "server.limits.auth_timeout": ("server.limits.auth_timeout", "5s"),
    "server.limits.outbox": ("server.limits.outbox", "512KiB"),
    "server.limits.rooms_per_connection": ("server.limits.rooms_per_connection", 5),
    "server.limits.messages": ("server.limits.messages", "5/s"),
    "server.limits.errors": ("server.limits.errors", "5/m"),
    "auth.NAME.type": ("auth.asked", {"type": "tokens", "tokens": [{"token": TOKEN, "user": "a"}]}),
    "auth.NAME.token_from": ("auth.keys.token_from", ["query"]),
    "auth.NAME.algorithms": ("auth.keys.algorithms", ["HS512"]),
    "auth.NAME.secret": ("auth.keys.secret", ["t" * 40]),
    "auth.NAME.public_key": (
        "auth.pems",
        {"type": "jwt", "algorithms": ["ES256"], "audience": "a", "public_key": PEM},
    ),
    "auth.NAME.jwks": ("auth.pems.jwks", "https://b.example/k"),
    "auth.NAME.issuer": ("auth.keys.issuer", "j"),
    "auth.NAME.audience": ("auth.keys.audience", "b"),
    "auth.NAME.leeway": ("auth.keys.leeway", "1s"),
    "auth.NAME.expiry": ("auth.keys.expiry", "optional"),
    "auth.NAME.on_expiry": ("auth.keys.on_expiry", "ignore"),
    "auth.NAME.user": ("auth.keys.user", "u-{claims.sub}"),
    "auth.NAME.claims": ("auth.keys.claims", {"type": "object", "required": ["name"]}),
    "auth.NAME.tokens": ("auth.fixed.tokens", [{"token": "sha256:" + "b" * 64, "user": "ann"}]),
    "auth.NAME.tokens.token": ("auth.fixed.tokens.0.token", "sha256:" + "c" * 64),
    "auth.NAME.tokens.user": ("auth.fixed.tokens.0.user", "bob"),
    "auth.NAME.tokens.claims": ("auth.fixed.tokens.0.claims", {"r": 2}),
    "auth.NAME.hook": ("auth.asked.hook", "m:g"),
    "channels": ("channels.other", None),
    "channels.NAME.path": ("channels.other.path", "/another"),
    "channels.NAME.description": ("channels.other.description", "Words."),
    "channels.NAME.params": ("channels.room.params.id.maxLength", 5),
    "channels.NAME.query": ("channels.room.query", {"lang": {"enum": ["en", "de"]}}),
    "channels.NAME.subprotocols": ("channels.room.subprotocols", ["ocpp1.6"]),
    "channels.NAME.auth": ("channels.room.auth", "keys"),
    "channels.NAME.auth.use": ("channels.room.auth.use", ["keys"]),
    "channels.NAME.auth.optional": ("channels.room.auth.optional", True),
    "channels.NAME.require": ("channels.room.require", {"role": "owner"}),
    "channels.NAME.rooms.join": ("channels.room.rooms.join", ["x-{params.id}"]),
    "channels.NAME.rooms.subscribe": ("channels.room.rooms.subscribe", None),
    "channels.NAME.rooms.subscribe.allow": ("channels.room.rooms.subscribe.allow", ["b-*"]),
    "channels.NAME.rooms.subscribe.hook": ("channels.room.rooms.subscribe.hook", "m:f"),
    "channels.NAME.rooms.subscribe.max": ("channels.room.rooms.subscribe.max", 2),
    "channels.NAME.presence": ("channels.room.presence", None),
    "channels.NAME.presence.scope": ("channels.room.presence.scope", "channel"),
    "channels.NAME.presence.info": ("channels.room.presence.info", {}),
    "channels.NAME.presence.events": ("channels.room.presence.events", False),
    "channels.NAME.presence.batch": ("channels.room.presence.batch", "1s"),
    "channels.NAME.history": ("channels.room.history", None),
    "channels.NAME.history.size": ("channels.room.history.size", 5),
    "channels.NAME.history.ttl": ("channels.room.history.ttl", "1m"),
    "channels.NAME.history.replay": ("channels.room.history.replay", 5),
    "channels.NAME.presence.state": ("channels.room.presence.state", None),
    "channels.NAME.presence.rate": ("channels.room.presence.rate", "2/s"),
    "channels.NAME.events.NAME.history": ("channels.room.events.told.history", False),
    "channels.NAME.events.NAME.key": ("channels.room.events.told", {"schema": TOLD, "key": "{event.a}", "history": "latest"}),
    "channels.NAME.events.NAME.clears": ("channels.room.events.told.clears", "say"),
    "channels.NAME.events.NAME.conflate": ("channels.room.events.told.conflate", "1s"),
    "channels.NAME.events.NAME.deprecated": ("channels.room.events.told.deprecated", True),
    "channels.NAME.history.rooms": ("channels.room.history.rooms", 5),
    "channels.NAME.history.bytes": ("channels.room.history.bytes", "1MiB"),
    "channels.NAME.messages": (SAY, None),
    "channels.NAME.messages.NAME.schema": (f"{SAY}.schema.properties.text.maxLength", 5),
    "channels.NAME.messages.NAME.route": (f"{SAY}.route", "sender"),
    "channels.NAME.messages.NAME.route.to": (f"{SAY}.route", {"to": "global"}),
    "channels.NAME.messages.NAME.route.room": (f"{SAY}.route.room", "x"),
    "channels.NAME.messages.NAME.route.user": ("channels.room.messages.ask.route.user", "u-{message.text}"),
    "channels.NAME.messages.NAME.route.channel": ("channels.room.messages.ask.route.channel", "other"),
    "channels.NAME.messages.NAME.route.except_sender": (f"{SAY}.route.except_sender", True),
    "channels.NAME.messages.NAME.route.members_only": (f"{SAY}.route.members_only", False),
    "channels.NAME.messages.NAME.emit": ("channels.room.messages.tell.emit", {"type": "told"}),
    "channels.NAME.messages.NAME.stamp": (f"{SAY}.stamp", {"by": "{uuid}"}),
    "channels.NAME.messages.NAME.hook": ("channels.room.messages.word.hook", "m:g"),
    "channels.NAME.messages.NAME.require": (f"{SAY}.require", {"role": "admin"}),
    "channels.NAME.messages.NAME.rate": (f"{SAY}.rate", "1/s"),
    "channels.NAME.messages.NAME.rate.limit": (f"{SAY}.rate.limit", "1/s"),
    "channels.NAME.messages.NAME.rate.burst": (f"{SAY}.rate.burst", 11),
    "channels.NAME.messages.NAME.history": (f"{SAY}.history", False),
    "channels.NAME.messages.NAME.description": (f"{SAY}.description", "Words."),
    "channels.NAME.messages.NAME.examples": (f"{SAY}.examples", [{"text": "a"}]),
    "channels.NAME.messages.NAME.deprecated": (f"{SAY}.deprecated", True),
    "channels.NAME.events": ("channels.room.events", None),
    "channels.NAME.events.NAME.schema": ("channels.room.events.told.schema.properties.a.maxLength", 50),
    "channels.NAME.events.NAME.description": ("channels.room.events.told.description", "Words."),
    "channels.NAME.events.NAME.examples": ("channels.room.events.told.examples", [{"a": "b"}]),
    "server.transports": ("server.transports", ["websocket"]),
    "channels.NAME.transports": ("channels.room.transports", ["websocket"]),
    "channels.NAME.hooks": ("channels.room.hooks", None),
    "channels.NAME.hooks.connect": ("channels.room.hooks.connect", "m:g"),
    "channels.NAME.hooks.connect.on_failure": (
        "channels.room.hooks.connect",
        {"call": "m:f", "on_failure": "accept"},
    ),
    "channels.NAME.hooks.close": ("channels.room.hooks.close", "m:g"),
    "channels.NAME.hooks.subscribe": ("channels.room.hooks.subscribe", "m:g"),
    "channels.NAME.hooks.unsubscribe": ("channels.room.hooks.unsubscribe", "m:g"),
    "channels.NAME.limits.message_size": ("channels.room.limits.message_size", "1KiB"),
    "channels.NAME.limits.json_depth": ("channels.room.limits.json_depth", 5),
    "channels.NAME.limits.outbox": ("channels.room.limits.outbox", "512KiB"),
    "channels.NAME.limits.rooms_per_connection": ("channels.room.limits.rooms_per_connection", 9),
    "channels.NAME.limits.messages": ("channels.room.limits.messages", "50/s"),
    "channels.NAME.limits.errors": ("channels.room.limits.errors", "5/m"),
    "channels.NAME.limits.connections_per_user": ("channels.room.limits.connections_per_user", 2),
    "schemas": ("schemas.word.maxLength", 5),
    "backends.NAME.on_failure": ("backends.app.on_failure", "accept"),
}  # fmt: skip
# Mappings that only hold keys which are compared one by one, and the parts of a value that are compared with it.
PARTS = (".call", ".thread", ".loop", ".limit", ".burst", ".backend", ".path", ".file")
HOLDERS = {
    "backends",
    "hooks",
    "server",
    "server.ping",
    "server.limits",
    "auth",
    "channels.NAME.rooms",
    "channels.NAME.limits",
}


def keys(rule: Rule, where: str = "") -> Iterator[str]:
    """The dotted keys of the language; the name of an entry is `NAME`."""
    for key, below in rule.get("properties", {}).items():
        name = f"{where}.{key}" if where else key
        yield name
        yield from keys(below, name)
    if isinstance(rule.get("additionalProperties"), dict):
        yield from keys(rule["additionalProperties"], f"{where}.NAME")
    for branch in (*rule.get("anyOf", ()), *([rule["items"]] if "items" in rule else ())):
        yield from keys(branch, where)


def is_argued(key: str) -> bool:
    return any(key == one or key.startswith(f"{one}.") for one in UNJUDGED)


def is_part(key: str, known: set[str]) -> bool:
    """Whether a key belongs to a value that is compared as a whole."""
    holder = key.rpartition(".")[0]
    return holder in known and key.endswith(PARTS)


def test_each_key_is_compared_or_argued() -> None:
    every = set(keys(LANGUAGE))
    known = every & (set(CHANGED) | HOLDERS)
    # Options of messages compare themselves: `tests/plan/options` shows what each says.
    options = {
        one
        for one in every
        for option in OPTIONS
        if one.startswith(
            (
                f"channels.NAME.messages.NAME.{option.key}",
                f"channels.NAME.events.NAME.{option.key}.",
            )
        )
    }
    left = {
        one for one in every - options if one not in known and not is_argued(one) and not is_part(one, known)
    }  # fmt: skip
    assert left == set()


def test_nothing_is_argued_that_does_not_exist() -> None:
    every = set(keys(LANGUAGE))
    assert set(UNJUDGED) <= every
    assert not [key for key in CHANGED if is_argued(key) or key not in every]
    assert all(reason.endswith(".") for reason in UNJUDGED.values())


def mutated(where: str, value: Any) -> dict[str, Any]:
    made = copy.deepcopy(WHOLE)
    *path, last = where.split(".")
    holder: Any = made
    for step in path:
        holder = holder[int(step)] if isinstance(holder, list) else holder.setdefault(step, {})
    if value is None:
        del holder[last]
    else:
        holder[last] = value
    return made


@pytest.mark.parametrize("key", CHANGED)
def test_a_changed_key_is_told(key: str) -> None:
    where, value = CHANGED[key]
    found = diff(json.dumps(WHOLE), json.dumps(mutated(where, value)), everything=True)
    assert found != []
