"""The contract as TypeScript: one discriminated union for each direction of each channel, and a typed client."""

import json
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Final, Literal

from channeld import __version__
from channeld.export.contract import ChannelContract, Contract
from channeld.export.types import (
    Constant,
    ListOf,
    MapOf,
    Named,
    Plain,
    Property,
    Record,
    TupleOf,
    Type,
    Types,
)
from channeld.protocol.reserved import ANSWERS, SETTLING
from channeld.schema.definitions import references

HEAD: Final = (
    f"// Made by channeld {__version__} from a channels.yaml; change that, and export again."
)
"""The first lines of every generated module."""

_CLIENT_HEAD: Final = f"""\
// {"-" * 105} client
// It needs a WebSocket (a browser's, Node's from version 22 on, or the package `ws`) or `fetch`, and nothing else.
"""
_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_PLAIN: Final[Mapping[str, str]] = {"integer": "number"}


def typescript(contract: Contract, *, client: bool = False) -> str:
    """A module of types that `tsc --strict` accepts; with `client`, of the client as well."""
    types = Types(contract.definitions)
    received = {each.name for channel in contract.channels for each in channel.received}
    # A param's schema may name definitions that no frame does.
    every = (p for c in contract.channels for p in (*c.params, *c.query))
    params = (name for p in every for name in references(p.schema))
    needed = types.needed([*contract.frame_names(), *params])
    parts = [HEAD]
    for name, type in needed.items():
        parts.append(_definition(name, type, contract, loose=name in received))
    for channel in contract.channels:
        parts.extend(_unions(channel))
    parts.append(_channel_map(contract, types))
    parts.append(f"export const CHANNELS = {channel_table(contract)} as const;")
    if client:
        parts.append(client_source("client.ts"))
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def javascript(contract: Contract) -> str:
    """The client as a module without types or dependencies, and the paths of the channels."""
    table = f"export const CHANNELS = {channel_table(contract)};"
    return "\n\n".join((HEAD, table, client_source("client.js").rstrip())) + "\n"


def client_source(name: Literal["client.ts", "client.js"]) -> str:
    """The client in TypeScript, or as JavaScript from the TypeScript compiler, with its table of answers."""
    answers = "; ".join(f"{type}: {_text(answer)}" for type, answer in ANSWERS.items())
    known = f"{_CLIENT_HEAD}const ANSWERS = new Set([{', '.join(map(_text, SETTLING))}]);\n"
    if name == "client.ts":
        known += f"interface Answers {{ {answers} }}\n"
    return known + files("channeld.export").joinpath("templates", name).read_text("utf-8")


def channel_table(contract: Contract) -> str:
    """An object literal of what a client needs for each channel: path, names, and what may be resent."""
    lines = [
        f"  {_literal_key(c.name)}: {{\n    path: {_text(c.path)},\n{_names(c)}  }},"
        for c in contract.channels
    ]
    return "\n".join(["{", *lines, "}"])


def _names(channel: ChannelContract) -> str:
    lists: Mapping[str, list[str] | None] = {
        "once": [each.type for each in channel.sent if "once" in each.options],
        "query": [each.name for each in channel.query],
        "sends": [each.type for each in channel.sent],
        # A kind of frame is one type in several forms.
        "receives": None
        if channel.open
        else [*dict.fromkeys(each.type for each in channel.received)],
    }
    shown = {
        name: "null" if names is None else f"[{', '.join(map(_text, names))}]"
        for name, names in lists.items()
    }
    return "".join(f"    {name}: {names},\n" for name, names in shown.items())


def _definition(name: str, type: Type, contract: Contract, *, loose: bool) -> str:
    schema = contract.definitions[name]
    description = schema.get("description", "") if isinstance(schema, dict) else ""
    deprecated = isinstance(schema, dict) and schema.get("deprecated") is True
    comment = _comment(str(description), "", deprecated=deprecated)
    # Receivers access the fields that they know; an undeclared one is likely a typo.
    return f"{comment}export type {name} = {_shown(type, '', loose=loose)};"


