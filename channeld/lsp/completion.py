"""Completion: keys and values of the language, and names from the configuration."""

import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from typing import Final

import attrs

from channeld.config.normalizers import beside
from channeld.diagnostics.catalogue import CATALOGUE
from channeld.diagnostics.diagnostic import Severity
from channeld.lsp.buffers import Caret, TextSpan
from channeld.lsp.conversation import FRAMES, PUBLISHED, Conversation
from channeld.lsp.cursor import MARK, Cursor, cursor_at
from channeld.lsp.fields import fields_of, roots
from channeld.lsp.projects import Projects
from channeld.lsp.references import NameKind, channel_of, is_schema, is_template, kind_at, params_of
from channeld.lsp.rules import described, keys_of, rules_at, takes_mapping, words_of
from channeld.lsp.view import View, hook_root, hook_source
from channeld.plan.hook_import import module_names
from channeld.pointer import at, tokens, value_at
from channeld.schema.vocabulary import FORMATS, KEYWORDS, TYPES

MOST: Final = 500
_IGNORE: Final = re.compile(r"#\s*channeld:\s*ignore\[([^\]]*)$")
_HOLDERS: Final = ("$defs", "definitions", "properties")
_NAMED_SCHEMAS: Final = (["properties"], ["$defs"], ["patternProperties"])
_CODE: Final = re.compile(r"[A-Za-z0-9]*$")


@attrs.frozen(slots=True)
class Offer:
    """One completion: label, inserted text if different, kind, and Markdown."""

    label: str
    kind: str
    text: str = attrs.field(default="", kw_only=True)
    detail: str = attrs.field(default="", kw_only=True)
    documentation: str = attrs.field(default="", kw_only=True)
    rank: int = attrs.field(default=5, kw_only=True)


def quoted(word: str, cursor: Cursor) -> str:
    """A value as written here: quoted if necessary and not quoted yet."""
    is_odd = word[:1] in "{[*&#!|>%@`" or "{" in word
    return f'"{word}"' if is_odd and not is_quoted(cursor) else word


def is_quoted(cursor: Cursor) -> bool:
    """Whether a quote precedes the word at the cursor."""
    line = cursor.view.tree.lines
    start = line.offset(cursor.span.start.line + 1) + cursor.span.start.column
    return line.text[start - 1 : start] in ("'", '"')


def offers(projects: Projects, name: str, caret: Caret) -> tuple[TextSpan, list[Offer]] | None:
    """What may be written at a caret, and the text that it replaces; None if unknown."""
    buffer = projects.buffer(name)
    if buffer is None or caret.line >= len(buffer.lines):
        return None
    line = buffer.lines[caret.line][: caret.column]
    ignoring = _IGNORE.search(line)
    if ignoring is not None:
        word = _CODE.search(line)
        start = word.start() if word else caret.column
        return TextSpan(Caret(caret.line, start), caret), _codes(projects, name, caret.line)
    cursor = cursor_at(projects, name, caret)
    if cursor is None:
        return None
    span, found = _offered(projects, cursor)
    return span, list(islice(found, MOST))


def _offered(projects: Projects, cursor: Cursor) -> tuple[TextSpan, Iterator[Offer]]:
    if cursor.view.is_schema_file:
        return cursor.span, _of_schema(cursor)
    if cursor.view.is_scenarios:
        keys = _keys(cursor, cursor.siblings, colon=": ") if cursor.is_key else _values(cursor)
        return cursor.span, chain(_spoken(projects, cursor), keys)
    expression = cursor.template
    if expression is not None and is_template(cursor.pointer):
        last = expression.rpartition(".")[2]
        start = cursor.span.start.column + len(cursor.word) - len(last)
        span = TextSpan(Caret(cursor.span.start.line, start), cursor.span.end)
        return span, _fields(cursor, expression)
    if cursor.is_key:
        return cursor.span, _keys(cursor, cursor.siblings, colon=": ")
    return cursor.span, _values(cursor)


