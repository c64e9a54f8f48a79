"""Go to definition: functions, schema files, authenticators, message types, params."""

import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import attrs

from channeld.config.yaml import parse
from channeld.diagnostics.diagnostic import Place, Report
from channeld.lsp.buffers import Caret, TextSpan, shown_name
from channeld.lsp.conversation import Conversation
from channeld.lsp.projects import Projects
from channeld.lsp.references import (
    NameKind,
    channel_of,
    channels_reached,
    is_template,
    kind_at,
    message_of,
)
from channeld.lsp.view import Found, View, at_caret, expression_at, hook_root, hook_source, view_of
from channeld.pointer import at, value_at


@attrs.frozen(slots=True)
class Definition:
    """A file, and the span in it."""

    name: str
    span: TextSpan


def definitions(projects: Projects, name: str, caret: Caret) -> list[Definition]:
    """The definitions of what is at a caret; empty if unknown."""
    here = at_caret(projects, name, caret)
    if here is None:
        return []
    view, found = here
    if view.is_scenarios:
        return list(_of_scenario(projects, view, found))
    if view.is_schema_file:
        return list(_reference(projects, view, found))
    if not found.is_key and is_template(found.pointer) and "{" in found.text:
        return list(_of_template(projects, view, found))
    kind = None if found.is_key else kind_at(found.pointer)
    return list(_DEFINED[kind](projects, view, found)) if kind is not None else []


def in_configuration(projects: Projects, root: str, *keys: str) -> Iterator[Definition]:
    """The location of a configuration's key, in any of its files."""
    for name in projects.configuration_files(root):
        blocks = projects.blocks(name)
        if blocks is None:
            continue
        index = blocks.channels.get(keys[1]) if keys[0] == "channels" and len(keys) > 1 else None
        tree = parse(blocks.reduced([] if index is None else [index]), name, Report())
        pointer = at("", *keys)
        if tree is not None and value_at(tree.value, pointer[: pointer.rfind("/")]) is not None:
            place = tree.key_place(pointer)
            if place.path == pointer:
                yield Definition(name, TextSpan.of(place))


def _named(section: str) -> "Callable[[Projects, View, Found], Iterator[Definition]]":
    def named(projects: Projects, view: View, found: Found) -> Iterator[Definition]:
        return in_configuration(projects, view.root, section, found.text)

    return named


def _message(projects: Projects, view: View, found: Found) -> Iterator[Definition]:
    """The message and event of this type; a message routed to another channel is an event there."""
    own = channel_of(found.pointer)
    channels = [own]
    belongs = message_of(found.path)
    if belongs is not None and found.path[-2:] == ["emit", "type"]:
        reached = channels_reached(own, view.at("channels", *belongs))
        channels = [*(one for one in reached if one != own), own]
    for channel in channels:
        places = list(_types(projects, view.root, channel, found.text, ("events", "messages")))
        if places:
            yield from places
            return


def _types(
    projects: Projects, root: str, channel: str, type: str, sections: tuple[str, str]
) -> Iterator[Definition]:
    for section in sections:
        yield from in_configuration(projects, root, "channels", channel, section, type)


def _hook(projects: Projects, view: View, found: Found) -> Iterator[Definition]:
    yield from hook_definition(view, found.text)


def hook_definition(view: View, call: str) -> Iterator[Definition]:
    """The line of a hook's function, or its module if it is bound in another way."""
    module, _, name = call.partition(":")
    source = hook_source(hook_root(view), module)
    if source is None:
        return
    function = source.function(name.partition(".")[0])
    row, column = (function.lineno - 1, function.col_offset) if function else (0, 0)
    yield Definition(shown_name(str(source.path)), TextSpan.within(row, column, column))


