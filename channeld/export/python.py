"""The contract as a Python module: a TypedDict for each kind of frame, and their union for each direction."""

import keyword
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from typing import Final

import attrs

from channeld import __version__
from channeld.export.contract import ChannelContract, Contract, FrameType
from channeld.export.names import Names
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
    union,
)
from channeld.schema.definitions import references

_HEAD: Final = f'''"""Frames of a channels.yaml, made by channeld {__version__}; change that file, and export again.

Types know no patterns and lengths, and say nothing of fields that nobody declared.
"""

from collections.abc import Mapping
from typing import Final, Literal, NotRequired, TypeAlias, TypedDict

'''
_CLIENT_IMPORTS: Final = """\
import contextlib
import dataclasses
import functools
import json
import math
import random
import re
import selectors
import ssl
import time
import types
import typing
from collections import abc
"""
_CLIENT_LIBRARIES: Final = """\
from urllib.parse import SplitResult, quote, urlencode, urlsplit

import anyio
import anyio.abc
import h11
import wsproto
import wsproto.utilities
from wsproto import events
"""
_PLAIN: Final = {
    "unknown": "object",
    "never": "NoReturn",
    "null": "None",
    "boolean": "bool",
    "integer": "int",
    "number": "float",
    "string": "str",
}
_FIELD: Final = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]*")


def python(contract: Contract, *, client: bool = False) -> str:
    """A module that passes mypy with `strict`, for Python 3.11 and later.

    It needs nothing but the standard library; with `client`, also anyio and wsproto.
    """
    writer = _PythonWriter(contract=contract, types=Types(contract.definitions))
    text = "\n\n\n".join(writer.parts())
    if client:
        text = "\n\n\n".join((text, *writer.client_parts()))
    head = _HEAD.replace("NotRequired", "NoReturn, NotRequired") if "NoReturn" in text else _HEAD
    for name in ("NotRequired", "Literal", "TypedDict"):
        if not re.search(rf"\b{name}\b", text):
            head = head.replace(f"{name}, ", "").replace(f", {name}\n", "\n")
    if client:
        head = head.replace("from collections.abc", _CLIENT_IMPORTS + "from collections.abc", 1)
        head = head.rstrip() + "\n\n" + _CLIENT_LIBRARIES + "\n"
    return head + "\n" + text + "\n"