def _of_schema(cursor: Cursor) -> Iterator[Offer]:
    """Keywords for a schema file."""
    if cursor.is_key or cursor.own_line:
        if tokens(cursor.pointer)[-1:] not in _NAMED_SCHEMAS:
            for keyword in KEYWORDS:
                if keyword not in cursor.siblings:
                    text = keyword if is_quoted(cursor) else f"{keyword}: "
                    yield Offer(keyword, "property", text=text, detail="JSON Schema")
    else:
        yield from _schema_values(cursor.pointer)


def _codes(projects: Projects, name: str, line: int) -> list[Offer]:
    """Codes for an ignore comment, those of its line first. Errors cannot be ignored."""
    near = {
        one.code for one in projects.of_document(name) if one.place.line - 1 in (line, line + 1)
    }
    entries = [CATALOGUE[code] for code in CATALOGUE if code.startswith("CH")]
    return [
        Offer(
            entry.code,
            "constant",
            detail=entry.title,
            documentation=entry.explanation,
            rank=0 if entry.code in near else 5,
        )
        for entry in entries
        if entry.severity is not Severity.ERROR
    ]


# ------------------------------------------------------------------------------------------------------------ keys


def _keys(cursor: Cursor, siblings: tuple[str, ...], *, colon: str) -> Iterator[Offer]:
    """The keys that the mapping at the cursor accepts and does not have yet."""
    view, pointer = cursor.view, cursor.pointer
    colon = "" if cursor.has_colon else colon
    rules = rules_at(pointer, view.tree.value, scenarios=view.is_scenarios)
    required = {key for rule in rules for key in rule.get("required", ())}
    for key, rule in keys_of(rules).items():
        if key in siblings:
            continue
        opens = colon and takes_mapping(rule) and "anyOf" not in rule
        yield Offer(
            key,
            "property",
            text=key + (":" if opens else colon),
            detail=rule.get("title", "") + (" (required)" if key in required else ""),
            documentation=described(rule),
            rank=1 if key in required else 3,
        )
    for label, detail in _own_keys(view, pointer):
        if label not in siblings:
            yield Offer(label, "field", text=label + colon, detail=detail, rank=2)


def _own_keys(view: View, pointer: str) -> Iterator[tuple[str, str]]:
    """Keys that are names from the configuration: params, claims, stubbed hooks, JSON Schema keywords."""
    path = tokens(pointer)
    if view.is_scenarios:
        return
    if is_schema(pointer) and path[-1:] not in _NAMED_SCHEMAS:
        yield from ((keyword, "JSON Schema") for keyword in KEYWORDS)
    elif path[:1] == ["channels"] and path[2:] == ["params"]:
        known = params_of(view.at("channels", path[1], "path"))
        yield from ((param, "param of the path") for param in known)
    elif "require" in path[-2:] and path[:1] == ["channels"]:
        claims = view.claims(view.authenticators(channel_of(pointer)))
        yield from ((claim, "claim") for claim in claims)


# ---------------------------------------------------------------------------------------------------------- values


def _values(cursor: Cursor) -> Iterator[Offer]:
    view, pointer = cursor.view, cursor.pointer
    rules = rules_at(pointer, view.tree.value, scenarios=view.is_scenarios)
    kind = kind_at(pointer) if not view.is_scenarios or pointer == "/config" else None
    if kind is not None:
        yield from _NAMED[kind](cursor)
    mapping = [rule for rule in rules if takes_mapping(rule)]
    if cursor.own_line and (mapping or is_schema(pointer)):
        yield from _keys(cursor, (), colon=": ")
    if is_schema(pointer):
        yield from _schema_values(pointer)
        return
    if kind in (NameKind.FILE, NameKind.HOOK, NameKind.AUTHENTICATOR):
        return
    seen = {MARK}
    for rule in rules:
        for word in words_of(rule):
            if word not in seen:
                seen.add(word)
                kept = "enum" in rule or "const" in rule or rule.get("type") == "boolean"
                yield Offer(
                    word,
                    "value" if kept else "text",
                    text=quoted(word, cursor),
                    detail=rule.get("title", ""),
                    documentation=rule.get("description", ""),
                    rank=2 if kept else 4,
                )


