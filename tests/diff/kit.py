"""Two small configurations, or two schemas, compared without any file."""

from collections.abc import Mapping
from datetime import date
from fnmatch import fnmatch

from channeld.config.model import Config
from channeld.config.source import FileSystem, read_sources
from channeld.diagnostics.diagnostic import Report
from channeld.diagnostics.render import Joined
from channeld.diff.accept import accept
from channeld.diff.change import Change
from channeld.diff.changes import changes
from channeld.diff.side import Side, Unloaded, load_side
from channeld.diff.text import DiffResult, render_text
from channeld.protocol.frames import Json
from channeld.schema.compare.schema_ref import Book, Node
from channeld.schema.schemas import Schemas

TODAY = date(2026, 6, 1)
ENVIRON = {"SECRET": "s" * 40}
BASE = """\
channeld: 1
channels:
  room:
    path: /rooms/{id}
    auth: none
    rooms: "{params.id}"
    messages:
      say:
        schema: {type: object, required: [text], properties: {text: {type: string}}}
        route: room
    events:
      news: {schema: {type: object, required: [title], properties: {title: {type: string}}}}
"""


def memory(files: Mapping[str, str]) -> FileSystem:
    """Files that are not there."""

    def read(name: str) -> bytes:
        if name not in files:
            raise FileNotFoundError(2, "no such file")
        return files[name].encode()

    return FileSystem(read, lambda pattern: [name for name in files if fnmatch(name, pattern)])


def loaded(text: str, name: str, files: Mapping[str, str] | None = None) -> Side | Unloaded:
    """A text as one side."""
    known = memory({name: text, **(files or {})})
    return load_side(name, known, name=name, environ=ENVIRON)


def side(text: str, name: str = "channels.yaml", files: Mapping[str, str] | None = None) -> Side:
    """A text that has to load as one side."""
    found = loaded(text, name, files)
    assert isinstance(found, Side)
    errors = [each.message for each in found.report.errors]
    assert errors == []
    return found


def outcome(old: str, new: str, *, everything: bool = False) -> tuple[DiffResult, Joined]:
    """What a comparison of two texts gives, and the texts to show it with."""
    was, now = side(old, "old.yaml"), side(new, "new.yaml")
    judged = accept(changes(was, now, everything=everything), now, TODAY)
    found = DiffResult(
        old="old.yaml",
        new="new.yaml",
        changes=tuple(judged.changes),
        warnings=tuple(judged.warnings),
    )
    return found, Joined((now, was))


def compared(old: str, new: str, *, everything: bool = False) -> str:
    """The report about two texts."""
    found, texts = outcome(old, new, everything=everything)
    return render_text(found, texts, colour=False)


def node_of(schema: Json, schemas: Mapping[str, Json] | None = None) -> Node:
    """A schema as it stands in a configuration of its own."""
    named = {"it": schema, **(schemas or {})}
    sources = read_sources(
        "channels.yaml",
        FileSystem(lambda _: b"channeld: 1", lambda _: []),
        {},
        Report(),
        missing_is_error=False,
    )
    found = Schemas(Config(schemas=named), sources, Report())
    root = found.root("/schemas/it")
    assert root is not None
    part = found.at(root)
    assert part is not None
    return Node(Book(found), (part,))


def diff(old: str, new: str, *, everything: bool = False) -> list[Change]:
    """The changes between two texts."""
    return list(outcome(old, new, everything=everything)[0].changes)


def codes(old: str, new: str) -> list[tuple[str, str]]:
    """The codes and levels of the changes between two texts."""
    return [(change.code, str(change.level)) for change in diff(old, new)]


def instead(old: str, new: str, text: str = BASE) -> str:
    """A text with one part of it written otherwise."""
    assert old in text
    return text.replace(old, new)
