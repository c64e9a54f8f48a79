"""Recognises values of the wrong form, such as other tools' syntax and first guesses, and says what to write instead.

The language's schema names a reading at each place where newcomers often write something else (`x-meant`). A reading takes
what was written and its key, and returns None if it recognises no mistake. One mistake is one finding: the checker
continues with the value that was meant, or leaves the whole out if the rest is not worth checking. Help texts never repeat
a value that may be a secret.
"""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import attrs

from channeld.config.aliases import TYPES
from channeld.config.letters import BOOLEAN_WORDS, boolean_word
from channeld.config.scalars import BadScalar, parse_duration, rate_of
from channeld.config.writing import short
from channeld.protocol.frames import Json
from channeld.suggest import closest

OFF_WORDS: Final = frozenset({"none", "off", "no", "false", "never", "disabled", "unlimited"})
"""Words that mean "nothing" in other tools, in lower case."""

_LONGEST: Final = 160
_MANY: Final = 10**9
_TYPE_WORDS: Final[Mapping[str, str]] = {
    **TYPES,
    **{name: name for name in TYPES.values()},
    **dict.fromkeys(("uuid", "date", "datetime", "timestamp"), "string"),
    "json": "object",
}
_ANYTHING: Final = frozenset({"any", "*", "anything", "none", "null", *BOOLEAN_WORDS} - {"0", "1"})
# Schema keywords that are not also options of a message or event.
_SCHEMA_KEYS: Final = frozenset(
    {
        *("type", "properties", "required", "additionalProperties", "$ref", "$schema", "$id"),
        *("allOf", "anyOf", "oneOf", "enum", "const", "title", "items", "$defs"),
    }
)
_ALONE: Final[Mapping[str, Json]] = {"room": "room", "user": {"to": "user", "user": "{user.id}"}}
_TARGETS: Final = ("room", "user", "global", "sender", "none")
_TARGET_WORDS: Final[Mapping[str, Json]] = {
    **dict.fromkeys(("all", "everyone", "everybody", "channel", "public", "*"), "global"),
    **dict.fromkeys(("echo", "self", "me", "reply", "client", "caller", "back"), "sender"),
    **dict.fromkeys(("nobody", "noone", "no", "off", "drop", "noop", "null", "server"), "none"),
    **dict.fromkeys(("rooms", "topic", "group", "members"), "room"),
    **{
        word: {"to": "room", "except_sender": True}
        for word in ("broadcast", "others", "other", "everyone_else", "broadcast_from")
    },
}
_AUTHENTICATOR_KEYS: Final = frozenset(
    {
        *("type", "algorithms", "algorithm", "secret", "jwks", "public_key"),
        *("issuer", "audience", "tokens"),
    }
)
_SCHEMA_WORDS: Final = frozenset({"payload", "body", "data", "fields", "validate", "validation"})
_CHANNEL_KEYS: Final = frozenset({"path", "auth", "rooms", "messages", "events", "description"})
_OPTION_KEYS: Final = frozenset({"schema", "route", "emit", "stamp", "hook", "rate", "require"})
_NAMING: Final = ("name", "id", "type", "event", "key")


@attrs.frozen(slots=True)
class Meant:
    """A recognised mistake. `message` continues the description of the place; `value` is what the checker continues with.

    `code` is the diagnostic, CH105 by default. `is_key`: the finding is located at the key.
    """

    message: str
    help: str
    value: Json = None
    code: str = attrs.field(default="CH105", kw_only=True)
    is_key: bool = attrs.field(default=True, kw_only=True)


Reading: TypeAlias = "Callable[[Json, str], Meant | None]"
"""`(what was written, its key)` → what was meant; None if it may be correct."""


def entry(key: str, value: Json) -> str:
    """`key: value` in backquotes, as in the file, truncated if long."""
    text = f"{key}: {short(value)}"
    return f"`{text}`" if len(text) <= _LONGEST else f"`{text[:_LONGEST]}…`"


def _shown(message: str, key: str, value: Json) -> Meant:
    """A mistake whose help shows what to write; the written value is not checked further."""
    return Meant(message, f"write {entry(key, value)}")


def _replaced(message: str, key: str, value: Json) -> Meant:
    """As `_shown`, but the checker continues with the shown value."""
    return Meant(message, f"write {entry(key, value)}", value)