def _schema_values(pointer: str) -> Iterator[Offer]:
    last = pointer.rpartition("/")[2]
    if last == "type" or pointer.rpartition("/")[0].endswith("/type"):
        yield from (Offer(word, "value", rank=1) for word in TYPES)
    elif last == "format":
        yield from (Offer(word, "value") for word in sorted(FORMATS))
    elif KEYWORDS.get(last) == "true or false" or last == "additionalProperties":
        yield from (Offer(word, "value") for word in ("true", "false"))


def _authenticators(cursor: Cursor) -> Iterator[Offer]:
    for name in cursor.view.names("auth"):
        declared = cursor.view.at("auth", name, "type")
        detail = f"{declared or ''} authenticator".strip()
        yield Offer(name, "reference", detail=detail, rank=1)
    if cursor.pointer.endswith("/auth"):
        yield Offer("none", "value", detail="let everyone in", rank=2)


def _backends(cursor: Cursor) -> Iterator[Offer]:
    return (Offer(name, "reference", rank=1) for name in cursor.view.names("backends"))


def _channels(cursor: Cursor) -> Iterator[Offer]:
    known = dict.fromkeys([*cursor.view.channels, *cursor.view.names("channels")])
    return (Offer(name, "reference", rank=1) for name in known if MARK not in name)


def _messages(cursor: Cursor) -> Iterator[Offer]:
    """Types of the channel; emitted types are events of the target channel, or of this one."""
    channel = channel_of(cursor.pointer)
    for section in ("events", "messages"):
        for name in cursor.view.names("channels", channel, section):
            yield Offer(name, "reference", detail=section.removesuffix("s"), rank=1)


def _hooks(cursor: Cursor) -> Iterator[Offer]:
    """The functions of hook modules, by their source."""
    view = cursor.view
    root = hook_root(view)
    module = cursor.word.partition(":")[0] if ":" in cursor.word else ""
    names = [module] if module else module_names(root)
    for name in islice(names, MOST):
        source = hook_source(root, name)
        for function in source.function_names() if source is not None else ():
            if not function.startswith("_"):
                yield Offer(f"{name}:{function}", "function", rank=1)


def _pointers(cursor: Cursor) -> Iterator[Offer]:
    """The schemas of a file, as `PATH#/pointer`."""
    path = cursor.word.partition("#")[0]
    sources = cursor.view.sources
    if not path or sources is None:
        return
    tree = sources.read_document(beside(path, cursor.view.name))
    value = tree.value if tree is not None else None
    for key, one in value.items() if isinstance(value, dict) else ():
        if key in _HOLDERS and isinstance(one, dict):
            below = [at("", key, name) for name in one]
        else:
            below = [at("", key)] if isinstance(one, dict) and key not in KEYWORDS else []
        yield from (Offer(f"{path}#{pointer}", "reference", rank=1) for pointer in below)


def _schemas(cursor: Cursor) -> Iterator[Offer]:
    if "#" in cursor.word and not cursor.word.startswith("#"):
        yield from _pointers(cursor)
        return
    for name in cursor.view.names("schemas"):
        reference = at("#/schemas", name)
        yield Offer(reference, "reference", text=quoted(reference, cursor), rank=1)
    yield from _files_with(cursor, (".json", ".yaml", ".yml"))


def _files(cursor: Cursor) -> Iterator[Offer]:
    yield from _files_with(cursor, (".yaml", ".yml") if "/include" in cursor.pointer else ())


def _files_with(cursor: Cursor, endings: tuple[str, ...]) -> Iterator[Offer]:
    """Files and folders that complete the word, relative to the document."""
    folder = posixpath.dirname(cursor.word)
    base = posixpath.dirname(cursor.view.name) if "://" not in cursor.view.name else "."
    try:
        found = sorted(
            os.scandir(posixpath.join(base, folder) or "."), key=lambda entry: entry.name
        )
    except (OSError, ValueError):
        return
    for entry in found:
        path = posixpath.join(folder, entry.name)
        if entry.name.startswith(".") or path == posixpath.basename(cursor.view.name):
            continue
        if entry.is_dir():
            yield Offer(f"{path}/", "folder", rank=3)
        elif not endings or entry.name.endswith(endings):
            yield Offer(path, "file", rank=2)


