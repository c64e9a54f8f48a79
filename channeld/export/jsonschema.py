"""The contract as one JSON Schema document, draft 2020-12: every frame and every union of frames under `$defs`."""

import json
from collections.abc import Iterable

from channeld.export.contract import ChannelContract, Contract
from channeld.protocol.frames import Json
from channeld.schema.definitions import PREFIX, Schema
from channeld.schema.vocabulary import DIALECT


def jsonschema(contract: Contract, *, title: str) -> Schema:
    """A schema that any frame of any channel satisfies, in either direction.

    `$defs` has a schema for each frame, and their union for each channel and direction; `x-channeld` maps the names, and
    has each path's params.
    """
    unions: Schema = {}
    for channel in contract.channels:
        for name, each_way in (
            (channel.send_name, channel.sent),
            (channel.receive_name, channel.received),
        ):
            unions[name] = {"anyOf": _references(each.name for each in each_way)}
    return {
        "$schema": DIALECT,
        "title": title,
        "x-channeld": {channel.name: _channel(channel) for channel in contract.channels},
        "anyOf": _references(unions),
        "$defs": {**unions, **contract.definitions},
    }


def as_json(document: Json) -> str:
    """The document as reproducible text: indented, keys in order, with a final newline."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _channel(channel: ChannelContract) -> Json:
    return {
        "path": channel.declared.path,
        "params": {param.name: param.schema for param in channel.params},
        "send": {each.type: {"$ref": PREFIX + each.name} for each in channel.sent},
        "receive": {each.type: {"$ref": PREFIX + each.name} for each in channel.received},
        "undeclared": channel.is_open,
    }


def _references(names: Iterable[str]) -> list[Json]:
    return [{"$ref": PREFIX + name} for name in names]