def _is_off(value: Json) -> bool:
    return isinstance(value, str) and value.lower() in OFF_WORDS


def _is_switch(value: Json) -> bool:
    """Whether a text can only have been meant to switch something on or off."""
    return _is_off(value) or boolean_word(value) != ""


def _named(value: list[Json], section: str, sample: str) -> Meant:
    """A list in place of a mapping of names: the list's names, if any, become keys."""
    names = [name for one in value if (name := _name_of(one))]
    first = names[0] if names else "NAME"
    more = ", …" if len(value) > 1 else ""
    help = f"make each name a key: `{section}: {{{first}: {sample}{more}}}`"
    return Meant("takes names and what belongs to each, not a list", help)


def _name_of(one: Json) -> str:
    if isinstance(one, str):
        return one if re.fullmatch(r"[\w.:/-]{1,64}", one) else ""
    found = (one.get(key) for key in _NAMING) if isinstance(one, dict) else ()
    return next((name for name in found if isinstance(name, str) and name), "")


def _beside(value: Json, keys: frozenset[str]) -> Meant | None:
    """`room:` without a value, whose contents are next to it instead of below it."""
    if not isinstance(value, dict):
        return None
    name = next((name for name, held in value.items() if held is None), None)
    beside = [key for key in value if key in keys and key != name]
    if name is None or not beside:
        return None
    listed = ", ".join(f"`{key}`" for key in beside)
    help = f"indent {listed} by two more spaces than `{name}`"
    return Meant(f"has {listed} next to `{name}`, not under it", help)


# ------------------------------------------------------------------------------------------------- authenticators

_JWT: Final = "{type: jwt, algorithms: [HS256], secret: …}"


def _auth(value: Json, key: str) -> Meant | None:
    if isinstance(value, list):
        return _named(value, "auth", _JWT)
    if value == "none":
        help = "remove it and write `auth: none` in each channel"
        return Meant("declares authenticators, and there are none", help)
    if not isinstance(value, dict):
        return None
    kind = value.get("type")
    is_one = any(k in _AUTHENTICATOR_KEYS and not isinstance(value[k], dict) for k in value)
    if isinstance(kind, str) or (not isinstance(kind, dict) and is_one):
        kind = kind if kind in ("jwt", "tokens", "hook") else "jwt"
        help = f"write `auth: {{session: {{type: {kind}, …}}}}`, and `auth: session` in the channel"
        return Meant("describes an authenticator without giving it a name", help)
    return None


def _channel_auth(value: Json, key: str) -> Meant | None:
    anyone = "write `auth: none` to let everyone in, or the name of an authenticator"
    if value is None or value is False:
        what = "is empty" if value is None else "takes a name; got `false`"
        code = "CH110" if value is None else "CH105"
        return Meant(what, anyone, "none", code=code)
    if value is True:
        help = "name an authenticator of the file's `auth`, such as `auth: session`"
        return Meant("does not say how clients are identified", help)
    if not isinstance(value, dict) or "use" in value:
        return _optional(value)
    return _without_use(value)


def _without_use(value: Mapping[str, Json]) -> Meant | None:
    """A mapping that does not name an authenticator by `use`."""
    if len(_AUTHENTICATOR_KEYS & value.keys()) > 1 or value.get("type") in ("jwt", "hook"):
        help = "move it: `auth: {session: {…}}` at the top level of the file, `auth: session` here"
        return Meant("declares an authenticator, which only the top level does", help)
    for word in ("type", "name", "authenticator", "with"):
        name = value.get(word)
        if isinstance(name, str) and len(value) == 1:
            return _replaced("takes the name of an authenticator", "auth", name)
    if not value.keys() & {"use", "optional", "require"}:
        help = "define one under `auth` at the top level of the file, and write its name here"
        return Meant("takes the name of an authenticator", help)
    return None


def _optional(value: Json) -> Meant | None:
    """`required: false` next to `use`."""
    if not isinstance(value, dict) or not isinstance(value.get("required"), bool):
        return None
    rest = {k: v for k, v in value.items() if k != "required"}
    help = "remove `required`: a channel with an authenticator requires a token"
    if value["required"] is False:
        rest["optional"] = True
        help = f"write {entry('auth', rest)}"
    return Meant("has no `required`", help, rest, code="CH103")


