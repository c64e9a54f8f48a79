"""What receivers get from a message: the fields of the delivered frame, and the template of each."""

from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from channeld.config.model import Message
from channeld.diff.change import Change, Level
from channeld.diff.comparison import Comparison
from channeld.plan.expressions import Expression, Literal, Node, Text, expressions, parse
from channeld.plan.targets.kinds import kind_of
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.schema.cases import type_of
from channeld.schema.compare.difference import Fact

_TYPES: Final = {"now_ms": "integer"} | dict.fromkeys(
    ("now", "uuid", "user.id", "connection.id", "room"), "string"
)


@attrs.frozen(slots=True, kw_only=True)
class Source:
    """The source of a field. `text` is equal for equal templates; `kind` is the JSON type, if known."""

    text: str
    optional: bool = False
    kind: str = ""
    as_sent: bool = False


@attrs.frozen(slots=True, kw_only=True)
class Delivered:
    """A delivered frame: its type, its fields, and whether it is the message itself with these fields added."""

    type: str
    fields: Mapping[str, Source]
    as_sent: bool
    reached: tuple[tuple[str, ...], ...] = ()

    def passes(self, fact: Fact) -> bool:
        """Whether a difference in what is sent reaches receivers."""
        way = [step if isinstance(step, str) else "*" for step in fact.position.steps()]
        way += [fact.name] if fact.name else []
        if self.as_sent:
            first = self.fields.get(way[0]) if way else None
            return first is None or first.as_sent
        return bool(way) and any(
            all(a == b for a, b in zip(way, path, strict=False)) for path in self.reached
        )


def is_routed(message: Message) -> bool:
    """Whether anyone other than the sender receives it."""
    return any(kind_of(route).to_others for route in message.route)


def delivered(name: str, message: Message, declared: Mapping[str, bool]) -> Delivered:
    """What a message delivers; `declared` are its schema's properties, and whether each is required."""
    if message.emit is not None:
        type_ = message.emit.get("type", name)
        fields = {key: source(value) for key, value in message.emit.items() if key != "type"}
        reached = tuple(e.path for e in _read(dict(message.emit)) if e.root == "message")
        return Delivered(type=str(type_), fields=fields, as_sent=False, reached=reached)
    sent = {
        key: Source(text=f"{{message.{key}}}", optional=not required, as_sent=True)
        for key, required in declared.items()
    }
    stamps = {key: source(value) for key, value in (message.stamp or {}).items()}
    return Delivered(type=name, fields={**sent, **stamps}, as_sent=True)


def source(value: Json) -> Source:
    """The source of a template's value."""
    node = _parsed(value)
    match node:
        case Expression():
            kind = _TYPES.get(node.source, "")
            return Source(text=f"{{{node.source}}}", optional=node.optional, kind=kind)
        case Literal(constant):
            return Source(text=f"= {constant!r}", kind=type_of(constant))
        case Text():
            return Source(text=f"{value}", kind="string")
    return Source(text=repr(value), kind=type_of(value))


def _parsed(value: Json) -> Node:
    return parse(value, "", [])


def _read(value: Json) -> list[Expression]:
    return list(expressions(_parsed(value)))


def fields(
    comparison: Comparison,
    old: Mapping[str, Source],
    new: Mapping[str, Source],
    pointers: tuple[str, str],
    who: str,
) -> Iterator[Change]:
    """Changes of the server's fields: removed, new, or from another source. `pointers`: their new and old locations."""
    pointer, before = pointers
    for name, was in old.items():
        now = new.get(name)
        if now is None:
            words = f"{who} no longer has `{name}`"
            place = at(before, name)
            yield comparison.gone("D603", Level.BREAKING, words, place, near=pointer)
        elif (was.text, was.optional) != (now.text, now.optional):
            yield _changed_field(comparison, was, now, at(pointer, name), f"`{name}` in {who}")
    for name in new:
        if name not in old:
            words = f"{who} also has `{name}`"
            yield comparison.change("D604", Level.SAFE, words, at(pointer, name), key=True)


def _changed_field(
    comparison: Comparison, was: Source, now: Source, pointer: str, who: str
) -> Change:
    level, words = Level.DANGEROUS, f"{who} now has another value"
    if was.text == now.text:
        level = Level.BREAKING if now.optional else Level.SAFE
        words = f"{who} may now be missing" if now.optional else f"{who} is now always present"
    elif was.kind and now.kind and was.kind != now.kind:
        level, words = Level.BREAKING, f"{who} now has another type: {now.kind}"
    label = f"{was.text.removeprefix('= ')}{' (optional)' if was.optional else ''} before"
    return comparison.change("D605", level, words, pointer, label=label)
