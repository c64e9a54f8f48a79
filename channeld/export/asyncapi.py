"""The contract as an AsyncAPI 3 document: the server is the application, so what clients send it *receives*."""

import re
from collections.abc import Iterator
from typing import Final, Literal
from urllib.parse import urlsplit

from channeld.auth.authenticators import authenticator
from channeld.auth.token_places import placed, security_scheme
from channeld.export.contract import ChannelContract, Contract, FrameType, ParamContract
from channeld.plan.options.require import shown_require
from channeld.protocol.frames import Json
from channeld.schema.cases import walked
from channeld.schema.definitions import PREFIX, Schema
from channeld.schema.vocabulary import listed, mapping, rebuilt

Version = Literal["3.0.0", "3.1.0"]
VERSIONS: Final = ("3.0.0", "3.1.0")

_FORMAT: Final = "application/schema+json;version=draft-2020-12"
# Keywords that the Schema Object of AsyncAPI, a superset of draft-07, does not know or interprets differently.
_MODERN: Final = frozenset(
    {
        "dependentRequired", "dependentSchemas", "maxContains", "minContains", "prefixItems", "unevaluatedItems",
        "unevaluatedProperties",
    }
)  # fmt: skip


def asyncapi(
    contract: Contract, *, title: str, release: str, version: Version = "3.0.0", server: str = ""
) -> Schema:
    """An AsyncAPI document of an API's `title` and `release`.

    `server` is a URL that clients use, instead of the addresses that the server binds.
    """
    writer = _DocumentWriter(contract)
    servers: Schema = {}
    for number, address in enumerate((server,) if server else contract.addresses):
        servers["server" if number == 0 else f"server{number + 1}"] = _server(address)
    document: Schema = {
        "asyncapi": version,
        "info": {"title": title, "version": release},
        "defaultContentType": "application/json",
        **({"servers": servers} if servers else {}),
        "channels": {c.name: writer.channel(c) for c in contract.channels},
        "operations": dict(writer.operations()),
    }
    return {**document, "components": writer.components()}


class _DocumentWriter:
    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._schemes = dict(_schemes(contract))

    def channel(self, channel: ChannelContract) -> Json:
        messages: Schema = {
            key: {"$ref": f"#/components/messages/{each.name}"} for key, each in _keyed(channel)
        }
        parameters: Schema = {p.name: self._parameter(p) for p in channel.params}
        address = re.sub(r"\{([^{}.]+)\.\.\.\}", r"{\1}", channel.declared.path)
        return {
            "address": address,
            **(
                {"description": channel.declared.description}
                if channel.declared.description
                else {}
            ),
            **({"parameters": parameters} if parameters else {}),
            "messages": messages,
            "bindings": {"ws": _binding(channel)},
            **_extensions(channel),
        }

    def operations(self) -> Iterator[tuple[str, Json]]:
        for channel in self._contract.channels:
            here: Json = {"$ref": f"#/channels/{channel.name}"}
            keys = {each.name: key for key, each in _keyed(channel)}
            answers = {each.type: keys[each.name] for each in channel.received if not each.declared}
            security = self._security(channel)
            for sent in channel.sent:
                replies = [sent.answer, *(["reply"] if sent.replies else []), "error"]
                reply = [_message_of(channel, answers[type]) for type in replies if type in answers]
                yield (
                    f"{channel.name}.receive.{_key(sent.type)}",
                    {
                        "action": "receive",
                        "channel": here,
                        **({"summary": sent.description} if sent.description else {}),
                        **security,
                        "messages": [_message_of(channel, keys[sent.name])],
                        "reply": {"channel": here, "messages": reply},
                    },
                )
            for received in channel.received:
                yield (
                    f"{channel.name}.send.{_key(received.type)}",
                    {
                        "action": "send",
                        "channel": here,
                        **({"summary": received.description} if received.description else {}),
                        **security,
                        "messages": [_message_of(channel, keys[received.name])],
                    },
                )

    def components(self) -> Json:
        messages: Schema = {}
        for channel in self._contract.channels:
            for _, each in _keyed(channel):
                messages.setdefault(each.name, self._message(each))
        # The document's own schema has no booleans there.
        schemas: Schema = {
            name: _plain(schema) if isinstance(schema, dict) else {} if schema else {"not": {}}
            for name, schema in self._contract.definitions.items()
        }
        return {
            "schemas": schemas,
            "messages": messages,
            **({"securitySchemes": self._schemes} if self._schemes else {}),
        }

    def _message(self, each: FrameType) -> Json:
        schema: Json = {"$ref": f"#/components/schemas/{each.name}"}
        modern = self._is_modern(each.schema)
        payload: Json = {"schemaFormat": _FORMAT, "schema": schema} if modern else schema
        examples: list[Json] = [
            {"name": f"example{number}", "payload": example}
            for number, example in enumerate(each.examples, 1)
        ]
        has_id = "id" in mapping(each.schema, "properties")
        return {
            "name": each.type,
            "title": each.name,
            **({"summary": each.description} if each.description else {}),
            "contentType": "application/json",
            **({"correlationId": {"location": "$message.payload#/id"}} if has_id else {}),
            "payload": payload,
            **({"examples": examples} if examples else {}),
            **{f"x-channeld-{key}": shown for key, shown in each.options.items()},
        }

    def _is_modern(self, schema: Json) -> bool:
        """Whether a schema, or any that it reaches, needs JSON Schema 2020-12."""
        root: Json = {"$defs": dict(self._contract.definitions)}
        return any(not _MODERN.isdisjoint(each) for each in walked(root, [schema]))

    def _parameter(self, param: ParamContract) -> Json:
        schema = param.schema if isinstance(param.schema, dict) else {}
        options = schema.get("enum")
        text = schema.get("description")
        listed = [str(value) for value in options] if isinstance(options, list) else []
        return {
            **({"description": text} if isinstance(text, str) else {}),
            **({"enum": [*listed]} if listed else {}),
            "x-channeld-schema": _plain(param.schema),
            **({"x-channeld-rest": True} if param.rest else {}),
        }

    def _security(self, channel: ChannelContract) -> dict[str, Json]:
        if channel.declared.auth.optional:
            # "Optional" cannot be expressed here; it is in the channel's extension.
            return {}
        found: list[Json] = [
            {"$ref": f"#/components/securitySchemes/{name}"}
            for auth, _ in channel.auth
            for name in self._schemes
            if name.partition(".")[0] == _key(auth)
        ]
        return {"security": found} if found else {}