def _secret(value: Json, key: str) -> Meant | None:
    if isinstance(value, str) and re.match(r"(?:/run/secrets|/etc|/var|\.{1,2}|~)/", value):
        return Meant("takes the secret itself; got a path", f"write `{key}: {{file: PATH}}`")
    if not isinstance(value, dict) or "file" in value:
        return None
    name = next((value[word] for word in ("env", "var", "from_env") if word in value), "NAME")
    held = name if isinstance(name, str) and re.fullmatch(r"[A-Z_][A-Z0-9_]*", name) else "NAME"
    message = "takes the secret itself, or the file that holds it"
    return Meant(message, f"write `{key}: ${{{held}}}`, or `{key}: {{file: PATH}}`")


def _tokens(value: Json, key: str) -> Meant | None:
    entries = value if isinstance(value, list) else [value]
    form = "`tokens: [{token: …, user: ann}]`"
    if isinstance(value, dict) and "file" not in value:
        return Meant("takes a list", f"write {form}, one entry per token")
    if entries and all(isinstance(one, str) for one in entries):
        return Meant("does not say whose each token is", f"write {form}")
    return None


def _token_from(value: Json, key: str) -> Meant | None:
    return (
        _replaced("does not name the cookie", key, ["cookie:session"])
        if value == "cookie"
        else None
    )


def _emit(value: Json, key: str) -> Meant | None:
    if not isinstance(value, str) or not re.fullmatch(r"[\w.:-]+", value):
        return None
    return _shown("takes the frame that is delivered; got text", key, {"type": value})


def _claims(value: Json, key: str) -> Meant | None:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return None
    return _shown("is a JSON Schema; got a list", key, _of_texts(value))


def _of_texts(names: list[Json]) -> Json:
    """The schema of an object with these required string fields."""
    fields: dict[str, Json] = {str(name): {"type": "string"} for name in names}
    return {"type": "object", "required": names, "properties": fields}


# ------------------------------------------------------------------------------------------- channels and rooms


def _channels(value: Json, key: str) -> Meant | None:
    if isinstance(value, list):
        return _named(value, "channels", "{path: /chat, auth: none, …}")
    return _beside(value, _CHANNEL_KEYS)


def _rooms(value: Json, key: str) -> Meant | None:
    if isinstance(value, bool):
        of_path = f"{entry(key, '{params.room_id}')} for the room of the path"
        got = "`true`" if value else "`false`"
        help = f"write {of_path}, or {entry(key, 'lobby')}"
        return Meant(f"takes the rooms to join; got {got}", help)
    if not isinstance(value, dict) or not value or value.keys() & {"join", "subscribe"}:
        return None
    if len(value) == 1:
        ((word, held),) = value.items()
        return _one_of_rooms(word, held, key)
    return _declared_rooms(value, key)


def _one_of_rooms(word: str, held: Json, key: str) -> Meant | None:
    if held is None:
        message = f"takes a template; `{{{word}}}` without quotes is a mapping"
        return _replaced(message, key, f"{{params.{word}}}")
    if word in ("room", "rooms", "name", "on_connect") and isinstance(held, str | list):
        return _replaced(f"has no `{word}`", key, {"join": held})
    return _declared_rooms({word: held}, key)


def _declared_rooms(value: dict[str, Json], key: str) -> Meant | None:
    if value.keys() <= {"allow", "max", "hook"}:
        message = "says what clients may subscribe to, without `subscribe`"
        return _replaced(message, key, {"subscribe": value})
    if all(held is None or isinstance(held, dict) for held in value.values()):
        allowed: Json = {"subscribe": {"allow": list(value)}}
        message = "declares rooms, which exist as soon as somebody is in them"
        return Meant(message, f"to let clients subscribe, write {entry(key, allowed)}")
    return None


def _subscribe(value: Json, key: str) -> Meant | None:
    if value is True or boolean_word(value) == "true":
        value = ["*"]
    if not isinstance(value, str | list) or _is_switch(value):
        return None
    return _replaced("takes a mapping that says which rooms", key, {"allow": value})


