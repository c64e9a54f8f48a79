"""A message type renamed wherever it stands: in its channel, where others emit it, and in the scenarios of its clients.

Hooks and clients' own code also speak of types, and are not changed: their language server knows nothing of ours.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import attrs

from channeld.config.language import LANGUAGE
from channeld.config.letters import resolve
from channeld.config.source import parse
from channeld.config.tree import MapNode, Node, Tree, TreeEntry
from channeld.diagnostics.diagnostic import Report
from channeld.lsp.buffers import Caret, TextSpan, shown_name
from channeld.lsp.checking import is_scenarios
from channeld.lsp.conversation import FRAMES, PUBLISHED, Conversation
from channeld.lsp.names import NameKind, channel_of, kind_at, message_of
from channeld.lsp.projects import Projects
from channeld.lsp.view import Found, found_at, scalars, view_of
from channeld.pointer import at, tokens, value_at
from channeld.protocol.frames import Json
from channeld.protocol.reserved import RESERVED

__all__ = ["RenameRefused", "Renamed", "rename", "renamed_at"]

_TYPES: Final = LANGUAGE["properties"]["channels"]["additionalProperties"]["properties"]["messages"]
_IGNORED: Final = re.compile(r"(/scenarios/(\d+))?/ignore/\d+/type")


class RenameRefused(Exception):
    """A rename that cannot be; the text says why."""


@attrs.frozen(slots=True)
class Renamed:
    """A text that takes the place of another."""

    name: str
    span: TextSpan
    text: str


@attrs.frozen(slots=True)
class _Type:
    """What is renamed: a type of a channel of a configuration."""

    root: str
    channel: str
    type: str


def renamed_at(projects: Projects, name: str, caret: Caret) -> tuple[TextSpan, str] | None:
    """The type at a caret and where it stands; None where there is nothing to rename."""
    view = view_of(projects, name, caret.line)
    found = found_at(view.tree, caret) if view is not None else None
    if view is None or found is None or _meant(projects, name, view.root, found, view.tree) is None:
        return None
    return _inner(view.tree, found.span), found.text


def rename(projects: Projects, name: str, caret: Caret, new: str) -> list[Renamed]:
    """All edits that rename the type at a caret.

    Raises:
        RenameRefused: the new name is none, is taken, or there is no type here.
    """
    view = view_of(projects, name, caret.line)
    found = found_at(view.tree, caret) if view is not None else None
    meant = _meant(projects, name, view.root, found, view.tree) if view and found else None
    if meant is None:
        raise RenameRefused("there is no message type here")
    pattern = _TYPES["propertyNames"]["pattern"]
    if not re.search(pattern, new) or new.endswith("\n"):
        raise RenameRefused(f"a type is {_TYPES['propertyNames']['x-wants']}")
    if new in RESERVED:
        raise RenameRefused(f"`{new}` is a type of the protocol itself")
    trees = dict(_trees(projects, projects.configuration_files(meant.root)))
    types = {channel: _types(trees.values(), channel) for channel in _channels(trees.values())}
    if new in types.get(meant.channel, ()):
        raise RenameRefused(f"channel `{meant.channel}` already has `{new}`")
    edits = [
        Renamed(file, _inner(tree, span), _written(tree, span, new))
        for file, tree in trees.items()
        for span in _in_configuration(tree, meant)
        if _text_at(tree, span) == meant.type
    ]
    for file in _scenario_files(projects, meant.root):
        text = projects.text(file)
        tree = parse(text, file, Report()) if text is not None else None
        conversation = Conversation(projects, file, tree) if tree is not None else None
        if tree is None or conversation is None or conversation.root != meant.root:
            continue
        spans = _in_scenarios(conversation, meant, types)
        edits += [
            Renamed(file, _inner(tree, s), _written(tree, s, new))
            for s in spans
            if _text_at(tree, s) == meant.type
        ]
    return list(dict.fromkeys(edits))


def _meant(projects: Projects, name: str, root: str, found: Found, tree: Tree) -> _Type | None:
    """The type that a key or a scalar names."""
    if is_scenarios(name):
        return _meant_by_scenario(projects, name, found, tree)
    belongs = message_of(found.path)
    if found.is_key and belongs is not None and len(found.path) == 4:
        return _Type(root, belongs[0], belongs[2])
    if found.is_key or kind_at(found.pointer) is not NameKind.MESSAGE:
        return None
    trees = dict(_trees(projects, projects.configuration_files(root)))
    channels = [channel_of(found.pointer)]
    if belongs is not None and found.path[-2:] == ["emit", "type"]:
        value = value_at(tree.value, at("/channels", belongs[0], belongs[1], belongs[2]))
        channels = _targets(belongs[0], value)
    holders = [one for one in channels if found.text in _types(trees.values(), one)]
    return _Type(root, holders[0], found.text) if holders else None


def _meant_by_scenario(projects: Projects, name: str, found: Found, tree: Tree) -> _Type | None:
    pointer = found.pointer
    if found.is_key or not (
        FRAMES.fullmatch(pointer) or _IGNORED.fullmatch(pointer) or PUBLISHED.fullmatch(pointer)
    ):
        return None
    conversation = Conversation(projects, name, tree)
    if not conversation.root:
        return None
    trees = dict(_trees(projects, projects.configuration_files(conversation.root)))
    types = {channel: _types(trees.values(), channel) for channel in _channels(trees.values())}
    for channel, known in types.items():
        meant = _Type(conversation.root, channel, found.text)
        if found.text in known and found.span in _in_scenarios(conversation, meant, types):
            return meant
    return None


# --------------------------------------------------------------------------------------------------- configuration


def _trees(projects: Projects, files: Iterable[str]) -> Iterator[tuple[str, Tree]]:
    for file in files:
        text = projects.text(file)
        tree = parse(text, file, Report()) if text is not None else None
        if tree is not None:
            yield file, tree


def _channels(trees: Iterable[Tree]) -> Iterator[str]:
    for tree in trees:
        value = value_at(tree.value, "/channels")
        yield from value if isinstance(value, dict) else ()


def _types(trees: Iterable[Tree], channel: str) -> set[str]:
    """The types of a channel, messages and events."""
    found: set[str] = set()
    for tree in trees:
        for section in ("messages", "events"):
            value = value_at(tree.value, at("/channels", channel, section))
            found |= set(value) if isinstance(value, dict) else set()
    return found


def _targets(channel: str, message: Json) -> list[str]:
    """The channels that a message goes to."""
    route = message.get("route") if isinstance(message, dict) else None
    targets = route if isinstance(route, list) else [route]
    found = [target.get("channel") if isinstance(target, dict) else None for target in targets]
    return list(dict.fromkeys(one if isinstance(one, str) else channel for one in found))


def _in_configuration(tree: Tree, meant: _Type) -> Iterator[TextSpan]:
    """Where the type stands in one file of the configuration."""
    for section in ("messages", "events"):
        entry = _entry(tree.root, ["channels", meant.channel, section, meant.type])
        if entry is not None:
            yield TextSpan.of(tree.lines.place(entry.start, entry.end))
    channels = tree.node("/channels") if isinstance(tree.root, MapNode) else None
    if not isinstance(channels, MapNode) or "channels" not in getattr(tree.root, "entries", {}):
        return
    for name, entry in channels.entries.items():
        for pointer, node in scalars(entry.node, at("/channels", name)):
            if kind_at(pointer) is not NameKind.MESSAGE or node.value != meant.type:
                continue
            path = tokens(pointer)
            holders = [name]
            if path[-2:] == ["emit", "type"]:
                holders = _targets(name, value_at(tree.value, at("", *path[:4])))
            if meant.channel in holders:
                yield TextSpan.of(tree.lines.place(node.start, node.end))


def _entry(node: Node, keys: list[str]) -> TreeEntry | None:
    entry: TreeEntry | None = None
    for key in keys:
        entry = node.entries.get(key) if isinstance(node, MapNode) else None
        if entry is None:
            return None
        node = entry.node
    return entry


# ------------------------------------------------------------------------------------------------------- scenarios


def _scenario_files(projects: Projects, root: str) -> list[str]:
    """The open scenario files, and those below the configuration's folder."""
    from channeld.scenarios.suite import find_files  # noqa: PLC0415 - it brings the engine

    below = find_files([posixpath.dirname(root) or "."]) if Path(root).is_file() else []
    return list(dict.fromkeys([*filter(is_scenarios, projects.buffers), *map(shown_name, below)]))