def _keyed(channel: ChannelContract) -> Iterator[tuple[str, FrameType]]:
    """The messages of a channel by key; a type that is both sent and received has two."""
    for sent in channel.sent:
        yield f"receive.{_key(sent.type)}", sent
    for received in channel.received:
        yield f"send.{_key(received.type)}", received


def _key(name: str) -> str:
    # A key may contain letters, digits, `.`, `-` and `_`; any other character of a type is replaced by its code.
    return re.sub(r"[^A-Za-z0-9.-]", lambda c: "_" if c[0] == "_" else f"_{ord(c[0]):x}_", name)


def _message_of(channel: ChannelContract, key: str) -> Json:
    return {"$ref": f"#/channels/{channel.name}/messages/{key}"}


def _server(address: str) -> Json:
    parts = urlsplit(address)
    path = parts.path.rstrip("/")
    protocol = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return {"host": parts.netloc, "protocol": protocol, **({"pathname": path} if path else {})}


def _plain(schema: Json) -> Json:
    """A schema with its references in the document's components; one next to other keywords goes into an `allOf`."""
    if not isinstance(schema, dict):
        return schema
    copied = rebuilt(schema, lambda below, *_: _plain(below))
    reference = copied.pop("$ref", None)
    if not isinstance(reference, str):
        return copied
    target: Json = {"$ref": reference.replace(PREFIX, "#/components/schemas/")}
    return {**copied, "allOf": [target, *listed(copied, "allOf")]} if copied else target


def _binding(channel: ChannelContract) -> Json:
    query: Schema = {param.name: _plain(param.schema) for param in channel.query}
    for _, auth in channel.auth:
        for kind, name in map(placed, authenticator(auth).token_from()):
            if kind == "query":
                query[name] = {"type": "string"}
    if channel.declared.history is not None:
        said = "The last `pos` that the client has seen; later frames are sent."
        query["since"] = {"type": "string", "description": said}
    subprotocol = any("subprotocol" in authenticator(auth).token_from() for _, auth in channel.auth)
    said = "`channeld, bearer.TOKEN` carries the token if no other header can be set."
    if channel.declared.subprotocols:
        said = f"One of {', '.join(channel.declared.subprotocols)}."
    headers: Schema = {"Sec-WebSocket-Protocol": {"type": "string", "description": said}}
    return {
        "method": "GET",
        **({"query": {"type": "object", "properties": query}} if query else {}),
        **(
            {"headers": {"type": "object", "properties": headers}}
            if subprotocol or channel.declared.subprotocols
            else {}
        ),
        "bindingVersion": "0.1.0",
    }


def _schemes(contract: Contract) -> Iterator[tuple[str, Json]]:
    """How each authenticator takes its token; `authenticate` frames cannot be expressed."""
    declared = {name: auth for channel in contract.channels for name, auth in channel.auth}
    for name, auth in declared.items():
        key = _key(name).replace(".", "_2e_")
        kind_of_token = authenticator(auth)
        for place in kind_of_token.token_from():
            where = security_scheme(place)
            if where is None:
                continue
            form = kind_of_token.bearer_format()
            if form and where.get("scheme") == "bearer":
                where["bearerFormat"] = form
            yield f"{key}.{_key(place.replace(':', '-'))}", where


def _extensions(channel: ChannelContract) -> Schema:
    auth: Json = {
        "use": [name for name, _ in channel.auth],
        "optional": channel.declared.auth.optional,
        "require": shown_require(channel.declared.require) or {},
    }
    found: Schema = {"x-channeld-auth": auth, "x-channeld-errors": [str(c) for c in channel.errors]}
    rooms = channel.declared.rooms
    if rooms.join:
        found["x-channeld-join"] = [*rooms.join]
    if rooms.subscribe is not None:
        subscribe = rooms.subscribe
        found["x-channeld-subscribe"] = {"allow": [*subscribe.allow], "max": subscribe.max}
    if channel.declared.history is not None:
        found["x-channeld-history"] = {
            "size": channel.declared.history.size,
            "ttl": channel.declared.history.ttl,
            **(
                {"replay": channel.declared.history.replay}
                if channel.declared.history.replay
                else {}
            ),
        }
    if channel.declared.presence is not None:
        found["x-channeld-presence"] = {
            "scope": channel.declared.presence.scope,
            "batch": channel.declared.presence.batch,
        }
    if channel.is_open:
        found["x-channeld-undeclared-events"] = True
    return found