def _presence(value: Json, key: str) -> Meant | None:
    names = value if isinstance(value, list) else []
    info: dict[str, Json] = {str(name): f"{{claims.{name}}}" for name in names}
    if isinstance(value, dict):
        info = {
            k: v
            for k, v in value.items()
            if isinstance(v, str) and v.startswith("{") and k != "info"
        }
    message = "has fields for others to see outside of `info`"
    return _shown(message, key, {"info": info}) if info else None


# -------------------------------------------------------------------------------------------- messages and events


def _messages(value: Json, key: str) -> Meant | None:
    if isinstance(value, list):
        more = ", route: room" if key == "messages" else ""
        return _named(value, key, f"{{schema: {{…}}{more}}}")
    return _beside(value, _OPTION_KEYS)


def _type(value: Json, key: str, *, route: str) -> Meant | None:
    """A message or event that has the contents of `schema` at its own level."""
    form = f"{key}: {{schema: {{type: object, properties: {{…}}}}{route}}}"
    if value is None or value is True:
        message = "is empty" if value is None else "takes a mapping; got `true`"
        help = f"write `{form}`; `schema: true` accepts any fields"
        return Meant(message, help, code="CH110" if value is None else "CH105")
    if isinstance(value, str):
        return Meant("takes a mapping; got text", f"write `{form}`")
    if not isinstance(value, dict) or "schema" in value:
        return None
    words = value.keys() & {"properties", "$ref", "allOf", "anyOf", "oneOf"}
    if words or value.get("type") == "object":
        listed = ", ".join(f"`{name}`" for name in value if name in _SCHEMA_KEYS)
        help = f"indent {listed} under `schema:`, as in `{form}`"
        return Meant("has a JSON Schema in place of its options", help)
    rest = {k: v for k, v in value.items() if k not in _OPTION_KEYS}
    fields = _fields(rest)
    if fields is None or any(k in _SCHEMA_WORDS and isinstance(rest[k], dict) for k in rest):
        return None
    schema: Json = {"type": "object", "properties": fields}
    return Meant("has fields in place of its options", f"declare them: {entry('schema', schema)}")


def _fields(value: Mapping[str, Json]) -> dict[str, Json] | None:
    """Fields written as `text: string` or `text: {type: string}`, as properties; None if one is something else."""
    fields: dict[str, Json] = {}
    for name, held in value.items():
        if isinstance(held, str) and held.rstrip("?!") in _TYPE_WORDS:
            fields[name] = {"type": _TYPE_WORDS[held.rstrip("?!")]}
        elif isinstance(held, dict) and held.keys() & _SCHEMA_KEYS:
            fields[name] = held
        else:
            return None
    return fields or None


def _schema(value: Json, key: str) -> Meant | None:
    """The schema of a message or event (which describes an object), or of a param (which does not)."""
    if isinstance(value, str) and value.lower() in _ANYTHING:
        help = f"write `{key}: true` to accept anything"
        return Meant(f"takes a JSON Schema; got `{value}`", help, value=True)
    if isinstance(value, str) and value.lower() in _TYPE_WORDS:
        meant: Json = {"type": _TYPE_WORDS[value.lower()]}
        form = "schema: {type: object, properties: {text: {type: string}}}"
        help = f"write `{form}`" if key == "schema" else f"write {entry(key, meant)}"
        return Meant(f"takes a JSON Schema; got `{value}`", help)
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return _shown("takes a JSON Schema; got a list", key, _of_texts(value))
    return None


def _inline_schema(value: Json, key: str) -> Meant | None:
    if isinstance(value, str) and re.search(r"^#/|\.(?:json|ya?ml)(?:#|$)", value):
        return _shown("takes a JSON Schema; got a reference", key, {"$ref": value})
    if isinstance(value, str) and value.startswith("^"):
        pattern: Json = {"type": "string", "pattern": value}
        return _shown("takes a JSON Schema; got text", key, pattern)
    return _schema(value, key) or _claims(value, key)


def _params(value: Json, key: str) -> Meant | None:
    if not isinstance(value, list):
        return None
    names = [name for one in value if (name := _name_of(one))]
    schemas: Json = {name: {"type": "string"} for name in names or ["NAME"]}
    return _shown("takes a schema for each name; got a list", key, schemas)