_NAMED: Final[Mapping[NameKind, Callable[[Cursor], Iterator[Offer]]]] = {
    NameKind.AUTHENTICATOR: _authenticators,
    NameKind.BACKEND: _backends,
    NameKind.CHANNEL: _channels,
    NameKind.MESSAGE: _messages,
    NameKind.HOOK: _hooks,
    NameKind.SCHEMA: _schemas,
    NameKind.FILE: _files,
}


# ------------------------------------------------------------------------------------------------------- templates


def _fields(cursor: Cursor, expression: str) -> Iterator[Offer]:
    """Completions of an expression: its root, or a field of what it names so far."""
    root, *path = expression.split(".")
    if not path:
        for word, detail in roots(cursor.pointer).items():
            deeper = word in ("message", "event", "params", "query", "claims")
            text = f"{word}." if deeper else word
            yield Offer(word, "variable", text=text, detail=detail, rank=1)
        return
    for field, is_certain in fields_of(cursor.view, cursor.pointer, root, tuple(path[:-1])).items():
        label = field if is_certain else f"{field}?"
        detail = "" if is_certain else "may be missing"
        yield Offer(label, "field", detail=detail, rank=1 if is_certain else 2)


# ------------------------------------------------------------------------------------------------------- scenarios


def _spoken(projects: Projects, cursor: Cursor) -> Iterator[Offer]:
    """Names from the configuration for a scenario file."""
    conversation = Conversation(projects, cursor.view.name, cursor.view.tree)
    pointer, path = cursor.pointer, cursor.path
    if cursor.is_key and path[-1:] == ["hooks"]:
        for hook in conversation.hooks():
            yield Offer(hook, "function", text=f'"{hook}": ', rank=1)
    elif (cursor.is_key or cursor.own_line) and len(path) == 4 and path[2] == "steps":
        clients = value_at(cursor.view.tree.value, at("/scenarios", path[1], "clients"))
        for client in clients if isinstance(clients, dict) else ():
            yield Offer(client, "variable", text=f"{client}: ", detail="client", rank=1)
    elif FRAMES.fullmatch(pointer) or PUBLISHED.fullmatch(pointer):
        yield from _types(conversation, pointer)
    elif path[-2:] == ["publish", "channel"]:
        yield from (Offer(one, "reference", rank=1) for one in conversation.paths())
    elif path[-1:] == ["path"]:
        for channel, written in conversation.paths().items():
            text = quoted(written, cursor)
            yield Offer(written, "reference", text=text, detail=channel, rank=1)
    elif cursor.is_key:
        yield from _frame_fields(conversation, cursor)


def _types(conversation: Conversation, pointer: str) -> Iterator[Offer]:
    """The types of the channels that a frame may be on; sent frames are messages."""
    sections = ("messages",) if "send" in tokens(pointer) else ("events", "messages")
    for channel in conversation.channels_at(pointer):
        view = conversation.view_of(channel)
        for section in sections if view is not None else ():
            for name in view.names("channels", channel, section) if view is not None else ():
                yield Offer(name, "reference", detail=f"{section} of {channel}", rank=1)


def _frame_fields(conversation: Conversation, cursor: Cursor) -> Iterator[Offer]:
    """The fields of a frame, by the schema of its type."""
    if not FRAMES.fullmatch(f"{cursor.pointer}/type"):
        return
    type_ = value_at(cursor.view.tree.value, f"{cursor.pointer}/type")
    fields: dict[str, bool] = {} if "type" in cursor.siblings else {"type": True}
    for channel in conversation.channels_at(cursor.pointer) if isinstance(type_, str) else ():
        view = conversation.view_of(channel)
        for section in ("events", "messages") if view is not None else ():
            where = at("/channels", channel, section, str(type_), "schema")
            fields.update(view.fields(where) if view is not None else {})
    for field in fields:
        if field not in cursor.siblings:
            yield Offer(field, "field", text=f"{field}: ", rank=1)
