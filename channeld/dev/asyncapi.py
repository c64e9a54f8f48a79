"""Makes a first `channels.yaml` from an AsyncAPI document (2.x or 3.x): channels, params, messages, events, schemas.

What the application receives (`publish` in 2.x) are messages, what it sends (`subscribe`) are events. Such a document does
not say where messages go or who may connect, so routes and `auth` are `none`, with a comment.
"""

import re
from collections.abc import Iterator
from typing import Final, Literal
from urllib.parse import quote

import attrs

from channeld.config.writing import block, comment
from channeld.dev.asyncapi_schemas import MEMBERS, AsyncapiSchemas, named
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.protocol.reserved import ID, RESERVED
from channeld.schema.definitions import Schema
from channeld.schema.vocabulary import listed, mapping

_FORMATS: Final = re.compile(r"application/(vnd\.aai\.asyncapi|schema)\+(json|yaml)(;.*)?")
_PARAM: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 128}
_PARAM_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_MODELINE: Final = "# yaml-language-server: $schema=schemas/channels.schema.json"
_UNSAID: Final = "What it can't say is yours to write:"
_HEAD: Final = (
    "# - Where messages go. Each `route` is `none`; write `room`, `user`, `global` or `sender`, or name a `hook`.",
    "# - Who may connect. `auth` is `none`, so everybody may; define an authenticator under `auth`.",
    "# - Which rooms there are: `rooms`, `presence`, `history`.",
)

Side = Literal["messages", "events"]
_SIDES_2: Final[tuple[tuple[str, Side], ...]] = (("publish", "messages"), ("subscribe", "events"))


class AsyncapiRefused(Exception):
    """The document can't be converted; `problems` say what and where."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@attrs.frozen(slots=True)
class FirstFile:
    """The file's text, and notes on what was left out of it or guessed."""

    text: str
    notes: tuple[str, ...]


@attrs.define(eq=False)
class _Gathered:
    """A channel as it is gathered: its key in the document, and its address."""

    key: str
    value: Schema
    address: str
    sides: dict[Side, dict[str, Schema]] = attrs.field(
        factory=lambda: {"messages": {}, "events": {}}
    )


def first_file(document: Json, source: str) -> FirstFile:
    """Make the file.

    Args:
        document: what the AsyncAPI document holds.
        source: its name, for the file's first lines.

    Raises:
        AsyncapiRefused: it is not AsyncAPI, or contains something that a configuration can't express.
    """
    version = _version(document)
    reader = _Reader(document)
    channels = list(reader.channels_2() if version == 2 else reader.channels_3())
    written = reader.written(channels)
    schemas = dict(reader.schemas.shared())
    problems = [*reader.problems, *reader.schemas.problems]
    if not problems and not written:
        problems.append("it has no channel with a message")
    if problems:
        raise AsyncapiRefused(list(dict.fromkeys(problems)))
    if reader.schemas.dropped:
        listed = ", ".join(f"`{key}`" for key in sorted(reader.schemas.dropped))
        reader.notes.append(f"left out of schemas, since nothing would check them: {listed}")
    content: Schema = {"channeld": 1}
    if schemas:
        content["schemas"] = schemas
    content["channels"] = written
    head = [_MODELINE, comment(f"Made from {source}. {_UNSAID}"), *_HEAD]
    notes = [comment(f"Note: {one}") for one in reader.notes]
    return FirstFile("\n".join([*head, *notes, *block(content), ""]), tuple(reader.notes))


def _version(document: Json) -> int:
    if not isinstance(document, dict) or not isinstance(document.get("asyncapi"), str):
        other = next(
            (k for k in ("openapi", "swagger") if isinstance(document, dict) and k in document),
            None,
        )
        what = f"it is an {other} document" if other else "it has no `asyncapi: VERSION`"
        raise AsyncapiRefused([f"{what}; an AsyncAPI document of version 2 or 3 is needed"])
    version = str(document["asyncapi"])
    if not re.match(r"[23]\.", version):
        raise AsyncapiRefused([f"it is of AsyncAPI {version}; versions 2 and 3 can be read"])
    return int(version[0])