def _route(value: Json, key: str) -> Meant | None:
    meant: Json = None
    if isinstance(value, str):
        meant = _target(value)
    elif isinstance(value, dict) and "to" not in value:
        meant = _without_to(value)
    elif isinstance(value, dict) and isinstance(value["to"], list):
        rest = {k: v for k, v in value.items() if k != "to"}
        meant = [{"to": to, **rest} if rest else to for to in value["to"]]
    elif isinstance(value, dict) and isinstance(value["to"], str):
        to = _target(value["to"])
        meant = {**value, **to} if isinstance(to, dict) else to and {**value, "to": to}
    if meant is None:
        return _room_or_channel(value.get("to") if isinstance(value, dict) else value, key)
    found = _replaced("does not name a target", key, meant)
    return attrs.evolve(found, code="CH106", is_key=False)


def _room_or_channel(name: Json, key: str) -> Meant | None:
    """What is said of a word that resembles no target's name. Which one was meant is unknown, so nothing follows."""
    near = closest(name, _TARGETS) if isinstance(name, str) else None
    if (
        not isinstance(name, str)
        or not re.fullmatch(r"[\w.:-]+", name)
        or (near and near[0] == name[0])
    ):
        return None
    help = f"write `{key}: {{to: room, room: {name}}}`, or `{{to: global, channel: {name}}}` for that channel"
    return Meant("does not name a target", help, code="CH106", is_key=False)


def _target(text: str) -> Json:
    """The target that a word of another tool means; None if it is a target here, or unknown."""
    word = text.lower().replace("-", "_").removeprefix("to_")
    kind, _, name = text.partition(":")
    if text in _TARGETS:
        return None
    if word in _TARGET_WORDS:
        return _TARGET_WORDS[word]
    if name and kind in ("room", "user"):
        return {"to": kind, kind: name}
    if "{" not in text:
        return None
    bare = text.strip("{}")
    if bare in _ALONE:
        return _ALONE[bare]
    kind = "user" if bare.startswith("user.") else "room"
    return {"to": kind, kind: text}


def _without_to(value: Mapping[str, Json]) -> Json:
    if len(value) == 1 and None in value.values():
        return _ALONE.get(next(iter(value)))
    kind = next((kind for kind in ("room", "user") if kind in value), None)
    if kind is None:
        return {"to": "global", **value} if "channel" in value else None
    return {"to": kind, **value}


def _rate(value: Json, key: str) -> Meant | None:
    if not isinstance(value, dict) or isinstance(value.get("limit"), str):
        return None
    words = ("limit", "count", "max", "requests", "messages", "rate", "points")
    given = (value.get(word) for word in words)
    count = next((one for one in given if isinstance(one, int) and 0 < one < _MANY), None)
    if count is None:
        return None
    times = ("per", "window", "interval", "every", "duration", "period")
    seconds = next((_seconds(value[word]) for word in times if word in value), 1.0)
    return _replaced("takes a count and a time in one", key, rate_of(count, seconds))


def _seconds(time: Json) -> float:
    """The length of a time window of another tool: seconds, milliseconds (if in thousands), a word or a duration."""
    if isinstance(time, int | float) and 0 < time < _MANY:
        return time / 1000 if time % 1000 == 0 else time
    found = parse_duration(time)
    unit = str(time).lower().lstrip("1 ")[:1]
    return {"m": 60.0, "h": 3600.0}.get(unit, 1.0) if isinstance(found, BadScalar) else found or 1.0


def _hook(value: Json, key: str) -> Meant | None:
    if not isinstance(value, dict) or value.keys() & {"call", "backend"}:
        return None
    module, function = value.get("module"), value.get("function")
    if not isinstance(module, str) or not isinstance(function, str):
        return None
    call = f"{module.removesuffix('.py').replace('/', '.')}:{function}"
    return _replaced("takes `module:function`", key, call)


def _require(value: Json, key: str) -> Meant | None:
    words = value if isinstance(value, list) else [value]
    if not words or not all(isinstance(one, str) and not _is_switch(one) for one in words):
        return None
    plain = [word for word in words if re.fullmatch(r"[\w:-]+", str(word))] or ["admin"]
    meant: Json = {"role": plain[0] if len(plain) == 1 else plain}
    return Meant("takes claims and what each must be", f"name the claim: {entry(key, meant)}")