def _schema(projects: Projects, view: View, found: Found) -> Iterator[Definition]:
    """The target of a schema reference: a file with a fragment, or a named schema."""
    path, _, fragment = found.text.partition("#")
    if not path:
        if fragment.startswith("/schemas/"):
            keys = fragment.split("/")[1:]
            yield from in_configuration(projects, view.root, keys[0], keys[1])
        return
    name = shown_name(posixpath.join(posixpath.dirname(view.name), path))
    text = projects.text(name)
    if text is None:
        return
    tree = parse(text, name, Report())
    is_inside = tree is not None and fragment.startswith("/")
    place = tree.key_place(fragment) if tree is not None and is_inside else Place(name)
    yield Definition(name, TextSpan.of(place))


def _reference(projects: Projects, view: View, found: Found) -> Iterator[Definition]:
    """The target of a `$ref` in a schema file."""
    if found.is_key or found.path[-1:] != ["$ref"]:
        return
    if not found.text.startswith("#/"):
        yield from _schema(projects, view, found)
        return
    place = view.tree.key_place(found.text[1:])
    if place.path == found.text[1:]:
        yield Definition(view.name, TextSpan.of(place))


def _file(projects: Projects, view: View, found: Found) -> Iterator[Definition]:
    name = shown_name(posixpath.join(posixpath.dirname(view.name), found.text))
    if projects.text(name) is not None:
        yield Definition(name, TextSpan.of(Place(name)))


_DEFINED: Final[Mapping[NameKind, Callable[[Projects, View, Found], Iterator[Definition]]]] = {
    NameKind.AUTHENTICATOR: _named("auth"),
    NameKind.BACKEND: _named("backends"),
    NameKind.CHANNEL: _named("channels"),
    NameKind.MESSAGE: _message,
    NameKind.HOOK: _hook,
    NameKind.SCHEMA: _schema,
    NameKind.FILE: _file,
}


def _of_template(projects: Projects, view: View, found: Found) -> Iterator[Definition]:
    """The declaration of the param, claim or field that an expression names."""
    root, *path = (expression_at(found) or "").split(".")
    channel, belongs = channel_of(found.pointer), message_of(found.path)
    if not path:
        return
    if root in ("params", "query"):
        where = ["channels", channel, root, path[0]]
        places = list(in_configuration(projects, view.root, *where))
        yield from places or in_configuration(projects, view.root, "channels", channel, "path")
    elif root in ("message", "event") and belongs is not None:
        yield from _property(view, ["channels", *belongs, "schema"], path)
    elif root == "claims":
        owner = found.path[1] if found.path[0] == "auth" else None
        for name in [owner] if owner is not None else view.authenticators(channel):
            yield from _property(view, ["auth", name, "claims"], path)


def _property(view: View, schema: list[str], path: list[str]) -> Iterator[Definition]:
    """Where a schema declares a property, in the configuration or in the file that the schema is in."""
    schemas = view.schemas
    target = schemas.root(at("", *schema)) if schemas is not None else None
    if schemas is None or target is None or target.document is None:
        return
    pointer = target.pointer + "".join(at("/properties", step) for step in path)
    place = schemas.documents.place(target.document, pointer, key=True)
    if place.path.endswith(at("", path[-1])):
        yield Definition(place.file, TextSpan.of(place))


def _of_scenario(projects: Projects, view: View, found: Found) -> Iterator[Definition]:
    """What a scenario refers to: the configuration file, a stubbed hook, a channel, a type."""
    conversation = Conversation(projects, view.name, view.tree)
    root = conversation.root
    if found.pointer == "/config":
        if projects.text(root) is not None:
            yield Definition(root, TextSpan.of(Place(root)))
        return
    config = view_of(projects, root, 0)
    if config is None:
        return
    if found.is_key and found.path[-2:-1] == ["hooks"]:
        yield from hook_definition(config, found.text)
    elif found.path[-2:] == ["publish", "channel"]:
        yield from in_configuration(projects, root, "channels", found.text)
    elif found.path[-1:] == ["type"]:
        channels = conversation.channels_at(found.pointer)
        for channel in channels or config.channels:
            yield from _types(projects, root, channel, found.text, ("messages", "events"))
