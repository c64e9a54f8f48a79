"""Renames a message type everywhere: in its channel, where others emit it, and in scenarios.

Hooks and clients' own code also use types, but are not changed.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import attrs

from channeld.config.file_kinds import is_scenarios
from channeld.config.language import LANGUAGE
from channeld.config.letters import resolve
from channeld.config.tree import MapNode, Node, Tree, TreeEntry
from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Report
from channeld.lsp.buffers import Caret, TextSpan, shown_name
from channeld.lsp.conversation import FRAMES, PUBLISHED, Conversation
from channeld.lsp.projects import Projects
from channeld.lsp.references import NameKind, channel_of, channels_reached, kind_at, message_of
from channeld.lsp.view import Found, at_caret, scalars
from channeld.pointer import at, tokens, value_at
from channeld.protocol.reserved import RESERVED

_TYPES: Final = LANGUAGE["properties"]["channels"]["additionalProperties"]["properties"]["messages"]
_IGNORED: Final = re.compile(r"(/scenarios/(\d+))?/ignore/\d+/type")


class RenameRefused(Exception):
    """A rename that is not possible; the message says why."""


@attrs.frozen(slots=True)
class Renamed:
    """A replacement of one text by another."""

    name: str
    span: TextSpan
    text: str


@attrs.frozen(slots=True)
class _Type:
    """The type to rename, with its channel and configuration."""

    root: str
    channel: str
    type: str


def renamed_at(projects: Projects, name: str, caret: Caret) -> tuple[TextSpan, str] | None:
    """The type at a caret and its range; None if there is nothing to rename."""
    here = _here(projects, name, caret)
    return None if here is None else (_inner(here[1], here[2].span), here[2].text)


def _here(projects: Projects, name: str, caret: Caret) -> tuple[_Type, Tree, Found] | None:
    """The type named at a caret, and its range."""
    here = at_caret(projects, name, caret)
    if here is None:
        return None
    view, found = here
    meant = _meant(projects, name, view.root, found, view.tree)
    return None if meant is None else (meant, view.tree, found)


def rename(projects: Projects, name: str, caret: Caret, new: str) -> list[Renamed]:
    """All edits that rename the type at a caret.

    Raises:
        RenameRefused: the new name is invalid or taken, or there is no type here.
    """
    here = _here(projects, name, caret)
    if here is None:
        raise RenameRefused("there is no message type here")
    meant = here[0]
    pattern = _TYPES["propertyNames"]["pattern"]
    if not re.search(pattern, new) or new.endswith("\n"):
        raise RenameRefused(f"a type is {_TYPES['propertyNames']['x-wants']}")
    if new in RESERVED:
        raise RenameRefused(f"`{new}` is a type of the protocol itself")
    trees = dict(_trees(projects, projects.configuration_files(meant.root)))
    types = _types_of_channels(trees.values())
    if new in types.get(meant.channel, ()):
        raise RenameRefused(f"channel `{meant.channel}` already has `{new}`")
    places = [
        (f, tree, span) for f, tree in trees.items() for span in _in_configuration(tree, meant)
    ]
    for file, tree in _trees(projects, _scenario_files(projects, meant.root)):
        conversation = Conversation(projects, file, tree)
        if conversation.root == meant.root:
            places += [(file, tree, span) for span in _in_scenarios(conversation, meant, types)]
    edits = (
        Renamed(file, _inner(tree, span), _written(tree, span, new))
        for file, tree, span in places
        if _text_at(tree, span) == meant.type
    )
    return list(dict.fromkeys(edits))


def _meant(projects: Projects, name: str, root: str, found: Found, tree: Tree) -> _Type | None:
    """The type named by a key or scalar."""
    if is_scenarios(name):
        return _meant_by_scenario(projects, name, found, tree)
    belongs = message_of(found.path)
    if found.is_key and belongs is not None and len(found.path) == 4:
        return _Type(root, belongs[0], belongs[2])
    if found.is_key or kind_at(found.pointer) is not NameKind.MESSAGE:
        return None
    trees = dict(_trees(projects, projects.configuration_files(root)))
    types = _types_of_channels(trees.values())
    channels = [channel_of(found.pointer)]
    if belongs is not None and found.path[-2:] == ["emit", "type"]:
        value = value_at(tree.value, at("/channels", belongs[0], belongs[1], belongs[2]))
        channels = channels_reached(belongs[0], value)
    holders = [one for one in channels if found.text in types.get(one, ())]
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
    types = _types_of_channels(trees.values())
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


def _types_of_channels(trees: Iterable[Tree]) -> dict[str, set[str]]:
    """The types of each channel, messages and events."""
    found: dict[str, set[str]] = {}
    for tree in trees:
        channels = value_at(tree.value, "/channels")
        for channel in channels if isinstance(channels, dict) else ():
            types = found.setdefault(channel, set())
            for section in ("messages", "events"):
                value = value_at(tree.value, at("/channels", channel, section))
                types.update(value if isinstance(value, dict) else ())
    return found


def _in_configuration(tree: Tree, meant: _Type) -> Iterator[TextSpan]:
    """The type's occurrences in one file of the configuration."""
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
                holders = channels_reached(name, value_at(tree.value, at("", *path[:4])))
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
    """The type's occurrences in a scenario file: in frames of clients on the channel."""
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
    # `ignore` applies to all clients: it is this type unless another of their channels has one of that name.
    clients = conversation.channels_of_clients().items()
    here = {c for (index, _), some in clients if ignored[2] in (None, index) for c in some}
    others = [c for c in here if c != meant.channel and meant.type in types.get(c, ())]
    return meant.channel in here and not others


# ------------------------------------------------------------------------------------------------------------ text


def _text_at(tree: Tree, span: TextSpan) -> str:
    """The text in a range, without quotes; aliases are not resolved."""
    (row, left), (end_row, right) = _inner(tree, span)
    start = tree.lines.offset(row + 1)
    return tree.text[start + left : start + right] if row == end_row else ""


def _inner(tree: Tree, span: TextSpan) -> TextSpan:
    """A span without the quotes around it."""
    start = tree.lines.offset(span.start.line + 1) + span.start.column
    if tree.text[start : start + 1] not in ("'", '"'):
        return span
    (row, left), (end_row, right) = span
    return TextSpan(Caret(row, left + 1), Caret(end_row, right - 1))


def _written(tree: Tree, span: TextSpan, new: str) -> str:
    """The new name, quoted if necessary."""
    plain = _inner(tree, span) == span
    return f'"{new}"' if plain and (not isinstance(resolve(new), str) or new.endswith(":")) else new