class _Reader:
    def __init__(self, document: Json) -> None:
        self.document: Schema = document if isinstance(document, dict) else {}
        self.schemas = AsyncapiSchemas(document)
        self.problems: list[str] = []
        self.notes: list[str] = []
        if not isinstance(self.document.get("channels"), dict):
            self.problems.append("`channels` is not a mapping")

    # ------------------------------------------------------------------------------------ version by version

    def channels_2(self) -> Iterator[_Gathered]:
        """AsyncAPI 2.x: `publish` and `subscribe` are in the channel, whose key is its address."""
        for key, value in self._entries(self.document.get("channels")):
            where = at("/channels", key)
            channel = _Gathered(key, value, key)
            for word, side in _SIDES_2:
                operation = self._mapping(value.get(word), f"{where}/{word}")
                message = operation.get("message")
                several = message.get("oneOf") if isinstance(message, dict) else None
                listed = (
                    several if isinstance(several, list) else [message] * ("message" in operation)
                )
                for number, one in enumerate(listed):
                    place = f"{where}/{word}/message" + f"/oneOf/{number}" * (listed is several)
                    fallback = self._ref(one).rpartition("/")[2] or operation.get("operationId")
                    default = fallback if isinstance(fallback, str) else f"{key}-{word}"
                    self._add(channel, side, one, default, place)
            yield channel

    def channels_3(self) -> Iterator[_Gathered]:
        """AsyncAPI 3.x: operations name the channel and which of its messages they are about."""
        found: dict[str, _Gathered] = {}
        for key, value in self._entries(self.document.get("channels")):
            address = value.get("address")
            found[key] = _Gathered(key, value, address if isinstance(address, str) else key)
        used: set[str] = set()
        for name, operation in self._entries(self.document.get("operations"), "/operations"):
            where = at("/operations", name)
            target = self._ref(operation.get("channel"))
            channel = next((c for k, c in found.items() if target == at("#/channels", k)), None)
            if channel is None:
                self.problems.append(f"{where}: `channel` is not a reference to one of `channels`")
                continue
            used.add(channel.key)
            side: Side = "messages" if operation.get("action") == "receive" else "events"
            self._add_all(channel, side, operation.get("messages"), where)
        for key, channel in found.items():
            if key not in used and channel.value.get("messages"):
                self.notes.append(
                    f"channel {key}: no operation is about it, so clients may send its messages"
                )
                self._add_all(channel, "messages", None, at("/channels", key))
        yield from found.values()

    def _add_all(self, channel: _Gathered, side: Side, listed: Json, where: str) -> None:
        base = at("#/channels", channel.key, "messages")
        declared = dict(self._entries(channel.value.get("messages"), base[1:]))
        refs = [self._ref(one) for one in listed] if isinstance(listed, list) else [
            at(base, key) for key in declared
        ]  # fmt: skip
        for ref in refs:
            message = self.schemas.followed({"$ref": ref}, where) if ref else None
            if isinstance(message, dict):
                self._add(channel, side, message, ref.rpartition("/")[2], where)

    # ------------------------------------------------------------------------------------ messages

    def _add(self, channel: _Gathered, side: Side, value: Json, default: str, where: str) -> None:
        message = self._mapping(value, where)
        said = message.get("name") or message.get("messageId")
        fallback = said if isinstance(said, str) else default
        if fallback in RESERVED:
            return  # the protocol's own, which every channel has
        shape = self._shape(message, where)
        if shape is None:
            return
        type = _type_of(shape) or fallback
        if type in RESERVED:
            self.notes.append(
                f"{where}: message {type} is left out: its name is the protocol's own"
            )
            return
        if shape.get("type", "object") != "object":
            self.notes.append(f"{where}: message {type} is left out: its payload is not an object")
            return
        if message.get("headers"):
            self.notes.append(
                f"{where}: the headers of message {type} are left out: frames have none"
            )
        if any(mapping(part, "properties").get("id") not in (None, ID) for part in _parts(shape)):
            self.notes.append(
                f"{where}: `id` of message {type} is left out: every frame has its own"
            )
        name = re.sub(r"[^A-Za-z0-9_.:/-]+", "-", type).strip("-.:/")[:128] or "message"
        self._put(channel.sides[side], name, _entry(message, shape, side), where)

    def _put(self, held: dict[str, Schema], name: str, entry: Schema, where: str) -> None:
        if held.setdefault(name, entry) != entry:
            self.notes.append(f"{where}: of the messages that are called {name} any is accepted")
            held[name] = {**held[name], "schema": _either(held[name]["schema"], entry["schema"])}

    def _shape(self, message: Schema, where: str) -> Schema | None:
        """The payload's schema; None if it can't be expressed."""
        payload = message.get("payload", True)
        schema_format = message.get("schemaFormat")
        if isinstance(payload, dict) and "schemaFormat" in payload:
            schema_format, payload = payload["schemaFormat"], payload.get("schema", True)
        if isinstance(schema_format, str) and not _FORMATS.fullmatch(schema_format):
            self.problems.append(f"{where}: the payload is {schema_format}, not JSON Schema")
            return None
        schema = self.schemas.payload(payload, where)
        if isinstance(schema, bool):
            return {} if schema else {"not": {}}
        return schema

    # ------------------------------------------------------------------------------------ channels

    def written(self, channels: list[_Gathered]) -> Schema:
        """`channels` of the file."""
        by_path: dict[str, tuple[str, _Gathered]] = {}
        for channel in channels:
            where = at("/channels", channel.key)
            if not any(channel.sides.values()):
                self.notes.append(f"channel {channel.key} is left out: it has no messages")
                continue
            path = self._path(channel, where)
            # Parameter names don't distinguish addresses.
            _, first = by_path.setdefault(re.sub(r"\{[^{}]*\}", "{}", path), (path, channel))
            if first is not channel:
                # Over a WebSocket, channels of one address are one connection.
                self.notes.append(
                    f"channel {channel.key} is part of {first.key}: it has the same address"
                )
                for side, held in channel.sides.items():
                    for name, message in held.items():
                        self._put(first.sides[side], name, message, where)
        found: Schema = {}
        for path, channel in by_path.values():
            found[named(channel.key, set(found))] = self._channel(channel, path)
        return found

    def _channel(self, channel: _Gathered, path: str) -> Schema:
        where = at("/channels", channel.key)
        described = channel.value.get("description") or channel.value.get("summary")
        parameters = self._mapping(channel.value.get("parameters"), f"{where}/parameters")
        params: Schema = {}
        for name in re.findall(r"\{([^{}.]+)(?:\.\.\.)?\}", path):
            params[name] = self._param(parameters.get(name), at(where, "parameters", name))
        entry: Schema = {"path": path}
        if isinstance(described, str):
            entry["description"] = described
        entry["auth"] = "none"
        if params:
            entry["params"] = params
        return entry | {side: dict(held) for side, held in channel.sides.items() if held}

    def _path(self, channel: _Gathered, where: str) -> str:
        # Only a URL's path counts. Broker topics use dots between parts; paths use slashes.
        address = channel.address
        if "://" in address:
            address = "/" + address.partition("://")[2].partition("/")[2]
        text = address if "/" in address or "{" not in address else address.replace(".", "/")
        path = "/" + quote(text.strip("/"), safe="/{}!$&'()*+,;=:@~%")
        segments = path.split("/")
        for segment in segments:
            if "{" in segment and segments.count(segment) > 1:
                self.problems.append(f"{where}: in {address} a parameter occurs twice")
            name = segment.strip("{}")
            if set("{}") & set(segment) and (
                f"{{{name}}}" != segment or not _PARAM_NAME.fullmatch(name)
            ):
                self.problems.append(
                    f"{where}: in {address} a parameter is not a whole segment of the path"
                )
        parameters = channel.value.get("parameters")
        rest = [
            name for name, value in (parameters.items() if isinstance(parameters, dict) else ())
            if isinstance(value, dict) and value.get("x-channeld-rest") is True
        ]  # fmt: skip
        for name in rest:
            path = path.replace(f"{{{name}}}", f"{{{name}...}}")
        return path

    def _param(self, value: Json, where: str) -> Json:
        parameter = self._mapping(value, where)
        schema = parameter.get("x-channeld-schema", parameter.get("schema"))
        if schema is not None:
            return self.schemas.payload(schema, where)
        listed = parameter.get("enum")
        return {"type": "string", "enum": listed} if isinstance(listed, list) else dict(_PARAM)

    # ------------------------------------------------------------------------------------ what stands where

    def _entries(self, value: Json, where: str = "/channels") -> Iterator[tuple[str, Schema]]:
        for key, held in self._mapping(value, where).items():
            if not key.startswith("x-"):
                yield key, self._mapping(held, at(where, key))

    def _mapping(self, value: Json, where: str) -> Schema:
        """A mapping with its `$ref` followed; empty, with a problem, if it is not a mapping."""
        found = self.schemas.followed(value, where)
        if found is not None and not isinstance(found, dict):
            self.problems.append(f"{where}: this is not a mapping")
        return found if isinstance(found, dict) else {}

    @staticmethod
    def _ref(value: Json) -> str:
        ref = value.get("$ref") if isinstance(value, dict) else None
        return ref if isinstance(ref, str) else ""


