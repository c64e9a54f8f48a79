"""The contract as a page: how to connect, what to send, what to expect, and what can go wrong."""

import json
from collections.abc import Iterator

from channeld.auth.authenticators import authenticator
from channeld.diagnostics.render.markdown import cell, code, table
from channeld.export.contract import (
    ChannelContract,
    Contract,
    FrameType,
    ParamContract,
    ReceivedType,
    SentType,
)
from channeld.export.types import (
    Constant,
    ListOf,
    MapOf,
    Named,
    Plain,
    Record,
    TupleOf,
    Type,
    Types,
    Union,
)
from channeld.plan.options.require import require_words
from channeld.protocol.codes import ErrorCode
from channeld.protocol.frames import Json
from channeld.schema.definitions import PREFIX, Schema
from channeld.schema.vocabulary import mapping
from channeld.telemetry import one_line

_MEANINGS = {
    ErrorCode.INVALID_JSON: "The text is not a JSON object, or not a valid frame.",
    ErrorCode.UNKNOWN_TYPE: "The channel has no such message.",
    ErrorCode.INVALID_MESSAGE: "The schema refuses it; `errors` says where and why.",
    ErrorCode.UNAUTHORIZED: "No token, or an invalid one; the connection closes with 4401.",
    ErrorCode.TOKEN_EXPIRED: "The token expired and was not renewed; the connection closes with 4401.",
    ErrorCode.FORBIDDEN: "Not for this user, or not in this room.",
    ErrorCode.RATE_LIMITED: "Too fast; `retry_after` says how many seconds to wait.",
    ErrorCode.LIMIT_EXCEEDED: "Too many rooms; `limit` says how many are allowed.",
    ErrorCode.REJECTED: "The application refuses it; it may use codes of its own.",
    ErrorCode.TOO_LARGE: "Over `limit` bytes; the connection closes with 1009.",
    ErrorCode.UNAVAILABLE: 'Not routed; try again after `retry_after` seconds. With `outcome` "unknown" it may have been routed.',
    ErrorCode.INTERNAL_ERROR: "An error in the server; `ref` identifies it in the log.",
}
_BOUNDS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "exclusiveMinimum": "> {}",
    "exclusiveMaximum": "< {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "multipleOf": "a multiple of {}",
    "format": "{}",
    "pattern": "matches {}",
}


def markdown(contract: Contract, *, title: str) -> str:
    """The page."""
    blocks = [f"# {title}", *_overview(contract)]
    for channel in contract.channels:
        blocks.extend(_channel(channel, contract))
    blocks.extend(_shared(contract))
    return "\n\n".join(block for block in blocks if block) + "\n"


def _overview(contract: Contract) -> Iterator[str]:
    yield (
        "Every frame is one JSON object with a `type`, in a WebSocket text message. A client's frame may have an"
        " `id`, which the answer repeats."
    )
    rows = [
        (
            f"[{cell(c.name)}](#{_anchor(c.name)})",
            code(c.declared.path),
            cell(c.declared.description),
        )
        for c in contract.channels
    ]
    yield table(("channel", "path", ""), rows)


def _shared(contract: Contract) -> Iterator[str]:
    """The types that fields refer to, other than frames."""
    frames = contract.frame_names()
    needed = Types(contract.definitions).needed(frames)
    shared = {name: type for name, type in needed.items() if name not in frames}
    if shared:
        yield "## Types"
    for name, type in shared.items():
        schema = contract.definitions[name]
        yield f'### <a id="{_type_anchor(name)}"></a>{name}'
        if isinstance(type, Record) and isinstance(schema, dict):
            yield _fields(type, schema, contract)
        elif isinstance(type, Plain):
            yield f"{_type(schema, contract)}"
        else:
            yield _words(type)


def _channel(channel: ChannelContract, contract: Contract) -> Iterator[str]:
    yield f'## <a id="{_anchor(channel.name)}"></a>{cell(channel.name)}'
    yield channel.declared.description
    base = contract.addresses[0] if contract.addresses else ""
    yield f"Connect to {code(base + channel.declared.path)}."
    for word, params in (("param", channel.params), ("query", channel.query)):
        yield table((word, "type", ""), [_param(param, contract) for param in params])
    if channel.declared.subprotocols:
        yield f"Offer one of the subprotocols {', '.join(map(code, channel.declared.subprotocols))}."
    yield _authentication(channel)
    yield "\n".join(f"- {line}" for line in _traits(channel))
    declared = [each for each in channel.sent if each.declared]
    if declared:
        yield "### What clients send"
        for sent in declared:
            yield from _sent(sent, channel, contract)
    arriving = [each for each in channel.received if each.declared]
    if arriving:
        yield "### What clients receive"
        for received in arriving:
            yield from _received(received, contract)
    if channel.is_open:
        yield "The application may also send frames of other types."
    yield "### Frames of the protocol itself"
    ways = (("client → server", channel.sent), ("server → client", channel.received))
    rows = [
        (code(each.type), way, cell(each.description))
        for way, frames in ways
        for each in frames
        if not each.declared
    ]
    yield table(("frame", "direction", ""), rows)
    yield "### Error codes"
    yield table(("code", "meaning"), [(code(c), _MEANINGS[c]) for c in channel.errors])


def _sent(sent: SentType, channel: ChannelContract, contract: Contract) -> Iterator[str]:
    yield f"#### `{sent.type}` (client → server)"
    yield sent.description
    yield from _body(sent, contract)
    answer = "`ack`, or the hook's `reply`" if sent.replies else "`ack`"
    yield " ".join([f"With an `id` it is answered by {answer}.", *sent.notes])


