"""Parses template text into a tree of literals and expressions, each with its location; meaning comes later.

`{root.name}` is an expression, `{root.name?}` an optional one; `{{` and `}}` are literal braces. A name that contains dots
is written `{root["https://example.com/name"]}`. A string that is a single expression keeps the value's JSON type and parses
to an `Expression`; any other parses to a `Text`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import attrs

from channeld.pointer import at, leaves
from channeld.protocol.frames import Json

_NAME = r"[^\s.{}?\[\]\"]+"
_QUOTED = r"\[\"[^\"{}]+\"\]"
_STEP = re.compile(rf"\.?({_NAME})|({_QUOTED})")
_EXPRESSION = re.compile(rf"(?P<path>{_NAME}(?:\.{_NAME}|{_QUOTED})*)(?P<optional>\?)?")
_PLAIN = re.compile(_NAME)
_VALUE = r"(?:(?:message|event|params|query|claims)\.[^\s{}]+|user\.id\??|connection\.id|room\??|now|now_ms|uuid)"
_LITERAL = re.compile(rf"(?<!\{{)\{{\{{\s*{_VALUE}\s*\}}\}}|\$\{{{_VALUE}\}}")
_BARE = re.compile(
    r"(?:(?:message|event|params|query|claims)(?:\.[A-Za-z_]\w*)+|user\.id|connection\.id|now|now_ms|uuid)\??"
)
_PIECE = re.compile(r"\{\{|\}\}|\{|\}|[^{}]+")


@attrs.frozen(slots=True)
class Literal:
    """A constant; the braces of a string are unescaped."""

    value: Json


@attrs.frozen(slots=True)
class Expression:
    """`{root.path}`; `offset` and `length` locate it, braces included, in the string at `pointer`."""

    root: str
    path: tuple[str, ...]
    optional: bool
    pointer: str
    offset: int
    length: int

    @property
    def is_each(self) -> bool:
        """Whether it stands for each element of a list: `{claims.teams.*}`."""
        return self.root == "claims" and self.path[-1:] == ("*",)

    @property
    def source(self) -> str:
        """The expression as written, without braces and `?`."""
        return spelled((self.root, *self.path))


@attrs.frozen(slots=True)
class Text:
    """A string that contains expressions: literal runs and expressions, in order."""

    parts: tuple[str | Expression, ...]
    pointer: str


@attrs.frozen(slots=True)
class Object:
    """A JSON object whose values are templates."""

    entries: tuple[tuple[str, "Node"], ...]
    pointer: str


@attrs.frozen(slots=True)
class Array:
    """A JSON array of templates."""

    elements: tuple["Node", ...]
    pointer: str


Node: TypeAlias = Literal | Expression | Text | Object | Array


@attrs.frozen(slots=True)
class TemplateSyntaxError:
    """A syntax error in a template: where, the message, and what to write instead."""

    pointer: str
    offset: int
    length: int
    message: str
    help: str


def spelled(path: Sequence[str]) -> str:
    """A path as the language writes it: names joined by dots, those that contain dots as `["…"]`."""
    text = ""
    for name in path:
        if not _PLAIN.fullmatch(name) or "://" in name:
            text += f'["{name}"]'
        else:
            text += f".{name}" if text else name
    return text


def with_type(node: Node, type_: str) -> Node:
    """The tree with `{message.type}` replaced by the type, which is known here and removed before routing."""
    match node:
        case Expression(root="message" | "event", path=("type",)):
            return Literal(type_)
        case Text(parts, pointer):
            replaced = (with_type(p, type_) if isinstance(p, Expression) else p for p in parts)
            return Text(tuple(type_ if isinstance(p, Literal) else p for p in replaced), pointer)  # type: ignore[misc]
        case Object(entries, pointer):
            return Object(tuple((key, with_type(n, type_)) for key, n in entries), pointer)
        case Array(elements, pointer):
            return Array(tuple(with_type(element, type_) for element in elements), pointer)
    return node


def parse(value: Json, pointer: str, mistakes: list[TemplateSyntaxError]) -> Node:
    """Parse a template (any JSON value); errors are added to the list."""
    if isinstance(value, str):
        return parse_text(value, pointer, mistakes)
    if isinstance(value, dict):
        for key in value:
            _refuse_expression(key, at(pointer, key), mistakes)
        entries = ((key, parse(child, at(pointer, key), mistakes)) for key, child in value.items())
        return _constant_or(Object(tuple(entries), pointer), value)
    if isinstance(value, list):
        elements = (parse(child, at(pointer, i), mistakes) for i, child in enumerate(value))
        return _constant_or(Array(tuple(elements), pointer), value)
    return Literal(value)


def parse_text(text: str, pointer: str, mistakes: list[TemplateSyntaxError]) -> Node:
    """Parse one string."""
    parts: list[str | Expression] = []
    literal: list[str] = []
    for part in _parts(text, pointer, mistakes):
        if isinstance(part, str):
            literal.append(part)
            continue
        if literal:
            parts.append("".join(literal))
            literal = []
        parts.append(part)
    if literal:
        parts.append("".join(literal))
    match parts:
        case []:
            return Literal("")
        case [str() as constant]:
            return Literal(constant)
        case [Expression() as expression]:
            return expression
        case _:
            return Text(tuple(parts), pointer)


def expressions(node: Node) -> Iterator[Expression]:
    """All expressions of a tree, in textual order."""
    match node:
        case Expression():
            yield node
        case Text(parts):
            yield from (part for part in parts if isinstance(part, Expression))
        case Object(entries):
            for _, child in entries:
                yield from expressions(child)
        case Array(elements):
            for child in elements:
                yield from expressions(child)
        case Literal():
            pass


def literal_braces(value: Json, pointer: str) -> Iterator[tuple[str, str, int]]:
    """Text that looks like an expression but is sent literally: the text, the string's pointer, its offset."""
    for leaf, where in leaves(value, pointer):
        if isinstance(leaf, str):
            for found in _LITERAL.finditer(leaf):
                yield found[0], where, found.start()