# --------------------------------------------------------------------------------------------- the server's parts


def _server(value: Json, key: str) -> Meant | None:
    if isinstance(value, str | int) and not isinstance(value, bool):
        address = value if ":" in str(value) else f"127.0.0.1:{value}"
        return _replaced("takes a mapping", key, {"bind": address})
    if not isinstance(value, dict) or "bind" in value or not value.keys() & {"port", "host"}:
        return None
    host, port = value.get("host", value.get("address", "127.0.0.1")), value.get("port", 4000)
    if not isinstance(host, str) or not isinstance(port, int | str):
        return None
    bind = f"[{host}]:{port}" if host.count(":") > 1 else f"{host}:{port}"
    rest = {k: v for k, v in value.items() if k not in ("host", "port", "address")}
    help = f"write {entry('bind', bind)}"
    return Meant("takes host and port as one address", help, {**rest, "bind": bind})


def _ping(value: Json, key: str) -> Meant | None:
    if not isinstance(value, str | int | float) or isinstance(value, bool) or _is_switch(value):
        return None
    if not isinstance(value, str):
        value = f"{value}s" if value < 1000 else f"{value / 1000:g}s"
    return _shown("takes a mapping", key, {"interval": value})


def _broker(value: Json, key: str) -> Meant | None:
    url = value.get("url") if isinstance(value, dict) else value
    inner = value.get("redis") if isinstance(value, dict) else None
    if isinstance(inner, dict) and "host" in inner and not inner.keys() & {"url", "urls"}:
        help = f'write `broker: {{redis: {{url: "redis://{inner["host"]}:{inner.get("port", 6379)}/0"}}}}`'
        return Meant("takes the server as a URL", help)
    word = next(iter(value)) if isinstance(value, dict) and len(value) == 1 else ""
    if word in ("memory", "valkey"):
        return _shown(f"takes `{word}` as a word", key, word)
    is_flat = isinstance(inner, str) or (isinstance(value, dict) and inner is None)
    if is_flat or (isinstance(url, str) and (url in ("redis", "keydb") or "://" in url)):
        help = 'write `broker: {redis: {url: "${REDIS_URL}"}}`'
        return Meant("names a Redis server in another form", help)
    return None


def _log(value: Json, key: str) -> Meant | None:
    if not isinstance(value, str) or _is_switch(value):
        return None
    word = "format" if value in ("auto", "console", "json") else "level"
    return _replaced("takes a mapping", key, {word: value})


def _webhooks(value: Json, key: str) -> Meant | None:
    form = "`webhooks: [{url: …, secret: …, events: [connected, disconnected]}]`"
    if isinstance(value, dict):
        return Meant("takes a list; got one mapping", f"write {form}, one entry per endpoint")
    if isinstance(value, list) and any(isinstance(one, str) for one in value):
        return Meant("does not say which events go where, and what signs them", f"write {form}")
    return None


def _backends(value: Json, key: str) -> Meant | None:
    form = "{url: …, secret: …}"
    if isinstance(value, list):
        return _named(value, "backends", form)
    if isinstance(value, dict) and isinstance(value.get("url"), str):
        help = f"write `backends: {{app: {form}}}`"
        return Meant("describes a backend without giving it a name", help)
    return None


def _deprecated(value: Json, key: str) -> Meant | None:
    if not isinstance(value, str) or _is_switch(value):
        return None
    return _replaced("takes a mapping", key, {"note": value})


MEANT: Final[Mapping[str, Reading]] = {
    "auth": _auth,
    "backends": _backends,
    "broker": _broker,
    "channel_auth": _channel_auth,
    "channels": _channels,
    "deprecated": _deprecated,
    "emit": _emit,
    "event": functools.partial(_type, route=""),
    "hook": _hook,
    "inline_schema": _inline_schema,
    "log": _log,
    "message": functools.partial(_type, route=", route: room"),
    "messages": _messages,
    "params": _params,
    "ping": _ping,
    "presence": _presence,
    "rate": _rate,
    "require": _require,
    "rooms": _rooms,
    "route": _route,
    "schema": _schema,
    "secret": _secret,
    "server": _server,
    "subscribe": _subscribe,
    "token_from": _token_from,
    "tokens": _tokens,
    "webhooks": _webhooks,
}