def _received(received: ReceivedType, contract: Contract) -> Iterator[str]:
    yield f"#### `{received.type}` (server → client)"
    yield received.description
    origins = [origin for origin in received.origins if origin != "event"]
    published = "the application" if "event" in received.origins else ""
    senders = [*([published] if published else []), *(f"a client's {o}" for o in origins)]
    comes = [f"Comes from {' or '.join(senders)}."] if senders else []
    yield " ".join([*comes, *received.notes])
    yield from _body(received, contract)


def _body(each: FrameType, contract: Contract) -> Iterator[str]:
    type = Types(contract.definitions).definition(each.name)
    kinds = type.of if isinstance(type, Union) else (type,)
    for number, kind in enumerate(kinds, 1):
        if len(kinds) > 1:
            yield f"One of {len(kinds)} kinds:" if number == 1 else "Or:"
        if isinstance(kind, Record):
            yield _fields(kind, each.schema, contract)
    for example in each.examples:
        yield f"```json\n{json.dumps(example, ensure_ascii=False)}\n```"


def _fields(record: Record, schema: Schema, contract: Contract) -> str:
    declared = mapping(schema, "properties")
    rows = []
    for one in record.properties:
        # The frame's own schema says more than a type: bounds, patterns, formats.
        known = declared.get(one.name, True)
        words = _words(one.type) if known is True else _type(known, contract)
        needed = "yes" if one.required else ""
        rows.append((code(one.name), words, needed, cell(one.description)))
    if record.open:
        rows.append(("others", "anything", "", ""))
    return table(("field", "type", "always", ""), rows)


def _words(type: Type) -> str:
    match type:
        case Plain(name):
            words = {"unknown": "anything"}.get(name, name)
        case Constant(value):
            words = code(one_line(value))
        case Named(name):
            words = f"[{name}](#{_type_anchor(name)})"
        case ListOf(of):
            words = f"array of {_words(of)}"
        case TupleOf(first):
            words = f"array that begins with {', '.join(_words(each) for each in first)}"
        case MapOf(of):
            words = f"object whose values are {_words(of)}"
        case Record(properties):
            words = f"object with {', '.join(code(one.name) for one in properties)}"
        case _:
            words = " or ".join(dict.fromkeys(_words(each) for each in type.of))
    return words


def _type(schema: Json, contract: Contract, depth: int = 0) -> str:
    if not isinstance(schema, dict) or depth > 4:
        return "never" if schema is False else "anything"
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith(PREFIX):
        name = reference.removeprefix(PREFIX)
        is_plain = isinstance(Types(contract.definitions).definition(name), Plain)
        target = contract.definitions[name]
        return _type(target, contract, depth + 1) if is_plain else _words(Named(name))
    if "const" in schema:
        return code(one_line(schema["const"]))
    options = schema.get("enum")
    if isinstance(options, list):
        return " or ".join(code(one_line(option)) for option in options)
    branches = schema.get("anyOf", schema.get("oneOf"))
    if isinstance(branches, list):
        return " or ".join(dict.fromkeys(_type(each, contract, depth + 1) for each in branches))
    return _bounded(schema, contract, depth)


def _bounded(schema: Schema, contract: Contract, depth: int) -> str:
    """The types that a schema names, and what it asks of such values."""
    types = schema.get("type", "anything")
    words = " or ".join(map(str, types)) if isinstance(types, list) else str(types)
    if types == "array" and "items" in schema:
        words = f"array of {_type(schema['items'], contract, depth + 1)}"
    names = schema.get("properties")
    if isinstance(names, dict):
        words += f" with {', '.join(code(name) for name in names)}"
    bounds = ["not empty"] if schema.get("minLength") == 1 else []
    bounds += [
        text.format(
            code(str(schema[key])) if key == "pattern" else one_line(schema[key]).strip('"')
        )
        for key, text in _BOUNDS.items()
        if key in schema and not (key == "minLength" and schema[key] == 1)
    ]
    return ", ".join([words, *bounds])


def _param(param: ParamContract, contract: Contract) -> tuple[str, ...]:
    text = param.schema.get("description", "") if isinstance(param.schema, dict) else ""
    rest = "the rest of the path; " if param.rest else ""
    return (code(param.name), rest + _type(param.schema, contract), cell(str(text)))


def _authentication(channel: ChannelContract) -> str:
    if not channel.auth:
        return "No token is needed."
    ways = "; or ".join(f"`{name}`: {authenticator(auth).words()}" for name, auth in channel.auth)
    needed = "A token may be given" if channel.declared.auth.optional else "A token is needed"
    return " ".join(filter(None, (f"{needed} ({ways}).", require_words(channel.declared.require))))


def _traits(channel: ChannelContract) -> Iterator[str]:
    rooms = channel.declared.rooms
    if rooms.join:
        yield f"Rooms joined on connect: {', '.join(map(code, rooms.join))}."
    if rooms.subscribe is not None:
        allowed = ", ".join(map(code, rooms.subscribe.allow)) or "what the application allows"
        most = f", at most {rooms.subscribe.max}" if rooms.subscribe.max is not None else ""
        yield f"Rooms to subscribe to: {allowed}{most}."
    if channel.declared.presence is not None:
        where = "the whole channel" if channel.declared.presence.scope == "channel" else "each room"
        yield f"Presence of users, in {where}."
    if channel.declared.history is not None:
        size, ttl = channel.declared.history.size, channel.declared.history.ttl
        yield (
            f"History: at most {size} frames of a room, for {ttl:g} seconds. A client that returns with its last"
            " `pos` (`?since=POS`) receives what it missed."
        )


def _type_anchor(name: str) -> str:
    return f"type-{name}"


def _anchor(name: str) -> str:
    return f"channel-{name}"