def _unions(channel: ChannelContract) -> Iterator[str]:
    for name, each_way, words in (
        (channel.send_name, channel.sent, "sends"),
        (channel.receive_name, channel.received, "receives"),
    ):
        members = "".join(f"\n  | {each.name}" for each in each_way)
        yield f"/** All that a client of `{channel.name}` {words}. */\nexport type {name} ={members};"


def _channel_map(contract: Contract, types: Types) -> str:
    lines = ["export interface ChannelMap {"]
    for channel in contract.channels:
        lines.append(_comment(channel.description, "  ").rstrip("\n"))
        lines.append(f"  {_key(channel.name)}: {{")
        for word, params in (("params", channel.params), ("query", channel.query)):
            fields = (Property(p.name, types.of(p.schema), word == "params") for p in params)
            record = Record(tuple(fields), open=False)
            lines.append(f"    {word}: {_shown(record, '    ', loose=True)};")
        lines.append(f"    send: {channel.send_name};")
        lines.append(f"    receive: {channel.receive_name};")
        lines.append("  };")
    return "\n".join([*(line for line in lines if line), "}"])


def _shown(type: Type, indent: str, *, loose: bool = False) -> str:
    match type:
        case Plain(name):
            shown = _PLAIN.get(name, name)
        case Constant(value):
            shown = _text(value) if isinstance(value, str) else json.dumps(value)
        case Named(name):
            shown = name
        case ListOf(of):
            shown = f"Array<{_shown(of, indent)}>"
        case TupleOf():
            shown = _tuple(type, indent)
        case MapOf(of):
            shown = f"{{ [name: string]: {_shown(of, indent)} }}"
        case Record():
            shown = _record(type, indent, loose=loose)
        case _:
            shown = _union(type.of, indent, loose=loose)
    return shown


def _tuple(type: TupleOf, indent: str) -> str:
    parts = [
        f"({_shown(each, indent)})" + ("" if position < type.least else "?")
        for position, each in enumerate(type.first)
    ]
    if type.rest != Plain("never"):
        parts.append(f"...Array<{_shown(type.rest, indent)}>")
    return f"[{', '.join(parts)}]"


def _record(record: Record, indent: str, *, loose: bool) -> str:
    if not record.properties:
        return "{ [name: string]: unknown }" if record.open else "Record<string, never>"
    lines = ["{"]
    for each in record.properties:
        lines.append(_comment(each.description, indent + "  ").rstrip("\n"))
        mark = "" if each.required else "?"
        lines.append(f"{indent}  {_key(each.name)}{mark}: {_shown(each.type, indent + '  ')};")
    if record.open and not loose:
        lines.append(f"{indent}  [name: string]: unknown;")
    return "\n".join([*(line for line in lines if line), f"{indent}}}"])


def _union(types: tuple[Type, ...], indent: str, *, loose: bool) -> str:
    shown = []
    for each in types:
        if each == Plain("string") and any(isinstance(other, Constant) for other in types):
            # Any string may arrive; editors still suggest the known values.
            shown.append("(string & {})")
        else:
            shown.append(_shown(each, indent, loose=loose))
    return " | ".join(shown)


def _comment(text: str, indent: str, *, deprecated: bool = False) -> str:
    lines = text.replace("*/", "*\\/").splitlines()
    if deprecated:
        lines.append("@deprecated")
    lines = [line.strip() for line in lines if line.strip()]
    if not lines:
        return ""
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    return "".join(
        [f"{indent}/**\n", *(f"{indent} * {line}\n" for line in lines), f"{indent} */\n"]
    )


def _key(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else _text(name)


def _literal_key(name: str) -> str:
    # In an object literal, this one name would set the object's prototype.
    return f"[{_text(name)}]" if name == "__proto__" else _key(name)


def _text(value: str) -> str:
    # Two line ends of Unicode are none of JSON's.
    shown = json.dumps(value, ensure_ascii=False)
    return shown.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