@attrs.define(eq=False, kw_only=True)
class _PythonWriter:
    contract: Contract
    types: Types
    _names: Names = attrs.field(init=False)
    _parts: list[str] = attrs.field(factory=list, init=False)
    _states: dict[str, str] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self._names = Names()
        for name in (*self.contract.definitions, *self._unions()):
            self._names.take(name)

    def parts(self) -> Iterator[str]:
        """The definitions, the unions, the paths."""
        params = (
            name for c in self.contract.channels for p in c.params for name in references(p.schema)
        )
        for name, type in self.types.needed([*self.contract.frame_names(), *params]).items():
            self._define(name, type, self._description(name))
        for channel in self.contract.channels:
            self._define_state(channel)
            self._parts.extend(self._channel(channel))
        paths = "".join(f"    {c.name!r}: {c.path!r},\n" for c in self.contract.channels)
        self._parts.append(f"PATHS: Final[Mapping[str, str]] = {{\n{paths}}}")
        yield from self._parts

    def client_parts(self) -> Iterator[str]:
        """The client itself, its data for each channel, and a typed `connect` for each."""
        template = files("channeld.export").joinpath("templates", "client.py.in")
        yield template.read_text("utf-8").rstrip()
        rows = []
        for channel in self.contract.channels:
            params = tuple(param.name for param in channel.params)
            sends = sorted(sent.type for sent in channel.sent)
            query = tuple(each.name for each in channel.query)
            once = [sent.type for sent in channel.sent if "once" in sent.options]
            row = f"{channel.path!r}, {params!r}, {query!r}, frozenset({sends!r}), frozenset({once!r})"
            rows.append(f"    {channel.name!r}: _Channel({row}),\n")
        yield f"CHANNELS: Final[Mapping[str, _Channel]] = {{\n{''.join(rows)}}}"
        names = [self._names.give(f"{channel.name} params") for channel in self.contract.channels]
        for channel, name in zip(self.contract.channels, names, strict=True):
            fields = "".join(
                f"        {param.name!r}: {_quoted(self._shown(self.types.of(param.schema), name))},\n"
                for param in channel.params
            )
            yield f"{name} = TypedDict(\n    {name!r},\n    {{\n{fields}    }},\n)"
        clients = [self._client(channel) for channel in self.contract.channels]
        yield "\n".join(f"{name}: TypeAlias = {_quoted(shown)}" for name, shown in clients)
        trios = zip(self.contract.channels, names, clients, strict=True)
        signatures = [_connect(channel.name, name, client) for channel, name, (client, _) in trios]
        if len(signatures) == 1:
            yield signatures[0] + _CONNECT
        else:
            yield from (f"@typing.overload\n{signature} ..." for signature in signatures)
            loose = "base: str, channel: str, params: Mapping[str, object]"
            yield (
                f"def connect(\n    {loose}, **options: typing.Unpack[Options]\n) -> typing.Any:"
                + _CONNECT
            )

    def _client(self, channel: ChannelContract) -> tuple[str, str]:
        """The name of a channel's client, and the types that it has."""
        state = self._states.get(channel.name, _PLAIN["never"])
        name = self._names.give(f"{channel.name} client")
        return name, f"ChannelClient[{channel.send_name}, {channel.receive_name}, {state}]"

    def _define_state(self, channel: ChannelContract) -> None:
        """The presence state that users may set, if any."""
        for sent in channel.sent:
            fields = sent.schema.get("properties")
            if not sent.declared and isinstance(fields, dict) and "set" in fields:
                name = self._states[channel.name] = self._names.give(f"{channel.name} own state")
                self._define(name, self.types.of(fields["set"]))

    def _unions(self) -> Iterator[str]:
        for channel in self.contract.channels:
            for name in (channel.send_name, channel.receive_name):
                yield from (name, f"{name}Type")

    def _channel(self, channel: ChannelContract) -> Iterator[str]:
        each_way: Iterable[tuple[str, Sequence[FrameType]]] = (
            (channel.send_name, channel.sent),
            (channel.receive_name, channel.received),
        )
        for name, frames in each_way:
            members = " | ".join(frame.name for frame in frames)
            types = ", ".join(repr(frame.type) for frame in frames)
            yield f'{name}: TypeAlias = "{members}"'
            yield f"{name}Type: TypeAlias = Literal[{types}]"

    def _description(self, name: str) -> str:
        schema = self.contract.definitions[name]
        text = schema.get("description") if isinstance(schema, dict) else None
        return " ".join(str(text).split()) if isinstance(text, str) else ""

    def _define(self, name: str, type: Type, description: str = "") -> None:
        if isinstance(type, Record) and type.properties:
            self._parts.append(self._record(name, type, description))
        else:
            comment = f"# {description}\n" if description else ""
            self._parts.append(f"{comment}{name}: TypeAlias = {_quoted(self._shown(type, name))}")

    def _record(self, name: str, record: Record, description: str) -> str:
        fields = []
        for each in record.properties:
            shown = self._shown(each.type, f"{name} {each.name}")
            fields.append((each.name, shown if each.required else f"NotRequired[{shown}]"))
        if all(self._is_plain(field) for field, _ in fields):
            text = f"    {_docstring(description)}\n\n" if description else ""
            lines = "".join(f"    {field}: {_annotation(shown)}\n" for field, shown in fields)
            return f"class {name}(TypedDict):\n{text}{lines}".rstrip()
        comment = f"# {description}\n" if description else ""
        lines = "".join(f"        {field!r}: {_quoted(shown)},\n" for field, shown in fields)
        return f"{comment}{name} = TypedDict(\n    {name!r},\n    {{\n{lines}    }},\n)"

    def _is_plain(self, field: str) -> bool:
        """Whether a field can be written in a class, where its name must not hide the name of a type."""
        hidden = keyword.iskeyword(field) or field in _SPOKEN or self._names.has(field)
        return bool(_FIELD.fullmatch(field)) and not hidden

    def _shown(self, type: Type, hint: str) -> str:
        match type:
            case Plain(name):
                shown = _PLAIN[name]
            case Constant(value):
                shown = "float" if isinstance(value, float) else f"Literal[{value!r}]"
            case Named(name):
                shown = name
            case ListOf(of):
                shown = f"list[{self._shown(of, f'{hint} item')}]"
            case TupleOf(first, _, rest):
                shown = f"list[{self._shown(union((*first, rest)), f'{hint} item')}]"
            case MapOf(of):
                shown = f"dict[str, {self._shown(of, f'{hint} value')}]"
            case Record():
                shown = self._named_record(type, hint)
            case _:
                shown = self._union(type.of, hint)
        return shown

    def _named_record(self, record: Record, hint: str) -> str:
        if not record.properties:
            return "dict[str, object]" if record.open else "dict[str, NoReturn]"
        # Name them by what distinguishes them.
        marks = [
            each.type.value
            for each in record.properties
            if each.name != "type" and isinstance(each.type, Constant)
        ]
        name = self._names.give(" ".join([hint, *(m for m in marks if isinstance(m, str))]))
        self._define(name, record)
        return name

    def _union(self, types: tuple[Type, ...], hint: str) -> str:
        text = Plain("string") in types
        constants = [
            each.value
            for each in types
            if isinstance(each, Constant)
            and not isinstance(each.value, float)
            and not (text and isinstance(each.value, str))
        ]
        shown = [f"Literal[{', '.join(map(repr, constants))}]"] if constants else []
        shown.extend(
            self._shown(each, hint)
            for each in types
            if not isinstance(each, Constant) or isinstance(each.value, float)
        )
        return " | ".join(dict.fromkeys(shown))


_CONNECT: Final = '''
    """A client of a channel: `connect("wss://example.org", "room", {"room_id": "general"}, token=…)`.

    Raises:
        TypeError: there is no such channel, or a param or query parameter is missing or unknown.
    """
    url = _address(base, channel, params, options.get("query", {}))
    return ChannelClient(url, CHANNELS[channel].sends, CHANNELS[channel].once, **options)'''


def _connect(channel: str, params: str, client: str) -> str:
    return (
        f"def connect(\n    base: str, channel: Literal[{channel!r}], params: {params}, "
        f'**options: typing.Unpack[Options]\n) -> "{client}":'
    )


_SPOKEN: Final = frozenset({*_PLAIN.values(), "dict", "list"})


def _annotation(shown: str) -> str:
    # What is defined further down must be quoted.
    return shown if re.fullmatch(r"[a-z]+|Literal\[.*\]", shown) else _quoted(shown)


def _quoted(shown: str) -> str:
    """A type's text as a string literal; a name in it may be defined later, or be its own."""
    return repr(shown) if '"' in shown or "\\" in shown else f'"{shown}"'


def _docstring(text: str) -> str:
    safe = text.replace("\\", "\\\\").replace('"""', "'''").rstrip('"')
    return f'"""{safe}"""'