def _entry(message: Schema, shape: Schema, side: Side) -> Schema:
    """The file's entry for a message: its description, and its schema without the frame's own fields."""
    schema = _without_envelope({"type": "object", **shape})
    told = schema.pop("description", None)
    described = message.get("summary") or message.get("description") or told
    entry: Schema = {"description": described} if isinstance(described, str) else {}
    if side == "messages":
        entry["route"] = "none"
    return {**entry, "schema": schema}


def _either(first: Json, second: Json) -> Schema:
    """A schema that accepts what either of two does."""
    known = first.get("anyOf") if isinstance(first, dict) and len(first) == 2 else None
    listed: list[Json] = [*known] if isinstance(known, list) else [first]
    return {"type": "object", "anyOf": listed if second in listed else [*listed, second]}


def _parts(schema: Schema) -> Iterator[Schema]:
    """The schema and its members, which apply to the same value."""
    yield schema
    for keyword in MEMBERS:
        for member in listed(schema, keyword):
            if isinstance(member, dict):
                yield from _parts(member)


def _type_of(schema: Schema) -> str | None:
    """The only `type` that a payload may have."""
    held = mapping(schema, "properties").get("type")
    if isinstance(held, dict):
        values = held.get("enum", [held.get("const")])
        if isinstance(values, list) and len(values) == 1 and isinstance(values[0], str):
            return values[0]
    for keyword in MEMBERS:
        types = {_type_of(one) for one in listed(schema, keyword) if isinstance(one, dict)}
        # One member of an `allOf` is enough; of the others each has to say so.
        known = types - {None} if keyword == "allOf" else types
        if len(known) == 1 and None not in known:
            return known.pop()
    return None


def _without_envelope(schema: Schema) -> Schema:
    """Without `type` and `id`, which are every frame's own."""
    kept = dict(schema)
    properties, required = kept.get("properties"), kept.get("required")
    if isinstance(properties, dict):
        kept["properties"] = {k: v for k, v in properties.items() if k not in ("type", "id")}
        if not kept["properties"]:
            del kept["properties"]
    if isinstance(required, list):
        kept["required"] = [name for name in required if name not in ("type", "id")]
        if not kept["required"]:
            del kept["required"]
    for keyword in MEMBERS:
        members = kept.get(keyword)
        if isinstance(members, list):
            kept[keyword] = [_without_envelope(m) if isinstance(m, dict) else m for m in members]
    return kept