def bare_expressions(value: Json, pointer: str) -> Iterator[tuple[str, str]]:
    """Strings that would be expressions if they had braces, such as `message.text`, each with its pointer."""
    for leaf, where in leaves(value, pointer):
        if isinstance(leaf, str) and _BARE.fullmatch(leaf):
            yield leaf, where


def _parts(
    text: str, pointer: str, mistakes: list[TemplateSyntaxError]
) -> Iterator[str | Expression]:
    position = 0
    while piece := _PIECE.match(text, position):
        position = piece.end()
        match piece[0]:
            case "{{":
                yield "{"
            case "}}":
                yield "}"
            case "}":
                mistakes.append(
                    TemplateSyntaxError(
                        pointer,
                        piece.start(),
                        1,
                        "`}` without its `{`",
                        "write `}}` for a literal brace",
                    )
                )
            case "{":
                close = text.find("}", position)
                expression = _expression(text, pointer, position - 1, close, mistakes)
                position = close + 1 if close >= 0 else len(text)
                if expression is not None:
                    yield expression
            case literal:
                yield literal


def _expression(
    text: str, pointer: str, start: int, close: int, mistakes: list[TemplateSyntaxError]
) -> Expression | None:
    if close < 0:
        help = "write `}` after the name, or `{{` for a literal brace"
        mistakes.append(
            TemplateSyntaxError(pointer, start, len(text) - start, "`{` is not closed", help)
        )
        return None
    inside, length = text[start + 1 : close], close + 1 - start
    is_plain = not {"|", "://"} & set(re.findall(r"\||://", _unquoted(inside)))
    found = _EXPRESSION.fullmatch(inside) if is_plain else None
    if found is None:
        message, help = _explain(inside)
        mistakes.append(TemplateSyntaxError(pointer, start, length, message, help))
        return None
    root, *path = (m[1] or m[2][2:-2] for m in _STEP.finditer(found["path"]))
    return Expression(root, tuple(path), found["optional"] is not None, pointer, start, length)


def _unquoted(inside: str) -> str:
    return re.sub(_QUOTED, "", inside)


def _explain(inside: str) -> tuple[str, str]:
    head, _, address = _unquoted(inside).rstrip("?").partition(".")
    if "://" in address:
        optional = "?" if inside.endswith("?") else ""
        return (
            f"`{{{inside}}}` is split at its dots",
            f'write `{{{head}["{address}"]{optional}}}`',
        )
    if "|" in _unquoted(inside):
        return (
            f"`{{{inside}}}` has a filter, and templates have none",
            f"write `{{{inside.partition('|')[0].strip()}}}`, and change the value in a `hook`",
        )
    if not inside.strip():
        return (
            "empty template expression",
            "name a value, such as `{message.text}`; `{{}}` is a literal",
        )
    if indexed := re.match(r"([\w.]+)(?:\[[0-9*]*\]|\.[0-9]+)", inside):
        help = f"name the whole list, `{{{indexed[1]}}}`, or take it apart in a `hook`"
        return f"`{{{inside}}}` has an index, and templates have none", help
    tidy = _EXPRESSION.fullmatch("".join(inside.split()))
    # With several words (`a or b`) there is no sensible reading.
    if tidy is not None and not re.search(r"[^\s.]\s+[^\s.]", inside.strip()):
        return (f"`{{{inside}}}` is not a template expression", f"write `{{{tidy[0]}}}`")
    return (
        f"`{{{inside}}}` is not a template expression",
        "write names joined by dots, such as `{message.text}`; `{{` is a literal brace",
    )


def _refuse_expression(key: str, pointer: str, mistakes: list[TemplateSyntaxError]) -> None:
    found = re.search(
        r"\{(message|event|params|query|user|claims|connection|room|now|now_ms|uuid)\b", key
    )
    if found is not None:
        mistakes.append(
            TemplateSyntaxError(
                pointer, -1, 0, "a key takes no template", "use the template as a value"
            )
        )


def _constant_or(node: Object | Array, value: Json) -> Node:
    children = [child for _, child in node.entries] if isinstance(node, Object) else node.elements
    if not all(isinstance(child, Literal) for child in children):
        return node
    if isinstance(node, Object):
        return Literal(
            {key: child.value for key, child in node.entries if isinstance(child, Literal)}
        )
    return Literal([child.value for child in children if isinstance(child, Literal)])