def _in_scenarios(
    conversation: Conversation, meant: _Type, types: dict[str, set[str]]
) -> list[TextSpan]:
    """Where a scenario file speaks of the type: in frames of clients that are on the channel."""
    tree = conversation.tree
    return [
        TextSpan.of(tree.lines.place(node.start, node.end))
        for pointer, node in scalars(tree.root)
        if node.value == meant.type and _speaks_of(conversation, pointer, meant, types)
    ]


def _speaks_of(
    conversation: Conversation, pointer: str, meant: _Type, types: dict[str, set[str]]
) -> bool:
    if FRAMES.fullmatch(pointer) or PUBLISHED.fullmatch(pointer):
        return meant.channel in conversation.channels_at(pointer)
    ignored = _IGNORED.fullmatch(pointer)
    if ignored is None:
        return False
    # What is ignored is so for all clients: it is this type if no other channel of theirs has one of that name.
    clients = conversation.channels_of_clients().items()
    here = {c for (index, _), some in clients if ignored[2] in (None, index) for c in some}
    others = [c for c in here if c != meant.channel and meant.type in types.get(c, ())]
    return meant.channel in here and not others


# ------------------------------------------------------------------------------------------------------------ text


def _text_at(tree: Tree, span: TextSpan) -> str:
    """What is written in a span, without quotes; an alias is not what it stands for."""
    inner = _inner(tree, span)
    start = tree.lines.offset(inner.start.line + 1)
    return (
        tree.text[start + inner.start.column : start + inner.end.column]
        if span.start.line == span.end.line
        else ""
    )


def _inner(tree: Tree, span: TextSpan) -> TextSpan:
    """A span without the quotes around it."""
    start = tree.lines.offset(span.start.line + 1) + span.start.column
    if tree.text[start : start + 1] not in ("'", '"'):
        return span
    (row, left), (end_row, right) = span
    return TextSpan(Caret(row, left + 1), Caret(end_row, right - 1))


def _written(tree: Tree, span: TextSpan, new: str) -> str:
    """The new name, in quotes where it would be no text without and has none."""
    plain = _inner(tree, span) == span
    return f'"{new}"' if plain and (not isinstance(resolve(new), str) or new.endswith(":")) else new
